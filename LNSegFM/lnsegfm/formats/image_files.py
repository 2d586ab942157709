"""Writing volumes and label images: one file, complete or not there, without the header entries of readers."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.base.failures import reason
from lnsegfm.base.files import write_atomic
from lnsegfm.base.wording import data_size
from lnsegfm.formats.image_names import check_image_name
from lnsegfm.formats.metaimage import check_metaimage
from lnsegfm.formats.nifti import check_whole, is_nifti
from lnsegfm.formats.nrrd import check_nrrd
from lnsegfm.images.geometry import Geometry

_CHECKS: dict[tuple[str, ...], Callable[[Path], object]] = {
    (".nii", ".nii.gz"): check_whole,
    (".nrrd",): lambda path: check_nrrd(path, []),
    (".mha",): lambda path: check_metaimage(path, []),
}
# ITK's name for the field "descrip" of NIfTI, which has 80 bytes with the one that ends it.
_NIFTI_TEXT, _NIFTI_TEXT_LENGTH = "ITK_FileNotes", 79


def write_image(
    image: sitk.Image, path: Path, *, compress: bool = True, notes: Mapping[str, str] | None = None
) -> None:
    """Write an image to one file, atomically and without any header entries beyond its grid.

    Args:
        image: Image of any kind the format can hold.
        path: File name ending in .nrrd, .nii.gz, .nii or .mha; its folder is made where it is missing.
        compress: Compress without loss, where the format can.
        notes: Header entries by name. NIfTI has room for one text of 79 characters and takes the values, as far as
            they go.

    Raises:
        UserError: Another suffix, or the file cannot be written.
    """
    path = Path(path)
    check_image_name(path)
    bare = _with_notes(_without_metadata(image), notes or {}, path)
    try:
        write_atomic(
            path, lambda temporary: sitk.WriteImage(bare, str(temporary), useCompression=compress),
            check=lambda temporary: check_read_back(bare, temporary),
        )
    except (RuntimeError, OSError) as error:
        raise UserError(
            f"{path.name} could not be written.", reason(error), "Check that the folder may be written and has space."
        ) from error


def check_read_back(image: sitk.Image, path: Path) -> None:
    """Read an image that was just written: ITK reports success also where the disk had no room for all voxels.

    Raises:
        OSError: It is not what was written.
    """
    try:
        # Voxels may all be there, and what ends the file may not.
        for suffixes, check in _CHECKS.items():
            if path.name.lower().endswith(suffixes):
                check(path)
        written = sitk.ReadImage(str(path))
        whole = np.array_equal(sitk.GetArrayViewFromImage(written), sitk.GetArrayViewFromImage(image))
        whole = whole and (image.GetDimension() != 3 or Geometry.of(written).matches(Geometry.of(image)))
    except (RuntimeError, UserError):
        whole = False
    if not whole:
        free = data_size(shutil.disk_usage(path.parent).free)
        raise OSError(f"What was written cannot be read back. {free} is free there")


def _with_notes(image: sitk.Image, notes: Mapping[str, str], path: Path) -> sitk.Image:
    if not notes:
        return image
    noted = sitk.Image(image)
    noted.MakeUnique()
    if is_nifti(path):
        noted.SetMetaData(_NIFTI_TEXT, " ".join(notes.values())[:_NIFTI_TEXT_LENGTH])
    else:
        for name, text in notes.items():
            noted.SetMetaData(name, text)
    return noted


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
