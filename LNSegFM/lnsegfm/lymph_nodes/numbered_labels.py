"""A label image in which every lymph node has its number as value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.images.geometry import Geometry
from lnsegfm.lymph_nodes.instances import label_instances
from lnsegfm.lymph_nodes.segment_measures import on_part_of


def number_image(
    segments: Mapping[str, sitk.Image], grid: Geometry, numbers: Mapping[str, Sequence[int]]
) -> tuple[sitk.Image, int]:
    """Paint the lymph nodes of several segments into one image.

    Args:
        segments: Mask of each segment, not 0 inside, on any grid that fits the CT.
        grid: Grid of the CT.
        numbers: Numbers of the lymph nodes of each segment by descending volume, as they were measured.

    Returns:
        uint8 image on ``grid``, uint16 where a number needs it, and how many voxels lie in several segments; these
        keep the number of the first.

    Raises:
        UserError: A segment that does not fit the CT, or that has another number of regions than of numbers.
    """
    greatest = max((number for each in numbers.values() for number in each), default=0)
    painted = np.zeros(grid.size[::-1], np.uint8 if greatest < 256 else np.uint16)
    shared = 0
    for segment_id, mask in segments.items():
        box, labels = on_part_of(mask, grid)
        instances = sitk.GetArrayFromImage(label_instances(labels))
        values = np.array([0, *numbers.get(segment_id, ())], painted.dtype)
        if instances.max(initial=0) >= len(values):
            raise UserError(
                "The lymph nodes have no numbers to be written.", "The segmentation was changed since it was measured.",
                "Try again.",
            )
        part, foreground = painted[box], instances != 0
        shared += int(np.count_nonzero(foreground & (part != 0)))
        free = foreground & (part == 0)
        part[free] = values[instances[free]]
    return grid.put_on(sitk.GetImageFromArray(painted)), shared
