"""Fine-tuning jobs from the outside: processes that die, start twice, are cancelled and resumed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import LNSegFMFineTuneLib
from lnsegfm.base.errors import UserError
from lnsegfm.base.processes import child_environment, kill_tree
from lnsegfm.jobs.job_spec import PRESETS, CaseRef, JobSpec
from lnsegfm.jobs.job_store import Job, JobStore

RUNNER = '''
import sys, time
from pathlib import Path
from lnsegfm.jobs.job_writer import JobWriter
from lnsegfm.base.errors import Cancelled

path, mode = Path(sys.argv[1]), sys.argv[2]
print("runner is up", flush=True)
with JobWriter(path, heartbeat_s=0.05) as writer:
    writer.status(stage="training", iterations=3)
    for iteration in range(1, 4):
        writer.append({"iteration": iteration, "loss": 1.0 / iteration, "lr": 0.1, "seconds": 0.01})
        writer.status(iteration=iteration)
    while mode == "endless":
        if writer.cancelled():
            raise Cancelled
        time.sleep(0.01)
    writer.done("adapted-1", {"dsc": 0.5})
'''


def spec(**changes: Any) -> JobSpec:
    return JobSpec(**{"base_model": "base", "base_sha256": "ab", "cases": (CaseRef("case-0001", 1),), **changes})


def until(condition: Callable[[], object], what: str, timeout_s: float = 15.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited too long: {what}"
        time.sleep(0.01)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    store = JobStore(tmp_path / "home" / "jobs")
    yield store
    for job in store.list():
        until(lambda job=job: job.status().state != "starting", "the runner has taken over")  # type: ignore[misc]
        if job.status().active:
            kill_tree(job.status().pid)


@pytest.fixture
def command(tmp_path: Path) -> Callable[[Job, str], list[str]]:
    script = tmp_path / "fake_runner.py"
    script.write_text(RUNNER, encoding="utf-8")
    return lambda job, mode: [sys.executable, str(script), str(job.path), mode]


Command = Callable[[Job, str], list[str]]


def started(store: JobStore, command: Command, mode: str) -> Job:
    job = store.create(spec())
    job.start(command(job, mode))
    return job


def test_a_new_job_waits_and_is_found_again(store: JobStore) -> None:
    job = store.create(spec(name="Ours", epochs=2, iterations_per_epoch=7))
    assert job.status().state == "created" and job.status().iterations == 14
    assert job.can_resume, "a start that was cut short must not leave the job without a way on"
    assert [found.id for found in store.list()] == [job.id]
    again = store.get(job.id)
    assert again.spec == job.spec and again.created == job.created
    with pytest.raises(UserError, match="no job"):
        store.get("../jobs")


def test_jobs_are_numbered_and_unfinished_folders_do_not_count(store: JobStore) -> None:
    first, second = store.create(spec()), store.create(spec())
    assert first.id.startswith("job-0001-") and second.id.startswith("job-0002-")
    (store.root / "job-0003-abcdef").mkdir()
    assert [job.id for job in store.list()] == [first.id, second.id]


def test_the_id_of_a_removed_job_is_not_used_again(store: JobStore) -> None:
    ids = set()
    for _ in range(3):
        job = store.create(spec())
        ids.add(job.id)
        job.remove()
    assert len(ids) == 3


def test_a_job_runs_detached_until_it_is_done(store: JobStore, command: Command) -> None:
    job = started(store, command, "quick")
    assert job.status().state in ("starting", "running", "done")
    until(lambda: job.status().state == "done", "the job is done")
    status = job.status()
    assert (status.model_id, status.metrics, status.iteration) == ("adapted-1", {"dsc": 0.5}, 3)
    assert [row["iteration"] for row in job.progress()] == [1, 2, 3]
    assert [row["iteration"] for row in job.progress(after=2)] == [3]
    assert job.log_tail() == ["runner is up"]
    with pytest.raises(UserError, match="done already"):
        job.start(command(job, "quick"))
    assert not job.can_resume


def test_a_second_start_is_refused_in_this_and_in_another_process(store: JobStore, command: Command) -> None:
    job = started(store, command, "endless")
    with pytest.raises(UserError, match="running already"):
        job.start(command(job, "endless"))
    until(lambda: job.status().state == "running", "the job runs")
    with pytest.raises(UserError, match="running already"):
        store.get(job.id).start(command(job, "endless"))
    code = (
        "import sys; from pathlib import Path; from lnsegfm.jobs.job_store import Job\n"
        "try: Job(Path(sys.argv[1])).start(sys.argv[2:])\n"
        "except Exception as error: print(error)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, str(job.path), *command(job, "endless")], env=_environment(),
        capture_output=True, text=True, check=True,
    )
    assert "running already" in answer.stdout
    pid = job.status().pid
    runner = subprocess.run(command(job, "quick"), env=_environment(), capture_output=True, text=True)
    assert runner.returncode != 0 and "running already" in runner.stderr
    assert job.status().state == "running" and job.status().pid == pid


def test_of_many_starts_at_once_exactly_one_succeeds(store: JobStore, command: Command) -> None:
    job = store.create(spec())
    code = (
        "import sys, time; from pathlib import Path; from lnsegfm.jobs.job_store import Job\n"
        "job = Job(Path(sys.argv[1])); print('ready', flush=True); sys.stdin.readline()\n"
        "try: job.start(sys.argv[2:]); print('started')\n"
        "except Exception as error: print('refused')"
    )
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(job.path), *command(job, "endless")], env=_environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(3)
    ]
    for starter in starters:
        assert starter.stdout is not None and starter.stdout.readline() == "ready\n"
    answers = []
    for starter in starters:
        assert starter.stdin is not None
        starter.stdin.write("\n")
        starter.stdin.flush()
    answers = [starter.communicate()[0].strip() for starter in starters]
    assert sorted(answers) == ["refused", "refused", "started"]


def test_cancel_ends_a_job_and_resume_takes_it_up_again(store: JobStore, command: Command) -> None:
    job = started(store, command, "endless")
    until(lambda: job.status().iteration == 3, "the job runs")
    with pytest.raises(UserError, match="Cancel it first"):
        job.remove()
    job.cancel()
    until(lambda: job.status().state == "cancelled", "the job is cancelled")
    assert job.can_resume
    first = job.status().pid
    job.resume(command(job, "endless"))
    until(lambda: job.status().state == "running" and job.status().pid != first, "the resumed job runs")
    time.sleep(0.1)
    assert job.status().state == "running", "the old cancel must not end the resumed job"
    job.cancel()
    until(lambda: job.status().state == "cancelled", "the job is cancelled again")
    job.resume(command(job, "quick"))
    until(lambda: job.status().state == "done", "the resumed job is done")
    until(lambda: not (job.path / "reserve").exists(), "the runner has let go of the folder")
    job.remove()
    assert store.list() == []


def test_a_cancel_of_a_job_that_nobody_works_on_does_not_linger(store: JobStore, command: Command) -> None:
    job = store.create(spec())
    job.cancel()
    job.start(command(job, "quick"))
    until(lambda: job.status().state == "done", "the job is done")


@pytest.mark.skipif(os.name == "nt", reason="SIGKILL")
def test_models_and_cases_of_a_running_job_are_known_and_its_voxels_stay(store: JobStore, command: Command) -> None:
    job = started(store, command, "endless")
    (job.path / "work").mkdir()
    case = job.spec.cases[0].id
    assert store.users_of(model=job.spec.base_model) == store.users_of(case=case) == [job.id]
    assert store.users_of(model="another", case="case-9999") == []
    store.forget_voxels()
    assert (job.path / "work").is_dir()
    job.cancel()
    until(lambda: job.status().state == "cancelled", "cancelled")
    assert store.users_of(case=case) == []
    (job.path / "work").mkdir(exist_ok=True)
    store.forget_voxels()
    assert not (job.path / "work").exists()


def test_a_start_without_a_python_changes_nothing(store: JobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise UserError("There is no Python.")

    monkeypatch.setattr("lnsegfm.jobs.job_store.python_executable", none)
    job = store.create(spec())
    with pytest.raises(UserError, match="no Python"):
        job.start()
    assert job.status().state == "created"


def test_a_killed_runner_leaves_an_interrupted_job_that_resumes(store: JobStore, command: Command) -> None:
    job = started(store, command, "endless")
    until(lambda: job.status().iteration == 3, "the job runs")
    os.kill(job.status().pid, signal.SIGKILL)
    until(lambda: job.status().state == "interrupted", "the death is noticed")
    assert store.get(job.id).can_resume
    job.resume(command(job, "quick"))
    until(lambda: job.status().state == "done", "the resumed job is done")


@pytest.mark.parametrize(
    ("program", "part", "said"),
    [("raise SystemExit('It is Monday.')", "why", "It is Monday."),
     ("import no_such_module_at_all", "what", "no_such_module_at_all is missing")],
)  # fmt: skip
def test_a_runner_that_dies_before_it_works_shows_what_it_said(
    store: JobStore, program: str, part: str, said: str
) -> None:
    job = store.create(spec())
    job.start([sys.executable, "-c", program])
    until(lambda: job.status().state == "interrupted", "the death is noticed")
    error = job.status().error
    assert error is not None and said in error[part]
    assert job.can_resume


def test_a_program_that_does_not_exist_is_a_failure_with_a_reason(store: JobStore, tmp_path: Path) -> None:
    job = store.create(spec())
    with pytest.raises(UserError, match="cannot be started"):
        job.start([str(tmp_path / "nothing")])
    assert job.status().state == "failed" and job.can_resume


def test_a_pid_that_belongs_to_another_process_by_now_does_not_keep_a_job_alive(store: JobStore) -> None:
    job = store.create(spec())
    status = {"state": "running", "pid": os.getpid(), "pid_started": 1.0, "heartbeat": time.time()}
    (job.path / "status.json").write_text(json.dumps(status))
    assert job.status().state == "interrupted"


def test_a_job_with_an_unreadable_status_is_damaged_and_resumes(store: JobStore, command: Command) -> None:
    job = store.create(spec())
    for content in ("{", "[]"):
        (job.path / "status.json").write_text(content)
        assert job.status().state == "damaged" and job.can_resume
    job.resume(command(job, "quick"))
    until(lambda: job.status().state == "done", "the resumed job is done")


def test_a_torn_last_line_of_the_progress_is_left_for_later(store: JobStore) -> None:
    job = store.create(spec())
    path = job.path / "progress.jsonl"
    path.write_bytes(b'{"iteration": 1, "loss": 2.0}\n{"iteration": 2, "lo')
    assert [row["iteration"] for row in job.progress()] == [1]
    with path.open("ab") as stream:
        stream.write(b'ss": 1.0}\n\0\0\0\n{"iteration": 3, "loss": 0.5}\n')
    assert [row["loss"] for row in job.progress(after=1)] == [1.0, 0.5]


def test_iterations_done_again_after_a_resume_replace_the_earlier_ones(store: JobStore) -> None:
    job = store.create(spec())
    rows = [(1, 0.9), (2, 0.8), (3, 0.7), (2, 0.75), (3, 0.65)]
    lines = "".join(json.dumps({"iteration": iteration, "loss": loss}) + "\n" for iteration, loss in rows)
    (job.path / "progress.jsonl").write_text(lines)
    assert [(row["iteration"], row["loss"]) for row in job.progress()] == [(1, 0.9), (2, 0.75), (3, 0.65)]


def test_a_damaged_job_file_does_not_hide_the_other_jobs(store: JobStore) -> None:
    broken, fine = store.create(spec()), store.create(spec())
    (broken.path / "job.json").write_text("[]")
    assert [job.id for job in store.list()] == [fine.id]
    with pytest.raises(UserError, match=r"job\.json"):
        store.get(broken.id)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("cases", ()), ("cases", (CaseRef("a", 1), CaseRef("a", 2))), ("cases", (CaseRef("a", 0),)),
        ("holdout", (CaseRef("case-0001", 2),)), ("reference", (CaseRef("case-0001", 1),)),
        ("epochs", 0), ("epochs", 1.5), ("epochs", True),
        ("learning_rate", 0.0), ("learning_rate", float("nan")), ("learning_rate", "0.1"), ("momentum", 1.0),
        ("gamma", 0), ("granularity", "row"), ("step_rule", "adam"), ("clip_norm", -1.0), ("seed", -1),
        ("device", "gpu"), ("checkpoint_seconds", 0), ("loader_processes", -2), ("loader_processes", 1500),
        ("epochs", 10**9), ("batch_size", 10**6), ("seed", 1 << 70), ("learning_rate", 1e300), ("base_model", ""),
        ("name", None),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(UserError, match=f"'{field}\\b"):
        spec(**{field: value})


@pytest.mark.parametrize("change", [{"typo": 1}, {"cases": [{"id": "a"}]}, {"cases": "case-0001"}])
def test_a_stored_spec_is_read_strictly(change: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"'{next(iter(change))}\\b"):
        JobSpec.from_json({**spec().to_json(), **change})


def test_a_stored_spec_without_a_base_model_is_refused() -> None:
    values = spec().to_json()
    del values["base_model"]
    with pytest.raises(UserError, match="'base_model' is missing"):
        JobSpec.from_json(values)


@given(
    epochs=st.integers(1, 1000), rate=st.floats(1e-9, 10), gamma=st.integers(1, 99),
    granularity=st.sampled_from(["kernel", "filter"]),
    name=st.text(st.characters(exclude_characters="\0"), max_size=20),
    versions=st.lists(st.integers(1, 99), min_size=1, max_size=5),
)
def test_a_spec_survives_its_way_through_json(
    epochs: int, rate: float, gamma: int, granularity: str, name: str, versions: list[int]
) -> None:
    cases = tuple(CaseRef(f"case-{number:04d}", version) for number, version in enumerate(versions))
    before = spec(epochs=epochs, learning_rate=rate, gamma=gamma, granularity=granularity, name=name, cases=cases)
    assert JobSpec.from_json(json.loads(json.dumps(before.to_json()))) == before
    assert before.steps == epochs * before.iterations_per_epoch


def test_the_defaults_are_the_papers_and_every_preset_is_usable() -> None:
    assert spec() == spec(**PRESETS["paper"])
    assert (spec().steps, spec().batch_size, spec().gamma) == (12_500, 2, 1)
    assert spec(**PRESETS["short"]).step_rule == "plain"


def _environment() -> dict[str, str]:
    return child_environment([Path(LNSegFMFineTuneLib.__file__).parent.parent])
