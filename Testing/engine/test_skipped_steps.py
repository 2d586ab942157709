"""Losses and gradients that are not numbers: what a scaler skips, what ends a job, and that no weight becomes NaN."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.engine.finetuning import runner, trainer
from lnsegfm.engine.finetuning.epoch_log import EpochLog
from lnsegfm.engine.finetuning.trainer import Trainer
from lnsegfm.engine.networks.checkpoints import load_checkpoint, read_tensors
from lnsegfm.jobs.case_selection import make_spec
from lnsegfm.jobs.job_spec import PRESETS
from lnsegfm.jobs.job_store import Job, JobStore
from lnsegfm.models.model_store import ModelStore
from lnsegfm.phantom import make_case

Fault = Callable[[int], str]


@pytest.fixture
def home(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    phantom = make_case("hospital", 40, size=(64, 64, 24), spacing=(2.0, 2.0, 3.0))
    CaseStore(own_home.cases).accept(phantom.ct, phantom.labels)
    for name in ("nnUNet_preprocessed", "nnUNet_results", "nnUNet_n_proc_DA"):
        monkeypatch.setenv(name, "")
    return own_home


def run(home: Home, monkeypatch: pytest.MonkeyPatch, fault: Fault, *, scaled: bool, iterations: int = 4) -> Job:
    """Run a job in which the loss, or its gradient, is spoilt in some iterations, from 1."""
    plain, step = Trainer._build_loss, Trainer.step

    def spoilt(self: Trainer) -> Any:
        actual = plain(self)

        def loss(output: Any, target: Any) -> torch.Tensor:
            # One patch suffices here, and is quick.
            value = actual([scale.float() for scale in output], target)
            kind = fault(self.iteration + 1)
            if kind == "gradient":
                return value + (output[0].sum() * 0).sqrt()  # 0, with an infinite slope
            return value * float("nan") if kind == "loss" else value

        return loss

    monkeypatch.setattr(Trainer, "_build_loss", spoilt)
    monkeypatch.setattr(Trainer, "step", step)
    if scaled:
        monkeypatch.setattr(trainer, "scaler_of", lambda device: torch.amp.GradScaler("cpu", init_scale=2.0**16))
    short = {**PRESETS["short"], "epochs": 2, "iterations_per_epoch": iterations // 2, "batch_size": 1}
    spec = make_spec(home, ModelStore(home.models).list()[0].id, **{**short, "device": "cpu"})
    job = JobStore(home.jobs).create(spec)
    assert runner.main([str(job.path)]) == (0 if job.status().state == "done" else 1)
    return job


def strict_rows(job: Job) -> list[dict[str, Any]]:
    def refuse(name: str) -> None:
        raise AssertionError(f"progress.jsonl holds {name}")

    text = (job.path / "progress.jsonl").read_text(encoding="utf-8")
    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def test_a_scaler_skips_single_iterations_and_the_job_goes_on(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = {2: "loss", 3: "gradient"}
    job = run(home, monkeypatch, lambda number: faults.get(number, ""), scaled=True)
    status = job.status()
    assert status.state == "done" and status.loss is not None
    losses = [row["loss"] for row in strict_rows(job)]
    assert [loss is None for loss in losses] == [False, True, False, False]
    assert [row["loss"] for row in job.progress()] == losses
    log = "\n".join(job.log_tail(200))
    assert log == "" or "nan" not in log.lower()
    model = ModelStore(home.models).verify(status.model_id)
    found = load_checkpoint(model.checkpoint(model.card.folds[0]))["network_weights"]
    assert all(torch.isfinite(value).all() for value in found.values())


def test_skipped_iterations_that_repeat_end_the_job_with_advice(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "MOST_SKIPPED", 3)
    job = run(home, monkeypatch, lambda number: "loss" if number > 1 else "", scaled=True, iterations=6)
    error = job.status().error
    assert job.status().state == "failed" and error is not None
    assert error["what"] == "The training diverged." and "3 iterations, up to iteration 4" in error["why"]
    assert "smaller learning rate" in error["todo"]
    assert [row["loss"] is None for row in strict_rows(job)] == [False, True, True]


@pytest.mark.parametrize("kind", ["loss", "gradient"])
def test_without_a_scaler_the_first_one_ends_the_job_before_a_weight_moves(
    home: Home, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    kept: list[dict[str, torch.Tensor]] = []
    diverged = Trainer._diverged

    def watched(self: Trainer, what: str, value: float) -> Any:
        kept.append({name: weight.clone() for name, weight in self.network.state_dict().items()})
        return diverged(self, what, value)

    monkeypatch.setattr(Trainer, "_diverged", watched)
    job = run(home, monkeypatch, lambda number: kind if number == 3 else "", scaled=False)
    error = job.status().error
    assert error is not None and error["what"] == "The training diverged."
    assert f"The {kind} of iteration 3" in error["why"] and "smaller learning rate" in error["todo"]
    saved = read_tensors(job.path / "checkpoint.pth")["weights"]
    assert all(torch.equal(saved[name], kept[0][name]) for name in saved), "the end of epoch 1 was the last good state"
    assert all(torch.isfinite(weight).all() for weight in kept[0].values())


def test_weights_that_are_not_numbers_do_not_replace_a_checkpoint(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    saves: list[int] = []
    save = Trainer.save

    def spoiling(self: Trainer, path: Any) -> None:
        if self.iteration == 4:
            with torch.no_grad():
                next(self.network.parameters()).fill_(float("inf"))
        save(self, path)
        saves.append(self.iteration)

    monkeypatch.setattr(Trainer, "save", spoiling)
    job = run(home, monkeypatch, lambda number: "", scaled=False)
    error = job.status().error
    assert error is not None and "is not finite" in error["why"] and saves == [2]
    assert int(read_tensors(job.path / "checkpoint.pth")["iteration"]) == 2


def test_an_epoch_without_a_loss_is_told_so(tmp_path: Any) -> None:
    lines: list[str] = []
    with EpochLog(tmp_path, 2, lines.append) as log:
        log.add(None, 0.5)
        log.end(0, 0.1, None)
        log.add(None, 0.5)
        log.add(0.25, 0.5)
        log.end(1, 0.1, None)
    assert "loss not known" in lines[0] and "loss 0.2500" in lines[1]
