"""What SimpleITK does not say of NIfTI files: that voxels are missing at the end, or are not numbers."""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from lnsegfm.base.errors import UserError

_BLOCK = 1 << 20
# NIfTI-1's datatype codes.
_FLOAT_TYPES = {16: "f4", 64: "f8"}


def is_nifti(path: Path) -> bool:
    """Tell whether a file's name says that it is NIfTI."""
    return path.name.lower().endswith((".nii", ".nii.gz"))


def check_whole(path: Path) -> None:
    """Check that a NIfTI file, or the data file of a pair, holds all the voxels its header announces.

    Raises:
        UserError: It does not, its compression is damaged, or the other file of a pair is missing.
    """
    try:
        with opened(path) as stream:
            head = stream.read(352)
        expected, plane = _announced_size(head)
        path = _data_file(path) if head[344:348] == b"ni1\0" else path
        stored = _stored_size(path)
        # Less than a slice may be left over.
        if expected <= stored < expected + plane or expected == 0:
            return
        why = f"It is cut short: {stored} of {expected} bytes."
        if stored > expected:
            why = f"It holds {stored} bytes, and its header announces {expected}: part of the scan would be left out."
    except (EOFError, gzip.BadGzipFile, zlib.error, struct.error, ValueError) as error:
        why = str(error) or "It ends too early."
    raise UserError(f"{path.name} is damaged.", why, "Copy, download or export the file again; check the disk's space.")


def count_not_finite(path: Path) -> int:
    """Return how many voxels of a NIfTI file are NaN or infinite; SimpleITK reads them as 0."""
    with opened(path) as stream:
        header = stream.read(352)
        order = next((order for order in "<>" if struct.unpack_from(f"{order}i", header) == (348,)), "")
        if not order:
            return 0
        (code,) = struct.unpack_from(f"{order}h", header, 70)
        if code not in _FLOAT_TYPES:
            return 0
        (offset,) = struct.unpack_from(f"{order}f", header, 108)
        stream.read(max(0, int(offset) - 352))
        kind, found = np.dtype(f"{order}{_FLOAT_TYPES[code]}"), 0
        while block := stream.read(_BLOCK):
            values = np.frombuffer(block[: len(block) // kind.itemsize * kind.itemsize], kind)
            found += int(np.count_nonzero(~np.isfinite(values)))
    return found


def opened(path: Path) -> IO[bytes] | gzip.GzipFile:
    """Open a file to read what it holds, compressed or not; its name does not matter."""
    return gzip.open(path) if is_packed(path) else path.open("rb")


def is_packed(path: Path) -> bool:
    """Tell whether a file is compressed by gzip."""
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _data_file(header: Path) -> Path:
    """Return where the voxels of a pair are: beside the header, under the same name."""
    stem = re.sub(r"(?i)\.(hdr|img)(\.gz)?$", "", header.name)
    for suffix in (".img", ".img.gz", ".IMG"):
        if (found := header.with_name(stem + suffix)).is_file():
            return found
    raise UserError(
        f"{header.name} cannot be read as an image.", f"{stem}.img, which holds its voxels, is not beside it.",
        "Copy both files of the pair.",
    )


def _announced_size(header: bytes) -> tuple[int, int]:
    """Return the sizes in bytes of the uncompressed file and of a slice, after the NIfTI-1 header definition.

    Raises:
        ValueError: The header announces something that cannot be.
    """
    order = next((order for order in "<>" if struct.unpack_from(f"{order}i", header) == (348,)), "")
    if not order:
        return 0, 0  # not NIfTI-1: nothing to compare with
    dimensions = struct.unpack_from(f"{order}8h", header, 40)
    (bits,) = struct.unpack_from(f"{order}h", header, 72)
    (offset,) = struct.unpack_from(f"{order}f", header, 108)
    if not 1 <= dimensions[0] <= 7 or min(dimensions[1 : dimensions[0] + 1]) < 1:
        raise ValueError(f"Its header announces the dimensions {dimensions[: max(2, dimensions[0] + 1)]}.")
    is_pair = header[344:348] == b"ni1\0"
    least = 0 if is_pair else len(header)
    if not (math.isfinite(offset) and offset >= least):
        raise ValueError(f"Its voxels would begin at byte {offset:g}, within its header of {least} bytes.")
    plane = math.prod(dimensions[1 : min(dimensions[0], 2) + 1]) * bits // 8
    return int(offset) + math.prod(dimensions[1 : dimensions[0] + 1]) * bits // 8, plane


def _stored_size(path: Path) -> int:
    if not is_packed(path):
        return path.stat().st_size
    # To its end, where its checksum stands: what was damaged in the middle has the right length.
    size = 0
    with gzip.open(path, "rb") as stream:
        while block := stream.read(_BLOCK):
            size += len(block)
    return size
