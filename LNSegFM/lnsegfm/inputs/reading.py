"""Reading a CT from a file or a folder of DICOM slices, and image files as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.base.failures import reason
from lnsegfm.dicom.series import check_grey_scale, read_series
from lnsegfm.images.nifti import check_whole, count_not_finite, is_nifti
from lnsegfm.images.volume_checks import check_ct, refuse_not_finite


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


def read_file(path: Path) -> sitk.Image:
    """Read an image file of any kind as it is stored, with its header.

    Raises:
        UserError: It is not an image, or truncated.
    """
    return _execute(sitk.ImageFileReader(), path)


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
    if is_nifti(path):
        check_whole(path)
    return image


def _read_file(path: Path, notes: list[str]) -> sitk.Image:
    reader = sitk.ImageFileReader()
    image = _execute(reader, path)
    if is_nifti(path) and "float" in image.GetPixelIDTypeAsString():
        refuse_not_finite(count_not_finite(path), image.GetNumberOfPixels())
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
