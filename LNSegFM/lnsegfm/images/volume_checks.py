"""Whether an image can be used as a CT, or a grid as that of a volume."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.base.wording import by
from lnsegfm.images.extent import check_extent

SHEAR_TOLERANCE = 1e-3
"""Largest cosine between two axes of a grid that counts as one with right angles."""


def check_volume(image: sitk.Image) -> None:
    """Check that an image is one 3D volume with a single value per voxel and a grid with right angles.

    Raises:
        UserError: It is not.
    """
    if image.GetDimension() != 3:
        raise UserError(
            "The image is not a single 3D volume.",
            f"It has {image.GetDimension()} dimensions, of size {by(image.GetSize())}.",
            "Choose one 3D volume; a time series has to be split into its volumes first.",
        )
    if image.GetNumberOfComponentsPerPixel() != 1 or "complex" in image.GetPixelIDTypeAsString():
        raise UserError(
            "The image is not a scalar volume.",
            f"Its voxels hold {image.GetPixelIDTypeAsString()} values (colours, vectors or complex numbers).",
            "Choose a volume with one number per voxel.",
        )
    check_direction(image.GetDirection())


def check_direction(direction: Sequence[float]) -> None:
    """Check that the axes of a grid, the columns of its 3x3 direction matrix (row by row), are at right angles.

    Raises:
        UserError: The grid is sheared, as that of a CT with a tilted gantry.
    """
    axes = np.reshape(direction, (3, 3))
    if not np.abs(axes.T @ axes - np.eye(3)).max() <= SHEAR_TOLERANCE:
        raise UserError(
            "The voxel grid of the image is sheared.",
            "Its axes are not at right angles to each other, as in a CT with a tilted gantry.",
            "Resample the volume to a grid with right angles first (in Slicer: Resample Scalar/Vector/DWI Volume).",
        )


def check_ct(image: sitk.Image) -> None:
    """Check that an image can be segmented as a CT; takes well under a second for 512x512x150 voxels.

    Raises:
        UserError: It is not a 3D scalar volume on a grid with right angles, has fewer than two slices, has a voxel size
            that makes it larger or smaller than any patient, holds values that are not numbers or are infinite, or has
            the same value everywhere.
    """
    check_volume(image)
    if min(image.GetSize()) < 2:
        raise UserError(
            "The image has fewer than two slices.",
            f"Its size is {by(image.GetSize())} voxels.",
            "Choose a whole CT volume; of a DICOM series, choose the folder that holds all its slices.",
        )
    check_extent(image.GetSize(), image.GetSpacing())
    values = sitk.GetArrayViewFromImage(image)
    # One pass each: minimum and maximum also turn NaN where any voxel is NaN.
    lowest, highest = values.min(), values.max()
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        refuse_not_finite(int(np.count_nonzero(~np.isfinite(values))), values.size)
    if lowest == highest:
        raise UserError(
            "The image is empty.", f"All its voxels have the value {lowest}.", "Choose a volume that shows a CT."
        )


def refuse_not_finite(count: int, voxels: int) -> None:
    """Refuse an image of which some voxels are not finite numbers.

    Args:
        count: How many are NaN or infinite.
        voxels: Number of voxels in all.

    Raises:
        UserError: Some are.
    """
    if count:
        raise UserError(
            "The image holds values that are not finite numbers.",
            f"{count} of {voxels} voxels are NaN or infinite.",
            "Export the CT again, or replace these voxels (by -1000 HU, air, where nothing was measured).",
        )
