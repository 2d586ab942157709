"""Reading a CT from a file or a folder of DICOM slices, and image files as they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.base.failures import reason
from lnsegfm.dicom.series import read_multi_frame, read_series
from lnsegfm.formats.file_formats import sniff
from lnsegfm.formats.given_files import check_name
from lnsegfm.formats.metaimage import check_metaimage
from lnsegfm.formats.nifti import check_nifti, count_not_finite
from lnsegfm.formats.nifti_grid import nifti_grid, read_voxels
from lnsegfm.formats.nrrd import check_nrrd
from lnsegfm.images.grids import regular, without_single_axes
from lnsegfm.images.hounsfield import check_hu
from lnsegfm.images.volume_checks import check_ct, refuse_not_finite


def read_ct(
    path: Path, *, series: str = "", warnings: list[str] | None = None, assume_hu: bool = False
) -> sitk.Image:
    """Read a CT from a folder with a DICOM series or from a file.

    Args:
        path: Folder, or file (NIfTI, NRRD, MetaImage, multi-frame DICOM).
        series: Series Instance UID of the series to take where a folder has several.
        warnings: Gets a text for each oddity that does not prevent segmentation, such as another modality than CT.
        assume_hu: The user says that the values are HU, although they may not look like it.

    Returns:
        3D scalar image in HU: int16 where the file's values are integers that fit, else float32.

    Raises:
        NotHounsfield: The values do not look like HU, and ``assume_hu`` is False.
        UserError: Nothing readable there, several series to choose from, slices missing or irregularly spaced, or one
            of the reasons of `check_ct`.
    """
    path = Path(path)
    check_name(path)
    if not path.exists():
        raise UserError("The CT cannot be read.", f"{path} does not exist.", "Check the path.")
    notes: list[str] = []
    image = regular(read_series(path, series, notes), notes) if path.is_dir() else read_file(path, notes)
    check_ct(image)
    check_hu(image, assume_hu=assume_hu, notes=notes)
    if warnings is not None:
        warnings.extend(notes)
    return _in_ct_type(image)


def read_file(path: Path, notes: list[str]) -> sitk.Image:
    """Read an image file on the grid that its header states, or refuse it.

    Args:
        path: NIfTI, NRRD or MetaImage file, or multi-frame DICOM file, told by its content.
        notes: Gets a text for everything that the header lacks or contradicts itself in, and for what was taken.

    Returns:
        The image as it is stored; a 3D one has right angles and canonical spacings, see `lnsegfm.images.grids`.

    Raises:
        UserError: It is damaged, of another format, or does not say where its voxels lie in the patient.
    """
    kind = sniff(path)
    if kind == "DICOM":
        return regular(read_multi_frame(path, notes), notes)
    if kind == "NIfTI":
        return _read_nifti(path, notes)
    (check_nrrd if kind == "NRRD" else check_metaimage)(path, notes)
    image = _execute(path, {"NRRD": "NrrdImageIO", "MetaImage": "MetaImageIO"}[kind])
    return regular(without_single_axes(image), notes)


def _read_nifti(path: Path, notes: list[str]) -> sitk.Image:
    check_nifti(path)
    grid = nifti_grid(path, notes)
    try:
        image = without_single_axes(_execute(path, "NiftiImageIO"))
    except UserError as error:
        # It refuses grids that are sheared by a hair; whether they are is known by now.
        if "orthonormal" not in error.why:
            raise
        image = read_voxels(path)
    if "float" in image.GetPixelIDTypeAsString():
        refuse_not_finite(count_not_finite(path), image.GetNumberOfPixels())
    return regular(grid.put_on(image), notes) if image.GetDimension() == 3 else image


def _execute(path: Path, image_io: str) -> sitk.Image:
    try:
        return sitk.ReadImage(str(path), imageIO=image_io)
    except RuntimeError as error:
        raise UserError(
            f"{path.name} cannot be read as an image.", f"It may be cut short or damaged ({reason(error)}).",
            "Copy, download or export the file again.",
        ) from error


def _in_ct_type(image: sitk.Image) -> sitk.Image:
    if image.GetPixelID() in (sitk.sitkInt16, sitk.sitkFloat32):
        return image
    values = sitk.GetArrayViewFromImage(image)
    limits = np.iinfo(np.int16)
    fits = values.dtype.kind in "iu" and values.min() >= limits.min and values.max() <= limits.max
    return sitk.Cast(image, sitk.sitkInt16 if fits else sitk.sitkFloat32)
