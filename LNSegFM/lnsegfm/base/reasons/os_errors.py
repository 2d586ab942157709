"""What the operating system's errors mean to a user, and what can be done."""

from __future__ import annotations

import errno
from typing import Any

_DISK = "Free some disk space, then try again."
_ELSEWHERE = "Choose another file or folder."
_DRIVE = "Check the disk, the network drive and its connection, then try again."
_RIGHTS = f"Ask its owner for the right to use it. {_ELSEWHERE}"
# (what, what to do) by name, since not every system has all of them.
_WORDS: dict[str, tuple[str, str]] = {
    "ENOSPC": ("The disk is full.", _DISK),
    "EDQUOT": ("Your share of the disk is used up.", "Delete files of yours, or ask for a larger quota."),
    "EROFS": ("The disk is read-only.", _ELSEWHERE),
    "EACCES": ("Access to a file or folder is denied.", _RIGHTS),
    "EPERM": ("Access to a file or folder is denied.", _RIGHTS),
    "ENAMETOOLONG": (
        "The name of a file or folder is too long.", "Choose a shorter name, or a folder with a shorter path.",
    ),
    "ENOENT": ("A file or folder is missing.", f"Check its name. {_ELSEWHERE}"),
    "ENOTDIR": ("A file lies where a folder is needed.", f"Move or rename that file. {_ELSEWHERE}"),
    "EEXIST": ("A file or folder is in the way.", f"Move or rename it. {_ELSEWHERE}"),
    "EISDIR": ("A folder lies where a file is needed.", "Choose the name of a file."),
    "ELOOP": ("Links to a file or folder go round in a circle.", "Correct the links."),
    "EMFILE": (
        "Too many files are open.",
        "Close other programs, or raise the limit on open files ('ulimit -n'), then try again.",
    ),
    "ENFILE": ("Too many files are open on this computer.", "Close other programs, then try again."),
    "EFBIG": (
        "A file became too large.",
        "Its disk's format (FAT32 ends at 4 GB) or a limit of your account ('ulimit -f') allows no more: choose "
        "another disk, or raise the limit.",
    ),
    "EIO": ("The disk could not be read or written.", _DRIVE),
    "ENODEV": ("The disk is gone.", _DRIVE),
    "ENXIO": ("The disk is gone.", _DRIVE),
    "ESTALE": ("The network drive is gone.", _DRIVE),
    "ETIMEDOUT": ("The network drive does not answer.", _DRIVE),
    "EHOSTDOWN": ("The network drive does not answer.", _DRIVE),
    "EBUSY": ("A file is in use by another program.", "Close that program, then try again."),
    "ETXTBSY": ("A file is in use by another program.", "Close that program, then try again."),
    "EILSEQ": ("The disk cannot have a file of this name.", "Choose a name of letters, digits and hyphens."),
    "EAGAIN": ("The system allows no further process or thread.", "Close other programs, then try again."),
    "ENOMEM": ("The computer ran out of memory.", "Close other programs, then try again."),
}
_BY_NUMBER: dict[int, tuple[str, str]] = {
    getattr(errno, name): words for name, words in reversed(_WORDS.items()) if hasattr(errno, name)
}
# Windows reports both as EACCES.
_IN_USE = (32, 33)


def words_of(error: OSError) -> tuple[str, str] | None:
    """Return what happened and what to do, or None for an error that this table does not know."""
    if getattr(error, "winerror", None) in _IN_USE:
        return _WORDS["EBUSY"]
    return None if error.errno is None else _BY_NUMBER.get(error.errno)


def where_and_why(error: OSError) -> str:
    """Return the file that an error is about, and the system's own words."""
    file: Any = error.filename if error.filename is not None else error.filename2
    said = error.strerror or str(error)
    if file is None or isinstance(file, int):
        return f"{said}."
    return f"{file.decode(errors='replace') if isinstance(file, bytes) else file}: {said}."
