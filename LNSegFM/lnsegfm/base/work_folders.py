"""Folders of unfinished work. A lock in each tells, on any computer, whether the process that made it still lives."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from lnsegfm.base import disk
from lnsegfm.base.locks import FileLock, LockHeld

PREFIX = ".tmp-"
QUIET_S = 3600.0
"""Seconds after its last change in which unfinished work without a lock may belong to a process that lives."""
_LOCK = ".lock"


@contextmanager
def work_folder(room: Path) -> Iterator[Path]:
    """Yield an empty folder in ``room`` (but for its lock) that is gone when the block ends, however it ends.

    What a killed process leaves of it, `clear_dead` finds.
    """
    disk.make_folder(room)
    with ExitStack() as stack:
        while True:
            made = tempfile.TemporaryDirectory(prefix=PREFIX, dir=room, ignore_cleanup_errors=True)
            folder = Path(stack.enter_context(made))
            # Who clears the room in the moment before the lock is held takes the folder for a dead one.
            with suppress(LockHeld):
                stack.enter_context(FileLock(folder / _LOCK))
                if (folder / _LOCK).is_file():
                    break
        yield folder


def held_words(path: Path, *, quiet_s: float = QUIET_S) -> str:
    """Return why unfinished work may still belong to a living process; empty when it certainly does not.

    Args:
        path: The folder or file.
        quiet_s: For those without a lock: seconds without a change after which nobody works there any more.
    """
    if (path / _LOCK).is_file():
        return "a process is working in it" if is_held(path / _LOCK) else ""
    return "it was changed a moment ago" if time.time() - last_change(path) < quiet_s else ""


def clear_dead(room: Path) -> None:
    """Delete what killed processes left of unfinished work in ``room``."""
    for rest in room.glob(f"{PREFIX}*"):
        # Without a lock it is of an earlier version, or a file that is being written at this moment.
        with suppress(OSError, LockHeld):
            if not held_words(rest, quiet_s=24 * 3600.0):
                remove_dead(rest)


def remove_dead(path: Path) -> None:
    """Delete unfinished work of a dead process.

    Raises:
        LockHeld: A process has begun to work there.
        OSError: Something cannot be deleted.
    """
    if os.name == "nt" or not (path / _LOCK).is_file():
        disk.remove_tree(path)  # Windows deletes no open file
        return
    with FileLock(path / _LOCK):
        disk.remove_tree(path)


def is_held(lock: Path) -> bool:
    """Tell whether a process, this one included, holds a lock; no lock is made where there is none."""
    if not lock.is_file():
        return False
    try:
        with FileLock(lock):
            return False
    except (LockHeld, OSError):
        return True


def last_change(path: Path) -> float:
    """Return when anything in a folder, or a file, was last changed, in seconds since 1970."""
    newest = 0.0
    for each in (path, *(path.rglob("*") if path.is_dir() and not path.is_symlink() else ())):
        with suppress(OSError):  # it may go at this moment
            newest = max(newest, each.lstat().st_mtime)
    return newest
