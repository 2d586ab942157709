"""The trash of the case store, and the deletion of cases, which goes on when its process was killed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lnsegfm.base import disk
from lnsegfm.base.errors import UserError
from lnsegfm.base.locks import FileLock, LockHeld

ID = re.compile(r"case-(\d{4,})")
DELETING = ".deleting-"
"""Beginning of the name of a case that is being deleted: it is no case any more, and nothing brings it back."""
_TRASH = ".trash"
_LOCKS = ".locks"
_WAIT_S = 60.0


@contextmanager
def locked(root: Path, name: str, wait_s: float = _WAIT_S) -> Iterator[None]:
    """Hold a case, or ``new-case``, against other processes.

    Args:
        root: Folder of the store.
        name: What is held.
        wait_s: How long another holder is waited for, in seconds.

    Raises:
        UserError: It was not free within ``wait_s``.
    """
    # Beside the cases, not in them: Windows does not move a folder that holds an open file.
    try:
        with FileLock(lock_of(root, name), wait_s=wait_s):
            yield
    except LockHeld as error:
        raise UserError(
            "The case store is busy.", f"Another process has been changing '{name}' for {wait_s:.0f} s.",
            "Try again when it is done.",
        ) from error


def lock_of(root: Path, name: str) -> Path:
    """Return the lock of a case, or of ``new-case``, in a store."""
    return root / _LOCKS / f"{name}.lock"


def used_numbers(root: Path) -> list[int]:
    """Return the numbers of all cases that there are or ever were in a store."""
    # The locks stay when the trash is emptied: an id in a model's lineage must not come to mean another case.
    places = [(root, ID), (root / _TRASH, ID), (root / _LOCKS, re.compile(r"case-(\d{4,})\.lock"))]
    return [number for folder, names in places for number, _ in numbered(folder, names)]


def numbered(folder: Path, names: re.Pattern[str]) -> list[tuple[int, Path]]:
    """Return what in a folder has such a name, with the number in it, in no order."""
    if not folder.is_dir():
        return []
    found = ((names.fullmatch(path.name), path) for path in folder.iterdir())
    return [(int(match.group(1)), path) for match, path in found if match]


class CaseTrash:
    """The removed cases of a store. Its methods, but for `finish`, are called by the holder of the case's lock.

    Args:
        root: Folder of the store.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._folder = root, root / _TRASH

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the cases that can be brought back, in their order."""
        return tuple(folder.name for _, folder in sorted(numbered(self._folder, ID)))

    def find(self, case_id: str) -> Path:
        """Return the folder of a removed case.

        Raises:
            UserError: It is not in the trash.
        """
        if not ID.fullmatch(case_id) or not os.path.lexists(self._folder / case_id):
            raise UserError(f"There is no removed case '{case_id}'.")
        return self._folder / case_id

    def take(self, case: Path) -> None:
        """Move a case into the trash."""
        disk.make_folder(self._folder)
        disk.replace(case, self._folder / case.name)

    def delete(self, case: Path) -> None:
        """Delete a case that lies in the store or in the trash; `finish` ends what is cut short of it."""
        disk.make_folder(self._folder)
        doomed = self._folder / f"{DELETING}{case.name}"
        disk.remove_tree(doomed)
        disk.replace(case, doomed)
        disk.remove_tree(doomed)

    @property
    def unfinished(self) -> list[Path]:
        """What is being deleted at this moment, or was when its process was killed."""
        return sorted(self._folder.glob(f"{DELETING}*"))

    def finish(self) -> None:
        """Delete what killed processes have begun to delete; what another process is deleting is left to it."""
        for doomed in self.unfinished:
            with suppress(UserError, OSError), locked(self._root, doomed.name[len(DELETING) :], wait_s=0.0):
                disk.remove_tree(doomed)
