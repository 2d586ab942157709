"""Jobs of which a file is damaged: each is listed with the reason, hides no other, and can be removed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lnsegfm.base.errors import UserError
from lnsegfm.base.home import Home
from lnsegfm.cli import main
from lnsegfm.jobs.job_spec import CaseRef, JobSpec
from lnsegfm.jobs.job_store import Job, JobStore
from lnsegfm.jobs.job_writer import JobWriter
from lnsegfm.jobs.outcome import Evidence
from lnsegfm.session import Session

SPEC = JobSpec(base_model="base", base_sha256="ab", cases=(CaseRef("case-0001", 1),))
DEEP = b"[" * 100_000
GARBAGE = {
    "torn": b'{"state": "do', "NUL bytes": b"\0" * 400, "a list": b"[]", "a number": b"7", "nested": DEEP,
    "not UTF-8": b'{"state": "\xff"}', "NaN": b'{"loss": NaN}', "empty": b"",
}  # fmt: skip
WRONG = [
    {"state": 5}, {"state": "done", "iteration": "many"}, {"state": "done", "notes": 3}, {"state": "done", "error": []},
    {"state": "done", "metrics": {"cases": []}}, {"state": "done", "metrics": {"cases": {"a": {"before": {}}}}},
    {"state": "done", "metrics": {"cases": {"a": {"before": {"dsc": "x"}, "after": {"dsc": 1}}}}},
    {"state": "done", "metrics": {"mean": {"before": 3}}}, {"state": "done", "metrics": {"reference": {"cases": 1}}},
    {"state": "running", "pid": "7"}, {"state": "queued", "queued_since": []},
]  # fmt: skip


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobStore]:
    monkeypatch.setenv("LNSEGFM_HOME", str(tmp_path / "home"))
    yield JobStore(Home(tmp_path / "home").jobs)


def put(path: Path, content: bytes | None) -> None:
    """Write a file; None for a folder in its place."""
    if content is None:
        path.unlink(missing_ok=True)
        path.mkdir()
        (path / "inside").write_bytes(b"")
    else:
        path.write_bytes(content)


def listed_and_removed(store: JobStore, damaged: Job, fine: Job, capsys: pytest.CaptureFixture[str]) -> None:
    """What must hold for every damage."""
    with Session() as session:
        jobs = {job.id: job for job in session.jobs.list()}
        assert list(jobs) == sorted(jobs) == [damaged.id, fine.id]
        assert jobs[fine.id].state == "created" and jobs[fine.id].problem == ""
        assert jobs[damaged.id].state == "damaged" and jobs[damaged.id].problem
        assert {job.id for job in session.read_stored().jobs} == set(jobs)
    assert main(["jobs", "list", "--json"]) == 0
    rows = {row["id"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows[damaged.id]["state"] == "damaged" and rows[damaged.id]["problem"]
    assert main(["jobs", "list"]) == 0
    assert "damaged" in capsys.readouterr().out
    assert main(["jobs", "remove", damaged.id[:8]]) == 0
    assert main(["jobs", "list", "--json"]) == 0
    assert [row["id"] for row in json.loads(capsys.readouterr().out.partition("\n")[2])] == [fine.id]
    assert [path.name for path in store.root.iterdir() if path.is_dir()] == [fine.id]


@pytest.mark.parametrize("content", [*GARBAGE.values(), None], ids=[*GARBAGE, "a folder"])
@pytest.mark.parametrize("name", ["job.json", "status.json"])
def test_a_damaged_file_is_listed_with_the_reason_and_goes(
    store: JobStore, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None
) -> None:
    damaged, fine = store.create(SPEC), store.create(SPEC)
    put(damaged.path / name, content)
    listed_and_removed(store, damaged, fine, capsys)


@pytest.mark.parametrize("status", WRONG, ids=str)
def test_a_status_of_wrong_types_is_a_damaged_job(
    store: JobStore, capsys: pytest.CaptureFixture[str], status: dict[str, Any]
) -> None:
    damaged, fine = store.create(SPEC), store.create(SPEC)
    (damaged.path / "status.json").write_text(json.dumps(status))
    assert damaged.status().error is not None
    listed_and_removed(store, damaged, fine, capsys)


@pytest.mark.parametrize("name", ["progress.jsonl", "log.txt"])
@pytest.mark.parametrize("kind", ["a folder", "a pipe"])
def test_what_is_no_file_is_not_read(
    store: JobStore, capsys: pytest.CaptureFixture[str], name: str, kind: str
) -> None:
    damaged, fine = store.create(SPEC), store.create(SPEC)
    if kind == "a folder":
        put(damaged.path / name, None)
    elif hasattr(os, "mkfifo"):
        os.mkfifo(damaged.path / name)
    assert name in (damaged.status().error or {})["why"]
    for read in (damaged.progress, damaged.log_tail):
        try:
            assert read() == []
        except UserError as error:
            assert name in error.why
    with Session() as session:
        view = session.jobs.view(damaged.id, with_log=True)
        assert (view.status.state, view.rows, view.log) == ("damaged", [], "")
    listed_and_removed(store, damaged, fine, capsys)


def test_a_folder_without_a_job_and_a_file_in_its_place_can_be_removed(
    store: JobStore, capsys: pytest.CaptureFixture[str]
) -> None:
    fine = store.create(SPEC)
    (store.root / "job-0002-abcdef").mkdir()
    (store.root / "job-0003-abcdef").write_bytes(b"not a folder")
    assert [job.id for job in store.damaged()] == ["job-0002-abcdef", "job-0003-abcdef"]
    for name in ("job-0002", "job-0003"):
        assert main(["jobs", "show", name]) == 1
        assert "cannot be read" in capsys.readouterr().err
        assert main(["jobs", "remove", name]) == 0
    assert store.all()[0].id == fine.id and len(list(store.root.glob("job-*"))) == 1


def test_a_damaged_job_that_is_worked_on_is_not_removed(store: JobStore) -> None:
    job = store.create(SPEC)
    with JobWriter(job.path) as writer:
        (job.path / "job.json").write_bytes(b"{")
        (job.path / "work").mkdir()
        with pytest.raises(UserError, match="is running"):
            store.remove(job.id)
        store.forget_voxels()
        assert (job.path / "work").is_dir()
        writer.done("model")
    store.forget_voxels()
    assert not (job.path / "work").exists()
    store.remove(job.id)
    assert store.all() == []


def test_rubbish_in_the_progress_hides_no_row(store: JobStore) -> None:
    job = store.create(SPEC)
    rubbish = [
        b"[1]", b"7", b'"x"', b"\0\0", b'{"iteration": "2", "loss": 1}', b'{"iteration": 2.5}', b'{"iteration": true}',
        b'{"iteration": -4}', b'{"iteration": 1e400}', b'{"iteration": 2, "loss": []}', b'{"iteration": 2, "lr": "a"}',
        b'{"iteration": ' + b"9" * 400 + b"}", b'{"iteration": 2, "loss": ' + b"9" * 400 + b"}", DEEP,
        b'{"iteration": 2, "x": "' + b"y" * 100_000 + b'"}', b"\xff\xfe", b"{" * 5000,
    ]  # fmt: skip
    lines = [b'{"iteration": 1, "loss": 0.5}', *rubbish, b'{"iteration": 2, "loss": NaN}', *rubbish,
             b'{"iteration": 3, "loss": 1e999, "seconds": 1}', b'{"iteration": 4}']  # fmt: skip
    (job.path / "progress.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    assert [(row["iteration"], row["loss"]) for row in job.progress()] == [(1, 0.5), (2, None), (3, None), (4, None)]


def test_a_line_without_an_end_is_passed_over(store: JobStore) -> None:
    job = store.create(SPEC)
    path = job.path / "progress.jsonl"
    path.write_bytes(b'{"iteration": 1, "loss": 0.5}\n' + b"z" * (9 << 20) + b'\n{"iteration": 2, "loss": 0.25}\n')
    assert [row["loss"] for row in job.progress()] == [0.5, 0.25]
    with JobWriter(job.path) as writer:
        writer.done("model")
    assert [row["loss"] for row in job.progress()] == [0.5, 0.25]


@pytest.mark.parametrize("name", ["status.json", "progress.jsonl", "log.txt", "launch.json", "run.lock", "cancel"])
def test_what_stands_in_the_way_of_a_resumed_job_is_cleared(store: JobStore, name: str) -> None:
    job = store.create(SPEC)
    put(job.path / name, None)
    code = (
        "import sys; from pathlib import Path; from lnsegfm.jobs.job_writer import JobWriter\n"
        "with JobWriter(Path(sys.argv[1])) as writer: writer.done('model')"
    )
    job.resume([sys.executable, "-c", code, str(job.path)])
    handle = Session().jobs.get(job.id)
    assert [status.state for status in handle.watch(0.05)][-1] == "done", job.log_tail()


def test_scores_of_a_wrong_shape_are_a_user_error() -> None:
    with pytest.raises(UserError, match="scores of the job"):
        Evidence.of({"cases": {"a": 3}})
