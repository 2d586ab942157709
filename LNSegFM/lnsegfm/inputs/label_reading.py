"""Reading label files."""

from __future__ import annotations

from pathlib import Path

import SimpleITK as sitk

from lnsegfm.formats.file_formats import is_dicom
from lnsegfm.formats.given_files import check_file
from lnsegfm.inputs.dicom_segmentation import read_segmentation
from lnsegfm.inputs.reading import read_file


def read_labels(path: Path, notes: list[str] | None = None) -> sitk.Image:
    """Read a label image as it is stored, with the names of its segments in its header where there are any.

    Args:
        path: NIfTI, NRRD (also Slicer's ``.seg.nrrd``) or MetaImage file, or a DICOM segmentation (SEG).
        notes: Gets a text for each oddity of the file, such as an orientation that it does not tell.

    Raises:
        UserError: It is not there, no regular file, not an image, or truncated; a DICOM file that is no segmentation.
    """
    path = Path(path)
    check_file(path)
    return read_segmentation(path) if is_dicom(path) else read_file(path, [] if notes is None else notes)
