"""Bringing a label image onto the grid of its CT, exactly, or not at all unless the user says how."""

from __future__ import annotations

from typing import Literal

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.base.wording import by
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.input_options import Placement
from lnsegfm.images.label_placement import Candidate, PlacementError, nearest, placement_error
from lnsegfm.images.volume_checks import check_volume
from lnsegfm.images.whole_numbers import check_whole_numbers

__all__ = ["Candidate", "Place", "PlacementError", "find_place", "label_on_grid", "seen_on_grid"]

_TOLERANCE_MM = 0.01
# Headers are rounded by some programs. Up to here, in voxels, the label's header and that of the CT put every voxel
# into the same voxel of the CT (that ends at half a voxel), so it does not matter which is right.
_ROUNDING_VOXELS = 0.25
# A label whose header is that of the CT, but that has up to so many slices less or more, may have lost them (or the CT
# may) at either end, whatever its origin says.
_FEW_SLICES = 3

Place = Literal["same", "rounded", "shared", "ct", "own", "uncertain"]
"""How a label lies to a CT: on its grid; there but for rounding; on voxels of that grid, as flipped, cropped or padded;
by the CT's header or its own, as the user said; or it is not known."""


def label_on_grid(
    label: sitk.Image, grid: Geometry, *, ignore: int | None = None, placement: Placement = "certain",
    ct: np.ndarray | None = None,
) -> np.ndarray:
    """Return a label image's foreground on another grid.

    Where the grids share their voxels (same, flipped, permuted, cropped or padded), every voxel goes to its own place.
    A label of the CT's size whose header puts it elsewhere does not count as that, nor does any other grid: such a
    label is refused unless the user says how it is placed.

    Args:
        label: 3D image of whole numbers; whatever is not 0 is foreground.
        grid: Grid of the CT.
        ignore: Value that is not foreground, but marks what was not reviewed.
        placement: What the user says, see `lnsegfm.images.input_options.InputOptions`.
        ct: HU, shape (z, y, x) of ``grid``; with it a refusal tells what the label would lie on.

    Returns:
        uint8 array of 0 and 1, shape (z, y, x) of ``grid``.

    Raises:
        PlacementError: It is not certain where the label lies.
        UserError: Not a 3D scalar image, numbers that are not whole or not finite, a grid that does not overlap the
            CT's, or foreground outside the CT.
    """
    foreground = _foreground(label, ignore)
    own = Geometry.of(label)
    place = find_place(own, grid, placement)
    if place in ("same", "rounded", "ct"):
        return foreground
    if place == "uncertain":
        raise placement_error(foreground, own, grid, ct)
    _check_overlap(own, grid)
    indices = np.argwhere(foreground)[:, ::-1]
    steps, offset = _voxel_map(own, grid)
    inside = _is_inside(indices @ steps.T + offset, grid)
    if not inside.all():
        raise _refusal(
            f"{np.count_nonzero(~inside)} of its {len(inside)} labelled voxels lie outside the CT.",
        )
    if place == "shared" or _same_voxels(own, grid):
        result = np.zeros(grid.size[::-1], np.uint8)
        result[tuple((indices @ np.rint(steps).T + np.rint(offset)).astype(np.intp).T[::-1])] = 1
        return result
    return _resampled(foreground, own, grid)


def seen_on_grid(label: sitk.Image, grid: Geometry, ignore: int, *, placement: Placement = "certain") -> np.ndarray:
    """Return where a partial label tells of the CT: its voxels of another value than ``ignore``.

    Args:
        label: As for `label_on_grid`, which refuses what does not fit.
        grid: Grid of the CT.
        ignore: Value of what was not reviewed.
        placement: As for `label_on_grid`.

    Returns:
        bool array, shape (z, y, x) of ``grid``; what lies outside the label's own grid was not reviewed.
    """
    own = Geometry.of(label)
    seen = (sitk.GetArrayViewFromImage(label) != ignore).astype(np.uint8)
    keeps = find_place(own, grid, placement) in ("same", "rounded", "ct")
    return (seen if keeps else nearest(seen, own, grid)) != 0


def find_place(own: Geometry, grid: Geometry, placement: Placement = "certain") -> Place:
    """Tell how a label lies to a CT.

    Args:
        own: The label's grid.
        grid: That of the CT.
        placement: What the user says; it counts only where the grids are not the same.

    Raises:
        UserError: The CT's header was asked for, but the sizes differ and they share no voxels.
    """
    if own.matches(grid, tolerance_mm=_TOLERANCE_MM):
        return "same"
    same_size = own.size == grid.size
    if same_size and _corners_apart(own, grid) <= _ROUNDING_VOXELS:
        return "rounded"
    if placement == "ct" and same_size:
        return "ct"
    # A label of the CT's size is one of the whole CT. If its header says otherwise, the header is as likely wrong.
    whole = sorted(own.size) == sorted(grid.size)
    if _same_voxels(own, grid) and (_covers(own, grid) if whole else not _is_short(own, grid)):
        return "shared"
    if placement == "ct":
        raise _refusal(
            f"The CT's header cannot be given to it: it has {by(own.size)} voxels, the CT {by(grid.size)}."
        )
    return "own" if placement == "own" else "uncertain"


def _foreground(label: sitk.Image, ignore: int | None) -> np.ndarray:
    try:
        check_volume(label)
    except UserError as error:
        raise UserError("The segmentation cannot be used.", f"{error.what} {error.why}", error.todo) from error
    values = sitk.GetArrayViewFromImage(label)
    check_whole_numbers(values)
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


def _same_voxels(own: Geometry, grid: Geometry) -> bool:
    steps, offset = (np.rint(part) for part in _voxel_map(own, grid))
    if not np.array_equal(np.abs(steps) @ np.ones(3), np.ones(3)) or abs(round(np.linalg.det(steps))) != 1:
        return False
    apart = grid.positions(_corners(own) @ steps.T + offset) - own.positions(_corners(own))
    return bool(np.linalg.norm(apart, axis=1).max() <= _TOLERANCE_MM)


def _covers(own: Geometry, grid: Geometry) -> bool:
    """Tell whether two grids that share voxels have all in common."""
    steps, offset = (np.rint(part) for part in _voxel_map(own, grid))
    corners = _corners(own) @ steps.T + offset
    last = np.asarray(grid.size) - 1
    return bool(np.array_equal(corners.min(axis=0), np.zeros(3)) and np.array_equal(corners.max(axis=0), last))


def _is_short(own: Geometry, grid: Geometry) -> bool:
    """Tell whether a label begins where the CT does and has a few slices less or more, at which end is not known.

    A part that was cut out differs from the CT along more axes, by more, or begins elsewhere.
    """
    steps, offset = _voxel_map(own, grid)
    apart = np.abs(np.subtract(own.size, grid.size))
    begins = np.allclose(steps, np.eye(3), atol=1e-3) and np.abs(offset).max() < _ROUNDING_VOXELS
    return bool(begins and np.count_nonzero(apart) == 1 and apart.max() <= _FEW_SLICES)


def _corners_apart(own: Geometry, grid: Geometry) -> float:
    """How far the corners of two grids of one size are apart, in voxels, along the worst axis."""
    steps, offset = _voxel_map(own, grid)
    return float(np.abs(_corners(own) @ steps.T + offset - _corners(own)).max())


def _check_overlap(own: Geometry, grid: Geometry) -> None:
    steps, offset = _voxel_map(own, grid)
    corners = _corners(own) @ steps.T + offset
    if np.any(corners.max(axis=0) < -0.5) or np.any(corners.min(axis=0) > np.asarray(grid.size) - 0.5):
        raise _refusal("Its grid and that of the CT do not overlap; it may belong to another patient.")


def _resampled(foreground: np.ndarray, own: Geometry, grid: Geometry) -> np.ndarray:
    result = nearest(foreground, own, grid)
    if foreground.any() and not result.any():
        raise _refusal("Its voxels are much smaller than those of the CT, and nothing of it is left there.")
    return result


def _refusal(why: str) -> UserError:
    return UserError(
        "The segmentation does not fit the CT.", why, "Choose the segmentation that was drawn on this very CT."
    )
