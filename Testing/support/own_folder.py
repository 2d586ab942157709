"""Folders that a command may delete because it made them."""

from __future__ import annotations

import shutil
from pathlib import Path

_MARKER = ".made-by-lnsegfm"


def empty_own_folder(folder: Path) -> None:
    """Make an empty folder, deleting what an earlier run left there.

    Raises:
        SystemExit: It holds something that no earlier run made.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARKER).is_file():
        raise SystemExit(f"{folder} is not empty, and not from an earlier run. Choose another --output.")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / _MARKER).touch()
