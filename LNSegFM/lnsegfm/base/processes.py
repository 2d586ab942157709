"""Starting, watching and ending the processes that do the heavy work."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import lnsegfm
from lnsegfm.base.computer.process_times import process_start_time
from lnsegfm.base.errors import UserError

__all__ = [
    "child_environment", "is_alive", "kill_tree", "package_folder", "process_start_time", "python_executable",
    "start_detached", "start_piped",
]

PYTHON_VARIABLE = "LNSEGFM_PYTHON"
# What Slicer sets for its own Python and what would keep any other Python from starting.
_OF_SLICERS_PYTHON = ("PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


def python_executable() -> str:
    """Return the Python to run workers with: ``LNSEGFM_PYTHON``, this one, Slicer's, or the one inside.

    Raises:
        UserError: None of them exists.
    """
    chosen = os.environ.get(PYTHON_VARIABLE)
    if chosen:
        return chosen
    own = Path(sys.executable) if sys.executable else None
    if own is not None and own.stem.lower().startswith("python") and own.is_file():
        # Under Windows Slicer's launcher does not hand its standard input on, over which the worker gets its requests.
        real = own.with_name("python-real.exe")
        return str(real if os.name == "nt" and real.is_file() else own)
    home = os.environ.get("SLICER_HOME", "")
    slicers = Path(home) / "bin" / ("PythonSlicer.exe" if os.name == "nt" else "PythonSlicer")
    # The last ones are what an application with a Python inside has where it does not come with Slicer's launcher.
    names = ("bin/python3", "bin/python-real", "python.exe", "bin/python.exe")
    inside = [Path(sys.exec_prefix) / name for name in names]
    for candidate in ([slicers] if home else []) + inside:
        if candidate.is_file():
            return str(candidate)
    raise UserError(
        "No Python was found to run the computation.",
        f"Neither '{sys.executable}' is a Python nor is there '{slicers}'.",
        f"Set the environment variable {PYTHON_VARIABLE} to a Python that has torch and nnunetv2.",
    )


def package_folder(package_file: str | None) -> Path:
    """Return the folder from which a package is imported, given its ``__file__``."""
    if package_file is None:
        raise ValueError("A package without a file has no folder.")
    return Path(package_file).resolve().parent.parent


def child_environment(
    module_folders: Sequence[Path] | None = None, extra: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment for a child process; ``os.environ`` stays as it is.

    A child does not inherit ``sys.path``, so the folder of this library goes into its PYTHONPATH; the ``nnUNet_*``
    variables of the user's own nnU-Net do not reach it.

    Args:
        module_folders: Further folders to import from, before the library's own.
        extra: Variables to add or replace.
    """
    environment = {name: value for name, value in os.environ.items() if not name.lower().startswith("nnunet_")}
    if environment.get(PYTHON_VARIABLE) and environment.get("SLICER_HOME"):
        for name in _OF_SLICERS_PYTHON:
            environment.pop(name, None)
    folders = [str(folder) for folder in module_folders or ()]
    folders.append(str(package_folder(lnsegfm.__file__)))
    folders += [folder for folder in environment.get("PYTHONPATH", "").split(os.pathsep) if folder]
    environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(folders))
    # PYTHONSAFEPATH: "-m" would otherwise import from whatever folder the user started Slicer in.
    # Slicer and other programs need the processors as well. OpenMP's threads spin while they wait for each other, which
    # on two busy cores made a segmentation of 4 s take more than 60 s; asleep they made it take 6 s.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    environment.update(PYTHONUTF8="1", PYTHONUNBUFFERED="1", PYTHONSAFEPATH="1")
    environment.update(extra or {})
    return environment


def start_piped(command: Sequence[str], env: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start a process in its own group with pipes for stdin and stdout; stderr is appended to ``log``."""
    with log.open("ab") as stream:
        return subprocess.Popen(
            list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stream, env=dict(env),
            start_new_session=os.name != "nt", creationflags=_window_flags(),
        )


def start_detached(command: Sequence[str], env: Mapping[str, str], log: Path) -> int:
    """Start a process that outlives this one and return its pid; what it prints is appended to ``log``."""
    with log.open("ab") as stream:
        process = subprocess.Popen(
            list(command), stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, env=dict(env),
            start_new_session=os.name != "nt", creationflags=_window_flags(),
        )
    # Somebody must take its exit status, or it stays in the process table as long as this process lives.
    threading.Thread(target=process.wait, name=f"reaper of {process.pid}", daemon=True).start()
    return process.pid


def kill_tree(pid: int) -> None:
    """Kill a process started by this module and its children at once; no error when it has ended already.

    Raises:
        ValueError: ``pid`` is not that of a single other process; 0 and below mean whole groups to the system.
    """
    if pid <= 0 or pid == os.getpid():
        raise ValueError(f"{pid} is not the id of a process to be killed.")
    if sys.platform == "win32":
        subprocess.run(
            ["taskkill", "/T", "/F", "/PID", str(pid)], check=False, capture_output=True,
            creationflags=_window_flags(),
        )
        return
    try:
        group = os.getpgid(pid)
    except ProcessLookupError:
        group = pid  # the leader is gone, its children may not be
    try:
        if group == os.getpgid(0):
            os.kill(pid, signal.SIGKILL)
        else:
            os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        # macOS answers "not permitted" for a group of which only zombies are left.
        return


def is_alive(pid: int, start_time: float | None) -> bool:
    """Tell whether the process that had this pid *and* this start time runs; a zombie does not.

    Args:
        pid: Process id.
        start_time: What `process_start_time` said of it then; with None the answer is False.
    """
    return start_time is not None and process_start_time(pid) == start_time


def _window_flags() -> int:
    # Not DETACHED_PROCESS: a child of a process without a console, as of Slicer's Python launcher, opens a new one.
    if sys.platform == "win32":
        return subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    return 0
