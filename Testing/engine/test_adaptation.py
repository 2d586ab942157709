"""Fine-tuning jobs on the demonstration model: real processes, few iterations."""

from __future__ import annotations

import errno
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import read_json, write_json
from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.engine.dgst import method_table as engine_methods
from lnsegfm.engine.finetuning import runner
from lnsegfm.engine.finetuning.trainer import Trainer
from lnsegfm.engine.inference.predictor import Predictor, Quality
from lnsegfm.engine.networks.checkpoints import load_checkpoint
from lnsegfm.evaluation.metrics import dice
from lnsegfm.jobs.case_selection import Selection, make_spec
from lnsegfm.jobs.job_spec import PRESETS
from lnsegfm.jobs.job_store import Job, JobStore
from lnsegfm.jobs.method_names import METHODS as known_methods
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_store import ModelStore
from lnsegfm.phantom import make_case

GRID: dict[str, Any] = {"size": (64, 64, 24), "spacing": (2.0, 2.0, 3.0)}
SHORT: dict[str, Any] = {"epochs": 2, "iterations_per_epoch": 3, "batch_size": 2, "device": "cpu", "seed": 5}


def with_cases(home: Home, *, holdout: int = 1) -> Home:
    cases = CaseStore(home.cases)
    for seed in range(2 + holdout):
        phantom = make_case("hospital", 40 + seed, **GRID)
        case = cases.accept(phantom.ct, phantom.labels)
        cases.set_use(case.id, "train" if seed < 2 else "holdout")
    return home


def new_job(home: Home, **changes: Any) -> Job:
    base = ModelStore(home.models).list()[0]
    return JobStore(home.jobs).create(make_spec(home, base.id, **{**PRESETS["short"], **SHORT, **changes}))


def run_here(job: Job, monkeypatch: pytest.MonkeyPatch) -> int:
    """Run a job in this process, which has PyTorch loaded already."""
    for name in ("nnUNet_preprocessed", "nnUNet_results", "nnUNet_n_proc_DA"):
        monkeypatch.setenv(name, "")
    return runner.main([str(job.path)])


def wait_for(job: Job, *states: str, timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while job.status().state not in states:
        assert time.monotonic() < deadline, f"{job.status()}\n" + "\n".join(job.log_tail())
        time.sleep(0.1)


def weights(model: ModelInfo) -> dict[str, torch.Tensor]:
    return load_checkpoint(model.checkpoint(model.card.folds[0]))["network_weights"]


def adapted(home: Home, job: Job) -> ModelInfo:
    return ModelStore(home.models).verify(job.status().model_id)


def test_a_background_job_ends_in_a_model_with_its_lineage(own_home: Home) -> None:
    home = with_cases(own_home)
    job = new_job(home, name="Our hospital")
    job.start()
    wait_for(job, "done", "failed", "interrupted")
    status = job.status()
    assert status.state == "done", status
    base, model = ModelStore(home.models).list()[0], adapted(home, job)
    assert [row["iteration"] for row in job.progress()] == list(range(1, 7))
    assert (model.name, model.card.kind) == ("Our hospital", "adapted")
    assert (model.card.parent, model.card.parent_sha256) == (base.id, base.sha256)
    lineage = model.card.lineage
    assert [(case["id"], case["version"]) for case in lineage["cases"]] == [(c.id, c.version) for c in job.spec.cases]
    assert (lineage["method"], lineage["seed"]) == ("dgst", 5)
    assert lineage["packages"]["torch"] == torch.__version__
    holdout = job.spec.holdout[0].id
    scores = model.card.metrics["cases"][holdout]
    assert status.metrics == model.card.metrics
    for when, which in (("before", base), ("after", model)):
        case = CaseStore(home.cases).get(holdout)
        found = Predictor(which, torch.device("cpu")).segment(sitk.ReadImage(str(case.image_path)))
        truth = sitk.ReadImage(str(case.label_path()))
        assert scores[when]["dsc"] == pytest.approx(dice(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(truth)))
    assert not list(job.path.glob("checkpoint*"))
    assert not (job.path / "work").exists()


def test_the_adapted_model_gives_our_labels_in_stock_nnunet(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    home = with_cases(own_home, holdout=0)
    job = new_job(home)
    assert run_here(job, monkeypatch) == 0, job.status()
    model = adapted(home, job)
    stock = nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
    try:
        stock.initialize_from_trained_model_folder(str(model.path), use_folds=("all",))
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"stock nnU-Net cannot search its trainers here: {error}")
    ct = make_case("source", 77, **GRID).ct
    array = sitk.GetArrayFromImage(ct)[None].astype(np.float32)
    expected = stock.predict_single_npy_array(array, {"spacing": list(ct.GetSpacing()[::-1])})
    found = Predictor(model, torch.device("cpu")).segment(ct, Quality(mirroring=False))
    assert expected.any()
    assert dice(sitk.GetArrayFromImage(found), expected) >= 0.999


def test_what_was_measured_before_is_not_measured_again_and_forgetting_is(
    own_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = with_cases(own_home, holdout=2)
    holdout, reference = Selection.of(CaseStore(home.cases).list()).holdout
    base = ModelStore(home.models).list()[0]
    first = new_job(home, holdout=(holdout,))
    assert run_here(first, monkeypatch) == 0, first.status()
    measured: list[str] = []
    plain = Predictor.segment

    def counted(self: Predictor, image: sitk.Image, *args: Any, **options: Any) -> sitk.Image:
        measured.append("segmented")
        return plain(self, image, *args, **options)

    monkeypatch.setattr(Predictor, "segment", counted)
    second = new_job(home, holdout=(holdout,), reference=(reference,), seed=6)
    assert run_here(second, monkeypatch) == 0, second.status()
    metrics = adapted(home, second).card.metrics
    assert len(measured) == 3, "the base model on the reference case, the adapted one on both"
    assert metrics["cases"][holdout.id]["before"] == adapted(home, first).card.metrics["cases"][holdout.id]["before"]
    assert set(metrics["reference"]["cases"]) == {reference.id} and set(metrics["cases"]) == {holdout.id}
    before = sitk.ReadImage(str(second.path / "result" / f"{holdout.id}-before.nrrd"))
    image = sitk.ReadImage(str(CaseStore(home.cases).get(holdout.id).image_path))
    again = plain(Predictor(base, torch.device("cpu")), image)
    assert np.array_equal(sitk.GetArrayFromImage(before), sitk.GetArrayFromImage(again))


def test_voxels_nobody_looked_at_teach_nothing(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    phantom = make_case("hospital", 40, **GRID)
    cases = CaseStore(own_home.cases)
    truth = sitk.GetArrayFromImage(phantom.labels)
    truth[10:] = 9
    label = sitk.GetImageFromArray(truth)
    label.CopyInformation(phantom.labels)
    case = cases.accept(phantom.ct, label, ignore=9)
    assert case.latest.partial
    job = new_job(own_home)
    seen: list[torch.Tensor] = []
    loss = Trainer._build_loss

    def watched(self: Trainer) -> Any:
        actual = loss(self)

        def call(output: Any, target: Any) -> torch.Tensor:
            seen.append(target[0].clone())
            value = actual(output, target)
            other = [torch.where(scale == 2, -out, out) for out, scale in zip(output, target)]
            assert torch.allclose(actual(other, target), value, atol=1e-5)
            return value

        return call

    monkeypatch.setattr(Trainer, "_build_loss", watched)
    assert run_here(job, monkeypatch) == 0, job.status()
    assert any((target == 2).any() for target in seen)
    model = adapted(own_home, job)
    assert "ignore" not in read_json(model.path / "dataset.json")["labels"]


@pytest.mark.parametrize("method", ["lora", "adapter", "scratch"])
def test_jobs_of_methods_that_change_the_network_end_in_a_usable_model(
    own_home: Home, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    home = with_cases(own_home)
    job = new_job(home, method=method)
    assert run_here(job, monkeypatch) == 0, job.status()
    model = adapted(home, job)
    assert model.card.stock == (method != "adapter")
    counts = model.card.lineage["parameters"]
    assert (counts["added"] > 0) == (method == "adapter") and (counts["updated"] > 0) == (method != "adapter")
    holdout = job.spec.holdout[0].id
    image = sitk.ReadImage(str(CaseStore(home.cases).get(holdout).image_path))
    labels = Predictor(model, torch.device("cpu")).segment(image)
    kept = sitk.ReadImage(str(job.path / "result" / f"{holdout}-after.nrrd"))
    assert np.array_equal(sitk.GetArrayFromImage(labels), sitk.GetArrayFromImage(kept))


def test_dgst_moves_at_most_one_weight_a_kernel_and_iteration(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home = with_cases(own_home, holdout=0)
    job = new_job(home, epochs=1, iterations_per_epoch=2)
    assert run_here(job, monkeypatch) == 0, job.status()
    before, after = weights(ModelStore(home.models).list()[0]), weights(adapted(home, job))
    kernels = {name: value for name, value in before.items() if value.ndim == 5 and value[0, 0].numel() > 2}
    moved = [int((before[name] != after[name]).flatten(2).sum(2).max()) for name in kernels]
    assert max(moved) == 2
    assert any((before[name] != after[name]).any() for name in before if name.endswith("norm.bias"))


def test_a_killed_job_resumes_to_the_very_same_model(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home = with_cases(own_home)
    steady = {"step_rule": "momentum", "learning_rate": 1e-2, "precision": "single"}
    reference = new_job(home, name="reference", **steady)
    assert run_here(reference, monkeypatch) == 0, reference.status()
    job = new_job(home, name="killed", **steady)
    job.start()
    deadline = time.monotonic() + 120
    while not (job.path / "checkpoint.pth").exists():
        assert time.monotonic() < deadline, job.status()
        time.sleep(0.02)
    os.kill(job.status().pid, signal.SIGKILL)
    wait_for(job, "interrupted")
    job.resume()
    wait_for(job, "done", "failed", "interrupted")
    assert job.status().state == "done", job.status()
    assert [row["iteration"] for row in job.progress()] == list(range(1, 7))
    expected, found = weights(adapted(home, reference)), weights(adapted(home, job))
    # Another process may split its work among threads differently, so the sums may differ in the last bits.
    assert all(torch.allclose(expected[name], found[name], atol=1e-5) for name in expected)


def test_the_same_seed_gives_the_same_model_and_another_seed_another(
    own_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = with_cases(own_home, holdout=0)
    models = []
    for seed in (1, 1, 2):
        job = new_job(home, seed=seed, epochs=1)
        assert run_here(job, monkeypatch) == 0, job.status()
        models.append(weights(adapted(home, job)))
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
    assert any(not torch.equal(models[0][name], models[2][name]) for name in models[0])


def test_a_cancelled_job_keeps_its_checkpoint_and_can_be_resumed(
    own_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = with_cases(own_home, holdout=0)
    job = new_job(home)
    step = Trainer.step

    def step_then_cancel(trainer: Trainer) -> float:
        loss = step(trainer)
        if trainer.iteration == 2:
            (job.path / "cancel").touch()
        return loss

    monkeypatch.setattr(Trainer, "step", step_then_cancel)
    assert run_here(job, monkeypatch) == 0
    assert (job.status().state, job.status().iteration) == ("cancelled", 2)
    monkeypatch.setattr(Trainer, "step", step)
    (job.path / "cancel").unlink()
    assert run_here(job, monkeypatch) == 0
    assert job.status().state == "done"
    assert [row["iteration"] for row in job.progress()] == list(range(1, 7))


def killed_after_storing(home: Home, monkeypatch: pytest.MonkeyPatch) -> tuple[Job, str]:
    """Return a job whose model is in the store but whose status does not say so yet, and the model's id."""
    job = new_job(with_cases(home, holdout=0))
    assert run_here(job, monkeypatch) == 0
    status = read_json(job.path / "status.json")
    write_json(job.path / "status.json", {**status, "state": "running", "model_id": ""})
    return job, status["model_id"]


def test_a_job_killed_after_its_model_was_stored_does_not_store_it_twice(
    own_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, model_id = killed_after_storing(own_home, monkeypatch)
    count = len(ModelStore(own_home.models).list())
    assert run_here(job, monkeypatch) == 0
    assert job.status().model_id == model_id
    assert len(ModelStore(own_home.models).list()) == count


@pytest.mark.parametrize(
    ("raised", "what", "why"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full", "No space left"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), "", "CUDA out of memory"),
    ],
)
def test_a_job_that_cannot_go_on_fails_with_the_reason(
    own_home: Home, monkeypatch: pytest.MonkeyPatch, raised: Exception, what: str, why: str
) -> None:
    home = with_cases(own_home, holdout=0)
    job = new_job(home)

    def fail(*_: Any) -> None:
        raise raised

    monkeypatch.setattr(Trainer, "step", fail)
    assert run_here(job, monkeypatch) == 1
    status = job.status()
    assert status.state == "failed"
    assert status.error is not None
    assert what in status.error["what"]
    assert why in status.error["why"]
    assert status.error["todo"]


def test_a_base_model_that_vanished_or_changed_ends_the_job_with_the_reason(
    own_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = with_cases(own_home, holdout=0)
    job = new_job(home)
    other = JobStore(home.jobs).create(replace(job.spec, base_sha256="0" * 64))
    assert run_here(other, monkeypatch) == 1
    assert "SHA-256" in other.status().error["why"]
    ModelStore(home.models).remove(job.spec.base_model)
    assert run_here(job, monkeypatch) == 1
    assert "not installed" in job.status().error["what"]


def test_a_diverging_training_is_reported(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home = with_cases(own_home, holdout=0)
    job = new_job(home, method="full", learning_rate=1e6, clip_norm=1e15, iterations_per_epoch=20)
    assert run_here(job, monkeypatch) == 1
    assert "learning rate" in job.status().error["todo"]


def test_an_unknown_method_is_refused_before_a_job_exists(own_home: Home) -> None:
    with pytest.raises(UserError, match="dgst"):
        new_job(with_cases(own_home, holdout=0), method="magic")


def test_the_engine_has_a_rule_for_every_method_that_a_job_may_name() -> None:
    assert tuple(engine_methods.METHODS) == tuple(known_methods)


def test_a_stored_model_finishes_its_job_even_when_the_base_has_gone(
    own_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, model_id = killed_after_storing(own_home, monkeypatch)
    (job.path / "checkpoint.pth").touch()
    ModelStore(own_home.models).remove(job.spec.base_model)
    assert run_here(job, monkeypatch) == 0
    assert job.status().model_id == model_id
    assert not (job.path / "checkpoint.pth").exists()


def test_a_base_model_and_a_case_removed_during_the_training_do_not_cost_the_model(
    own_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = with_cases(own_home, holdout=2)
    job = new_job(home)
    step = Trainer.step

    def removing(self: Trainer) -> float:
        if self.iteration == 3:
            ModelStore(home.models).remove(job.spec.base_model)
            CaseStore(home.cases).remove(job.spec.holdout[0].id, forever=True)
        return step(self)

    monkeypatch.setattr(Trainer, "step", removing)
    assert run_here(job, monkeypatch) == 0, job.status()
    assert set(adapted(home, job).card.metrics["cases"]) == {job.spec.holdout[1].id}


def test_a_damaged_checkpoint_says_how_to_begin_anew(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    job = new_job(with_cases(own_home, holdout=0))
    (job.path / "checkpoint.pth").write_bytes(b"PK damaged")
    assert run_here(job, monkeypatch) == 1
    assert "Delete checkpoint.pth" in (job.status().error or {})["todo"]
    (job.path / "checkpoint.pth").unlink()
    assert run_here(job, monkeypatch) == 0


def test_a_hostile_checkpoint_in_a_job_folder_is_not_executed(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home = with_cases(own_home, holdout=0)
    job = new_job(home)
    trace = home.root / "executed"

    class Hostile:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (trace,)

    torch.save({"weights": Hostile()}, job.path / "checkpoint.pth")
    assert run_here(job, monkeypatch) == 1
    assert not trace.exists()
    assert "checkpoint.pth" in " ".join(job.status().error.values())
