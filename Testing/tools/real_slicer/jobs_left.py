"""The jobs in a home folder of ours: which ones are running, and their end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

_PATIENCE_S = 20.0


def running_jobs(home: Path) -> dict[Path, int]:
    """Return the process id by folder of each job whose process is alive."""
    found = {}
    for folder in sorted((home / "jobs").glob("job-*")):
        try:
            status = json.loads((folder / "status.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        pid = status.get("pid")
        if status.get("state") == "running" and isinstance(pid, int) and pid > 0 and _is_alive(pid):
            found[folder] = pid
    return found


def end_jobs(home: Path) -> None:
    """Ask the jobs to end, and kill those that do not listen."""
    for folder in running_jobs(home):
        (folder / "cancel").touch()
    end = time.monotonic() + _PATIENCE_S
    while running_jobs(home) and time.monotonic() < end:
        time.sleep(0.2)
    for pid in running_jobs(home).values():
        if sys.platform == "win32":
            subprocess.run(["taskkill", "/T", "/F", "/PID", str(pid)], capture_output=True, check=False)
        else:
            os.kill(pid, signal.SIGKILL)


def _is_alive(pid: int) -> bool:
    if sys.platform == "win32":
        listed = subprocess.run(["tasklist", "/FI", f"PID eq {pid}"], capture_output=True, text=True, check=False)
        return str(pid) in listed.stdout
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[:1] == ["Z"]
