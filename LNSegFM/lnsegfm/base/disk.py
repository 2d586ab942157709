"""The few operations that change what is on the disk, each through to the disk itself.

All stores change their folders by these alone. Each tells its observer before it acts, so that a test can end the
process, or fill the disk, at any of them.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

Observer = Callable[[str, Path], None]
_REPLACE_ATTEMPTS = 40
_observer: Observer | None = None


@contextmanager
def observed(observer: Observer) -> Iterator[None]:
    """Call ``observer(operation, path)`` before each operation of this process; what it raises, the operation raises.

    Args:
        observer: Gets the name of a function of this module, or ``write``, and the path that is about to change.
    """
    global _observer
    before, _observer = _observer, observer
    try:
        yield
    finally:
        _observer = before


def reached(operation: str, path: Path) -> None:
    """Tell the observer, where there is one, that ``path`` is about to change."""
    if _observer is not None:
        _observer(operation, path)


def replace(source: Path, target: Path) -> None:
    """Rename a file or folder over ``target``; on Windows, wait out a reader that holds ``target`` open for a moment.

    ``source`` must be on the disk already, see `sync_file` and `sync_tree`.
    """
    reached("replace", target)
    for attempt in range(_REPLACE_ATTEMPTS):
        try:
            os.replace(source, target)
            break
        except PermissionError:
            if os.name != "nt" or attempt == _REPLACE_ATTEMPTS - 1:
                raise
            time.sleep(0.05)
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file in place, for files that others do not read yet; see `lnsegfm.base.files.write_atomic`."""
    reached("write", path)
    with path.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def mark(path: Path) -> None:
    """Make an empty file that says something by being there."""
    reached("mark", path)
    path.touch()
    sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, where they are missing."""
    if not path.is_dir():
        reached("make_folder", path)
        path.mkdir(parents=True, exist_ok=True)
        sync_folder(path.parent)


def remove_file(path: Path) -> None:
    """Delete a file; nothing happens when there is none."""
    if path.is_symlink() or path.exists():
        reached("remove_file", path)
        path.unlink(missing_ok=True)
        sync_folder(path.parent)


def remove_tree(folder: Path) -> None:
    """Delete a folder and all in it, or a file; nothing happens when there is none. Links are not followed.

    Raises:
        OSError: Something cannot be deleted; what can be is gone.
    """
    if folder.is_symlink() or not folder.is_dir():
        remove_file(folder)
        return
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent) / name
            reached("remove_file", path)
            with suppress(OSError):  # tried again below, which says why
                path.unlink()
    reached("remove_tree", folder)
    shutil.rmtree(folder)
    sync_folder(folder.parent)


def sync_file(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    reached("sync_file", path)
    with open(path, "rb+") as stream:
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where the file system can do that."""
    if os.name == "nt":
        return  # renaming is written through
    with suppress(OSError):  # network file systems refuse it
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sync_tree(folder: Path) -> None:
    """Wait until all files of a folder are on the disk."""
    for parent, _, names in os.walk(folder):
        for name in names:
            if not (Path(parent) / name).is_symlink():
                sync_file(Path(parent) / name)
        sync_folder(Path(parent))
