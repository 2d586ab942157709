"""How many CPUs a process may use, from files of control groups as containers and clusters have them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lnsegfm.base.computer.cpu_count import cpu_count
from lnsegfm.base.processes import child_environment


@pytest.fixture(autouse=True)
def large_computer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(48)), raising=False)


def groups(root: Path, lines: str, files: dict[str, str]) -> Path:
    for name, content in {"proc/self/cgroup": lines, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


@pytest.mark.parametrize(
    ("lines", "files", "count"),
    [
        ("0::/a/b\n", {"sys/fs/cgroup/a/b/cpu.max": "400000 100000\n"}, 4),
        ("0::/a/b\n", {"sys/fs/cgroup/a/b/cpu.max": "max 100000\n", "sys/fs/cgroup/a/cpu.max": "250000 100000"}, 3),
        ("0::/a/b\n", {"sys/fs/cgroup/cpu.max": "50000 100000"}, 1),  # a container sees its group at the top
        ("0::/\n", {"sys/fs/cgroup/cpu.max": "max 100000"}, 48),
        ("4:cpu,cpuacct:/docker/x\n0::/\n", {
            "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us": "800000",
            "sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000",
        }, 8),
        ("1:cpu:/docker/x\n", {
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        }, 48),
        ("rubbish\n::\n0::/../..\n", {"sys/fs/cgroup/cpu.max": "\0\0 what"}, 48),
    ],
)  # fmt: skip
def test_the_least_of_all_limits_counts(tmp_path: Path, lines: str, files: dict[str, str], count: int) -> None:
    assert cpu_count(groups(tmp_path, lines, files)) == count


def test_without_control_groups_the_processors_it_is_bound_to_count(tmp_path: Path) -> None:
    assert cpu_count(tmp_path) == 48


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux")
def test_a_process_that_is_bound_to_one_cpu_counts_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from lnsegfm.base.computer.cpu_count import cpu_count; print(cpu_count())"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=child_environment()
    )
    assert answer.stdout.strip() == "1"
