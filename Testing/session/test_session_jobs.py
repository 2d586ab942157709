"""Adapting, and the jobs of a session; scripts play the processes."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.files import read_json, write_json
from lnsegfm.base.home import Home
from lnsegfm.base.processes import process_start_time
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.jobs import preflight
from lnsegfm.jobs.job_spec import CaseRef, JobSpec
from lnsegfm.jobs.job_status import STATUS, JobStatus
from lnsegfm.session import AdaptOptions, Session
from service_home import BASE, PlayedSession, add_model

SHORT = AdaptOptions(preset="short")


def no_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(total=1, used=1, free=1))


def ids(refs: tuple[CaseRef, ...]) -> list[str]:
    return [ref.id for ref in refs]


def until(condition: Any) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


class TestAdapt:
    def test_a_job_is_measured_checked_started_and_gives_a_model(
        self, own_home: Home, stored_cases: CaseStore, played: PlayedSession
    ) -> None:
        adapted = add_model(own_home, "Adapted 1")
        stored_cases.set_use("case-0003", "holdout")
        told: list[str] = []
        handle = played.session.adapt(SHORT, progress=lambda fraction, text: told.append(text))
        seen: list[str] = []
        assert handle.wait(lambda status: seen.append(status.state)).id == adapted.id
        assert seen[-1] == "done" and handle.done
        assert (ids(handle.spec.cases), ids(handle.spec.holdout)) == (["case-0001", "case-0002"], ["case-0003"])
        assert handle.spec.base_model == BASE and handle.spec.learning_rate == 0.1
        assert played.measured == 1 and "Measuring" in told[0]
        played.session.adapt(SHORT).wait()
        assert played.measured == 1

    def test_without_disk_space_there_is_no_job(
        self, own_home: Home, stored_cases: CaseStore, played: PlayedSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        no_space(monkeypatch)
        with pytest.raises(UserError, match="not enough disk space"):
            played.session.adapt(SHORT)
        assert played.session.jobs.list() == [] and played.measured == 0

    def test_what_the_measurement_says_is_too_much_is_refused(
        self, own_home: Home, stored_cases: CaseStore, played: PlayedSession
    ) -> None:
        played.cost["memory_bytes"] = 1 << 60
        with pytest.raises(UserError, match="not enough main memory"):
            played.session.adapt(SHORT)
        assert played.session.jobs.list() == []

    def test_gpu_memory_is_checked_too(
        self, own_home: Home, stored_cases: CaseStore, played: PlayedSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(preflight, "free_gpu_bytes", lambda device: 1 << 20)
        played.cost.update(gpu_bytes=1 << 30, gpu_total_bytes=1 << 34)
        with pytest.raises(UserError, match="not enough GPU memory"):
            played.session.adapt(SHORT)

    def test_a_method_whose_package_is_missing_is_refused_at_once(
        self, own_home: Home, stored_cases: CaseStore, played: PlayedSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import importlib.util

        find = importlib.util.find_spec
        monkeypatch.delenv("LNSEGFM_PYTHON", raising=False)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "peft" else find(name))
        with pytest.raises(UserError, match="pip install peft"):
            played.session.adapt(replace(SHORT, method="lora"))
        assert played.measured == 0

    def test_a_cancel_during_the_measurement_leaves_no_job(
        self, own_home: Home, stored_cases: CaseStore, played: PlayedSession
    ) -> None:
        session = Session(calibration_command=lambda folder: ["sleep", "60"])
        with pytest.raises(Cancelled):
            session.adapt(SHORT, is_cancelled=lambda: True)
        assert session.jobs.list() == []

    def test_ctrl_c_during_the_measurement_ends_its_process(
        self, own_home: Home, stored_cases: CaseStore, tmp_path: Path
    ) -> None:
        note = tmp_path / "pid"
        code = f"import os, pathlib, time; pathlib.Path({str(note)!r}).write_text(str(os.getpid())); time.sleep(60)"

        def interrupt() -> bool:
            if note.exists() and note.read_text():
                raise KeyboardInterrupt
            return False

        session = Session(calibration_command=lambda folder: [sys.executable, "-c", code])
        with pytest.raises(KeyboardInterrupt):
            session.adapt(SHORT, is_cancelled=interrupt)
        assert process_start_time(int(note.read_text())) is None

    def test_the_model_is_the_default_one_and_never_a_rejected_one(
        self, own_home: Home, stored_cases: CaseStore, played: PlayedSession
    ) -> None:
        add_model(own_home, "Newest")
        played.session.models.reject("newest")
        assert played.session.estimate().spec.base_model == BASE


class TestOptions:
    def test_every_field_of_a_job_can_be_set(self) -> None:
        named = {item.name for item in fields(AdaptOptions)}
        assert {item.name for item in fields(JobSpec)} - named == {"base_sha256"}

    def test_the_preset_fills_in_what_is_not_given(self) -> None:
        options = AdaptOptions(preset="standard", epochs=3, name="")
        assert options.settings() == {
            "epochs": 3, "iterations_per_epoch": 100, "learning_rate": 0.1, "step_rule": "plain", "method": "dgst",
            "name": "",
        }  # fmt: skip

    @pytest.mark.parametrize(
        "wrong", [{"preset": "quick"}, {"method": "x"}, {"holdout_choice": "x"},
                  {"holdout": ["a"], "holdout_choice": "random"}],
    )  # fmt: skip
    def test_what_makes_no_sense_is_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(UserError):
            AdaptOptions(**wrong)


class TestCaseChoice:
    def spec(self, **options: Any) -> JobSpec:
        return Session().estimate(AdaptOptions(**options)).spec

    def test_lists_take_the_place_of_the_marks(self, stored_cases: CaseStore) -> None:
        stored_cases.set_use("case-0003", "holdout")
        spec = self.spec(cases=["case-0002"])
        assert (ids(spec.cases), ids(spec.holdout)) == (["case-0002"], ["case-0003"])
        spec = self.spec(holdout=["case-0001"])
        # The one that is marked as hold-out is not learned from either.
        assert (ids(spec.cases), ids(spec.holdout)) == (["case-0002"], ["case-0001"])
        spec = self.spec(cases=["case-0003"], holdout=["case-0001"], reference=["case-0002"])
        assert (ids(spec.cases), ids(spec.holdout), ids(spec.reference)) == (
            ["case-0003"], ["case-0001"], ["case-0002"],
        )  # fmt: skip
        assert stored_cases.get("case-0003").use == "holdout"

    def test_a_random_share_is_held_out_of_the_listed_cases_alone(self, stored_cases: CaseStore) -> None:
        stored_cases.set_use("case-0003", "holdout")
        spec = self.spec(cases=["case-0001", "case-0002"], holdout_choice="random")
        assert sorted([*ids(spec.cases), *ids(spec.holdout)]) == ["case-0001", "case-0002"]
        assert len(spec.holdout) == 1
        assert ids(self.spec(holdout_choice="none").cases) == ["case-0001", "case-0002", "case-0003"]

    def test_versions_are_the_newest(self, stored_cases: CaseStore) -> None:
        import SimpleITK as sitk

        case = stored_cases.get("case-0002")
        labels = sitk.ReadImage(str(case.label_path()))
        labels[12, 12, 8] = 1 - labels[12, 12, 8]
        stored_cases.accept(sitk.ReadImage(str(case.image_path)), labels)
        assert self.spec(cases=["case-0002"]).cases == (CaseRef("case-0002", 2),)

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ({"cases": ["case-0001"], "holdout": ["case-0001"]}, "two uses"),
            ({"cases": ["case-7"]}, "no case"),
            ({"cases": ["case-000"]}, "More than one case"),
            ({"cases": []}, "'cases' is empty"),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, stored_cases: CaseStore, wrong: dict[str, Any], said: str) -> None:
        with pytest.raises(UserError, match=said):
            self.spec(**wrong)

    def test_a_partly_reviewed_case_is_not_measured_on(self, stored_cases: CaseStore, partial_case: str) -> None:
        with pytest.raises(UserError, match="cannot be a hold-out case"):
            self.spec(cases=["case-0001"], holdout=[partial_case])
        assert ids(self.spec(cases=[partial_case]).cases) == [partial_case]


class TestEstimate:
    def test_without_a_case_it_tells_how_to_get_one(self, own_home: Home, played: PlayedSession) -> None:
        with pytest.raises(UserError, match=r"no case to learn from.*lnsegfm cases add"):
            played.session.estimate(SHORT)

    def test_it_tells_what_a_job_would_take_and_makes_none(
        self, own_home: Home, stored_cases: CaseStore, played: PlayedSession
    ) -> None:
        stored_cases.set_use("case-0003", "excluded")
        unknown = played.session.estimate(SHORT)
        assert unknown.calibration is None and unknown.seconds is None and unknown.refusal is None
        known = played.session.estimate(SHORT, measure=True)
        assert known.seconds == pytest.approx(0.5 * known.spec.steps)
        assert known.left_out == ("case-0003",)
        assert known.disk_bytes > 0 and known.disk_free > 0
        assert {finding.kind for finding in known.findings} >= {"few", "no holdout"}
        assert any("demonstration model" in text for text in known.notes)
        assert played.session.jobs.list() == []

    def test_it_tells_what_would_be_refused(
        self, own_home: Home, stored_cases: CaseStore, played: PlayedSession, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        no_space(monkeypatch)
        refusal = played.session.estimate(SHORT, measure=True).refusal
        assert refusal is not None and "disk space" in refusal.what
        with pytest.raises(UserError) as caught:
            played.session.adapt(SHORT)
        assert str(caught.value) == str(refusal)

    def test_an_ensemble_is_said_to_be_adapted_from_one_fold(
        self, own_home: Home, stored_cases: CaseStore
    ) -> None:
        model = add_model(own_home, "Folds")
        shutil.copytree(model.path / "fold_all", model.path / "fold_0")
        card = read_json(model.path / "model.json")
        files = {**card["files"], "fold_0/checkpoint_final.pth": card["files"]["fold_all/checkpoint_final.pth"]}
        write_json(model.path / "model.json", {**card, "folds": ["all", "0"], "files": files})
        assert any("2 folds" in text for text in Session().estimate(AdaptOptions("folds")).notes)


class TestJobs:
    @pytest.fixture
    def running(self, own_home: Home, stored_cases: CaseStore, played: PlayedSession) -> str:
        own_home.jobs.mkdir(parents=True)
        (own_home.jobs / "hold").touch()
        handle = played.session.adapt(SHORT)
        until(lambda: handle.status().state == "running")
        return handle.id

    def test_a_job_is_listed_viewed_watched_and_cancelled(
        self, own_home: Home, played: PlayedSession, running: str
    ) -> None:
        jobs = played.session.jobs
        (summary,) = jobs.list()
        assert (summary.id, summary.state, summary.base_model) == (running, "running", BASE)
        assert jobs.view("job-0001", with_log=True).id == running
        assert jobs.users_of(model=BASE) == [running] == jobs.users_of(case="case-0001")
        assert jobs.cancel("job-0001") == running
        assert [status.state for status in jobs.watch(running)][-1] == "cancelled"
        with pytest.raises(Cancelled):
            jobs.get(running).wait()
        with pytest.raises(UserError, match="already finished: it is cancelled"):
            jobs.cancel(running)
        (own_home.jobs / "hold").unlink()
        resumed = jobs.resume("job-0001")
        assert [status.state for status in resumed.watch()][-1] == "done"
        for refused in (jobs.pause, jobs.cancel):
            with pytest.raises(UserError, match="already finished"):
                refused(running)
        assert jobs.remove("job-0001") == running and jobs.list() == []

    def test_a_job_that_was_never_started_cannot_be_cancelled(self, own_home: Home) -> None:
        jobs = Session().jobs
        job = jobs.store.create(JobSpec("base", "ab", (CaseRef("case-0001", 1),)))
        with pytest.raises(UserError, match="has not been started"):
            jobs.cancel(job.id)
        with pytest.raises(UserError, match=f"no job 'job-9'.*{job.id}"):
            jobs.get("job-9")

    def test_an_active_state_of_a_newer_version_is_watched_on(self, own_home: Home) -> None:
        jobs = Session().jobs
        job = jobs.store.create(JobSpec("base", "ab", (CaseRef("case-0001", 1),)))
        write_json(job.path / STATUS, JobStatus("requeued").to_json())
        seen = jobs.watch(job.id)
        assert [next(seen).state for _ in range(2)] == ["requeued", "requeued"]
        write_json(job.path / STATUS, JobStatus("cancelled").to_json())
        assert [status.state for status in seen] == ["cancelled"]


def test_everything_a_panel_shows_is_read_at_once(own_home: Home, stored_cases: CaseStore) -> None:
    stored = Session().read_stored()
    assert (len(stored.cases), [model.id for model in stored.models], list(stored.jobs)) == (3, [BASE], [])
    assert stored.default_model == "" and stored.problem is None
    assert Path(Session().cases.thumbnail(stored.cases[0])).is_file()
