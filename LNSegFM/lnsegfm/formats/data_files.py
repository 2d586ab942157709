"""The data file that an image header names: beside the header and of its name, or refused."""

from __future__ import annotations

import re
from pathlib import Path

from lnsegfm.base.errors import UserError
from lnsegfm.base.wording import printable
from lnsegfm.formats.given_files import check_file

_HEADER = re.compile(r"(?i)\.(mhd|mha|nhdr|nrrd|hdr)(\.gz)?$")
_DATA = (".raw", ".raw.gz", ".zraw", ".gz", ".img", ".img.gz", ".bin", ".dat")
_SAVE_AS_ONE = "Save the image as one file (.nrrd, .mha or .nii.gz)."


def data_file(header: Path, named: str) -> Path:
    """Return the data file that a header names.

    Args:
        header: The header, as the user named it.
        named: What it says of its data.

    Raises:
        UserError: It lies elsewhere, has another name than the header, is several files or no regular file, or a link
            leads to where neither the header lies nor what the header is a link to.
    """
    shown = f"Its header says that its voxels are in '{printable(named[:200])}'"
    if named.upper().startswith("LIST") or "%" in named:
        raise _refused(header, f"{shown}: its voxels are spread over several files.")
    if not named or named in (".", "..") or re.search(r"[/\\:\0]", named):
        raise _refused(header, f"{shown}. Only a file beside the header is opened.")
    stem = _HEADER.sub("", header.name)
    if named.casefold() == header.name.casefold() or not any(named == stem + each for each in _spellings()):
        raise _refused(header, f"{shown}. Only a file of the header's own name is opened, such as {stem}.raw.")
    path = header.with_name(named)
    if not path.exists() and not path.is_symlink():
        raise UserError(
            f"{printable(header.name)} cannot be read as an image.",
            f"{named}, which holds its voxels, is not beside it.", "Copy both files of the pair.",
        )
    folder = header.resolve().parent if path.is_symlink() and _is_in(path, header.resolve().parent) else header.parent
    check_file(path, within=None if folder != header.parent else folder)
    return path


def refuse_skip(header: Path, name: str, value: str) -> None:
    """Refuse headers that begin to read their data somewhere else than at its first byte.

    Raises:
        UserError: They do.
    """
    if value.strip() not in ("", "0"):
        raise _refused(header, f"Its header asks to leave out a part of its data ('{name}' is {value[:40]}).")


def companions(path: Path) -> list[Path]:
    """Return the data files that may belong to a header file; they are inputs as it is."""
    if not _HEADER.search(path.name):
        return []
    stem = _HEADER.sub("", path.name)
    return [found for each in _spellings() if (found := path.with_name(stem + each)).is_file()]


def _spellings() -> list[str]:
    return [*_DATA, *(each.upper() for each in _DATA)]


def _is_in(path: Path, folder: Path) -> bool:
    return path.resolve().parent == folder


def _refused(header: Path, why: str) -> UserError:
    return UserError(f"{printable(header.name)} cannot be read.", why, _SAVE_AS_ONE)
