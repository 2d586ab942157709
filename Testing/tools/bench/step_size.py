"""Step rules at small budgets: ``python -m bench.step_size``; its table is in docs/explanation/step-size.md.

Adapts the bundled phantom model to three scans of the other hospital and scores it on four others, for each method,
step rule and budget, with the same seed.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch

from lnsegfm.base.files import read_json
from lnsegfm.evaluation.metrics import dice
from lnsegfm.jobs.job_spec import CaseRef, JobSpec
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_store import ModelStore
from lnsegfm.models.published.catalogue import install_bundled
from lnsegfm.phantom import make_case

DOMAIN = "hospital"
TRAINING_SEEDS, TEST_SEEDS = (601, 602, 603), (701, 702, 703, 704)
RULES: dict[str, dict[str, Any]] = {
    "momentum 0.99, lr 0.001": {"step_rule": "momentum", "learning_rate": 1e-3},
    "plain, lr 0.1": {"step_rule": "plain", "learning_rate": 0.1},
}
METHODS: dict[str, dict[str, Any]] = {
    "Full": {"method": "full"},
    "DGST, γ 1 per kernel": {"method": "dgst", "gamma": 1, "granularity": "kernel"},
    "DGST, γ 1 per filter": {"method": "dgst", "gamma": 1, "granularity": "filter"},
}
EPOCHS = 10


@dataclass(frozen=True)
class Study:
    """The base model and the preprocessed training scans."""

    base: ModelInfo
    data: Path

    def score(self, weights: dict[str, torch.Tensor] | None) -> float:
        """Return the mean DSC on the test scans, without mirroring."""
        from lnsegfm.engine.inference.predictor import Predictor, Quality

        predictor, scores = Predictor(self.base, torch.device("cpu")), []
        predictor.replace_weights(weights)
        for seed in TEST_SEEDS:
            case = make_case(DOMAIN, seed)
            found = predictor.segment(case.ct, Quality(mirroring=False))
            scores.append(dice(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(case.labels)))
        return float(np.mean(scores))

    def adapt(self, iterations: int, seed: int, **settings: Any) -> tuple[float, float]:
        """Return the DSC after a fine-tuning and the seconds of its iterations."""
        from lnsegfm.engine.finetuning.trainer import Trainer
        from lnsegfm.engine.networks.checkpoints import load_checkpoint

        cases = tuple(CaseRef(f"case-{number}", 1) for number in TRAINING_SEEDS)
        spec = JobSpec(
            self.base.id, self.base.sha256, cases, epochs=EPOCHS, iterations_per_epoch=iterations // EPOCHS,
            seed=seed, device="cpu", **settings,
        )
        plans, dataset = read_json(self.base.path / "plans.json"), read_json(self.base.path / "dataset.json")
        weights = load_checkpoint(self.base.checkpoint("all"))["network_weights"]
        trainer = Trainer.start(
            plans, self.base.card.configuration, dataset, weights, spec, self.data, torch.device("cpu")
        )
        started = time.monotonic()
        while trainer.iteration < spec.steps:
            trainer.step()
        seconds = time.monotonic() - started
        return self.score(trainer.weights()), seconds


def prepared(folder: Path) -> Study:
    """Install the bundled model below ``folder`` and preprocess the training scans."""
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    from lnsegfm.engine.finetuning.training_data import TrainingCase, preprocess

    os.environ.update(nnUNet_preprocessed=str(folder), nnUNet_results=str(folder), nnUNet_n_proc_DA="0")
    store = ModelStore(folder / "models")
    install_bundled(store)
    base = store.list()[0]
    cases = []
    for seed in TRAINING_SEEDS:
        phantom = make_case(DOMAIN, seed)
        case = TrainingCase(f"case-{seed}", folder / f"image-{seed}.nrrd", folder / f"label-{seed}.nrrd")
        sitk.WriteImage(phantom.ct, str(case.image))
        sitk.WriteImage(phantom.labels, str(case.label))
        cases.append(case)
    data = folder / "cases"
    data.mkdir()
    plans, dataset = read_json(base.path / "plans.json"), read_json(base.path / "dataset.json")
    preprocess(cases, PlansManager(plans), base.card.configuration, dataset, "LPS", data, lambda case: None)
    return Study(base, data)


def main() -> None:
    """Print a Markdown table, a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budgets", type=int, nargs="+", default=[120, 600])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        study = prepared(Path(folder))
        print(f"Before: DSC {study.score(None):.3f}; base model {study.base.sha256[:16]}, seed {options.seed}\n")
        print("| method | step rule | iterations | DSC | seconds of training |\n|---|---|---|---|---|", flush=True)
        for iterations in options.budgets:
            for method, settings in METHODS.items():
                for rule, step in RULES.items():
                    score, seconds = study.adapt(iterations, options.seed, **settings, **step)
                    print(f"| {method} | {rule} | {iterations} | {score:.3f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
