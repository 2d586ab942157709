"""A lock between processes that the operating system frees when its holder dies, however it dies."""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

_POLL_S = 0.02
_held_here: set[str] = set()
_held_guard = threading.Lock()


class LockHeld(Exception):
    """Somebody else holds the lock."""


class FileLock:
    """An exclusive lock on a file; excludes other processes and other threads of this one.

    A record lock (``fcntl.lockf``), not ``flock``: a process forked by the holder would share the latter and keep it
    after the holder's death. Record locks do not exclude the own process, hence the set of the paths held here.

    Args:
        path: The lock's file; made when missing, and left behind.
        wait_s: How long entering waits for another holder, in seconds.
    """

    def __init__(self, path: Path, *, wait_s: float = 0.0) -> None:
        self._path = Path(os.path.realpath(path))
        self._wait_s = wait_s
        self._stream: BinaryIO | None = None

    def __enter__(self) -> FileLock:
        """Take the lock.

        Raises:
            LockHeld: It was not free within ``wait_s``.
        """
        deadline = time.monotonic() + self._wait_s
        while not self._try():
            if time.monotonic() >= deadline:
                raise LockHeld(str(self._path))
            time.sleep(_POLL_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the lock."""
        if self._stream is not None:
            _unlock(self._stream)
            self._stream.close()
            self._stream = None
            with _held_guard:
                _held_here.discard(str(self._path))

    def _try(self) -> bool:
        key = str(self._path)
        with _held_guard:
            if key in _held_here:
                return False
            self._path.parent.mkdir(parents=True, exist_ok=True)
            stream: BinaryIO = self._path.open("ab+")
            if not _lock(stream):
                stream.close()
                return False
            _held_here.add(key)
        self._stream = stream
        return True


if sys.platform == "win32":
    import msvcrt

    def _lock(stream: BinaryIO) -> bool:
        stream.seek(0)
        try:
            msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(stream: BinaryIO) -> None:
        stream.seek(0)
        msvcrt.locking(stream.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(stream: BinaryIO) -> bool:
        try:
            fcntl.lockf(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        return True

    def _unlock(stream: BinaryIO) -> None:
        fcntl.lockf(stream, fcntl.LOCK_UN)


def _forget_inherited_locks() -> None:
    # A forked process inherits no record lock, and its copy of the guard may be held by a thread it does not have.
    global _held_guard
    _held_guard = threading.Lock()
    _held_here.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_inherited_locks)
