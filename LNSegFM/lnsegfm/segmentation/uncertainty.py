"""How much the correction of a segmentation is expected to teach, from the model's own probability.

The measure is the Dice that the model itself expects to lose. With the probability p of each voxel and the label
L = [p >= 1/2], the expected overlap of the label with the truth is the sum of p inside L, and the expected volume of
the truth the sum of p everywhere:

    benefit = 1 - (2 sum_L p + v) / (|L| + sum p + v),    v = 0.03 ml

It takes lost and false voxels alike, it does not grow with the number or size of lymph nodes, as a volume of uncertain
voxels does, and it is on the scale of the score that a correction is to raise. v, the volume of a lymph node of 4 mm,
keeps a scan without any from coming first for a few voxels of faint probability; with a little more it does come
early, and rightly so: either the model missed everything, or a glance is enough to say that there is nothing. Networks
are surer than they should be, so the number is good for an order, not for the Dice itself, and what a network overlooks
with confidence no such measure can see. How well it ranks is in docs/explanation/worklist.md.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from lnsegfm.images.probabilities import CERTAIN

_SMALLEST_NODE_MM3 = 30.0


def expected_benefit(probability: sitk.Image, labels: sitk.Image) -> float:
    """Return the loss of Dice that the model expects of a segmentation, 0 (nothing to correct) to 1.

    Args:
        probability: uint8 foreground probability, 255 is certain.
        labels: Label image on the same grid; every voxel that is not 0 is a lymph node.

    Raises:
        ValueError: The voxel counts differ.
    """
    if probability.GetSize() != labels.GetSize():
        raise ValueError(f"a probability of size {probability.GetSize()} does not fit labels of {labels.GetSize()}")
    voxel_mm3 = float(np.prod(probability.GetSpacing()))
    values = sitk.GetArrayViewFromImage(probability)
    inside = values[sitk.GetArrayViewFromImage(labels) != 0]
    overlap, labelled = _sum(inside) * voxel_mm3, inside.size * voxel_mm3
    expected = _sum(values) * voxel_mm3
    return 1 - (2 * overlap + _SMALLEST_NODE_MM3) / (labelled + expected + _SMALLEST_NODE_MM3)


def _sum(values: np.ndarray) -> float:
    return float(values.sum(dtype=np.uint64)) / CERTAIN
