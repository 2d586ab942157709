"""What SimpleITK does not say of NIfTI files: that voxels are missing at the end, or are not numbers."""

from __future__ import annotations

import gzip
import math
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
    """Check that a ``.nii`` or ``.nii.gz`` file holds all the voxels its header announces.

    Raises:
        UserError: It does not, or its compression is damaged.
    """
    try:
        with _opened(path) as stream:
            expected = _announced_size(stream.read(352))
        if _stored_size(path, expected) >= expected:
            return
        why = "Voxels are missing at its end."
    except (EOFError, gzip.BadGzipFile, zlib.error, struct.error) as error:
        why = str(error) or "It ends too early."
    raise UserError(f"{path.name} is damaged.", why, "Copy, download or export the file again; check the disk's space.")


def count_not_finite(path: Path) -> int:
    """Return how many voxels of a ``.nii`` or ``.nii.gz`` file are NaN or infinite; SimpleITK reads them as 0."""
    with _opened(path) as stream:
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


def _opened(path: Path) -> IO[bytes] | gzip.GzipFile:
    return gzip.open(path) if path.name.lower().endswith(".gz") else open(path, "rb")


def _announced_size(header: bytes) -> int:
    """Return the size in bytes of the uncompressed file, after the NIfTI-1 header definition."""
    for order in "<>":
        if struct.unpack_from(f"{order}i", header) == (348,):
            dimensions = struct.unpack_from(f"{order}8h", header, 40)
            (bits,) = struct.unpack_from(f"{order}h", header, 72)
            (offset,) = struct.unpack_from(f"{order}f", header, 108)
            return int(offset) + math.prod(dimensions[1 : dimensions[0] + 1]) * bits // 8
    # Not NIfTI-1, the only version SimpleITK reads: nothing to compare with.
    return 0


def _stored_size(path: Path, expected: int) -> int:
    if not path.name.lower().endswith(".gz"):
        return path.stat().st_size
    with open(path, "rb") as stream:
        stream.seek(-4, 2)
        (trailer,) = struct.unpack("<I", stream.read(4))
    if trailer == expected % 2**32:
        return expected
    # A file of several compressed members, or a truncated one.
    size = 0
    with gzip.open(path, "rb") as stream:
        while block := stream.read(_BLOCK):
            size += len(block)
    return size
