"""Bringing a label image onto the grid of its CT, exactly where that is possible."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.volume_checks import check_volume

_TOLERANCE_MM = 0.01


def label_on_grid(label: sitk.Image, grid: Geometry, *, ignore: int | None = None) -> np.ndarray:
    """Return a label image's foreground on another grid.

    Where the grids share their voxels (same, flipped, permuted, cropped or padded), every voxel goes to its own place;
    otherwise the label is resampled (nearest neighbour).

    Args:
        label: 3D image of whole numbers; whatever is not 0 is foreground.
        grid: Grid of the CT.
        ignore: Value that is not foreground, but marks what was not reviewed.

    Returns:
        uint8 array of 0 and 1, shape (z, y, x) of ``grid``.

    Raises:
        UserError: Not a 3D scalar image, numbers that are not whole, a grid that does not overlap the CT's, or
            foreground outside the CT.
    """
    foreground = _foreground(label, ignore)
    own = Geometry.of(label)
    if own.matches(grid, tolerance_mm=_TOLERANCE_MM):
        return foreground
    _check_overlap(own, grid)
    indices = np.argwhere(foreground)[:, ::-1]
    steps, offset = _voxel_map(own, grid)
    inside = _is_inside(indices @ steps.T + offset, grid)
    if not inside.all():
        raise _refusal(
            f"{np.count_nonzero(~inside)} of its {len(inside)} labelled voxels lie outside the CT.",
        )
    whole_steps, whole_offset = np.rint(steps), np.rint(offset)
    if _same_voxels(own, grid, whole_steps, whole_offset):
        result = np.zeros(grid.size[::-1], np.uint8)
        result[tuple((indices @ whole_steps.T + whole_offset).astype(np.intp).T[::-1])] = 1
        return result
    return _resampled(foreground, own, grid)


def seen_on_grid(label: sitk.Image, grid: Geometry, ignore: int) -> np.ndarray:
    """Return where a partial label tells of the CT: its voxels of another value than ``ignore``.

    Returns:
        bool array, shape (z, y, x) of ``grid``; what lies outside the label's own grid was not reviewed.
    """
    own = Geometry.of(label)
    seen = (sitk.GetArrayViewFromImage(label) != ignore).astype(np.uint8)
    return (seen if own.matches(grid, tolerance_mm=_TOLERANCE_MM) else _nearest(seen, own, grid)) != 0


def _foreground(label: sitk.Image, ignore: int | None) -> np.ndarray:
    try:
        check_volume(label)
    except UserError as error:
        raise UserError("The segmentation cannot be used.", f"{error.what} {error.why}", error.todo) from error
    values = sitk.GetArrayViewFromImage(label)
    if values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)):
        raise UserError(
            "The segmentation cannot be used.", "Its voxels hold numbers that are not whole, such as probabilities.",
            "Choose a label image: 0 for background, 1 for lymph nodes.",
        )
    return ((values != 0) & (values != ignore)).astype(np.uint8) if ignore else (values != 0).astype(np.uint8)


def _voxel_map(own: Geometry, grid: Geometry) -> tuple[np.ndarray, np.ndarray]:
    """Matrix and offset that take indices (x, y, z) of one grid to continuous indices of the other."""
    inverse = np.linalg.inv(grid.matrix)
    return inverse @ own.matrix, inverse @ (np.asarray(own.origin) - np.asarray(grid.origin))


def _is_inside(indices: np.ndarray, grid: Geometry) -> np.ndarray:
    # A voxel reaches half a step beyond its centre; the small rest is for grids that were stored in single precision.
    margin = 0.5 + 1e-3
    return np.all((indices >= -margin) & (indices <= np.asarray(grid.size) - 1 + margin), axis=1)


def _corners(geometry: Geometry) -> np.ndarray:
    return np.array([np.ravel(corner) for corner in np.ndindex(2, 2, 2)]) * (np.asarray(geometry.size) - 1)


def _same_voxels(own: Geometry, grid: Geometry, steps: np.ndarray, offset: np.ndarray) -> bool:
    if not np.array_equal(np.abs(steps) @ np.ones(3), np.ones(3)) or abs(round(np.linalg.det(steps))) != 1:
        return False
    apart = grid.positions(_corners(own) @ steps.T + offset) - own.positions(_corners(own))
    return bool(np.linalg.norm(apart, axis=1).max() <= _TOLERANCE_MM)


def _check_overlap(own: Geometry, grid: Geometry) -> None:
    steps, offset = _voxel_map(own, grid)
    corners = _corners(own) @ steps.T + offset
    if np.any(corners.max(axis=0) < -0.5) or np.any(corners.min(axis=0) > np.asarray(grid.size) - 0.5):
        raise _refusal("Its grid and that of the CT do not overlap; it may belong to another patient.")


def _nearest(mask: np.ndarray, own: Geometry, grid: Geometry) -> np.ndarray:
    image = own.put_on(sitk.GetImageFromArray(mask))
    moved = sitk.Resample(
        image, grid.size, sitk.Transform(3, sitk.sitkIdentity), sitk.sitkNearestNeighbor, grid.origin, grid.spacing,
        grid.direction, 0, sitk.sitkUInt8,
    )
    return sitk.GetArrayFromImage(moved)


def _resampled(foreground: np.ndarray, own: Geometry, grid: Geometry) -> np.ndarray:
    result = _nearest(foreground, own, grid)
    if foreground.any() and not result.any():
        raise _refusal("Its voxels are much smaller than those of the CT, and nothing of it is left there.")
    return result


def _refusal(why: str) -> UserError:
    return UserError(
        "The segmentation does not fit the CT.", why, "Choose the segmentation that was drawn on this very CT."
    )
