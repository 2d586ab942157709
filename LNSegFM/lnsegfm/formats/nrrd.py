"""What the header of an NRRD file lacks; SimpleITK fills it in without a word."""

from __future__ import annotations

import math
import re
from pathlib import Path

from lnsegfm.base.errors import UserError
from lnsegfm.formats.text_headers import (
    EXPORT_AGAIN,
    UPRIGHT,
    check_amount,
    numbers_of,
    read_fields,
    refuse_units,
    without_spacing,
)

_NAMED_SPACES = ("left-posterior-superior", "right-anterior-superior", "left-anterior-superior", "lps", "ras", "las")
_UNREADABLE = ("bzip2", "bz2")
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
    if encoding == "raw" and not fields.keys() & {"data file", "datafile", "byte skip", "byteskip", "line skip"}:
        _check_amount(path, fields, path.stat().st_size - end)


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


def _check_amount(path: Path, fields: dict[str, str], stored: int) -> None:
    kind = fields.get("type", "").lower()
    size = next((size for size, names in _BYTES.items() if kind in names), 0)
    sizes = [int(each) for each in numbers_of(fields.get("sizes", "")) if math.isfinite(each)]
    if size and len(sizes) >= 3:
        check_amount(path, stored, math.prod(sizes) * size, math.prod(sizes[:-1]) * size)
