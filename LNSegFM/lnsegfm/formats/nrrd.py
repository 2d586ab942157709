"""What the header of an NRRD file lacks; SimpleITK fills it in without a word."""

from __future__ import annotations

import math
import re
import zlib
from pathlib import Path

from lnsegfm.base.errors import UserError
from lnsegfm.formats.announced_size import can_inflate, check_fits
from lnsegfm.formats.data_files import data_file, refuse_skip
from lnsegfm.formats.given_files import open_given
from lnsegfm.formats.nifti import inflated_size
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

_NAMED_SPACES = ("left-posterior-superior", "right-anterior-superior", "left-anterior-superior", "lps", "ras", "las")
_UNREADABLE = ("bzip2", "bz2")
_GZIP = ("gzip", "gz")
_BYTES = {
    1: ("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"),
    2: ("short", "short int", "signed short", "int16", "int16_t", "ushort", "unsigned short", "uint16", "uint16_t"),
    4: ("int", "signed int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t", "float"),
    8: ("double", "longlong", "long long", "int64", "int64_t", "ulonglong", "uint64", "uint64_t"),
}


def check_nrrd(path: Path, notes: list[str]) -> None:
    """Check that an NRRD file says where its voxels lie, and holds as many as it announces.

    Args:
        path: The file, with or without its data.
        notes: Gets a text where the orientation or the position is missing, and for what was taken.

    Raises:
        UserError: The spacing is missing or not in mm, the encoding is not supported, or whole slices are left over.
    """
    fields, end = read_fields(path, ":")
    encoding = fields.get("encoding", "").lower()
    if encoding in _UNREADABLE:
        raise UserError(f"{path.name} cannot be read.", f"Its encoding {encoding} is not supported.", EXPORT_AGAIN)
    _check_data(path, fields, end, encoding)
    for name in ("space units", "units"):
        refuse_units(path, set(re.findall(r'"([^"]*)"', fields.get(name, ""))))
    if numbers_of(fields.get("dimension", "")) < [3.0]:
        return  # no volume, which is said where one is needed
    _check_spacing(path, fields)
    if "space directions" not in fields:
        notes.append(f"'{path.name}' does not say how the patient lies. {UPRIGHT}")
    elif fields.get("space", "").lower() not in _NAMED_SPACES:
        notes.append(
            f"'{path.name}' does not name the space of its directions; they were taken as left, posterior, superior."
        )
    if "space origin" not in fields:
        notes.append(f"'{path.name}' does not say where its first voxel lies; it was taken to lie at 0, 0, 0 mm.")
    elif not all(math.isfinite(each) for each in numbers_of(fields["space origin"])):
        raise UserError(
            f"{path.name} does not say where its first voxel lies.", f"Its space origin is {fields['space origin']}.",
            EXPORT_AGAIN,
        )


def _check_spacing(path: Path, fields: dict[str, str]) -> None:
    directions = fields.get("space directions", "")
    vectors = re.findall(r"\(([^)]*)\)", directions)
    if "space directions" in fields:
        if len(vectors) < 3 or not all(math.isfinite(each) for vector in vectors for each in numbers_of(vector)):
            raise without_spacing(path, f"Its space directions are {directions}.")
        return
    known = [each for each in numbers_of(fields.get("spacings", "")) if math.isfinite(each)]
    if len(known) < 3:
        raise without_spacing(path, "Its header has neither space directions nor spacings.")


def _check_data(path: Path, fields: dict[str, str], end: int, encoding: str) -> None:
    """Check where the voxels are and that they are as many as the header announces."""
    # Whatever blanks and case their names are written with.
    loose = {re.sub(r"[^a-z]", "", name): value for name, value in fields.items()}
    refuse_skip(path, "byte skip", loose.get("byteskip", ""))
    refuse_skip(path, "line skip", loose.get("lineskip", ""))
    data, start = (data_file(path, loose["datafile"]), 0) if "datafile" in loose else (path, end)
    kind = fields.get("type", "").lower()
    size = next((size for size, names in _BYTES.items() if kind in names), 0)
    shape = whole_numbers_of(fields.get("sizes", ""))
    if not size or not shape or whole_numbers_of(fields.get("dimension", "")) != [len(shape)]:
        said = ", ".join(f"{name}: {fields.get(name, 'missing')[:40]}" for name in ("type", "dimension", "sizes"))
        raise UserError(f"{path.name} cannot be read as an image.", f"Its header says {said}.", EXPORT_AGAIN)
    expected, slice_bytes = math.prod(shape) * size, math.prod(shape[:-1]) * size
    stored = data.stat().st_size - start
    if encoding == "raw":
        check_amount(data, stored, expected, slice_bytes)
    elif stored < expected // size and encoding not in _GZIP:
        raise damaged(data, f"It is cut short: {stored} bytes cannot hold {expected // size} voxels.")
    elif encoding in _GZIP and not can_inflate(stored, expected):
        raise damaged(data, f"It is cut short: {stored} bytes cannot hold the {expected} that its header announces.")
    check_fits(path, shape, size)
    if encoding in _GZIP:
        _check_packed(data, start, expected, slice_bytes)


def _check_packed(path: Path, start: int, expected: int, slice_bytes: int) -> None:
    try:
        with open_given(path) as stream:
            stream.seek(start)
            size = inflated_size(stream, expected + slice_bytes)
    except (EOFError, OSError, zlib.error) as error:
        raise damaged(path, f"Its compressed voxels are damaged ({error}).") from error
    check_amount(path, size, expected, slice_bytes)
