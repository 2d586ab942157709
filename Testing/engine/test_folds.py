"""Base models of several folds: which are adapted, what "before" means, and what is stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.engine.finetuning import runner, training_loop
from lnsegfm.engine.inference.predictor import Predictor
from lnsegfm.engine.networks.checkpoints import load_checkpoint
from lnsegfm.engine.networks.model_install import install_model
from lnsegfm.jobs.case_selection import make_spec
from lnsegfm.jobs.job_store import Job, JobStore
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_store import ModelStore
from lnsegfm.phantom import make_case
from tiny_models import CONFIGURATION, make_model, tiny_plans

FOLDS = ("0", "2")
SHORT: dict[str, Any] = {
    "epochs": 2, "iterations_per_epoch": 2, "learning_rate": 0.1, "step_rule": "plain", "device": "cpu", "seed": 5,
}  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    home = Home(tmp_path / "home")
    monkeypatch.setenv("LNSEGFM_HOME", str(home.root))
    for name in ("nnUNet_preprocessed", "nnUNet_results", "nnUNet_n_proc_DA"):
        monkeypatch.setenv(name, "")
    cases = CaseStore(home.cases)
    for seed, use in enumerate(("train", "holdout")):
        phantom = make_case("hospital", 40 + seed, size=(48, 48, 16), spacing=(4.0, 4.0, 5.0))
        cases.set_use(cases.accept(phantom.ct, phantom.labels).id, use)
    return home


@pytest.fixture
def base(home: Home, tmp_path: Path) -> ModelInfo:
    plans = tiny_plans()
    plans["configurations"][CONFIGURATION]["spacing"] = [10.0, 8.0, 8.0]  # few tiles in the cases
    return install_model(ModelStore(home.models), make_model(tmp_path / "results", folds=FOLDS, plans=plans))


def run(home: Home, base: ModelInfo, **changes: Any) -> tuple[Job, ModelInfo]:
    job = JobStore(home.jobs).create(make_spec(home, base.id, **{**SHORT, **changes}))
    assert runner.main([str(job.path)]) == 0, job.status()
    return job, ModelStore(home.models).verify(job.status().model_id)


def weights(model: ModelInfo, fold: str) -> dict[str, torch.Tensor]:
    return load_checkpoint(model.checkpoint(fold))["network_weights"]


def differs(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return any(not torch.equal(first[name], second[name]) for name in first)


def test_all_folds_are_adapted_each_from_its_own_weights(home: Home, base: ModelInfo) -> None:
    job, model = run(home, base, base_folds="all")
    assert model.card.folds == FOLDS
    assert model.card.lineage["folds"] == list(FOLDS)
    for fold in FOLDS:
        assert differs(weights(model, fold), weights(base, fold))
    assert differs(weights(model, "0"), weights(model, "2"))
    status = job.status()
    assert (status.iteration, status.iterations) == (8, 8)
    assert [row["iteration"] for row in job.progress()] == list(range(1, 9))
    assert not list(job.path.glob("*.pth"))
    _single_job, single = run(home, base)
    assert single.card.folds == ("all",) and single.card.lineage["folds"] == ["0"]
    assert not differs(weights(single, "all"), weights(model, "0")), "the first fold does not depend on the others"


def test_a_job_of_several_folds_resumes_in_the_second_with_the_same_bits(
    home: Home, base: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    _job, expected = run(home, base, base_folds="all")
    interrupted = JobStore(home.jobs).create(make_spec(home, base.id, **SHORT, base_folds="all"))
    plain, done = training_loop.Trainer.step, []

    def step(trainer: Any) -> float:
        if len(done) == 6:
            raise KeyboardInterrupt
        done.append(1)
        return plain(trainer)

    with monkeypatch.context() as patch:
        patch.setattr(training_loop.Trainer, "step", step)
        with pytest.raises(KeyboardInterrupt):
            runner.main([str(interrupted.path)])
    assert sorted(path.name for path in interrupted.path.glob("*.pth")) == ["checkpoint-2.pth", "trained-0.pth"]
    assert runner.main([str(interrupted.path)]) == 0, interrupted.status()
    model = ModelStore(home.models).verify(interrupted.status().model_id)
    for fold in FOLDS:
        assert not differs(weights(model, fold), weights(expected, fold))


def test_before_is_the_ensemble_or_the_one_fold_as_the_user_chose(
    home: Home, base: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[int] = []
    plain = Predictor.segment

    def counted(self: Predictor, *args: Any, **options: Any) -> Any:
        used.append(len(self._folds))
        return plain(self, *args, **options)

    monkeypatch.setattr(Predictor, "segment", counted)
    run(home, base)
    run(home, base, compare_with="fold")
    run(home, base, base_folds="all", seed=6)  # its "before" is that of the first job
    assert used == [2, 1, 1, 1, 2]


def test_each_epoch_has_a_line_in_the_log_and_tensorboard_only_when_asked(
    home: Home, base: ModelInfo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job, _model = run(home, base)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Epoch")]
    assert len(lines) == 2
    assert all(word in lines[0] for word in ("Epoch 1/2: loss ", "learning rate 0.1", " s, pseudo-Dice "))
    assert not (job.path / "tensorboard").exists()
    pytest.importorskip("tensorboard")
    monkeypatch.setenv("LNSEGFM_TENSORBOARD", "1")
    job, _model = run(home, base, seed=7)
    assert list((job.path / "tensorboard").glob("events.out.tfevents.*"))


def test_a_service_that_cannot_be_reached_costs_no_training(
    home: Home, base: ModelInfo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LNSEGFM_WANDB_ENABLED", "1")
    monkeypatch.setitem(__import__("sys").modules, "wandb", None)
    job, _model = run(home, base)
    assert job.status().state == "done"
    assert "Weights & Biases gets no figures" in capsys.readouterr().out


def test_nnunets_switches_reach_a_job_under_other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    from lnsegfm.jobs.log_switches import for_job

    environment = {"nnUNet_wandb_enabled": "1", "nnUNet_wandb_project": "necks", "nnUNet_results": "elsewhere"}
    assert for_job(environment) == {"LNSEGFM_WANDB_ENABLED": "1", "LNSEGFM_WANDB_PROJECT": "necks"}
