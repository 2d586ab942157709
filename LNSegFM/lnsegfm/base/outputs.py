"""What may be written over: no input ever, no other output, and what others wrote only when the user says so."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import check_writable, open_regular

Wrote = Callable[[Path], bool]


def check_outputs(
    outputs: Sequence[Path], inputs: Iterable[Path] = (), *, overwrite: bool = False,
    wrote: Wrote = lambda path: False, by: str = "by an earlier call",
) -> None:
    """Find out before any work whether its results can be written without the loss of anything.

    Files are compared through links, hard links, and names in any case, as Windows and macOS have them.

    Args:
        outputs: The files that are to be written.
        inputs: Files, and folders with the files directly in them, that are read.
        overwrite: The user says that files of others may be replaced.
        wrote: Tells whether an earlier call wrote an existing file, and it may be replaced.
        by: By what, for the message.

    Raises:
        UserError: An output cannot be written, is an input or another output, or exists and would be lost.
    """
    known = list(inputs)
    check_distinct(outputs)
    for path in outputs:
        if _is_input(path, known):
            raise UserError(
                f"{path.name} is one of the inputs.", "A result must not replace what it was made of.",
                "Choose another name.",
            )
        check_writable(path)
        if not overwrite and path.exists() and not wrote(path):
            raise exists_already(path, f"It was not written {by}")


def check_distinct(outputs: Sequence[Path]) -> None:
    """Check that no two outputs are one file.

    Raises:
        UserError: Two are.
    """
    seen: dict[object, int] = {}
    for number, path in enumerate(outputs):
        for key in (_place(path), _identity(path)):
            if key is not None and seen.setdefault(key, number) != number:
                raise UserError(
                    f"{path.name} is asked for twice.", "Two results would be written to the same file.",
                    "Choose different names.",
                )


def exists_already(path: Path, why: str) -> UserError:
    """Return the refusal to replace a file; ``why`` is a clause, with a capital letter and without a stop."""
    return UserError(
        f"{path.name} exists already.", f"{why}, and would be lost.", "Choose another name, or ask for --overwrite."
    )


def begins_with(path: Path, *beginnings: str) -> bool:
    """Tell whether a text file begins as those do that a command writes."""
    try:
        with open_regular(path) as stream:
            return stream.read(1 << 12).decode("utf-8-sig", "replace").startswith(beginnings)
    except OSError:
        return False


def _is_input(path: Path, inputs: Iterable[Path]) -> bool:
    found, place = _identity(path), _place(path)
    for each in inputs:
        if each.name.casefold() == path.name.casefold() and place == _place(each):
            return True
        if found is None:
            continue
        if found == _identity(each) or (each.is_dir() and any(found == _identity(inside) for inside in each.iterdir())):
            return True
    return False


def _place(path: Path) -> str:
    """Return where a path leads, as file systems that take any case for the same compare it."""
    return unicodedata.normalize("NFC", os.path.realpath(path)).casefold()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
