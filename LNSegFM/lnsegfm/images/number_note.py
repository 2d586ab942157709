"""The note in the header of label files whose values are numbers of lymph nodes."""

from __future__ import annotations

from collections.abc import Mapping

import SimpleITK as sitk

_KEY, _TEXT = "LNSegFM.values", "Values are lymph node numbers"
NUMBERED: Mapping[str, str] = {_KEY: _TEXT}
"""For `lnsegfm.formats.image_files.write_image`, before any other note: NIfTI has room for little."""
# Where readers put the one text that a NIfTI file has room for.
_NIFTI_KEYS = ("descrip", "ITK_FileNotes")


def is_numbered(image: sitk.Image) -> bool:
    """Tell whether a label file was written by LN-Seg-FM with the number of the lymph node as value."""
    keys = set(image.GetMetaDataKeys())
    if _KEY in keys:
        return bool(image.GetMetaData(_KEY) == _TEXT)
    return any(key in keys and str(image.GetMetaData(key)).startswith(_TEXT) for key in _NIFTI_KEYS)
