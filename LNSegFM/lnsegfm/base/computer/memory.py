"""How much main memory there is for programs."""

from __future__ import annotations

import os
from pathlib import Path


def free_memory_bytes() -> int | None:
    """Return the main memory that programs could still get; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    found = (line.split() for line in lines if line.startswith("MemAvailable:"))
    return next((int(words[1]) << 10 for words in found), None)


def memory_bytes() -> int | None:
    """Return the main memory that is free or, where the system does not say, that there is; None where it tells none.

    macOS tells what there is, Windows neither.
    """
    free = free_memory_bytes()
    return total_memory_bytes() if free is None else free


def total_memory_bytes() -> int | None:
    """Return the main memory that the computer has, in use or not; None where it is not told, as on Windows."""
    try:
        return int(os.sysconf("SC_PHYS_PAGES")) * int(os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return None
