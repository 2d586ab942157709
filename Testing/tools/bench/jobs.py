"""A whole fine-tuning job against nnU-Net's own training of the same network with as many iterations, on the CPU."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import SimpleITK as sitk

from bench.step_size import DOMAIN, TRAINING_SEEDS
from bench.targets import Targets
from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.jobs.case_selection import make_spec
from lnsegfm.jobs.job_spec import PRESETS
from lnsegfm.jobs.job_store import JobStore
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_store import ModelStore
from lnsegfm.models.published.catalogue import install_bundled
from lnsegfm.phantom import PhantomCase, make_case

ITERATIONS = 60
# nnU-Net's own share: 50 batches of validation after 250 of training.
_VALIDATION = ITERATIONS // 5


def print_table(targets: Targets) -> None:
    """Print what both take, the process's start included; nnU-Net's preprocessing is not counted."""
    cases = [make_case(DOMAIN, seed) for seed in TRAINING_SEEDS]
    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name) / "home")
        install_bundled(ModelStore(home.models))
        model = ModelStore(home.models).list()[0]
        ours = {precision: _ours(home, model, cases, precision) for precision in ("single", "auto")}
        stock = _stock(Path(name), model, cases)
    print(f"### A whole training of {ITERATIONS} iterations, three phantoms, the bundled network, CPU\n")
    print("| way | seconds | share of nnU-Net's |\n|---|---|---|")
    print(f"| nnU-Net's trainer, with its validation | {stock:.1f} | 1.00 |")
    for precision, seconds in ours.items():
        print(f"| our job, with preprocessing, precision {precision} | {seconds:.1f} | {seconds / stock:.2f} |")
    print()
    targets.at_most("whole job: share of nnU-Net's training", ours["auto"] / stock, 0.5)


def _ours(home: Home, model: ModelInfo, cases: list[PhantomCase], precision: str) -> float:
    store = CaseStore(home.cases)
    if not store.list():
        for case in cases:
            store.accept(case.ct, case.labels)
    changes = {"epochs": 1, "iterations_per_epoch": ITERATIONS, "device": "cpu", "precision": precision}
    job = JobStore(home.jobs).create(make_spec(home, model.id, **{**PRESETS["short"], **changes}))
    started = time.perf_counter()
    environment = {**os.environ, "LNSEGFM_HOME": str(home.root)}
    command = [sys.executable, "-m", "lnsegfm.engine.finetuning.runner", str(job.path)]
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return time.perf_counter() - started


def _stock(folder: Path, model: ModelInfo, cases: list[PhantomCase]) -> float:
    plans = json.loads((model.path / "plans.json").read_text())
    dataset = plans["dataset_name"]
    raw, preprocessed = folder / "raw" / dataset, folder / "preprocessed" / dataset
    for part in ("imagesTr", "labelsTr"):
        (raw / part).mkdir(parents=True)
    preprocessed.mkdir(parents=True)
    description = json.loads((model.path / "dataset.json").read_text())
    ending = description["file_ending"]
    for number, case in enumerate(cases):
        sitk.WriteImage(case.ct, str(raw / "imagesTr" / f"case{number}_0000{ending}"))
        sitk.WriteImage(case.labels, str(raw / "labelsTr" / f"case{number}{ending}"))
    (raw / "dataset.json").write_text(json.dumps({**description, "numTraining": len(cases)}))
    shutil.copy(raw / "dataset.json", preprocessed / "dataset.json")
    shutil.copytree(raw / "labelsTr", preprocessed / "gt_segmentations")
    (preprocessed / "dataset_fingerprint.json").write_text("{}")  # copied, not read
    (preprocessed / f"{plans['plans_name']}.json").write_text(json.dumps(plans))
    environment = {
        **os.environ, "nnUNet_raw": str(folder / "raw"), "nnUNet_preprocessed": str(folder / "preprocessed"),
        "nnUNet_results": str(folder / "results"), "nnUNet_n_proc_DA": "0", "nnUNet_compile": "false",
    }  # fmt: skip
    arguments = [str(preprocessed), dataset, model.card.configuration, plans["plans_name"]]
    seconds = 0.0
    for step in ("prepare", "train"):
        started = time.perf_counter()
        command = [sys.executable, "-m", "bench.jobs", step, *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        if done.returncode:
            raise SystemExit(f"nnU-Net did not {step}: {done.stderr[-2000:]}")
        seconds = time.perf_counter() - started
    return seconds


def _prepare(_folder: str, dataset: str, configuration: str, plans: str) -> None:
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor

    DefaultPreprocessor(verbose=False).run(dataset, configuration, plans, num_processes=1)


def _train(preprocessed: str, _dataset: str, configuration: str, plans: str) -> None:
    """Do what ``nnUNetv2_train DATASET CONFIGURATION all -device cpu`` does, with fewer iterations."""
    import torch
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

    folder = Path(preprocessed)
    trainer = nnUNetTrainer(
        {**json.loads((folder / f"{plans}.json").read_text()), "continue_training": False}, configuration, "all",
        json.loads((folder / "dataset.json").read_text()), torch.device("cpu"),
    )
    trainer.num_epochs, trainer.num_iterations_per_epoch = 1, ITERATIONS
    trainer.num_val_iterations_per_epoch = _VALIDATION
    trainer.run_training()
    trainer.perform_actual_validation(False)


if __name__ == "__main__":
    {"prepare": _prepare, "train": _train}[sys.argv[1]](*sys.argv[2:6])
