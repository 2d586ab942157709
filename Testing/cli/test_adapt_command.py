"""``lnsegfm adapt``: options, checks and the dry run. A whole adaptation is in test_cli.py."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import pytest

from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.cli import main
from lnsegfm.jobs.job_spec import PRESETS, CaseRef, JobSpec
from lnsegfm.jobs.job_store import JobStore
from lnsegfm.jobs.timing import Calibration, Calibrations
from lnsegfm.models.model_store import ModelStore
from lnsegfm.session import Session
from service_home import BASE, PlayedSession, add_model


@pytest.fixture
def as_json(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    def run(*arguments: str) -> Any:
        assert main(["adapt", *arguments, "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def measured(own_home: Home) -> Home:
    """A home that knows what an iteration of DGST costs."""
    keep(own_home, Calibration(0.5, "cpu: as chosen", memory_bytes=1 << 20))
    return own_home


def keep(home: Home, cost: Calibration) -> None:
    sha256 = ModelStore(home.models).get(BASE).sha256
    Calibrations(home).keep(JobSpec(BASE, sha256, (CaseRef("case-0001", 1),)), cost)


@pytest.fixture
def played_jobs(played: PlayedSession, monkeypatch: pytest.MonkeyPatch) -> PlayedSession:
    """The command's own sessions play their processes as well."""
    monkeypatch.setattr("lnsegfm.cli.terminal.Session", lambda: Session(
        runner_command=played.session.runner_command, calibration_command=played.session.calibration_command
    ))  # fmt: skip
    return played


class TestHelp:
    @pytest.fixture
    def text(self, capsys: pytest.CaptureFixture[str]) -> str:
        assert main(["adapt", "--help"]) == 0
        return " ".join(capsys.readouterr().out.split())

    def test_no_internal_value_is_shown(self, text: str) -> None:
        assert "paper: ()" not in text and ": -1" not in text and "paper: auto" not in text

    def test_each_option_has_its_choices_and_each_preset_s_value(self, text: str) -> None:
        for name in ("epochs", "iterations_per_epoch", "learning_rate", "step_rule"):
            values = ", ".join(f"{preset}: {given[name]}" for preset, given in PRESETS.items())
            assert f"[{values}" in text
        assert "paper with scratch, allshot: 2000" in text
        assert "<kernel|filter>" in text and "dgst|full|" in text and "<stored|random|none>" in text

    def test_every_field_of_a_job_has_an_option_with_an_explanation(self, text: str) -> None:
        for item in fields(JobSpec):
            if item.name not in ("base_model", "base_sha256"):
                assert re.search(rf"--{item.name.replace('_', '-')} (<\S+> |CASE,\.\.\. )[A-Za-z]", text), item.name


class TestDryRun:
    def test_it_tells_what_would_be_done(
        self, measured: Home, stored_cases: CaseStore, as_json: Callable[..., Any]
    ) -> None:
        stored_cases.set_use("case-0003", "holdout")
        told = as_json("--dry-run", "--preset", "short", "--seed", "7", "--epochs", "3")
        assert told["model"] == BASE
        assert [ref["id"] for ref in told["cases"]] == ["case-0001", "case-0002"]
        assert told["holdout"] == [{"id": "case-0003", "version": 1}]
        assert (told["iterations"], told["seconds"]) == (90, 45.0)
        assert (told["settings"]["seed"], told["settings"]["learning_rate"]) == (7, 0.1)
        assert told["disk_needed"] > 0 and told["refusal"] is None
        assert not measured.jobs.exists()

    def test_it_is_readable(
        self, measured: Home, stored_cases: CaseStore, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["adapt", "--dry-run", "--preset", "short"]) == 0
        text = capsys.readouterr().out
        assert "case-0001 (version 1)" in text and "about 1 min" in text and "hold-out case" in text

    def test_what_would_be_refused_is_refused(
        self, measured: Home, stored_cases: CaseStore, capsys: pytest.CaptureFixture[str]
    ) -> None:
        keep(measured, Calibration(0.5, "cpu: as chosen", memory_bytes=1 << 60))
        assert main(["adapt", "--dry-run"]) == 1
        assert "not enough main memory" in capsys.readouterr().err


def test_reference_cases_are_given_by_their_ids(
    measured: Home, stored_cases: CaseStore, as_json: Callable[..., Any]
) -> None:
    told = as_json("--dry-run", "--reference", "case-0001")
    assert told["reference"] == [{"id": "case-0001", "version": 1}]
    assert [ref["id"] for ref in told["cases"]] == ["case-0002", "case-0003"]


def test_cases_are_listed_with_commas_or_one_by_one(
    measured: Home, stored_cases: CaseStore, as_json: Callable[..., Any]
) -> None:
    told = as_json("--dry-run", "--cases", "case-0001,case-0002", "--holdout", "case-0003")
    again = as_json("--dry-run", "--cases", "case-0001", "--cases", "case-0002", "--holdout", "case-0003")
    assert told["cases"] == again["cases"] and told["holdout"] == again["holdout"]
    assert [ref["id"] for ref in told["cases"]] == ["case-0001", "case-0002"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--cases", "case-0001", "--holdout", "case-0001"], "two uses"),
        (["--holdout", "case-0001", "--holdout-choice", "random"], "given twice"),
        (["--cases", "case-0"], "More than one case"),
        (["--epochs", "0"], "'epochs' must be at least 1"),
        (["-m", "unknown"], "unknown"),
        (["--device", "tpu"], "tpu"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_name(
    measured: Home, stored_cases: CaseStore, options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["adapt", *options]) == 1
    assert said in capsys.readouterr().err
    assert not measured.jobs.exists()


def test_without_disk_space_nothing_starts(
    own_home: Home, stored_cases: CaseStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=1, used=1, free=1))
    assert main(["adapt", "--preset", "short", "--detach"]) == 1
    printed = capsys.readouterr()
    assert "not enough disk space" in printed.err and "background" not in printed.out
    assert not own_home.jobs.exists()


def test_what_the_measurement_finds_is_refused(
    own_home: Home, stored_cases: CaseStore, played_jobs: PlayedSession, capsys: pytest.CaptureFixture[str]
) -> None:
    played_jobs.cost["memory_bytes"] = 1 << 60
    assert main(["adapt", "--preset", "short"]) == 1
    assert "not enough main memory" in capsys.readouterr().err
    assert played_jobs.measured == 1 and not own_home.jobs.exists()


def test_a_job_is_started_and_followed(
    own_home: Home, stored_cases: CaseStore, played_jobs: PlayedSession, capsys: pytest.CaptureFixture[str]
) -> None:
    add_model(own_home, "Adapted 1")
    assert main(["adapt", "--preset", "short", "--json"]) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["state"], done["model"]) == ("done", "adapted-1")
    assert main(["adapt", "--preset", "short"]) == 0
    assert "The model is 'adapted-1'." in capsys.readouterr().out
    assert played_jobs.measured == 1


def test_a_detached_job_tells_its_id_and_ctrl_c_leaves_it_alone(
    own_home: Home, stored_cases: CaseStore, played_jobs: PlayedSession, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    own_home.jobs.mkdir()
    (own_home.jobs / "hold").touch()
    assert main(["adapt", "--preset", "short", "--detach", "--json"]) == 0
    job_id = json.loads(capsys.readouterr().out)["job"]

    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("lnsegfm.session.job_handle.time.sleep", interrupt)
        assert main(["jobs", "watch", job_id]) == 130
    assert f"lnsegfm jobs cancel {job_id}" in capsys.readouterr().err
    assert JobStore(own_home.jobs).get(job_id).status().active
    (own_home.jobs / "hold").unlink()
    assert main(["jobs", "watch", job_id]) == 0
