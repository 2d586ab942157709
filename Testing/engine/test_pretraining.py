"""Pre-training a foundation model: plans, interruption, several processes, the installed model."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import read_json
from lnsegfm.base.home import Home
from lnsegfm.cli import main
from lnsegfm.engine.finetuning.planning import Fingerprint, make_plans, target_spacing
from lnsegfm.engine.inference.predictor import Predictor, Quality
from lnsegfm.engine.networks.checkpoints import load_checkpoint
from lnsegfm.engine.networks.network import build_network
from lnsegfm.jobs.pretraining import Pretraining, PretrainSettings, claim_folder
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_store import ModelStore
from lnsegfm.phantom import make_case

DATASET = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "lymph node": 1}, "file_ending": ".nii.gz"}
TINY = PretrainSettings(
    raw="", name="Tiny", patch=(16, 16, 16), spacing=(3.0, 2.0, 2.0), base_features=4, epochs=2,
    iterations_per_epoch=4, seed=5, device="cpu",
)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("raw")
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir()
    for seed in range(3):
        phantom = make_case("source", seed, size=(40, 40, 16), spacing=(2.0, 2.0, 3.0))
        # Stored in another voxel order than the model's; the labels have no copy of it.
        ct, labels = (sitk.DICOMOrient(image, "RAS") for image in (phantom.ct, phantom.labels))
        sitk.WriteImage(ct, str(folder / "imagesTr" / f"p{seed}_0000.nii.gz"))
        sitk.WriteImage(labels, str(folder / "labelsTr" / f"p{seed}.nii.gz"))
    return folder


def begun(folder: Path, raw: Path, home: Home, **changes: object) -> Pretraining:
    claim_folder(folder, replace(TINY, raw=str(raw), **changes))  # type: ignore[arg-type]
    return Pretraining(folder, home)


def ended(training: Pretraining, timeout_s: float = 120) -> ModelInfo:
    deadline = time.monotonic() + timeout_s
    while training.status().active:
        assert time.monotonic() < deadline, training.status()
        time.sleep(0.1)
    assert training.status().state == "done", f"{training.status()} {training.log_tail()}"
    return ModelStore(training._home / "models").verify(training.status().model_id)


def weights(model: ModelInfo) -> dict[str, torch.Tensor]:
    return load_checkpoint(model.checkpoint("all"))["network_weights"]


def test_a_killed_pretraining_ends_in_the_very_same_foundation_model(raw: Path, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    whole = begun(tmp_path / "whole", raw, home)
    whole.start()
    expected = ended(whole)
    cut = begun(tmp_path / "cut", raw, home)
    for _ in range(2):
        cut.start()
        deadline = time.monotonic() + 120
        rows = len(cut.progress())
        while len(cut.progress()) <= rows and cut.status().active:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        if cut.status().active:
            os.killpg(cut.status().pid, signal.SIGKILL)
        while cut.status().active:
            time.sleep(0.02)
    if cut.status().state != "done":
        cut.start()
    found = ended(cut)
    ours, theirs = weights(found), weights(expected)
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    card = found.card
    assert (card.kind, card.orientation, card.parent) == ("foundation", "LPS", "")
    assert card.lineage["cases"] == 3 and str(raw) not in str(read_json(found.path / "model.json"))
    labels = Predictor(found, torch.device("cpu")).segment(
        make_case("source", 9, size=(40, 40, 16), spacing=(2.0, 2.0, 3.0)).ct, Quality(mirroring=False)
    )
    assert labels.GetSize() == (40, 40, 16)


@pytest.mark.skipif(os.name == "nt", reason="gloo over localhost")
def test_two_processes_share_each_batch(raw: Path, tmp_path: Path) -> None:
    training = begun(tmp_path / "two", raw, Home(tmp_path / "home"), gpus=2, epochs=1)
    training.start()
    model = ended(training)
    assert [row["iteration"] for row in training.progress()] == [1, 2, 3, 4]
    alone = begun(tmp_path / "one", raw, Home(tmp_path / "home"), epochs=1)
    alone.start()
    other = weights(ended(alone))
    # The same initial weights, other patches: close, but not the same.
    assert not all(torch.equal(value, other[name]) for name, value in weights(model).items())
    assert max(float((value - other[name]).abs().max()) for name, value in weights(model).items()) < 0.5


def test_the_command_trains_watches_and_refuses_other_settings(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LNSEGFM_HOME", str(tmp_path / "home"))
    size = ["--patch", "16", "16", "16", "--spacing", "3", "2", "2", "--base-features", "4"]
    command = ["pretrain", str(raw), "--out", str(tmp_path / "work"), *size, "--device", "cpu", "--name", "Ours"]
    short = ["--epochs", "1", "--iterations-per-epoch", "2", "--holdout", "1"]
    assert main([*command, *short]) == 0
    assert "The model is 'ours'" in capsys.readouterr().out
    assert main([*command, *short]) == 0, "what is done is done"
    assert main([*command, *short, "--epochs", "3"]) == 1
    assert "epochs was 1, now 3" in capsys.readouterr().err
    assert len(ModelStore(tmp_path / "home" / "models").list()) == 1


def test_the_papers_plan_is_nnunets_31_million_network() -> None:
    settings = PretrainSettings(raw="")
    cases = [
        Fingerprint((z, 1.0, 1.0), (count, 512, 512), np.linspace(-50, 150, 100, dtype=np.float32))
        for z, count in ((2.0, 190), (3.0, 140), (3.0, 130))
    ]
    plans = make_plans(cases, settings, "Dataset900_LymphNodes")
    configuration = plans["configurations"]["3d_fullres"]
    assert configuration["patch_size"] == [80, 112, 224] and configuration["batch_size"] == 2
    assert configuration["spacing"] == [3.0, 1.0, 1.0]
    assert configuration["architecture"]["arch_kwargs"]["features_per_stage"] == [32, 64, 128, 256, 320, 320]
    with torch.device("meta"):
        network = build_network(plans, "3d_fullres", DATASET, deep_supervision=True)
    assert 30e6 < sum(parameter.numel() for parameter in network.parameters()) < 32e6
    assert (settings.steps, settings.learning_rate, settings.poly_exponent) == (500_000, 0.01, 0.9)


def test_the_target_spacing_is_nnunets() -> None:
    sample = np.zeros(0, np.float32)
    even = [Fingerprint((z, x, x), (100, 300, 300), sample) for z, x in ((3.0, 1.0), (2.0, 0.8))]
    assert target_spacing(even) == (2.5, 0.9, 0.9)
    coarse = [Fingerprint((z, 1.0, 1.0), (20, 300, 300), sample) for z in (3.0, 8.0, 10.0)]
    assert target_spacing(coarse)[0] == pytest.approx(4.0)  # the 10th percentile


@pytest.mark.parametrize(
    ("field", "value"), [("epochs", 0), ("patch", (4, 16, 16)), ("batch_size", 3), ("spacing", (0.0, 1.0, 1.0))]
)
def test_settings_that_make_no_sense_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(UserError, match=f"'{field}\\b"):
        replace(TINY, **{"gpus": 2, field: value})  # type: ignore[arg-type]


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("dear")
    with pytest.raises(UserError, match="not empty"):
        claim_folder(tmp_path, TINY)
    assert (tmp_path / "thesis.txt").read_text() == "dear"


def test_a_case_that_cannot_be_used_is_named(raw: Path, tmp_path: Path) -> None:
    broken = tmp_path / "raw"
    for part in ("imagesTr", "labelsTr"):
        (broken / part).mkdir(parents=True)
        for path in (raw / part).iterdir():
            (broken / part / path.name).write_bytes(path.read_bytes())
    (broken / "labelsTr" / "p1.nii.gz").write_bytes(b"no image")
    training = begun(tmp_path / "work", broken, Home(tmp_path / "home"))
    training.start()
    while training.status().active:
        time.sleep(0.1)
    assert training.status().state == "failed"
    assert "p1" in (training.status().error or {})["what"]
