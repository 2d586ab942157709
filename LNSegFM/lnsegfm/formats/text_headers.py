"""What the text headers of NRRD and MetaImage files lack; SimpleITK fills it in without a word."""

from __future__ import annotations

import re
from pathlib import Path

from lnsegfm.base.errors import UserError

_LIMIT = 1 << 20
_NAMED_SPACES = ("left-posterior-superior", "right-anterior-superior", "left-anterior-superior", "lps", "ras", "las")
_UPRIGHT = "Its first axis was taken to run to the patient's left, the second to the back, the third to the head."
_EXPORT_AGAIN = "Export the image again, or correct its header."


def check_nrrd(path: Path, notes: list[str]) -> None:
    """Check that an NRRD file says where its voxels lie.

    Args:
        path: The file, with or without its data.
        notes: Gets a text where the orientation is missing, and for what was taken.

    Raises:
        UserError: The spacing is missing, or not in mm.
    """
    fields = _fields(path, ":")
    spacings = fields.get("spacings", "").split()
    if "space directions" not in fields and not (spacings and "nan" not in [each.lower() for each in spacings[-3:]]):
        raise _without_spacing(path, "Its header has neither space directions nor spacings.")
    units = {each for each in re.findall(r'"([^"]*)"', fields.get("space units", "")) if each}
    if units - {"mm", "millimeter", "millimeters"}:
        raise UserError(
            f"{path.name} cannot be read as an image.", f"Its lengths are in {', '.join(sorted(units))}, not in mm.",
            _EXPORT_AGAIN,
        )
    if "space directions" not in fields:
        notes.append(f"'{path.name}' does not say how the patient lies. {_UPRIGHT}")
    elif fields.get("space", "").lower() not in _NAMED_SPACES:
        notes.append(
            f"'{path.name}' does not name the space of its directions; they were taken as left, posterior, superior."
        )


def check_metaimage(path: Path, notes: list[str]) -> None:
    """Check that a MetaImage file says where its voxels lie, and that its values are to be taken as they are.

    Args:
        path: The file, with or without its data.
        notes: Gets a text where the orientation is missing, and for what was taken.

    Raises:
        UserError: The spacing is missing, or the values are to be rescaled, which SimpleITK does not do.
    """
    fields = _fields(path, "=")
    spacing = fields.get("elementspacing", fields.get("elementsize", ""))
    lengths = [_number(each) for each in spacing.split()]
    if not lengths or not all(each is not None and 0 < each < float("inf") for each in lengths):
        raise _without_spacing(path, f"Its ElementSpacing is {spacing}." if spacing else "It has no ElementSpacing.")
    slope = fields.get("elementtointensityfunctionslope", "1")
    offset = fields.get("elementtointensityfunctionoffset", "0")
    if (_number(slope), _number(offset)) != (1.0, 0.0):
        raise UserError(
            f"{path.name} cannot be read in HU.",
            f"Its header asks to rescale its values (slope {slope}, offset {offset}).",
            "Write the file again with the rescaled values.",
        )
    if not fields.keys() & {"transformmatrix", "rotation", "orientation"}:
        notes.append(f"'{path.name}' does not say how the patient lies. {_UPRIGHT}")


def _fields(path: Path, separator: str) -> dict[str, str]:
    """Return the lines of a header by their names in lower case."""
    found: dict[str, str] = {}
    with path.open("rb") as stream:
        for line in iter(lambda: stream.readline(_LIMIT), b""):
            text = line.decode("utf-8", "replace").strip()
            if not text:
                break
            name, _, value = text.partition(separator)
            found.setdefault(name.strip().lower(), value.strip())
            if name.strip().lower() == "elementdatafile" or stream.tell() > _LIMIT:
                break
    return found


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _without_spacing(path: Path, why: str) -> UserError:
    return UserError(f"{path.name} does not say how far its voxels lie apart.", why, _EXPORT_AGAIN)
