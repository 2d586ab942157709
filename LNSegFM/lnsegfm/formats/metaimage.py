"""What the header of a MetaImage file lacks, and whether its voxels are whole; SimpleITK is silent on both."""

from __future__ import annotations

import math
import re
import zlib
from pathlib import Path

import numpy as np

from lnsegfm.base.errors import UserError
from lnsegfm.formats.announced_size import can_inflate, check_fits
from lnsegfm.formats.data_files import data_file, refuse_skip
from lnsegfm.formats.given_files import open_given
from lnsegfm.formats.text_headers import (
    EXPORT_AGAIN,
    UPRIGHT,
    check_amount,
    damaged,
    numbers_of,
    read_fields,
    refuse_units,
    whole_numbers_of,
    without_spacing,
)

_BLOCK = 1 << 20
_DATA_FILE = b"elementdatafile"
# Of a longer one, SimpleITK takes the rest for another line.
_LONGEST_LINE = 500
_BYTES = {
    "MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4, "MET_FLOAT": 4,
    "MET_DOUBLE": 8, "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8, "MET_LONG": 4, "MET_ULONG": 4,
}  # fmt: skip
_ROTATIONS = ("transformmatrix", "rotation", "orientation")
_POSITIONS = ("offset", "position", "origin")


def check_metaimage(path: Path, notes: list[str]) -> None:
    """Check that a MetaImage file says where its voxels lie, and that its values are whole and to be taken as they are.

    Args:
        path: The file, with or without its data.
        notes: Gets a text where the orientation or the position is missing, and for what was taken.

    Raises:
        UserError: The spacing is missing or contradicts the orientation, lengths are not in mm, the values are to be
            rescaled, which SimpleITK does not do, or voxels are missing, left over or damaged.
    """
    _refuse_other_spellings(path)
    fields, end = read_fields(path, "=", longest=_LONGEST_LINE)
    refuse_units(path, {fields.get("distanceunits", "")})
    spacing = fields.get("elementspacing", fields.get("elementsize", ""))
    lengths = numbers_of(spacing)
    if not lengths or not all(math.isfinite(each) and each > 0 for each in lengths):
        raise without_spacing(path, f"Its ElementSpacing is {spacing}." if spacing else "It has no ElementSpacing.")
    _check_values(path, fields)
    _check_place(path, fields, notes)
    _check_data(path, fields, end)


def _refuse_other_spellings(path: Path) -> None:
    """Refuse headers that name their data in a way that SimpleITK may read otherwise than we do."""
    with open_given(path) as stream:
        for line in iter(lambda: stream.readline(_BLOCK), b""):
            if _DATA_FILE in line.lower():
                if re.match(rb"ElementDataFile\s*=", line.strip()):
                    return
                break
    raise UserError(
        f"{path.name} cannot be read as an image.", "Its header has no line 'ElementDataFile = ...'.", EXPORT_AGAIN
    )


def _check_values(path: Path, fields: dict[str, str]) -> None:
    slope, offset = (fields.get(f"elementtointensityfunction{name}", usual) for name, usual in
                     (("slope", "1"), ("offset", "0")))  # fmt: skip
    if (numbers_of(slope), numbers_of(offset)) != ([1.0], [0.0]):
        raise UserError(
            f"{path.name} cannot be read in HU.",
            f"Its header asks to rescale its values (slope {slope}, offset {offset}).",
            "Write the file again with the rescaled values.",
        )


def _check_place(path: Path, fields: dict[str, str], notes: list[str]) -> None:
    rotation = next((fields[name] for name in _ROTATIONS if name in fields), "")
    if not rotation:
        notes.append(f"'{path.name}' does not say how the patient lies. {UPRIGHT}")
    elif len(numbers_of(rotation)) == 9:
        lengths = np.linalg.norm(np.reshape(numbers_of(rotation), (3, 3)), axis=1)
        if not np.abs(lengths - 1).max() <= 1e-3:
            raise UserError(
                f"The header of {path.name} contradicts itself.",
                f"Its TransformMatrix is {rotation}: no unit vectors beside an ElementSpacing.", EXPORT_AGAIN,
            )
    position = next((fields[name] for name in _POSITIONS if name in fields), "")
    if not position:
        notes.append(f"'{path.name}' does not say where its first voxel lies; it was taken to lie at 0, 0, 0 mm.")
    elif not all(math.isfinite(each) for each in numbers_of(position)):
        raise UserError(
            f"{path.name} does not say where its first voxel lies.", f"Its Offset is {position}.", EXPORT_AGAIN
        )


def _check_data(path: Path, fields: dict[str, str], end: int) -> None:
    if fields.get("binarydata", "True").lower() in ("false", "0"):
        raise UserError(f"{path.name} cannot be read.", "Its voxels are stored as text.", "Save it in binary form.")
    where = fields.get("elementdatafile", "")
    refuse_skip(path, "HeaderSize", fields.get("headersize", ""))
    data, start = (path, end) if where.upper() == "LOCAL" else (data_file(path, where), 0)
    shape, size = _announced(path, fields)
    expected, slice_bytes = math.prod(shape) * size, math.prod(shape[:-1]) * size
    stored = data.stat().st_size - start
    if fields.get("compresseddata", "False").lower() not in ("true", "1"):
        check_amount(data, stored, expected, slice_bytes)
        check_fits(path, shape, size)
        return
    length = next(iter(whole_numbers_of(fields.get("compresseddatasize", ""))), None)
    if length is None:
        raise damaged(path, "Its header has no CompressedDataSize.")
    if length > stored or not can_inflate(length, expected):
        raise damaged(path, f"It is cut short: {stored} bytes cannot hold the {expected} that its header announces.")
    check_fits(path, shape, size)
    check_amount(data, _inflated(data, start, length, expected + slice_bytes), expected, slice_bytes)


def _announced(path: Path, fields: dict[str, str]) -> tuple[list[int], int]:
    """Return the voxels by axis, and the bytes of one."""
    shape = whole_numbers_of(fields.get("dimsize", ""))
    channels = whole_numbers_of(fields.get("elementnumberofchannels", "1"))
    size = _BYTES.get(fields.get("elementtype", "").upper(), 0)
    if not size or len(channels) != 1 or not shape or whole_numbers_of(fields.get("ndims", "")) != [len(shape)]:
        names = ("NDims", "DimSize", "ElementType", "ElementNumberOfChannels")
        said = ", ".join(f"{name} = {fields.get(name.lower(), 'missing')[:40]}" for name in names)
        raise UserError(f"{path.name} cannot be read as an image.", f"Its header says {said}.", EXPORT_AGAIN)
    return shape, size * channels[0]


def _inflated(path: Path, start: int, length: int, most: int) -> int:
    """Return the size of compressed data up to ``most`` bytes, and check its sum on the way."""
    inflate, size = zlib.decompressobj(), 0
    with open_given(path) as stream:
        stream.seek(start)
        while size <= most and length > 0 and (block := stream.read(min(_BLOCK, length))):
            length -= len(block)
            try:
                while size <= most and (block or not inflate.eof) and (part := inflate.decompress(block, _BLOCK)):
                    size += len(part)
                    block = inflate.unconsumed_tail
            except zlib.error as error:
                raise damaged(path, f"Its compressed voxels are damaged ({error}).") from error
    if size <= most and not inflate.eof:
        raise damaged(path, "Its compressed voxels end too early.")
    return size
