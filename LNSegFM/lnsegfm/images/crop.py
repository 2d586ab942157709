"""The part of a CT that is segmented: cutting it out, and putting the result back where it was."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.images.body import body_box
from lnsegfm.images.boxes import BODY, Box, Region
from lnsegfm.images.geometry import Geometry

_FEWEST_VOXELS = 2


def region_box(image: sitk.Image, region: Region) -> Box:
    """Return the voxels of a region, as far as they lie in the image.

    Args:
        image: 3D CT in HU.
        region: See `SegmentOptions`.

    Raises:
        UserError: A box that holds less than two voxels of the image along one of its axes.
    """
    i, j, k = image.GetSize()
    if isinstance(region, str):
        return body_box(image) if region == BODY else (0, i, 0, j, 0, k)
    return box_within(region, (i, j, k))


def box_within(region: Box, size: tuple[int, int, int]) -> Box:
    """Return the part of a box that lies in a grid of so many voxels (i, j, k).

    Raises:
        UserError: It holds less than two voxels along one of the axes.
    """
    i0, i1, j0, j1, k0, k1 = region
    i, j, k = size
    box = max(i0, 0), min(i1, i), max(j0, 0), min(j1, j), max(k0, 0), min(k1, k)
    if min(size_of(box)) < _FEWEST_VOXELS:
        raise UserError(
            "The region cannot be segmented.",
            "It lies outside of the CT, or is thinner than two of its voxels.",
            "Draw it inside of the CT, around what should be segmented.",
        )
    return box


def size_of(box: Box) -> tuple[int, int, int]:
    """Return the voxels (i, j, k) of a box; zero or less where it is empty."""
    i0, i1, j0, j1, k0, k1 = box
    return i1 - i0, j1 - j0, k1 - k0


def grid_of(box: Box, grid: Geometry) -> Geometry:
    """Return the grid of the voxels of a box in a grid; each voxel stays where it is in the patient."""
    x, y, z = grid.positions(np.array([box[::2]]))[0].tolist()
    return Geometry(size_of(box), grid.spacing, (x, y, z), grid.direction)


def crop(image: sitk.Image, box: Box) -> sitk.Image:
    """Return the voxels of a box, each where it was in the patient."""
    return sitk.RegionOfInterest(image, size_of(box), box[::2])


def put_back(part: sitk.Image, image: sitk.Image, box: Box) -> sitk.Image:
    """Return a volume on the exact grid of ``image`` that is ``part`` in the box and 0 elsewhere.

    Args:
        part: Scalar image of the size of the box.
        image: Where the box was cut out.
        box: The box.
    """
    i0, i1, j0, j1, k0, k1 = box
    values = sitk.GetArrayViewFromImage(part)
    array = np.zeros(image.GetSize()[::-1], values.dtype)
    array[k0:k1, j0:j1, i0:i1] = values
    return Geometry.of(image).put_on(sitk.GetImageFromArray(array))
