"""How many CPUs this process may use, which in a container or on a cluster is fewer than the computer has."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath


def cpu_count(root: Path = Path("/")) -> int:
    """Return the number of CPUs that this process may use, at least 1.

    It is the least of what the computer has, what the process is bound to (``taskset``, Slurm), and what the control
    groups above it grant in time (``docker --cpus``, Kubernetes; version 1 and 2); a part of a CPU counts as one.

    Args:
        root: Where ``proc`` and ``sys`` lie.
    """
    counts = [os.cpu_count() or 1]
    if hasattr(os, "sched_getaffinity"):
        with suppress(OSError):
            counts.append(len(os.sched_getaffinity(0)))
    counts += [math.ceil(limit) for limit in _granted(root)]
    return max(1, min(counts))


def _granted(root: Path) -> Iterator[float]:
    """CPUs that each control group above this process grants, of those that set a limit."""
    for version, folder in _groups(root):
        with suppress(OSError, ValueError):
            if version == 2:
                quota, period = (folder / "cpu.max").read_text(encoding="ascii").split()
            else:
                quota = (folder / "cpu.cfs_quota_us").read_text(encoding="ascii").strip()
                period = (folder / "cpu.cfs_period_us").read_text(encoding="ascii").strip()
            # "max" in version 2 and -1 in version 1 mean that there is no limit.
            if quota != "max" and int(quota) > 0 and int(period) > 0:
                yield int(quota) / int(period)


def _groups(root: Path) -> Iterator[tuple[int, Path]]:
    """The version and the folder of each control group above this process."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    mounted = root / "sys/fs/cgroup"
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        names = controllers.split(",")
        # A container often sees its own group at the top, under the path that it has outside.
        for above in _upwards(path):
            if not controllers:
                yield 2, mounted / above
                yield 2, mounted / "unified" / above
            elif "cpu" in names:
                yield 1, mounted / controllers / above
                yield 1, mounted / "cpu" / above


def _upwards(path: str) -> list[PurePosixPath]:
    parts = [part for part in PurePosixPath(path).parts if part not in ("/", "..")]
    return [PurePosixPath(*parts[:count]) for count in range(len(parts), -1, -1)]
