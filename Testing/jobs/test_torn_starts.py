"""Starts that are cut short: whether a job is still starting is asked of processes, not of clocks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lnsegfm.base.errors import UserError
from lnsegfm.base.processes import process_start_time
from lnsegfm.jobs import job_store
from lnsegfm.jobs.job_spec import CaseRef, JobSpec
from lnsegfm.jobs.job_store import Job, JobStore

GARBAGE = [b"", b"{", b"[]", b"7", b"\0" * 40, b'{"pid": "x"}', b'{"pid": 1}', b"[" * 100_000, None]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return JobStore(tmp_path / "jobs").create(JobSpec("base", "ab", (CaseRef("case-0001", 1),)))


@pytest.fixture
def other() -> Iterator[dict[str, Any]]:
    """Another process that lives, as a starter."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield {"starter": process.pid, "starter_started": process_start_time(process.pid)}
    process.communicate(b"\n")


def announce(job: Job, **status: Any) -> None:
    (job.path / "status.json").write_text(json.dumps({"state": "starting", "updated": time.time(), **status}))


GONE: dict[str, Any] = {"starter": 4_000_000, "starter_started": 1.0}


@pytest.mark.parametrize("ahead_s", [-1e9, 0.0, 1e9])
def test_a_start_whose_starter_is_gone_is_over_whatever_the_clock_says(job: Job, ahead_s: float) -> None:
    announce(job, **GONE, updated=time.time() + ahead_s)
    assert job.status().state == "interrupted" and job.can_resume


@pytest.mark.parametrize("ahead_s", [-1e9, 0.0, 1e9])
def test_a_start_is_under_way_while_its_starter_lives(job: Job, other: dict[str, Any], ahead_s: float) -> None:
    announce(job, **other, updated=time.time() + ahead_s)
    assert job.status().state == "starting"
    with pytest.raises(UserError, match="running already"):
        job.start([sys.executable, "-c", ""])


def test_a_start_of_an_earlier_version_without_its_starter_is_over(job: Job) -> None:
    announce(job, updated=time.time() + 1e6)
    assert job.status().state == "interrupted"


@pytest.mark.parametrize("content", GARBAGE, ids=str)
def test_a_damaged_launch_file_does_not_keep_a_job_starting(job: Job, content: bytes | None) -> None:
    announce(job, **GONE)
    launch = job.path / "launch.json"
    launch.mkdir() if content is None else launch.write_bytes(content)
    status = job.status()
    assert status.state == "damaged" and "launch.json" in (status.error or {})["why"] and job.can_resume
    with pytest.raises(UserError, match="cannot be started"):
        job.start(["/nothing/to/be/started"])
    assert job.status().state == "failed"


def test_the_process_that_was_started_keeps_a_job_starting(job: Job, other: dict[str, Any]) -> None:
    announce(job, **GONE)
    launched = {"pid": other["starter"], "pid_started": other["starter_started"]}
    (job.path / "launch.json").write_text(json.dumps(launched))
    assert job.status().state == "starting"


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_a_start_that_fails_in_a_program_that_lives_on_is_over(
    job: Job, monkeypatch: pytest.MonkeyPatch, error: Any
) -> None:
    write_json = job_store.write_json

    def cut_short(path: Path, value: Any) -> None:
        if path.name == "launch.json" or value.get("state") == "failed":
            raise error
        write_json(path, value)

    def not_started(*_: Any) -> int:
        raise error

    monkeypatch.setattr(job_store, "write_json", cut_short)
    monkeypatch.setattr(job_store, "start_detached", not_started)
    with pytest.raises((KeyboardInterrupt, UserError)):
        job.start([sys.executable, "-c", ""])
    written = json.loads((job.path / "status.json").read_text())
    assert (written["state"], written["starter"]) == ("starting", os.getpid())
    assert job.status().state == "interrupted" and job.can_resume
