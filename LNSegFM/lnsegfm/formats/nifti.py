"""What SimpleITK does not say of NIfTI files: that voxels are missing at the end, or are not numbers."""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from lnsegfm.base.errors import UserError
from lnsegfm.formats.announced_size import can_inflate, check_fits
from lnsegfm.formats.data_files import data_file
from lnsegfm.formats.given_files import open_given

CheckShape = Callable[[Path, Sequence[int], int], object]
_BLOCK = 1 << 20
# NIfTI-1's datatype codes.
_FLOAT_TYPES = {16: "f4", 64: "f8"}
_BYTES_OF_TYPE = {
    2: 1, 4: 2, 8: 4, 16: 4, 32: 8, 64: 8, 128: 3, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8, 1536: 16,
    1792: 16, 2048: 32, 2304: 4,
}  # fmt: skip
# Extensions, such as a DICOM header, stand in front of the voxels.
_LARGEST_OFFSET = 256 << 20


def is_nifti(path: Path) -> bool:
    """Tell whether a file's name says that it is NIfTI."""
    return path.name.lower().endswith((".nii", ".nii.gz"))


def check_nifti(path: Path) -> None:
    """Check that a NIfTI file of a stranger is whole, see `check_whole`, and fits into memory.

    Raises:
        UserError: It is not, or does not.
    """
    check_whole(path, check_fits)


def check_whole(path: Path, check_shape: CheckShape = lambda path, shape, voxel_bytes: None) -> None:
    """Check that a NIfTI file, or the data file of a pair, holds all the voxels its header announces.

    Args:
        path: The file.
        check_shape: Called with the file, the voxels by axis and the bytes of one before anything is inflated.

    Raises:
        UserError: It does not, its compression is damaged, or the other file of a pair is missing.
    """
    try:
        with opened(path) as stream:
            head = stream.read(352)
        order = next((order for order in "<>" if struct.unpack_from(f"{order}i", head) == (348,)), "")
        if not order:
            return  # not NIfTI-1: nothing to compare with
        shape, voxel_bytes, offset = _announced(head, order)
        path = _data_file(path) if head[344:348] == b"ni1\0" else path
        expected, plane = offset + math.prod(shape) * voxel_bytes, math.prod(shape[:2]) * voxel_bytes
        if not is_packed(path):
            stored = path.stat().st_size
        elif can_inflate(path.stat().st_size, expected):
            check_shape(path, shape, voxel_bytes)
            with open_given(path) as stream:
                stored = inflated_size(stream, expected + plane)
        else:
            raise ValueError(f"It is cut short: {path.stat().st_size} bytes cannot hold the {expected} announced.")
        # Less than a slice may be left over.
        if expected <= stored < expected + plane:
            check_shape(path, shape, voxel_bytes)
            return
        why = f"It is cut short: {stored} of {expected} bytes."
        if stored > expected:
            why = f"It holds more than the {expected} bytes that its header announces: part of the scan would be left "\
                "out."
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


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes] | gzip.GzipFile]:
    """Open a file to read what it holds, compressed or not; its name does not matter."""
    with open_given(path) as stream:
        packed = stream.read(2) == b"\x1f\x8b"
        stream.seek(0)
        yield gzip.GzipFile(fileobj=stream) if packed else stream


def is_packed(path: Path) -> bool:
    """Tell whether a file is compressed by gzip."""
    with open_given(path) as stream:
        return stream.read(2) == b"\x1f\x8b"


def inflated_size(stream: IO[bytes], most: int) -> int:
    """Return how many bytes gzip's data holds, up to somewhat more than ``most``.

    It is read to its end, where its checksum stands: what was damaged in the middle has the right length.

    Raises:
        EOFError, OSError, zlib.error: It is damaged.
    """
    size = 0
    with gzip.GzipFile(fileobj=stream) as packed:
        while size <= most and (block := packed.read(_BLOCK)):
            size += len(block)
    return size


def _data_file(header: Path) -> Path:
    """Return where the voxels of a pair are: beside the header, under the same name."""
    stem = re.sub(r"(?i)\.(hdr|img)(\.gz)?$", "", header.name)
    for suffix in (".img", ".img.gz", ".IMG"):
        if (found := header.with_name(stem + suffix)).exists() or found.is_symlink():
            return data_file(header, found.name)
    raise UserError(
        f"{header.name} cannot be read as an image.", f"{stem}.img, which holds its voxels, is not beside it.",
        "Copy both files of the pair.",
    )


def _announced(header: bytes, order: str) -> tuple[tuple[int, ...], int, int]:
    """Return the voxels by axis, the bytes of one, and where they begin, after the NIfTI-1 header definition.

    Raises:
        ValueError: The header announces something that cannot be.
    """
    dimensions = struct.unpack_from(f"{order}8h", header, 40)
    (code,) = struct.unpack_from(f"{order}h", header, 70)
    (offset,) = struct.unpack_from(f"{order}f", header, 108)
    if not 1 <= dimensions[0] <= 7 or min(dimensions[1 : dimensions[0] + 1]) < 1:
        raise ValueError(f"Its header announces the dimensions {dimensions[: max(2, dimensions[0] + 1)]}.")
    if code not in _BYTES_OF_TYPE:
        raise ValueError(f"Its header announces the unknown data type {code}.")
    is_pair = header[344:348] == b"ni1\0"
    least = 0 if is_pair else len(header)
    if not (math.isfinite(offset) and least <= offset < _LARGEST_OFFSET):
        raise ValueError(f"Its voxels would begin at byte {offset:g}, within its header of {least} bytes or beyond.")
    return dimensions[1 : dimensions[0] + 1], _BYTES_OF_TYPE[code], int(offset)
