"""Closed planar contours drawn in the patient, as voxels of a CT."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lnsegfm.base.errors import UserError
from lnsegfm.images.geometry import Geometry
from lnsegfm.research.datasets.research_packages import research_package

# In slices: how far a contour may lie from its slice, and how far its points from one plane. Coordinates are rounded,
# and slices are up to 5 % of their distance off the regular grid.
_PLANE_TOLERANCE = 0.25
# In voxels, beyond the outer edge of the CT.
_EDGE_TOLERANCE = 0.1


def rasterise(contours: Sequence[np.ndarray], grid: Geometry) -> np.ndarray:
    """Return the voxels whose centre lies within the contours.

    Contours on one slice are combined by exclusive or, which makes a contour within another a hole; a contour that
    leads through a keyhole into its hole is filled by the even-odd rule, to the same effect. A contour that is there
    twice counts once. The third image axis must be perpendicular to the contours; apart from that the grid may be
    anisotropic, flipped or oblique.

    Args:
        contours: Points in mm, LPS, shape (n, 3) each.
        grid: Grid of the CT the contours were drawn on.

    Returns:
        bool array, shape (z, y, x) of ``grid``.

    Raises:
        UserError: A contour lies between slices or across them, or reaches out of the CT; or no two contours lie on
            neighbouring slices.
    """
    polygon = research_package("skimage.draw").polygon
    mask = np.zeros(grid.size[::-1], bool)
    to_index = np.linalg.inv(grid.matrix)
    slices = set()
    for contour in _distinct(contours):
        x, y, z = (to_index @ (contour - np.asarray(grid.origin)).T).round(6)
        number = _slice_of(z)
        _check_inside(x, y, number, grid)
        mask[(number, *polygon(y, x, mask.shape[1:]))] ^= True
        slices.add(number)
    _check_neighbours(sorted(slices))
    return mask


def _distinct(contours: Sequence[np.ndarray]) -> list[np.ndarray]:
    # Stored twice, as some planning systems do, a contour would cancel itself out.
    rounded = [contour.round(3) for contour in contours]
    found = {points[np.lexsort(points.T)].tobytes(): contour for points, contour in zip(rounded, contours)}
    return list(found.values())


def _slice_of(z: np.ndarray) -> int:
    number = round(float(np.median(z)))
    if np.abs(z - number).max() <= _PLANE_TOLERANCE:
        return number
    if np.ptp(z) > _PLANE_TOLERANCE:
        raise _refusal("A contour is not parallel to the slices.")
    raise _refusal(f"A contour lies between two slices, {np.median(z) % 1:.2f} of their distance from one.")


def _check_inside(x: np.ndarray, y: np.ndarray, number: int, grid: Geometry) -> None:
    margin = 0.5 + _EDGE_TOLERANCE
    in_slice = all(
        -margin <= values.min() and values.max() <= size - 1 + margin for values, size in zip((x, y), grid.size)
    )
    if not (in_slice and 0 <= number < grid.size[2]):
        raise _refusal("A contour reaches out of the CT.")


def _check_neighbours(slices: Sequence[int]) -> None:
    if len(slices) > 2 and np.diff(slices).min() > 1:
        raise _refusal(f"It has contours on {len(slices)} slices, but never on two neighbouring ones.")


def _refusal(why: str) -> UserError:
    return UserError("The contours do not fit the slices of the CT.", why, "Choose the CT they were drawn on.")
