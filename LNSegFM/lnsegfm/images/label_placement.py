"""Saying where labels may lie that are not certainly on the voxels of their CT."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.base.wording import by
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.input_options import Placement

_SAME_MM = 0.01


@dataclass(frozen=True)
class Candidate:
    """One place where a label may lie.

    Args:
        placement: What the user says to choose it.
        outside: Number of labelled voxels that would lie outside the CT.
        mean_hu: Mean HU of the labelled voxels there; None where no CT is at hand, or none lies in it.
    """

    placement: Placement
    outside: int
    mean_hu: float | None

    def __str__(self) -> str:
        """Return it as a sentence for the terminal."""
        place = "With the CT's header (ct)" if self.placement == "ct" else "As its own header says (own)"
        hu = "" if self.mean_hu is None else f"its voxels have a mean of {self.mean_hu:.0f} HU"
        lost = f"{self.outside} labelled voxels lie outside the CT" if self.outside else ""
        return f"{place}: {'; '.join(part for part in (lost, hu) if part) or 'all labelled voxels lie in the CT'}."


class PlacementError(UserError):
    """It is not certain where a label lies in the CT; the user must say.

    Args:
        why: What was seen.
        candidates: Where it may lie.
        dice: Dice of the labels in both places; None where there is only one.
    """

    def __init__(self, why: str, candidates: tuple[Candidate, ...], dice: float | None) -> None:
        self.candidates, self.dice = candidates, dice
        options = "ct (the CT's header) or own" if len(candidates) > 1 else "own"
        super().__init__(
            "The segmentation does not fit the CT.", why,
            f"Export it again on the CT's own grid, or say where it lies: --label-grid {options} (its own header, "
            "resampled); Slicer asks on import.",
        )


def placement_error(mask: np.ndarray, own: Geometry, grid: Geometry, ct: np.ndarray | None) -> PlacementError:
    """Return the refusal of a label, with every place where it may lie.

    Args:
        mask: uint8, 0 and 1, shape (z, y, x) of ``own``.
        own: The label's grid.
        grid: That of the CT.
        ct: HU, shape (z, y, x) of ``grid``.
    """
    placed = nearest(mask, own, grid)
    candidates = [Candidate("own", _outside(mask, own, grid), _mean(ct, placed))]
    why, dice = [_difference(own, grid)], None
    if own.size == grid.size:
        candidates.append(Candidate("ct", 0, _mean(ct, mask)))
        both = int(mask.sum()) + int(placed.sum())
        dice = 2 * int(np.count_nonzero(mask & placed)) / both if both else 1.0
        why.append("The same voxels would fit with the CT's header.")
    why += [str(candidate) for candidate in candidates]
    if not _overlap(own, grid):
        why.append("By its header its grid and that of the CT do not overlap; it may belong to another patient.")
    if dice is not None:
        why.append(f"The Dice of the two is {dice:.3f}.")
    return PlacementError(" ".join(why), tuple(candidates), dice)


def nearest(mask: np.ndarray, own: Geometry, grid: Geometry) -> np.ndarray:
    """Resample a mask (uint8, shape (z, y, x)) from its grid onto another (nearest neighbour); 0 outside."""
    image = own.put_on(sitk.GetImageFromArray(mask))
    moved = sitk.Resample(
        image, grid.size, sitk.Transform(3, sitk.sitkIdentity), sitk.sitkNearestNeighbor, grid.origin, grid.spacing,
        grid.direction, 0, sitk.sitkUInt8,
    )
    return sitk.GetArrayFromImage(moved)


def _indices(points: np.ndarray, own: Geometry, grid: Geometry) -> np.ndarray:
    return (own.positions(points) - np.asarray(grid.origin)) @ np.linalg.inv(grid.matrix).T


def _outside(mask: np.ndarray, own: Geometry, grid: Geometry) -> int:
    indices = _indices(np.argwhere(mask)[:, ::-1], own, grid)
    return int(np.count_nonzero(np.any((indices < -0.501) | (indices > np.asarray(grid.size) - 0.499), axis=1)))


def _overlap(own: Geometry, grid: Geometry) -> bool:
    corners = np.array([np.ravel(corner) for corner in np.ndindex(2, 2, 2)]) * (np.asarray(own.size) - 1)
    indices = _indices(corners, own, grid)
    return not (np.any(indices.max(axis=0) < -0.5) or np.any(indices.min(axis=0) > np.asarray(grid.size) - 0.5))


def _mean(ct: np.ndarray | None, mask: np.ndarray) -> float | None:
    return float(ct[mask != 0].mean()) if ct is not None and mask.any() else None


def _difference(own: Geometry, grid: Geometry) -> str:
    """Say in which way two grids differ."""
    if own.size != grid.size:
        if sorted(own.size) == sorted(grid.size):
            return (f"It has {by(own.size)} voxels of {_mm(own.spacing)} mm, the CT {by(grid.size)} of "
                    f"{_mm(grid.spacing)} mm: its axes may be transposed.")  # fmt: skip
        if own.spacing == grid.spacing and own.origin == grid.origin:
            return (f"It begins where the CT does, but has {by(own.size)} voxels, the CT {by(grid.size)}: slices may "
                    "be missing at either end.")  # fmt: skip
        return (f"It lies on another voxel grid: {by(own.size)} voxels of {_mm(own.spacing)} mm; the CT has "
                f"{by(grid.size)} of {_mm(grid.spacing)} mm.")  # fmt: skip
    return f"It has as many voxels as the CT ({by(own.size)}), but another grid: {_header(own, grid)}."


def _header(own: Geometry, grid: Geometry) -> str:
    if own == Geometry(own.size, (1.0,) * 3, (0.0,) * 3, (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)):
        return "its header was lost (spacing 1, origin 0)"
    said = []
    if not np.allclose(own.spacing, grid.spacing, rtol=1e-4):
        swapped = np.allclose(sorted(own.spacing), sorted(grid.spacing), rtol=1e-4)
        said.append(f"its spacing is {_mm(own.spacing)} mm, that of the CT {_mm(grid.spacing)} mm"
                    + (", the same in another order" if swapped else ""))  # fmt: skip
    if not np.allclose(own.direction, grid.direction, atol=1e-4):
        axes = zip(np.reshape(own.direction, (3, 3)).T, np.reshape(grid.direction, (3, 3)).T, "xyz")
        flipped = [name for mine, theirs, name in axes if np.allclose(mine, -theirs, atol=1e-4)]
        said.append(f"its axes {', '.join(flipped)} run the other way (mirrored)" if flipped
                    else "its axes have other directions")  # fmt: skip
    moved = np.subtract(own.origin, grid.origin)
    if np.abs(moved).max() > _SAME_MM:
        text = f"its origin is ({_mm(moved, ', ')}) mm off"
        steps = np.linalg.inv(grid.matrix) @ moved
        if np.allclose(steps, np.rint(steps), atol=1e-3):
            text += f", that is ({', '.join(f'{step:.0f}' for step in np.rint(steps) + 0.0)}) voxels"
        if np.allclose(np.asarray(own.origin) * (-1, -1, 1), grid.origin, atol=_SAME_MM):
            text += ", which is the CT's with the signs of x and y changed (RAS taken for LPS)"
        said.append(text)
    return "; ".join(said) or "its corners lie elsewhere"


def _mm(values: object, between: str = " x ") -> str:
    return between.join(f"{value + 0.0:.6g}" for value in np.asarray(values).round(4).tolist())
