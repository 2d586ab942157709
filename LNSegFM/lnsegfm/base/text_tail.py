"""The end of a log file."""

from __future__ import annotations

import os
from pathlib import Path

_BYTES = 64 * 1024


def tail(path: Path, lines: int) -> list[str]:
    """Return the last non-empty lines of a UTF-8 text file that may still be written; none when it is missing."""
    try:
        with path.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - _BYTES))
            text = stream.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-lines:] if lines > 0 else []
