"""Writing volumes and label images: one file, complete or not there, without the header entries of readers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.base.failures import reason
from lnsegfm.base.files import write_atomic
from lnsegfm.formats.image_names import check_image_name
from lnsegfm.formats.nifti import check_whole, is_nifti

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

    def write(temporary: Path) -> None:
        sitk.WriteImage(bare, str(temporary), useCompression=compress)
        if is_nifti(path):
            check_whole(temporary)

    try:
        write_atomic(path, write)
    except (RuntimeError, OSError, UserError) as error:
        raise UserError(
            f"{path.name} could not be written.", reason(error), "Check that the folder may be written and has space."
        ) from error


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
