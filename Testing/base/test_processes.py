"""Processes, their environment, their locks, and tasks in the background."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lnsegfm.base.background import Task
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.locks import FileLock, LockHeld
from lnsegfm.base.processes import (
    child_environment,
    is_alive,
    kill_tree,
    process_start_time,
    python_executable,
    start_detached,
    start_piped,
)

TOLD_TO_SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]


def until(condition: Callable[[], object], what: str, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited too long: {what}"
        time.sleep(0.01)


def test_the_python_is_this_one_unless_another_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LNSEGFM_PYTHON", raising=False)
    assert Path(python_executable()) == Path(sys.executable)
    monkeypatch.setenv("LNSEGFM_PYTHON", "/opt/other/python")
    assert python_executable() == "/opt/other/python"


def test_in_an_application_that_embeds_python_slicers_own_is_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("LNSEGFM_PYTHON", raising=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "SlicerApp-real"))
    monkeypatch.setattr(sys, "exec_prefix", str(tmp_path / "lib"))
    monkeypatch.setenv("SLICER_HOME", str(tmp_path))
    with pytest.raises(UserError, match="LNSEGFM_PYTHON"):
        python_executable()
    inside = tmp_path / "lib" / "bin" / "python-real"
    inside.parent.mkdir(parents=True)
    inside.touch()
    assert python_executable() == str(inside)
    python = tmp_path / "bin" / ("PythonSlicer.exe" if os.name == "nt" else "PythonSlicer")
    python.parent.mkdir()
    python.touch()
    assert python_executable() == str(python)


def test_a_child_finds_the_library_and_not_the_users_nnunet_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("nnUNet_results", "/somewhere")
    monkeypatch.setenv("PYTHONPATH", "/of/the/parent")
    before = dict(os.environ)
    environment = child_environment([tmp_path], {"LNSEGFM_HOME": "/home of/models"})
    assert dict(os.environ) == before
    assert environment["LNSEGFM_HOME"] == "/home of/models"
    assert not [name for name in environment if name.lower().startswith("nnunet_")]
    folders = environment["PYTHONPATH"].split(os.pathsep)
    assert folders[0] == str(tmp_path) and folders[-1] == "/of/the/parent"
    code = "import LNSegFMLib, sys; print(LNSegFMLib.__file__, sys.flags.utf8_mode)"
    answer = subprocess.run(
        [sys.executable, "-c", code], env=child_environment(), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert Path(answer.stdout.split(" ")[0]).parent.name == "LNSegFMLib" and answer.stdout.strip().endswith("1")


def test_a_foreign_python_does_not_get_slicers_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLICER_HOME", "/opt/Slicer")
    monkeypatch.setenv("PYTHONHOME", "/opt/Slicer/lib/Python")
    assert child_environment()["PYTHONHOME"] == "/opt/Slicer/lib/Python"
    monkeypatch.setenv("LNSEGFM_PYTHON", "/usr/bin/python3")
    assert "PYTHONHOME" not in child_environment()


def test_a_process_is_known_by_pid_and_start_time_until_it_is_killed(tmp_path: Path) -> None:
    pid = start_detached(TOLD_TO_SLEEP, child_environment(), tmp_path / "log.txt")
    started = process_start_time(pid)
    assert started is not None and is_alive(pid, started)
    assert not is_alive(pid, started + 1.0)
    assert not is_alive(pid, None)
    kill_tree(pid)
    until(lambda: not is_alive(pid, started), "the process is gone")
    kill_tree(pid)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no zombies")
def test_a_zombie_is_not_alive() -> None:
    with subprocess.Popen(TOLD_TO_SLEEP, stdout=subprocess.DEVNULL) as process:
        started = process_start_time(process.pid)
        process.kill()
        until(lambda: not is_alive(process.pid, started), "the zombie counts as dead")


def test_there_is_no_start_time_of_a_process_that_never_was() -> None:
    assert process_start_time(2**22 + 1) is None
    assert process_start_time(0) is None


def test_a_detached_process_outlives_its_parent_and_writes_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    code = (
        "import sys; from pathlib import Path; from lnsegfm.base.processes import *\n"
        f"print(start_detached({TOLD_TO_SLEEP!r}, child_environment(), Path({str(log)!r})))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], env=child_environment(), capture_output=True, text=True, check=True
    )
    pid = int(answer.stdout)
    try:
        until(lambda: log.read_text() == "up\n", "the log is written")
        assert process_start_time(pid) is not None
    finally:
        kill_tree(pid)


def test_killing_a_tree_ends_the_grandchildren(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True); child.wait()"
    )
    process = start_piped([sys.executable, "-c", code], child_environment(), tmp_path / "log.txt")
    with process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        started = process_start_time(child)
        assert started is not None
        kill_tree(process.pid)
    until(lambda: not is_alive(child, started), "the grandchild is gone")


@pytest.mark.parametrize("pid", [0, -1, pytest.param(os.getpid(), id="own")])
def test_nobody_kills_himself_or_whole_groups_by_mistake(pid: int) -> None:
    with pytest.raises(ValueError, match=str(pid)):
        kill_tree(pid)


def test_a_lock_excludes_threads_and_is_free_afterwards(tmp_path: Path) -> None:
    with FileLock(tmp_path / "lock"):
        task = Task(lambda: FileLock(tmp_path / "lock").__enter__())
        with pytest.raises(UserError, match="LockHeld"):
            task.wait(5)
    with FileLock(tmp_path / "lock"):
        pass


def test_a_lock_excludes_processes_and_is_freed_when_its_holder_is_killed_although_a_child_lives(
    tmp_path: Path,
) -> None:
    code = (
        "import os, sys, time; from pathlib import Path; from lnsegfm.base.locks import FileLock\n"
        "lock = FileLock(Path(sys.argv[1])).__enter__()\n"
        "child = os.fork() if hasattr(os, 'fork') else 0\n"
        "if child or not hasattr(os, 'fork'): print(child, flush=True)\n"
        "time.sleep(60)"
    )
    path = tmp_path / "lock"
    process = start_piped([sys.executable, "-c", code, str(path)], child_environment(), tmp_path / "log.txt")
    with process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            with pytest.raises(LockHeld), FileLock(path):
                pass
            process.kill()
            process.wait()
            with FileLock(path, wait_s=2.0):
                pass
        finally:
            kill_tree(process.pid)


def test_a_task_brings_its_value_and_its_progress() -> None:
    go_on = threading.Event()

    def work(number: int, progress: Callable[..., None]) -> int:
        progress(0.25, "counting")
        go_on.wait(10)
        return number + 1

    task = Task(work, 41)
    until(lambda: task.progress.message, "progress is reported")
    assert task.progress.fraction == 0.25 and task.progress.remaining_s is not None
    assert not task.done
    with pytest.raises(RuntimeError):
        task.result()
    with pytest.raises(TimeoutError):
        task.wait(0.01)
    go_on.set()
    assert task.wait(10) == 42 and task.done and task.error is None


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (UserError("It failed.", "Because.", "Retry."), "It failed. Because. Retry."),
        (ValueError("wrong number"), "wrong number"),
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full."),
        (MemoryError(), "ran out of memory"),
        (SystemExit(2), "SystemExit"),
    ],
)
def test_whatever_a_task_raises_becomes_an_error_for_the_user(error: BaseException, text: str) -> None:
    def work() -> None:
        raise error

    task = Task(work)
    with pytest.raises(UserError) as caught:
        task.wait(10)
    assert text in str(caught.value) and task.error is caught.value


def test_a_task_that_asks_can_be_cancelled() -> None:
    def work(is_cancelled: Callable[[], bool]) -> None:
        while not is_cancelled():
            time.sleep(0.005)
        raise Cancelled

    task = Task(work)
    task.cancel()
    with pytest.raises(Cancelled):
        task.wait(10)
    assert task.cancelled and task.error is None


def test_work_that_was_finished_in_spite_of_a_cancel_counts() -> None:
    go_on = threading.Event()

    def work() -> Any:
        go_on.wait(10)
        return "stored"

    task = Task(work)
    task.cancel()
    go_on.set()
    assert task.wait(10) == "stored" and not task.cancelled
