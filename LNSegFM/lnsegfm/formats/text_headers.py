"""What the text headers of NRRD and MetaImage files have in common."""

from __future__ import annotations

import re
from pathlib import Path

from lnsegfm.base.errors import UserError
from lnsegfm.formats.given_files import open_given

EXPORT_AGAIN = "Export the image again, or correct its header."
UPRIGHT = "Its first axis was taken to run to the patient's left, the second to the back, the third to the head."
_LIMIT = 1 << 20


def read_fields(path: Path, separator: str, *, longest: int = _LIMIT) -> tuple[dict[str, str], int]:
    """Return the lines of a header by their names in lower case, and where the header ends.

    Args:
        path: The file.
        separator: What stands between a name and its value.
        longest: Most characters of a line.

    Raises:
        UserError: A name that stands twice with different values, a line that libraries may take for several, or a
            header that does not end.
    """
    found: dict[str, str] = {}
    with open_given(path) as stream:
        for line in iter(lambda: stream.readline(_LIMIT), b""):
            text = line.decode("utf-8", "replace").strip()
            if not text:
                break
            _refuse_hidden_lines(path, line, longest)
            name, _, value = text.partition(separator)
            name, value = name.strip().lower(), value.strip()
            if not name.startswith("#") and found.setdefault(name, value) != value:
                raise UserError(
                    f"The header of {path.name} contradicts itself.",
                    f"It says '{name}' twice: {found[name]}, {value}.", EXPORT_AGAIN,
                )
            if name == "elementdatafile":
                break
            if stream.tell() > _LIMIT:
                raise UserError(f"{path.name} cannot be read as an image.", "Its header does not end.", EXPORT_AGAIN)
        return found, stream.tell()


def _refuse_hidden_lines(path: Path, line: bytes, longest: int) -> None:
    """Refuse what may hide a line from us that a library reads, or the other way round."""
    text = line.rstrip(b"\r\n")
    if len(text) > longest or any(each in text for each in (b"\r", b"\0", b"\x0b", b"\x0c")):
        raise UserError(
            f"The header of {path.name} cannot be read.",
            f"A line is longer than {longest} characters, or holds characters that end lines.", EXPORT_AGAIN,
        )


def whole_numbers_of(text: str) -> list[int]:
    """Return the whole numbers in a text; empty where anything in it is none, or one has more than 18 digits."""
    parts = text.split()
    return [int(each) for each in parts] if all(re.fullmatch(r"[0-9]{1,18}", each) for each in parts) else []


def numbers_of(text: str) -> list[float]:
    """Return the numbers in a text, NaN for what is none."""
    found = []
    for part in text.replace("(", " ").replace(")", " ").replace(",", " ").split():
        try:
            found.append(float(part))
        except ValueError:
            found.append(float("nan"))
    return found


def without_spacing(path: Path, why: str) -> UserError:
    """Return the refusal of a file that does not state its voxel size."""
    return UserError(f"{path.name} does not say how far its voxels lie apart.", why, EXPORT_AGAIN)


def refuse_units(path: Path, units: set[str]) -> None:
    """Refuse lengths in anything but mm.

    Raises:
        UserError: They are.
    """
    others = {each for each in units if each.lower() not in ("", "mm", "millimeter", "millimeters", "millimetre")}
    if others:
        raise UserError(
            f"{path.name} cannot be read as an image.", f"Its lengths are in {', '.join(sorted(others))}, not in mm.",
            EXPORT_AGAIN,
        )


def check_amount(path: Path, stored: int, expected: int, slice_bytes: int) -> None:
    """Refuse data that is not as long as the header announces.

    Args:
        path: The file.
        stored: Bytes there are, uncompressed.
        expected: Bytes announced.
        slice_bytes: Bytes of a slice; less than that may be left over at the end.

    Raises:
        UserError: Voxels are missing, or whole slices are left over.
    """
    if stored < expected:
        raise damaged(path, f"It is cut short: {stored} of {expected} bytes of voxels.")
    if stored - expected >= max(1, slice_bytes):
        raise damaged(
            path, f"It holds {stored} bytes of voxels, and its header announces {expected}: part of the scan would be "
            "left out.",
        )  # fmt: skip


def damaged(path: Path, why: str) -> UserError:
    """Return the refusal of a damaged file."""
    todo = "Copy, download or export the file again; check the disk's space."
    return UserError(f"{path.name} is damaged.", why, todo)
