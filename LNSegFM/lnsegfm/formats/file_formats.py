"""Which format an image file has, by its content; a name can say anything."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, Literal

from lnsegfm.base.errors import UserError
from lnsegfm.formats.given_files import check_file, open_given

FileFormat = Literal["NIfTI", "NRRD", "MetaImage", "DICOM"]
WANTED = "Choose a NIfTI, NRRD or MetaImage file, a multi-frame DICOM file, or the folder of a DICOM series."

_HEAD, _PREAMBLE = 540, 128
_NIFTI_1, _NIFTI_2 = 348, 540
# What SimpleITK would read, or guess at, without knowing where the voxels lie in the patient.
_UNWANTED = (
    (0, b"# vtk", "a VTK file"), (0, b"II*\0", "a TIFF picture"), (0, b"MM\0*", "a TIFF picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"), (0, b"\x89PNG", "a PNG picture"), (0, b"BM", "a BMP picture"),
    (0, b"\x89HDF", "an HDF5 or MINC file"), (0, b"CDF", "a MINC file"), (0, b"CTDATA-HEADER_V1", "a Scanco file"),
    (208, b"MAP ", "an MRC file"), (0, b"PK\3\4", "an archive"), (0, b"<?xml", "an XML file"), (0, b"{", "a JSON file"),
    (252, b"\xef\xff\xe9\xb0", "a GIPL file"), (252, b"\x2a\xe3\x89\x74", "a GIPL file"), (0, b"%PDF", "a document"),
)  # fmt: skip


def sniff(path: Path) -> FileFormat:
    """Return the format of an image file.

    Raises:
        UserError: It may not be opened, see `lnsegfm.formats.given_files.check_file`, or it is of a format that is not
            read: one that does not say where the voxels lie in the patient, or that is no image.
    """
    check_file(path)
    head = _head(path)
    if head.startswith(b"NRRD00"):
        return "NRRD"
    if _is_dicom(head):
        return "DICOM"
    for offset, magic, name in _UNWANTED:
        if head[offset : offset + len(magic)] == magic:
            raise _refused(path, f"It is {name}.")
    if any(line.split(b"=")[0].strip() in (b"NDims", b"ObjectType") for line in head.splitlines()[:8]):
        return "MetaImage"
    size = struct.unpack_from("<i", head)[0] if len(head) >= 4 else 0
    swapped = struct.unpack_from(">i", head)[0] if len(head) >= 4 else 0
    if _NIFTI_2 in (size, swapped):
        raise _refused(path, "It is a NIfTI-2 file.")
    if _NIFTI_1 in (size, swapped):
        if head[344:348] in (b"n+1\0", b"ni1\0"):
            return "NIfTI"
        raise _refused(path, "It is an Analyze 7.5 file, which does not tell left from right.")
    raise _refused(path, "Its content is none of the formats that are read." if head else "It is empty.")


def is_dicom(path: Path) -> bool:
    """Tell whether a file is DICOM, with or without the preamble and the group 0002 in front, by its content.

    Raises:
        UserError: It may not be opened.
    """
    with open_given(path) as stream:
        return _is_dicom(stream.read(_PREAMBLE + 4))


def _is_dicom(head: bytes) -> bool:
    # Without the preamble, a file begins with its first group, 0008 or 0002, in little endian.
    bare = head[:2] in (b"\x08\0", b"\x02\0") and head[3:4] == b"\0"
    return bare or head[_PREAMBLE : _PREAMBLE + 4] == b"DICM"


def _head(path: Path) -> bytes:
    with open_given(path) as stream:
        head = stream.read(_HEAD)
        if head[:2] != b"\x1f\x8b":
            return head
        stream.seek(0)
        return _inflated_head(path, stream)


def _inflated_head(path: Path, stream: BinaryIO) -> bytes:
    try:
        with gzip.open(stream) as packed:
            return packed.read(_HEAD)
    except (EOFError, OSError, zlib.error) as error:
        raise UserError(
            f"{path.name} is damaged.", str(error) or "It ends too early.",
            "Copy, download or export the file again; check the disk's space.",
        ) from error


def _refused(path: Path, why: str) -> UserError:
    return UserError(f"{path.name} cannot be read as an image.", why, WANTED)
