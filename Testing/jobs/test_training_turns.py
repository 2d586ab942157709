"""Trainings of one computer take turns: who waits, in which order, and what ends the waiting."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from finetune_panel import (  # noqa: F401 - fixtures
    Panel,
    adapted,
    app,
    case_template,
    cases,
    home,
    opened,
    panel,
)
from lnsegfm.base.errors import UserError
from lnsegfm.base.files import read_json, write_json
from lnsegfm.base.processes import kill_tree
from lnsegfm.cli import main
from lnsegfm.jobs.job_spec import CaseRef, JobSpec
from lnsegfm.jobs.job_status import JobStatus
from lnsegfm.jobs.job_store import Job, JobStore
from lnsegfm.jobs.training_turn import device_key

RUNNER = '''
import os, sys, time
from pathlib import Path
from lnsegfm.jobs.job_store import Job
from lnsegfm.jobs.training_turn import training_turn
from lnsegfm.jobs.job_writer import JobWriter
from lnsegfm.base.errors import Cancelled
from lnsegfm.base.home import Home

if "PLAYED_CLOCK" in os.environ:
    time.time = lambda: float(os.environ["PLAYED_CLOCK"])
folder = Path(sys.argv[1])
with JobWriter(folder, heartbeat_s=0.1) as writer, training_turn(writer, Home.default(), Job(folder).spec.device):
    writer.status(stage="training")
    (folder.parent / "order").open("a").write(folder.name + "\\n")
    while not (folder / "go").exists():
        if writer.cancelled():
            raise Cancelled
        time.sleep(0.01)
    writer.done("adapted-1")
'''


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"waited too long: {what}"
        time.sleep(0.02)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobStore]:
    monkeypatch.setenv("LNSEGFM_HOME", str(tmp_path / "home"))
    store = JobStore(tmp_path / "home" / "jobs")
    yield store
    for job in store.list():
        until(lambda job=job: job.status().state != "starting", "the runner has taken over")  # type: ignore[misc]
        if job.status().active:
            kill_tree(job.status().pid)


@pytest.fixture
def start(store: JobStore, tmp_path: Path) -> Callable[..., Job]:
    script = tmp_path / "runner.py"
    script.write_text(RUNNER, encoding="utf-8")

    def start(state: str, job: Job | None = None, device: str = "cpu") -> Job:
        spec = JobSpec(base_model="base", base_sha256="ab", cases=(CaseRef("case-0001", 1),), device=device)
        job = job or store.create(spec)
        job.start([sys.executable, str(script), str(job.path)])
        until(lambda: job.status().state == state, f"{job.id} to be {state}")
        return job

    return start


Start = Callable[..., Job]


def test_a_second_training_waits_and_starts_by_itself(start: Start) -> None:
    first = start("running")
    second = start("queued")
    assert second.status().waits_for == first.id and second.status().active
    (first.path / "go").touch()
    until(lambda: second.status().state == "running", "the second one's turn")
    assert first.status().state == "done" and second.status().waits_for == ""
    (second.path / "go").touch()
    until(lambda: second.status().state == "done", "its end")


def test_they_start_in_the_order_in_which_they_came(start: Start, store: JobStore) -> None:
    jobs = [start("running"), start("queued"), start("queued")]
    jobs.append(start("queued", store.create(jobs[0].spec)))
    for job in jobs:
        (job.path / "go").touch()
    until(lambda: store.list()[-1].status().state == "done", "the last one's end")
    assert (store.root / "order").read_text().split() == [job.id for job in store.list()]


def test_a_clock_that_is_set_does_not_change_the_order(start: Start, store: JobStore) -> None:
    jobs = [start("running"), start("queued")]
    for clock in ("86400.0", "4e9", "1e9"):
        job = store.create(jobs[0].spec)
        job.environment["PLAYED_CLOCK"] = clock
        jobs.append(start("queued", job))
    for job in jobs:
        (job.path / "go").touch()
    until(lambda: all(job.status().state == "done" for job in jobs), "the end of all")
    assert (store.root / "order").read_text().split() == [job.id for job in jobs]


def test_a_job_that_is_killed_lets_the_next_one_start(start: Start) -> None:
    first, second = start("running"), start("queued")
    os.kill(first.status().pid, signal.SIGKILL)
    until(lambda: second.status().state == "running", "the second one's turn")
    assert first.status().state == "interrupted"


def test_a_queued_job_that_is_killed_is_interrupted_and_nobody_waits_for_it(start: Start) -> None:
    first, second, third = start("running"), start("queued"), start("queued")
    os.kill(second.status().pid, signal.SIGKILL)
    until(lambda: second.status().state == "interrupted", "the death to show")
    (first.path / "go").touch()
    until(lambda: third.status().state == "running", "the third one's turn")
    assert second.can_resume


@pytest.mark.parametrize(("end", "state"), [("cancel", "cancelled"), ("pause", "paused")])
def test_a_queued_job_can_be_ended_and_resumed(start: Start, end: str, state: str) -> None:
    first, second = start("running"), start("queued")
    with pytest.raises(UserError, match="is running"):
        second.remove()
    getattr(second, end)()
    until(lambda: second.status().state == state, f"the job to be {state}")
    start("queued", second)
    (first.path / "go").touch()
    until(lambda: second.status().state == "running", "its turn")


def test_other_devices_do_not_wait(start: Start) -> None:
    start("running", device="cuda:0")
    start("queued", device="cuda")
    start("running", device="cuda:1")
    start("running", device="cpu")


@pytest.mark.parametrize(("free", "key"), [(1 << 30, "cuda-0"), (None, "cpu")])
def test_automatic_means_the_first_gpu_or_the_processor(
    monkeypatch: pytest.MonkeyPatch, free: int | None, key: str
) -> None:
    monkeypatch.setattr("lnsegfm.jobs.training_turn.free_gpu_bytes", lambda device: free)
    assert [device_key(name) for name in ("auto", "cpu", "mps", "cuda", "cuda:2")] == [
        key, "cpu", "mps", "cuda-0", "cuda-2"
    ]


def test_a_status_of_before_the_queue_is_read(start: Start) -> None:
    job = start("running")
    values = {name: value for name, value in read_json(job.path / "status.json").items() if "queue" not in name}
    values.pop("waits_for")
    assert JobStatus.from_json(values).state == "running"
    (job.path / "go").touch()
    until(lambda: job.status().state == "done", "its end")
    write_json(job.path / "status.json", {**values, "state": "done"})
    assert job.status().state == "done"


def test_the_command_line_lists_what_a_job_waits_for(start: Start, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = start("running"), start("queued")
    assert main(["jobs", "list"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(second.id))
    assert "queued" in line and f"waits for {first.id}" in line


def test_the_panel_queues_a_second_training_without_a_question(opened: Panel) -> None:  # noqa: F811
    turn = "JobWriter(folder, heartbeat_s=0.1) as writer, training_turn(writer, Home.default(), 'cpu'):"
    script = opened.runner.read_text().replace("JobWriter(folder, heartbeat_s=0.1) as writer:", turn)
    imports = "from lnsegfm.jobs.training_turn import training_turn\nfrom lnsegfm.base.home import Home\n"
    opened.runner.write_text(imports + script)
    opened.start(hold=3)
    first = opened.job.id
    opened.calibrator.write_text("raise SystemExit('nothing can be measured beside a training')")
    (opened.home.root / "calibrations.json").unlink(missing_ok=True)
    opened.click("startButton")
    opened.until(lambda: opened.listed_state == "queued", "the second job in the queue")
    assert opened.ui.stateLabel.text.startswith(f"Queued: starts by itself after {first}")
    assert opened.ui.pauseButton.enabled and opened.ui.cancelButton.enabled and not opened.ui.resumeButton.enabled
    assert opened.app.dialogs == []
    opened.app.select_row(opened.ui.jobsTable, 1)
    opened.until(lambda: opened.listed_job == first and "Iteration 3 /" in opened.ui.figuresLabel.text, "the first")
    opened.hold(None)
    table = opened.ui.jobsTable
    opened.until(lambda: [table.item(row, 2).text() for row in range(2)] == ["done", "done"], "the end of both")
