"""The runner's side of a job folder: locks, last words and full disks."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.jobs import job_writer as writer_module
from lnsegfm.jobs.job_spec import CaseRef, JobSpec
from lnsegfm.jobs.job_store import Job, JobStore
from lnsegfm.jobs.job_writer import JobWriter


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return JobStore(tmp_path / "jobs").create(JobSpec("base", "ab", (CaseRef("case-0001", 1),)))


def stored(job: Job) -> dict[str, Any]:
    return json.loads((job.path / "status.json").read_text(encoding="utf-8"))


def no_space(*_: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_job_at_work_is_running_and_tells_how_far_it_is(job: Job) -> None:
    with JobWriter(job.path) as writer:
        writer.status(stage="training", device="cpu", iterations=10)
        status = job.status()
        assert (status.state, status.stage, status.pid) == ("running", "training", os.getpid())
        writer.append({"iteration": 1, "loss": 0.5})
        assert job.progress() == [{"iteration": 1, "loss": 0.5}]
        writer.done("model-1", {"before": 0.2, "after": 0.5})
    assert (job.status().state, job.status().model_id) == ("done", "model-1")


def test_a_second_writer_is_refused_and_the_first_is_not_disturbed(job: Job) -> None:
    with JobWriter(job.path) as writer:
        writer.status(stage="training")
        with pytest.raises(UserError, match="running already"), JobWriter(job.path):
            pass
        with pytest.raises(UserError, match="running already"):
            job.start(["true"])
        assert stored(job)["stage"] == "training"
        writer.done("model-1")


def test_the_heart_beats_while_the_work_is_silent(job: Job) -> None:
    with JobWriter(job.path, heartbeat_s=0.02) as writer:
        first = stored(job)["heartbeat"]
        deadline = time.monotonic() + 5
        while stored(job)["heartbeat"] == first:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        writer.done("model-1")
    assert not [thread for thread in threading.enumerate() if thread.name == "job heartbeat"]


def test_frequent_changes_reach_the_disk_by_the_heartbeat_at_the_latest(job: Job) -> None:
    with JobWriter(job.path, heartbeat_s=0.05) as writer:
        for iteration in range(200):
            writer.status(iteration=iteration)
        deadline = time.monotonic() + 5
        while stored(job)["iteration"] != 199:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        writer.done("model-1")


@pytest.mark.parametrize(
    ("error", "state", "text"),
    [
        (UserError("The base model has gone.", "It was removed.", "Install it."), "failed", "It was removed."),
        (RuntimeError("CUDA out of memory"), "failed", "CUDA out of memory"),
        (MemoryError(), "failed", "ran out of memory"),
        (OSError(errno.ENOSPC, "No space left on device", "checkpoint.pth"), "failed", "checkpoint.pth"),
    ],
)
def test_an_exception_becomes_the_recorded_reason_and_goes_on(
    job: Job, error: Exception, state: str, text: str
) -> None:
    with pytest.raises(type(error)), JobWriter(job.path):
        raise error
    status = job.status()
    assert status.state == state and status.error is not None and text in status.error["why"]
    assert job.can_resume


def test_cancelled_work_is_recorded_as_cancelled(job: Job) -> None:
    with pytest.raises(Cancelled), JobWriter(job.path) as writer:
        assert not writer.cancelled()
        job.cancel()
        assert writer.cancelled()
        raise Cancelled
    assert job.status().state == "cancelled" and job.status().error is None


def test_work_that_is_stopped_from_outside_is_interrupted(job: Job) -> None:
    with pytest.raises(KeyboardInterrupt), JobWriter(job.path):
        raise KeyboardInterrupt
    assert job.status().state == "interrupted" and job.can_resume


def test_work_that_ends_without_a_result_has_failed(job: Job) -> None:
    with JobWriter(job.path):
        pass
    assert job.status().state == "failed"


def test_the_first_reason_stays(job: Job) -> None:
    with JobWriter(job.path) as writer:
        writer.failed(UserError("First."))
        writer.failed(UserError("Second."))
        writer.status(stage="late")
        writer.done("model-1")
    assert (job.status().state, job.status().message, job.status().stage) == ("failed", "First.", "")


def test_metrics_that_cannot_be_stored_fail_the_job_and_not_silently(job: Job) -> None:
    with pytest.raises(TypeError), JobWriter(job.path) as writer:
        writer.done("model-1", {"dsc": object()})
    assert job.status().state == "failed"


def test_a_disk_that_fills_up_ends_the_job_with_that_reason(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    real = writer_module.write_json
    reserve = job.path / "reserve"

    def full_until_the_reserve_is_given_up(path: Path, value: Any) -> None:
        if reserve.exists() and value["iteration"]:
            no_space()
        real(path, value)

    with pytest.raises(UserError, match="disk is full"), JobWriter(job.path) as writer:
        monkeypatch.setattr(writer_module, "write_json", full_until_the_reserve_is_given_up)
        writer.status(stage="training", iteration=1)
    status = job.status()
    assert status.state == "failed" and status.error is not None and status.error["what"] == "The disk is full."
    assert not reserve.exists()


def test_a_full_disk_does_not_hide_why_the_work_failed(
    job: Job, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="the true reason"), JobWriter(job.path):
        monkeypatch.setattr(writer_module, "write_json", no_space)
        raise ValueError("the true reason")
    assert "the true reason" in capfd.readouterr().err


def test_a_missed_heartbeat_does_not_end_the_work(
    job: Job, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    real = writer_module.write_json
    with JobWriter(job.path, heartbeat_s=0.01) as writer:
        monkeypatch.setattr(writer_module, "write_json", no_space)
        time.sleep(0.1)
        monkeypatch.setattr(writer_module, "write_json", real)
        writer.done("model-1")
    assert job.status().state == "done"
    assert capfd.readouterr().err.count("No heartbeat") == 1


def test_a_resumed_job_goes_on_after_a_torn_line(job: Job) -> None:
    (job.path / "progress.jsonl").write_bytes(b'{"iteration": 1, "loss": 2.0}\n{"iteration": 2, "lo')
    with JobWriter(job.path) as writer:
        writer.append({"iteration": 2, "loss": 1.0})
        writer.done("model-1")
    assert [row["loss"] for row in job.progress()] == [2.0, 1.0]


def test_a_resumed_job_keeps_how_far_it_was_and_forgets_the_old_error(job: Job) -> None:
    with pytest.raises(UserError), JobWriter(job.path) as writer:
        writer.status(stage="training", iteration=40, iterations=100)
        raise UserError("Out of memory.")
    with JobWriter(job.path) as writer:
        status = job.status()
        assert (status.state, status.iteration, status.error) == ("running", 40, None)
        writer.done("model-1")


def test_a_resumed_job_clears_away_what_its_predecessor_left_half_written(job: Job) -> None:
    rest, launch = job.path / ".tmp-12345678-checkpoint.pth", job.path / ".tmp-12345678-launch.json"
    rest.write_bytes(b"half a checkpoint")
    launch.write_bytes(b"{")
    with JobWriter(job.path) as writer:
        writer.done("model-1")
    assert not rest.exists() and launch.exists()


def test_paused_work_is_recorded_as_paused_and_a_cancel_goes_before_it(job: Job) -> None:
    with pytest.raises(Cancelled), JobWriter(job.path) as writer:
        job.pause()
        assert writer.cancelled()
        raise Cancelled
    assert job.status().state == "paused" and job.can_resume
    with pytest.raises(Cancelled), JobWriter(job.path):
        job.cancel()
        raise Cancelled
    assert job.status().state == "cancelled"


def test_nothing_happens_when_nobody_works_on_a_job_that_is_to_be_paused(job: Job) -> None:
    job.pause()
    assert job.status().state == "created" and not (job.path / "pause").exists()
