"""Training in fewer bits: chosen by the CPU's kind, kept when a job is resumed, and moving what it must alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.engine import precision
from lnsegfm.engine.finetuning import runner, trainer
from lnsegfm.engine.finetuning.trainer import Trainer
from lnsegfm.engine.networks.checkpoints import load_checkpoint, read_tensors, write_tensors
from lnsegfm.engine.precision import device_words, training_precision
from lnsegfm.jobs.case_selection import make_spec
from lnsegfm.jobs.job_spec import PRESETS, CaseRef, JobSpec
from lnsegfm.jobs.job_store import Job, JobStore
from lnsegfm.models.model_store import ModelStore
from lnsegfm.phantom import make_case

CPU = torch.device("cpu")
SHORT: dict[str, Any] = {"epochs": 2, "iterations_per_epoch": 2, "batch_size": 1, "device": "cpu", "seed": 5}


@pytest.fixture
def home(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    phantom = make_case("hospital", 40, size=(64, 64, 24), spacing=(2.0, 2.0, 3.0))
    CaseStore(own_home.cases).accept(phantom.ct, phantom.labels)
    for name in ("nnUNet_preprocessed", "nnUNet_results", "nnUNet_n_proc_DA"):
        monkeypatch.setenv(name, "")
    return own_home


def new_job(home: Home, **changes: Any) -> Job:
    base = ModelStore(home.models).list()[0]
    return JobStore(home.jobs).create(make_spec(home, base.id, **{**PRESETS["short"], **SHORT, **changes}))


def weights_after(home: Home, job: Job) -> dict[str, torch.Tensor]:
    assert runner.main([str(job.path)]) == 0
    model = ModelStore(home.models).verify(job.status().model_id)
    found: dict[str, torch.Tensor] = load_checkpoint(model.checkpoint(model.card.folds[0]))["network_weights"]
    return found


@pytest.mark.parametrize(
    ("wish", "device", "gains", "expected"),
    [
        ("auto", "cpu", True, "bfloat16"), ("auto", "cpu", False, "single"), ("auto", "cuda", True, "half"),
        ("auto", "mps", True, "single"), ("single", "cuda", True, "single"), ("bfloat16", "cpu", False, "bfloat16"),
    ],
)  # fmt: skip
def test_precision_by_device(
    monkeypatch: pytest.MonkeyPatch, wish: Any, device: str, gains: bool, expected: str
) -> None:
    monkeypatch.setattr(precision, "bfloat16_is_faster", lambda: gains)
    assert training_precision(wish, torch.device(device)) == expected


def test_what_is_not_usual_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "bfloat16_is_faster", lambda: True)
    assert device_words(CPU, "2 threads", "auto") == "cpu: 2 threads; in bfloat16"
    assert device_words(CPU, "2 threads", "single") == "cpu: 2 threads"
    assert device_words(torch.device("cuda"), "GPU", "auto") == "cuda: GPU"


def test_a_precision_that_is_none_is_refused_and_older_jobs_need_none() -> None:
    fields = JobSpec("base", "", cases=(CaseRef("case", 1),)).to_json()
    del fields["precision"]
    assert JobSpec.from_json(fields).precision == "auto"
    with pytest.raises(UserError, match="precision"):
        JobSpec.from_json({**fields, "precision": "half"})


def test_bfloat16_moves_at_most_one_weight_a_kernel_and_comes_close_to_single(home: Home) -> None:
    before = load_checkpoint(ModelStore(home.models).list()[0].checkpoint("all"))["network_weights"]
    # Eq. 5 moves by the learning rate times the gradient.
    jobs = {name: new_job(home, precision=name, epochs=1, iterations_per_epoch=1) for name in ("single", "bfloat16")}
    after = {name: weights_after(home, job) for name, job in jobs.items()}
    assert all(value.dtype == torch.float32 for value in after["bfloat16"].values() if value.is_floating_point())
    moved, same = 0, 0
    for name, old in before.items():
        if old.ndim != 5:
            continue
        changed = {key: (weights[name] != old).flatten(2).sum(-1) for key, weights in after.items()}
        assert int(changed["bfloat16"].max()) <= 1
        both = (after["single"][name] != old) & (after["bfloat16"][name] != old)
        moved, same = moved + int(changed["single"].sum()), same + int(both.sum())
    assert moved > 0 and same > 0.8 * moved  # almost the same largest gradients
    assert jobs["bfloat16"].status().device.endswith("in bfloat16")
    assert "bfloat16" not in jobs["single"].status().device


def test_a_resumed_job_keeps_its_precision_and_ends_with_the_same_bits(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "training_precision", lambda wish, device: "bfloat16")
    whole = weights_after(home, new_job(home))
    cut = new_job(home)
    step = Trainer.step

    def stopping(self: Trainer) -> float | None:
        if self.iteration == 2:
            raise Cancelled
        return step(self)

    monkeypatch.setattr(Trainer, "step", stopping)
    runner.main([str(cut.path)])
    monkeypatch.setattr(Trainer, "step", step)
    # The job continues where another precision would be chosen.
    monkeypatch.setattr(trainer, "training_precision", lambda wish, device: "single")
    resumed = weights_after(home, cut)
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())


def test_a_checkpoint_from_before_there_was_a_choice_continues_in_single_precision(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "training_precision", lambda wish, device: "single")
    whole = weights_after(home, new_job(home))
    cut = new_job(home)
    step = Trainer.step

    def stopping(self: Trainer) -> float | None:
        if self.iteration == 2:
            raise Cancelled
        return step(self)

    monkeypatch.setattr(Trainer, "step", stopping)
    runner.main([str(cut.path)])
    monkeypatch.setattr(Trainer, "step", step)
    (path,) = cut.path.glob("checkpoint*.pth")
    content = read_tensors(path)
    assert content.pop("precision") == "single"
    write_tensors(content, path)
    monkeypatch.setattr(trainer, "training_precision", lambda wish, device: "bfloat16")
    resumed = weights_after(home, cut)
    assert all(torch.equal(resumed[name], value) for name, value in whole.items())
