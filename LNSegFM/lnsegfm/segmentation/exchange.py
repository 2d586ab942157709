"""The folder in which volumes go to the worker and back: a patient's voxels, gone with their process."""

from __future__ import annotations

import os
import platform
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lnsegfm.base import disk
from lnsegfm.base.files import sweep_abandoned
from lnsegfm.base.home import slug
from lnsegfm.base.processes import is_alive, process_start_time

_NAME = re.compile(r"\.tmp-(?P<host>[a-z0-9-]+)_(?P<pid>\d+)_(?P<start>[0-9.e+]+)_\w+")


@contextmanager
def exchange_folder(room: Path) -> Iterator[Path]:
    """Yield a new folder in ``room``, which is gone afterwards; what ended processes have left there goes first.

    Args:
        room: See `lnsegfm.base.home.Home.exchange`.
    """
    disk.make_folder(room)
    clear_ended(room)
    sweep_abandoned(room)
    prefix = f".tmp-{_host()}_{os.getpid()}_{process_start_time(os.getpid()) or 0.0!r}_"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=room, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def clear_ended(room: Path) -> list[Path]:
    """Delete the folders of processes of this computer that have ended, and return them.

    Args:
        room: See `exchange_folder`; it may not be there.
    """
    cleared = []
    for folder in sorted(room.glob(".tmp-*")):
        owner = _NAME.fullmatch(folder.name)
        # A home may be shared by several computers, of which each knows its own processes only.
        if owner is None or owner["host"] != _host():
            continue
        start = float(owner["start"])
        # 0 where the system did not tell it.
        if start == 0 or is_alive(int(owner["pid"]), start):
            continue
        with suppress(OSError):
            disk.remove_tree(folder)
            cleared.append(folder)
    return cleared


def _host() -> str:
    return slug(platform.node())
