"""Bringing a grid as it is stored to one with right angles and spacings of one precision."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.base.wording import by
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.volume_checks import SHEAR_TOLERANCE, check_direction

# Single precision, in which NIfTI stores lengths, is good to 6e-8.
_PRECISION = 1.5e-7
_DECIMALS = 6
# Rounding of stored directions, for which nothing is said.
_ROUNDING = 1e-5
_SMALLEST_MM, _LARGEST_MM = 0.02, 25.0
# No table moves that far.
_FARTHEST_MM = 1e5


def canonical_spacing(spacing: Sequence[float]) -> tuple[float, ...]:
    """Return lengths (mm) with at most six decimals where single precision knows no better, or else in it.

    The same scan has 0.699999988 mm in NIfTI, which stores single precision, 0.7 in NRRD and 0.7000000000000001 where
    it is the length of a rotated vector. A rule such as nnU-Net's of anisotropic voxels (largest spacing more than 3
    times the smallest) must not see them as different scans.
    """
    return tuple(_canonical(float(each)) for each in spacing)


def spacing_zyx(image: sitk.Image) -> tuple[float, float, float]:
    """Return the canonical voxel size of a 3D image in mm along the array axes (z, y, x), as nnU-Net takes it."""
    z, y, x = canonical_spacing(image.GetSpacing()[::-1])
    return z, y, x


def _canonical(length: float) -> float:
    for decimals in range(1, _DECIMALS + 1):
        rounded = round(length, decimals)
        if abs(rounded - length) <= _PRECISION * length:
            return rounded
    return float(np.float32(length))


def with_right_angles(
    size: Sequence[int], matrix: np.ndarray, origin: np.ndarray, notes: list[str], what: str
) -> Geometry:
    """Return the grid with right angles that is nearest to a stored one.

    Args:
        size: Voxels (x, y, z).
        matrix: What one step of an index adds to the position, columns in mm, LPS, shape (3, 3).
        origin: Centre of the first voxel, LPS.
        notes: Gets a text where the grid was sheared by more than rounding.
        what: Where the grid was stored, such as "NIfTI sform".

    Raises:
        UserError: Lengths that are not possible, or a shear of more than 1e-3.
    """
    spacing = np.linalg.norm(matrix, axis=0)
    check_spacing(spacing)
    if not np.abs(origin).max() <= _FARTHEST_MM:  # also where it is not a number
        raise UserError(
            "The image does not say where its first voxel lies.", f"By its header it is at {by(origin.tolist())} mm.",
            "Export the image again, or correct its header.",
        )
    axes = matrix / spacing
    check_direction(axes.ravel().tolist())
    shear = float(np.abs(axes.T @ axes - np.eye(3)).max())
    if shear > _ROUNDING:
        # The nearest rotation, about the middle of the volume, so that no corner moves more than needed.
        left, _, right = np.linalg.svd(axes)
        straight = left @ right
        middle = (np.asarray(size) - 1) / 2
        origin = origin + matrix @ middle - (straight * spacing) @ middle
        notes.append(
            f"The {what} is slightly sheared ({shear:.1e}, at most {SHEAR_TOLERANCE:.0e} is accepted); the nearest "
            "grid with right angles was taken."
        )
        axes = straight
    x, y, z = size
    return Geometry(
        (int(x), int(y), int(z)), tuple(spacing.tolist()), tuple(origin.tolist()), tuple(axes.ravel().tolist())
    )


def check_spacing(spacing: Sequence[float] | np.ndarray) -> None:
    """Check that lengths can be distances of a CT's voxels.

    Raises:
        UserError: One is not a number, below 0.02 mm, or above 25 mm.
    """
    lengths = np.asarray(spacing, float)
    if not (np.isfinite(lengths).all() and lengths.min() >= _SMALLEST_MM and lengths.max() <= _LARGEST_MM):
        raise UserError(
            "The distance of the image's voxels is missing or not possible.",
            f"Its header says {by(lengths.tolist())} mm.",
            "Export the image again with its spacing in mm, or correct the header.",
        )


def regular(image: sitk.Image, notes: list[str]) -> sitk.Image:
    """Return a 3D image on a grid with right angles and canonical spacings; other images as they are.

    Raises:
        UserError: See `with_right_angles`.
    """
    if image.GetDimension() != 3:
        return image
    grid = Geometry.of(image)
    check_spacing(grid.spacing)
    straight = with_right_angles(grid.size, grid.matrix, np.asarray(grid.origin), notes, "image's grid")
    image.SetDirection(straight.direction)
    image.SetOrigin(straight.origin)
    image.SetSpacing(canonical_spacing(grid.spacing))
    return image


def without_single_axes(image: sitk.Image) -> sitk.Image:
    """Return a 4D image of one volume, or one whose voxels are lists of one number, as the 3D image that it is."""
    if image.GetNumberOfComponentsPerPixel() == 1 and "vector" in image.GetPixelIDTypeAsString():
        image = sitk.VectorIndexSelectionCast(image, 0)
    if image.GetDimension() != 4:
        return image
    single = [axis for axis, length in enumerate(image.GetSize()) if length == 1]
    # The list or time axis stands first or last; a volume of one slice is none.
    axis = next((axis for axis in (3, 0) if axis in single), None)
    if axis is None:
        return image
    size = list(image.GetSize())
    size[axis] = 0
    return sitk.Extract(image, size, [0, 0, 0, 0], sitk.ExtractImageFilter.DIRECTIONCOLLAPSETOSUBMATRIX)
