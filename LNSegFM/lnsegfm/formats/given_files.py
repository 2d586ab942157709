"""Files from strangers: only regular ones are opened, and links lead no further than the user named."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import BinaryIO

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import open_regular
from lnsegfm.base.wording import printable

_KINDS = (
    (stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
)  # fmt: skip


def check_name(path: Path, done: str = "read") -> None:
    """Check that libraries can be given a file's name.

    Args:
        path: The file.
        done: What is to be done with it, for the message.

    Raises:
        UserError: It holds bytes that are no UTF-8, or a NUL character.
    """
    why = "holds a NUL character" if "\0" in str(path) else ""
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        why = "holds bytes that are not UTF-8"
    if why:
        raise UserError(f"{printable(str(path))} cannot be {done}.", f"Its name {why}.", "Rename it.")


def check_file(path: Path, *, within: Path | None = None) -> None:
    """Check, without opening it, that a file may be opened.

    What the user has named may be a link to anywhere. What was found in a folder, or is named by another file, must
    stay within that folder: a stranger's link could lead to another patient's scan.

    Args:
        path: The file.
        within: The folder in which it was found; None for what the user has named.

    Raises:
        UserError: It is not there or no regular file, a link leads out of the folder, or its name cannot be given to
            libraries.
    """
    check_name(path)
    try:
        mode = path.stat().st_mode
        strays = within is not None and path.is_symlink() and not _is_within(path, within)
    except OSError as error:
        raise _refused(path, f"{error.strerror or error}.", "Check the path, and whether it may be read.") from error
    if strays:
        raise _refused(
            path, f"It is a link that leads out of the folder {within.name if within else ''}.",
            "Replace the link by a copy of the file.",
        )
    if not stat.S_ISREG(mode):
        kind = next((name for test, name in _KINDS if test(mode)), "something else")
        raise _refused(path, f"It is {kind}, not a regular file.", "Choose a file, or remove it from the folder.")


def open_given(path: Path, *, within: Path | None = None) -> BinaryIO:
    """Open a file for reading, see `check_file`.

    Raises:
        UserError: It may not, or cannot, be opened.
    """
    check_file(path, within=within)
    try:
        return open_regular(path)
    except OSError as error:
        raise _refused(path, f"{error.strerror or error}.", "Check whether you may read it.") from error


def _is_within(path: Path, folder: Path) -> bool:
    target = path.resolve()
    return any(target.is_relative_to(each.resolve()) for each in (folder, path.parent))


def _refused(path: Path, why: str, todo: str) -> UserError:
    return UserError(f"{printable(path.name)} cannot be read.", why, todo)
