"""One training at a time on each device of a computer: the others wait for their turn."""

from __future__ import annotations

import os
import platform
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lnsegfm.base.errors import Cancelled
from lnsegfm.base.files import open_regular, read_json, write_text
from lnsegfm.base.home import Home
from lnsegfm.base.locks import FileLock, LockHeld
from lnsegfm.base.processes import is_alive
from lnsegfm.jobs.job_status import STATUS, JobStatus
from lnsegfm.jobs.job_writer import JobWriter
from lnsegfm.jobs.preflight import free_gpu_bytes

_POLL_S = 0.5
_LONGEST_ID = 200


@contextmanager
def training_turn(writer: JobWriter, home: Home, device: str) -> Iterator[None]:
    """Hold the device of a job; while another training holds it, the job is ``queued``.

    It is a file lock in the home, which the operating system frees when its holder dies, and the job's own process
    waits for it. So a queued job starts whether or not anything else runs, and before it has loaded PyTorch it needs
    next to no memory. Queued jobs of a home start in the order in which they came.

    Args:
        writer: The job, held by this process.
        home: The home whose jobs wait for each other.
        device: The device that the job names.

    Raises:
        Cancelled: The user cancelled or paused the job while it was queued.
    """
    key = device_key(device)
    path = home.root / "locks" / f"training-{_host()}-{key}.lock"
    holder = path.with_suffix(".job")
    lock = FileLock(path)
    since = _since_boot()
    waits_for = ""
    while not _take(lock, home, writer.path.name, key, since):
        if writer.cancelled():
            raise Cancelled
        ahead = _read(holder)
        if not waits_for or ahead != waits_for:
            waits_for = ahead or "another training"
            writer.status(state="queued", stage="", queued_for=key, queued_since=since, waits_for=waits_for)
        time.sleep(_POLL_S)
    try:
        write_text(holder, writer.path.name)
        if waits_for:
            writer.status(state="running", queued_for="", queued_since=0.0, waits_for="")
        yield
    finally:
        lock.__exit__(None, None, None)


def device_key(device: str) -> str:
    """Return the name of the device that ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N`` will most likely mean.

    Without PyTorch, which a job that waits must not load: ``auto`` takes the first GPU where NVIDIA's driver knows one.
    """
    if device == "auto":
        device = "cuda" if free_gpu_bytes(device) is not None else "cpu"
    return "cuda-0" if device == "cuda" else device.replace(":", "-")


def _take(lock: FileLock, home: Home, job_id: str, key: str, since: float) -> bool:
    if any(each < (since, job_id) for each in _queued(home, job_id, key)):
        return False
    try:
        lock.__enter__()
    except LockHeld:
        return False
    return True


def _queued(home: Home, job_id: str, key: str) -> Iterator[tuple[float, str]]:
    """Since when the other jobs wait for this device, with their ids."""
    for path in home.jobs.glob(f"job-*/{STATUS}"):
        try:
            status = JobStatus.from_json(read_json(path))
            since = float(status.queued_since)
        except (OSError, ValueError, TypeError, AttributeError):
            continue  # just being replaced, or damaged
        waits = status.state == "queued" and status.queued_for == key and path.parent.name != job_id
        if waits and is_alive(status.pid, status.pid_started):
            yield since, path.parent.name


def _read(path: Path) -> str:
    try:
        with open_regular(path) as stream:
            return stream.read(_LONGEST_ID).decode("utf-8").strip()
    except (OSError, ValueError):
        return ""


def _since_boot() -> float:
    """Seconds since the computer was started, the same in all its processes; nobody can set that clock.

    A job waits as long as its process lives, so not beyond the next start of the computer.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME) if sys.platform == "linux" else time.monotonic()


def _host() -> str:
    # A home may lie on a disk that several computers share.
    return re.sub(r"[^A-Za-z0-9-]", "-", platform.node() or os.environ.get("COMPUTERNAME", "")) or "here"
