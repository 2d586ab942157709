"""CT images and label images: reading, checking, writing, and the grid they lie on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from LNSegFMLib.core.dicom_series import check_grey_scale, read_series
from LNSegFMLib.core.errors import UserError
from LNSegFMLib.core.files import write_atomic
from LNSegFMLib.core.nifti import check_whole, count_not_finite

_SINGLE_FILE_SUFFIXES = (".nrrd", ".nii.gz", ".nii", ".mha")
_SHEAR_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Geometry:
    """The grid of a 3D image in the patient, as SimpleITK describes it (LPS).

    Args:
        size: Voxels along the image axes (x, y, z); the array of the image has the reverse order.
        spacing: Distance of neighbouring voxel centres in mm, by image axis.
        origin: Position of the centre of the first voxel in mm, LPS.
        direction: 3x3 matrix, row by row; its columns are the unit vectors of the image axes in LPS.
    """

    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: tuple[float, ...]

    @classmethod
    def of(cls, image: sitk.Image) -> Geometry:
        """Return the grid of a 3D image."""
        return cls(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())

    @property
    def matrix(self) -> np.ndarray:
        """3x3 matrix that takes index steps (x, y, z) to mm in LPS."""
        return np.reshape(self.direction, (3, 3)) * np.asarray(self.spacing)

    def positions(self, indices: np.ndarray) -> np.ndarray:
        """Return the LPS positions in mm, shape (n, 3), of continuous indices (x, y, z), shape (n, 3)."""
        return np.asarray(indices) @ self.matrix.T + np.asarray(self.origin)

    def matches(self, other: Geometry, *, tolerance_mm: float = 0.01) -> bool:
        """Tell whether both grids have the same size and all their corners agree to ``tolerance_mm``.

        The default leaves room for the single precision in which NIfTI stores a grid.
        """
        if self.size != other.size:
            return False
        corners = np.array([np.ravel(corner) for corner in np.ndindex(2, 2, 2)]) * (np.asarray(self.size) - 1)
        apart = np.linalg.norm(self.positions(corners) - other.positions(corners), axis=1)
        return bool(apart.max() <= tolerance_mm)

    def put_on(self, image: sitk.Image) -> sitk.Image:
        """Give ``image``, which has this size, this grid and return it."""
        image.SetSpacing(self.spacing)
        image.SetOrigin(self.origin)
        image.SetDirection(self.direction)
        return image


def read_ct(path: Path, *, series: str = "", warnings: list[str] | None = None) -> sitk.Image:
    """Read a CT from a folder with a DICOM series or from a file of any format SimpleITK knows.

    Args:
        path: Folder, or file (NIfTI, NRRD, MHA, multi-frame DICOM, ...).
        series: Series Instance UID of the series to take where a folder has several.
        warnings: Gets a text for each oddity that does not prevent segmentation, such as another modality than CT.

    Returns:
        3D scalar image in HU: int16 where the file's values are integers that fit, else float32.

    Raises:
        UserError: Nothing readable there, several series to choose from, slices missing or irregularly spaced, or one
            of the reasons of `check_ct`.
    """
    path = Path(path)
    if not path.exists():
        raise UserError("The CT cannot be read.", f"{path} does not exist.", "Check the path.")
    notes: list[str] = []
    image = read_series(path, series, notes) if path.is_dir() else _read_file(path, notes)
    check_ct(image)
    if warnings is not None:
        warnings.extend(notes)
    return _in_ct_type(image)


def read_labels(path: Path) -> sitk.Image:
    """Read a label image as it is stored.

    Raises:
        UserError: It is not there, not an image, or truncated.
    """
    if not Path(path).is_file():
        raise UserError("The labels cannot be read.", f"{path} is not a file.", "Check the path.")
    return _execute(sitk.ImageFileReader(), Path(path))


def check_volume(image: sitk.Image) -> None:
    """Check that an image is one 3D volume with a single value per voxel and a grid with right angles.

    Raises:
        UserError: It is not.
    """
    if image.GetDimension() != 3:
        raise UserError(
            "The image is not a single 3D volume.",
            f"It has {image.GetDimension()} dimensions, of size {_by(image.GetSize())}.",
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
    if not np.abs(axes.T @ axes - np.eye(3)).max() <= _SHEAR_TOLERANCE:
        raise UserError(
            "The voxel grid of the image is sheared.",
            "Its axes are not at right angles to each other, as in a CT with a tilted gantry.",
            "Resample the volume to a grid with right angles first (in Slicer: Resample Scalar/Vector/DWI Volume).",
        )


def check_ct(image: sitk.Image) -> None:
    """Check that an image can be segmented as a CT; takes well under a second for 512x512x150 voxels.

    Raises:
        UserError: It is not a 3D scalar volume on a grid with right angles, has fewer than two slices, holds values
            that are not numbers or are infinite, or has the same value everywhere.
    """
    check_volume(image)
    if min(image.GetSize()) < 2:
        raise UserError(
            "The image has fewer than two slices.",
            f"Its size is {_by(image.GetSize())} voxels.",
            "Choose a whole CT volume; of a DICOM series, choose the folder that holds all its slices.",
        )
    values = sitk.GetArrayViewFromImage(image)
    # One pass each: minimum and maximum also turn NaN where any voxel is NaN.
    lowest, highest = values.min(), values.max()
    if not (np.isfinite(lowest) and np.isfinite(highest)):
        _refuse_not_finite(int(np.count_nonzero(~np.isfinite(values))), values.size)
    if lowest == highest:
        raise UserError(
            "The image is empty.", f"All its voxels have the value {lowest}.", "Choose a volume that shows a CT."
        )


def _refuse_not_finite(count: int, voxels: int) -> None:
    if count:
        raise UserError(
            "The image holds values that are not finite numbers.",
            f"{count} of {voxels} voxels are NaN or infinite.",
            "Export the CT again, or replace these voxels (by -1000 HU, air, where nothing was measured).",
        )


def write_image(image: sitk.Image, path: Path, *, compress: bool = True) -> None:
    """Write an image to one file, atomically and without any header entries beyond its grid.

    Args:
        image: Image of any kind the format can hold.
        path: File name ending in .nrrd, .nii.gz, .nii or .mha; its folder is made where it is missing.
        compress: Compress without loss, where the format can.

    Raises:
        UserError: Another suffix, or the file cannot be written.
    """
    path = Path(path)
    check_image_name(path)
    bare = _without_metadata(image)

    def write(temporary: Path) -> None:
        sitk.WriteImage(bare, str(temporary), useCompression=compress)
        if _is_nifti(path):
            check_whole(temporary)

    try:
        write_atomic(path, write)
    except (RuntimeError, OSError, UserError) as error:
        raise UserError(
            f"{path.name} could not be written.", reason(error), "Check that the folder may be written and has space."
        ) from error


def check_image_name(path: Path) -> None:
    """Check that `write_image` knows the format that a file's name asks for.

    Raises:
        UserError: It does not.
    """
    if not path.name.lower().endswith(_SINGLE_FILE_SUFFIXES):
        raise UserError(
            f"The image cannot be written as {path.name}.",
            "Only formats that keep everything in one file are written.",
            f"Choose a name that ends in {', '.join(_SINGLE_FILE_SUFFIXES)}.",
        )


def labels_on(image: sitk.Image, array: np.ndarray) -> sitk.Image:
    """Return a label image with exactly the grid of ``image``.

    Args:
        image: 3D image.
        array: Labels 0 to 255, shape (z, y, x) of the image.

    Returns:
        uint8 image.

    Raises:
        ValueError: The array has another shape.
    """
    if array.shape != image.GetSize()[::-1]:
        raise ValueError(f"labels of shape {array.shape} do not fit an image of shape {image.GetSize()[::-1]}")
    return Geometry.of(image).put_on(sitk.GetImageFromArray(np.ascontiguousarray(array, dtype=np.uint8)))


def reason(error: Exception) -> str:
    """Return the part of a SimpleITK or operating system error that tells a user something: its last line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _without_metadata(image: sitk.Image) -> sitk.Image:
    # Readers put the patient's name, id and dates among the header entries, and copies share them with the original.
    keys = image.GetMetaDataKeys()
    if not keys:
        return image
    bare = sitk.Image(image)
    bare.MakeUnique()
    for key in keys:
        bare.EraseMetaData(key)
    return bare


def _is_nifti(path: Path) -> bool:
    return path.name.lower().endswith((".nii", ".nii.gz"))


def _execute(reader: sitk.ImageFileReader, path: Path) -> sitk.Image:
    reader.SetFileName(str(path))
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise UserError(
            f"{path.name} cannot be read as an image.",
            reason(error),
            "Choose a NIfTI, NRRD or MHA file, or the folder of a DICOM series.",
        ) from error
    if _is_nifti(path):
        check_whole(path)
    return image


def _read_file(path: Path, notes: list[str]) -> sitk.Image:
    reader = sitk.ImageFileReader()
    image = _execute(reader, path)
    if _is_nifti(path) and "float" in image.GetPixelIDTypeAsString():
        _refuse_not_finite(count_not_finite(path), image.GetNumberOfPixels())
    tags = {key: reader.GetMetaData(key).strip() for key in reader.GetMetaDataKeys()}
    check_grey_scale(tags.get("0028|0004", ""))
    modality = tags.get("0008|0060", "CT")
    if modality != "CT":
        notes.append(f"The image's modality is {modality}, not CT; the models are made for CT.")
    return image


def _in_ct_type(image: sitk.Image) -> sitk.Image:
    if image.GetPixelID() in (sitk.sitkInt16, sitk.sitkFloat32):
        return image
    values = sitk.GetArrayViewFromImage(image)
    limits = np.iinfo(np.int16)
    fits = values.dtype.kind in "iu" and values.min() >= limits.min and values.max() <= limits.max
    return sitk.Cast(image, sitk.sitkInt16 if fits else sitk.sitkFloat32)


def _by(size: Sequence[int]) -> str:
    return " x ".join(str(number) for number in size)
