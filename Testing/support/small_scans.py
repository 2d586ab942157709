"""Small invented CTs with labels, on grids of one's own choice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from lnsegfm.images.geometry import Geometry

STRAIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def small_scan(
    size: tuple[int, int, int] = (24, 24, 16), spacing: tuple[float, float, float] = (2.0, 2.0, 3.0),
    direction: tuple[float, ...] = STRAIGHT, fill: float | None = None,
) -> sitk.Image:
    """A seeded CT: air around a block of soft tissue.

    Args:
        size: Voxels along (x, y, z).
        spacing: Their size in mm.
        direction: Direction matrix, row by row.
        fill: Value of the air in HU; about -1000 by default.
    """
    random = np.random.default_rng(7)
    array = random.normal(-1000, 5, size[::-1])
    if fill is not None:
        array[:] = fill
    inner = tuple(slice(length // 6, length - length // 6) for length in array.shape)
    array[inner] = random.normal(40, 10, array[inner].shape)
    return Geometry(size, spacing, (-20.0, -30.0, -10.0), direction).put_on(
        sitk.GetImageFromArray(np.round(array).astype(np.int16))
    )


def boxes_on(image: sitk.Image, boxes: Sequence[tuple[slice, slice, slice]]) -> sitk.Image:
    """Return labels on the grid of an image that are 1 in boxes, given as (x, y, z)."""
    array = np.zeros(image.GetSize()[::-1], np.uint8)
    for x, y, z in boxes:
        array[z, y, x] = 1
    return Geometry.of(image).put_on(sitk.GetImageFromArray(array))
