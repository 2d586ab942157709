"""Whether the slices of a series make up one regular volume, and in which order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lnsegfm.base.errors import UserError
from lnsegfm.dicom.headers import Slice
from lnsegfm.images.geometry import Geometry

_PLANE_TOLERANCE = 1e-3
# Scanners round slice positions to 0.1 mm at worst.
_POSITION_TOLERANCE_MM = 0.1
_POSITION_TOLERANCE_SPACINGS = 0.05
_NEEDED = {
    "spacing": ("PixelSpacing", "the distance of the voxels is not known"),
    "axes": ("ImageOrientationPatient", "it is not known how the patient lies, nor which side is left"),
    "position": ("ImagePositionPatient", "neither the order of the slices nor their distance is known"),
}


def stack(slices: Sequence[Slice]) -> tuple[list[Slice], Geometry]:
    """Return slices in the direction of their normal, and the grid that they make up.

    Every slice is checked, whichever file it came from: orientation, size, order, gaps, duplicates, shifts.

    Args:
        slices: At least two, in any order.

    Raises:
        UserError: Something is missing or contradicts itself, or they are not evenly spaced along their normal.
    """
    _check_complete(slices)
    first = slices[0]
    axes, spacing = _axes(first), _spacing(first)
    if not all(
        each.size == first.size
        and np.allclose(_axes(each), axes, atol=_PLANE_TOLERANCE)
        and np.allclose(_spacing(each), spacing, rtol=_PLANE_TOLERANCE)
        for each in slices
    ):
        raise refused(
            "Its images differ in size, pixel spacing or orientation.",
            "Remove images that do not belong to the volume, such as a localizer.",
        )
    normal = np.cross(axes[0], axes[1])
    ordered = sorted(slices, key=lambda each: float(_position(each) @ normal))
    positions = np.array([_position(each) for each in ordered])
    heights = positions @ normal
    _check_gaps(heights)
    sideways = positions - positions[0] - np.outer(heights - heights[0], normal)
    if np.abs(sideways).max() > 0.5 * min(spacing):
        raise refused(
            "Its slices are shifted sideways against each other, as with a tilted gantry.",
            "Load it in Slicer, where the DICOM module regularises the geometry, and use the loaded volume.",
        )
    step = float((heights[-1] - heights[0]) / (len(heights) - 1))
    direction = np.column_stack([axes[0], axes[1], normal])
    x, y, z = positions[0]
    grid = Geometry(
        (*first.size, len(ordered)), (*spacing, step), (float(x), float(y), float(z)), tuple(direction.ravel().tolist())
    )
    return ordered, grid


def refused(why: str, todo: str) -> UserError:
    """Return the refusal of a series."""
    return UserError("The DICOM series cannot be read as one CT volume.", why, todo)


def _check_complete(slices: Sequence[Slice]) -> None:
    for field, (tag, meaning) in _NEEDED.items():
        lacking = [each for each in slices if getattr(each, field) is None]
        if lacking:
            where = "all slices" if len(lacking) == len(slices) else f"{len(lacking)} of {len(slices)} slices"
            raise refused(
                f"{tag} is missing or unreadable in {where}, so {meaning}.",
                "Export the original series again, without removing its geometry.",
            )
    for each in slices:
        if min(_spacing(each)) <= 0:
            raise refused(
                f"PixelSpacing is {_spacing(each)[1]} and {_spacing(each)[0]} mm in {each.path.name}.",
                "Export the original series again.",
            )
        axes = _axes(each)
        if np.abs(axes @ axes.T - np.eye(2)).max() > _PLANE_TOLERANCE:
            raise refused(
                f"ImageOrientationPatient of {each.path.name} does not hold two perpendicular unit vectors.",
                "Export the original series again.",
            )


def _spacing(each: Slice) -> tuple[float, float]:
    assert each.spacing is not None  # see _check_complete
    return each.spacing


def _axes(each: Slice) -> np.ndarray:
    assert each.axes is not None
    return each.axes


def _position(each: Slice) -> np.ndarray:
    assert each.position is not None
    return each.position


def _check_gaps(heights: np.ndarray) -> None:
    gaps = np.diff(heights)
    usual = float(np.median(gaps))
    tolerance = max(_POSITION_TOLERANCE_MM, _POSITION_TOLERANCE_SPACINGS * usual)
    if gaps.min() < min(_POSITION_TOLERANCE_MM, 0.5 * usual) or usual <= 0:
        raise refused(
            "Several of its images lie at the same position, or their positions are missing.",
            "Keep one image per position: one phase of a 4D CT, one reconstruction.",
        )
    widest = int(gaps.argmax())
    where = f"between the slices at {heights[widest]:.1f} mm and {heights[widest + 1]:.1f} mm along the stack"
    if gaps[widest] > 1.5 * usual:
        raise refused(
            f"Slices are missing: there is a gap of {gaps[widest]:.2f} mm {where}, where {usual:.2f} mm are usual.",
            "Copy or export the whole series again.",
        )
    regular = heights[0] + np.arange(len(heights)) * (heights[-1] - heights[0]) / (len(heights) - 1)
    if np.abs(heights - regular).max() > tolerance:
        raise refused(
            f"Its slices are not evenly spaced: {gaps.min():.2f} to {gaps.max():.2f} mm apart, widest {where}.",
            "Load it in Slicer, where the DICOM module regularises the geometry, and use the loaded volume.",
        )
