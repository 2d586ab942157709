"""When a process was started; with its pid, that names a process for good. Without psutil, which Slicer lacks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path


def process_start_time(pid: int) -> float | None:
    """Return when a running process was started, or None when there is none, or a zombie.

    Returns:
        Seconds, to be compared for equality only: since boot on Linux (where the wall clock may be set while the
        process runs), since 1970 on macOS, since 1601 on Windows.
    """
    if pid <= 0:
        return None
    if sys.platform == "win32":
        return _from_windows(pid)
    if sys.platform.startswith("linux"):
        return _from_proc(pid)
    return _from_ps(pid)


def _from_proc(pid: int) -> float | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in brackets, which may itself hold brackets and spaces.
    fields = text[text.rindex(b")") + 2 :].split()
    state, ticks = fields[0], int(fields[19])
    return None if state in (b"Z", b"X") else ticks / os.sysconf("SC_CLK_TCK")


def _from_ps(pid: int) -> float | None:
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], check=False, capture_output=True, text=True,
        env={**os.environ, "LC_ALL": "C"},
    )
    state, _, started = answer.stdout.strip().partition(" ")
    if answer.returncode or not started or state.startswith("Z"):
        return None
    return time.mktime(time.strptime(started.strip(), "%a %b %d %H:%M:%S %Y"))


def _from_windows(pid: int) -> float | None:
    if sys.platform != "win32":
        raise OSError("This is not Windows.")
    import ctypes
    from ctypes import wintypes

    query_limited_information, still_active = 0x1000, 259
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.OpenProcess.restype = wintypes.HANDLE
    kernel.OpenProcess.argtypes = (wintypes.DWORD, wintypes.BOOL, wintypes.DWORD)
    kernel.CloseHandle.argtypes = (wintypes.HANDLE,)
    kernel.GetExitCodeProcess.argtypes = (wintypes.HANDLE, ctypes.POINTER(wintypes.DWORD))
    kernel.GetProcessTimes.argtypes = (wintypes.HANDLE, *[ctypes.POINTER(wintypes.FILETIME)] * 4)
    handle = kernel.OpenProcess(query_limited_information, False, pid)
    if not handle:
        return None
    try:
        code = wintypes.DWORD()
        created, ended, in_kernel, in_user = (wintypes.FILETIME() for _ in range(4))
        times = [ctypes.byref(value) for value in (created, ended, in_kernel, in_user)]
        # An ended process can still be opened while anybody holds a handle to it.
        if not kernel.GetExitCodeProcess(handle, ctypes.byref(code)) or code.value != still_active:
            return None
        if not kernel.GetProcessTimes(handle, *times):
            return None
    finally:
        kernel.CloseHandle(handle)
    return ((created.dwHighDateTime << 32) + created.dwLowDateTime) / 1e7
