"""What the CT and the model's probability say about lymph nodes that are already measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import SimpleITK as sitk

from lnsegfm.images.body import Body, find_body
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.probabilities import CERTAIN
from lnsegfm.lymph_nodes.instances import LymphNode
from lnsegfm.lymph_nodes.plausibility import judge

# Nearer to the midline a node is called neither left nor right: the midline of the outline is no better than that.
_MIDLINE_MM = 5.0
_HU_DECIMALS = 1
_CONFIDENCE_DECIMALS = 3


def describe(
    nodes: Sequence[LymphNode], instances: sitk.Image, ct: sitk.Image, probability: sitk.Image | None = None
) -> list[LymphNode]:
    """Return the lymph nodes with mean HU, side and plausibility, and with confidence where the probability is known.

    The side is that of the node's centroid against the middle of the body's outline in its axial slice: the patient's
    own left and right. It helps to find a node; it is no neck level, and fails where much of the body on one side is
    out of the field of view.

    Args:
        nodes: Lymph nodes as of `measure`.
        instances: Their numbers by voxel.
        ct: HU, on the same grid.
        probability: uint8 foreground probability on the same grid, 255 is certain.

    Raises:
        ValueError: The voxel counts differ.
    """
    return describe_with(find_body(ct) if nodes else None, nodes, instances, ct, probability)


def describe_with(
    body: Body | None, nodes: Sequence[LymphNode], instances: sitk.Image, ct: sitk.Image,
    probability: sitk.Image | None = None,
) -> list[LymphNode]:
    """Return what `describe` does, where the body is known.

    Args:
        body: The patient; None where it was not found.
        nodes: As of `describe`.
        instances: Their numbers by voxel.
        ct: HU, the whole CT on the same grid.
        probability: uint8 foreground probability on the same grid, 255 is certain.

    Raises:
        ValueError: The voxel counts differ.
    """
    described = describe_in(body, nodes, instances, ct, probability)
    numbers, values = sitk.GetArrayViewFromImage(instances), sitk.GetArrayViewFromImage(ct)
    return judge(described, numbers, values, Geometry.of(ct), body)


def describe_in(
    body: Body | None, nodes: Sequence[LymphNode], instances: sitk.Image, ct: sitk.Image,
    probability: sitk.Image | None = None,
) -> list[LymphNode]:
    """Return mean HU, side and confidence as `describe` does, where the images are only a part of the CT.

    Args:
        body: The patient; None where it was not found.
        nodes: As of `describe`.
        instances: Their numbers by voxel.
        ct: HU, of the same size.
        probability: uint8 foreground probability of the same size, 255 is certain.

    Raises:
        ValueError: The voxel counts differ.
    """
    if not nodes:
        return []
    voxels = np.flatnonzero(sitk.GetArrayViewFromImage(instances))
    numbers = _values(instances, voxels, instances)
    hu = _means(_values(ct, voxels, instances), numbers)
    confidence = None if probability is None else _means(_values(probability, voxels, instances), numbers) / CERTAIN
    return [
        replace(
            node,
            mean_hu=round(float(hu[node.number]), _HU_DECIMALS),
            confidence=None if confidence is None else round(float(confidence[node.number]), _CONFIDENCE_DECIMALS),
            side=_side(node, body),
        )
        for node in nodes
    ]


def _values(image: sitk.Image, voxels: np.ndarray, instances: sitk.Image) -> np.ndarray:
    if image.GetSize() != instances.GetSize():
        raise ValueError(f"an image of size {image.GetSize()} does not fit instances of size {instances.GetSize()}")
    return sitk.GetArrayViewFromImage(image).ravel()[voxels]


def _means(values: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return the mean by number; numbers without voxels have none."""
    counts = np.bincount(numbers)
    return np.bincount(numbers, weights=values) / np.maximum(counts, 1)


def _side(node: LymphNode, body: Body | None) -> str:
    midline = body.midline_r(node.centroid_ras) if body is not None else None
    # R of RAS grows towards the patient's right.
    offset = 0.0 if midline is None else node.centroid_ras[0] - midline
    return "" if abs(offset) < _MIDLINE_MM else "right" if offset > 0 else "left"
