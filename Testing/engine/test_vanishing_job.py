"""A job on a case whose lymph node vanishes at the model's voxels: what is said before, meanwhile and afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.cli import main
from lnsegfm.engine.finetuning import runner
from lnsegfm.engine.networks.model_install import install_model
from lnsegfm.jobs.case_selection import make_spec
from lnsegfm.jobs.job_status import JobStatus
from lnsegfm.jobs.job_store import Job, JobStore
from lnsegfm.jobs.stored import JobView
from lnsegfm.models.model_store import ModelStore
from small_scans import boxes_on, small_scan
from tiny_models import make_model

SHORT: dict[str, Any] = {
    "epochs": 1, "iterations_per_epoch": 1, "learning_rate": 0.1, "step_rule": "plain", "device": "cpu", "seed": 5,
}  # fmt: skip
SAID = "case-0001: Lymph node 1 (1 voxel, 0.422 mm³, at R 5, A 14, S 6 mm) has no voxel left"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    home = Home(tmp_path / "home")
    monkeypatch.setenv("LNSEGFM_HOME", str(home.root))
    for name in ("nnUNet_preprocessed", "nnUNet_results", "nnUNet_n_proc_DA"):
        monkeypatch.setenv(name, "")
    image = small_scan((48, 48, 48), (0.75, 0.75, 0.75))
    CaseStore(home.cases).accept(image, boxes_on(image, [(slice(20, 21), slice(21, 22), slice(22, 23))]))
    install_model(ModelStore(home.models), make_model(tmp_path / "results"), name="base")
    return home


@pytest.fixture
def done(home: Home) -> Job:
    job = JobStore(home.jobs).create(make_spec(home, "base", **SHORT))
    assert runner.main([str(job.path)]) == 0, job.status()
    return job


def test_it_is_in_the_job_s_status_and_on_the_terminal(done: Job, capsys: pytest.CaptureFixture[str]) -> None:
    (note,) = done.status().notes
    assert note.startswith(SAID)
    assert main(["jobs", "show", done.id]) == 0
    assert SAID in capsys.readouterr().out
    assert main(["jobs", "watch", done.id]) == 0
    assert SAID in capsys.readouterr().err


def test_the_job_s_line_and_report_say_it(done: Job) -> None:
    pytest.importorskip("PySide6")
    import standin

    standin.start()
    from LNSegFMFineTuneLib.texts.job_texts import details
    from LNSegFMFineTuneLib.texts.result_report import report_html

    view = JobView(done.id, done.spec, done.status(), (), "")
    assert SAID in details(view, "2026-01-01", {})
    assert SAID in report_html(view, {}, {})


def test_a_dry_run_says_it_from_the_stored_sizes(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adapt", "-m", "base", "--preset", "short", "--device", "cpu", "--dry-run", "--json"]) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    (said,) = [note for note in notes if "thinner than" in note]
    assert said.startswith("case-0001: lymph node 1 (0.75 x 0.75 x 0.75 mm) is thinner than the model's voxels of 2 x")


def test_the_status_of_an_earlier_version_has_no_notes() -> None:
    assert JobStatus.from_json({"state": "done"}).notes == ()
    assert JobStatus.from_json(json.loads(json.dumps(JobStatus(notes=("a", "b")).to_json()))).notes == ("a", "b")
