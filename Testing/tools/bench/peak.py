"""The most memory that this process has taken so far."""

from __future__ import annotations

import resource
from contextlib import suppress
from pathlib import Path


def peak_gb() -> float:
    """Return it in GB.

    On Linux ``ru_maxrss`` of a child begins with the memory of the process that started it, so that the kernel's own
    account is read.
    """
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9  # bytes on macOS
