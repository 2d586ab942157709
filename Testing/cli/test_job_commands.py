"""``lnsegfm jobs`` and following a job."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lnsegfm.base.files import write_json
from lnsegfm.base.home import Home
from lnsegfm.cli import main
from lnsegfm.jobs.job_spec import CaseRef, JobSpec
from lnsegfm.jobs.job_status import CANCEL, PAUSE, STATUS, JobStatus
from lnsegfm.jobs.job_store import Job, JobStore
from lnsegfm.jobs.job_writer import JobWriter


@pytest.fixture
def job(own_home: Home) -> Job:
    return JobStore(own_home.jobs).create(
        JobSpec("phantom-demonstration", "ab", (CaseRef("case-0001", 1),), epochs=2, iterations_per_epoch=100)
    )


def set_status(job: Job, state: str, **values: object) -> None:
    write_json(job.path / STATUS, JobStatus(state, iterations=200, **values).to_json())  # type: ignore[arg-type]


def test_a_running_job_is_paused_and_cancelled(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    with JobWriter(job.path):
        assert main(["jobs", "pause", "job-0001"]) == 0
        assert f"lnsegfm jobs resume {job.id}" in capsys.readouterr().out
        assert (job.path / PAUSE).exists()
        assert main(["jobs", "cancel", "job-0001", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"job": job.id}
        assert (job.path / CANCEL).exists()


@pytest.mark.parametrize("state", ["done", "failed", "cancelled"])
@pytest.mark.parametrize("verb", ["cancel", "pause"])
def test_a_job_that_has_finished_is_neither_cancelled_nor_paused(
    job: Job, state: str, verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_status(job, state)
    assert main(["jobs", verb, job.id]) == 1
    printed = capsys.readouterr()
    assert "has already finished" in printed.err and printed.out == ""
    assert not (job.path / CANCEL).exists() and not (job.path / PAUSE).exists()


def test_show_and_log_tell_what_was_asked_and_what_happened(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    set_status(job, "failed", error={"what": "Broken."})
    (job.path / "log.txt").write_text("one\ntwo\n")
    assert main(["jobs", "show", "job-0001", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["id"], shown["status"]["state"], shown["spec"]["epochs"]) == (job.id, "failed", 2)
    assert main(["jobs", "show", "job-0001"]) == 0
    assert "case-0001 v1" in capsys.readouterr().out
    assert main(["jobs", "log", "job-0001", "-n", "1"]) == 0
    assert capsys.readouterr().out == "two\n"
    assert main(["jobs", "remove", "job-0001"]) == 0
    assert main(["jobs", "show", "job-0001"]) == 1


def test_a_state_of_a_newer_version_is_shown_as_it_is(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    set_status(job, "requeued", stage="Waiting for cuda:0")
    assert main(["jobs", "list"]) == 0
    listed = capsys.readouterr().out
    assert "requeued" in listed and "Waiting for cuda:0" in listed


@pytest.mark.parametrize(
    ("state", "values", "code", "said"),
    [
        ("done", {"model_id": "ours", "metrics": {"mean": {"before": {"dsc": 0.1, "nsd": None},
                                                           "after": {"dsc": 0.2, "nsd": None}}}}, 0, "0.100 -> 0.200"),
        ("paused", {}, 0, "lnsegfm jobs resume"),
        ("failed", {"error": {"what": "Broken."}}, 1, "Broken."),
        ("cancelled", {}, 130, "was cancelled"),
        ("interrupted", {}, 1, "ended unexpectedly"),
    ],
)  # fmt: skip
def test_watching_tells_what_came_of_a_job(
    job: Job, state: str, values: dict[str, object], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    set_status(job, state, **values)
    assert main(["jobs", "watch", job.id]) == code
    printed = capsys.readouterr()
    assert said in printed.out + printed.err


def test_watching_as_json_is_one_document(job: Job, capsys: pytest.CaptureFixture[str]) -> None:
    set_status(job, "done", model_id="ours")
    assert main(["jobs", "watch", job.id, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"job": job.id, "state": "done", "model": "ours", "holdout": {}, "notes": []}


@contextmanager
def watching(job: Job, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "lnsegfm.cli", "jobs", "watch", job.id, *options]
    # A shell that starts the tests in the background lets them, and so their children, ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to a child")
@pytest.mark.parametrize("stop", [False, True])
def test_ctrl_c_says_that_the_job_continues_or_stops(job: Job, stop: bool) -> None:
    with JobWriter(job.path) as writer, watching(job, *(["--stop-on-interrupt"] if stop else [])) as process:
        writer.status(stage="Training", iteration=1, iterations=200)
        assert process.stderr is not None
        assert any("Training" in line for line in iter(process.stderr.readline, ""))
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        assert (job.path / CANCEL).exists() == stop
        expected = "resume" if stop else "watch"
        assert f"lnsegfm jobs {expected} {job.id}" in errors
        assert ("continues in the background" in errors) != stop
        assert "cancelled" not in errors


def test_without_a_terminal_progress_is_a_few_lines(job: Job) -> None:
    with watching(job) as process:
        with JobWriter(job.path) as writer:
            for iteration in range(1, 201):
                writer.status(stage="Training", iteration=iteration, iterations=200, loss=0.5)
                time.sleep(0.01)
            writer.done("ours", {})
        out, errors = process.communicate(timeout=60)
    assert process.returncode == 0 and "ours" in out
    assert len(errors.splitlines()) <= 14
    assert "200/200 it" in errors and "loss 0.500" in errors
