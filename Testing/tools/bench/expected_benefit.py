"""How well the expected benefit ranks: ``python -m bench.expected_benefit``, for docs/explanation/worklist.md."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import torch
from scipy.stats import spearmanr

from lnsegfm.engine.inference.predictor import Predictor
from lnsegfm.engine.inference.quality import QUALITIES
from lnsegfm.evaluation.metrics import dice
from lnsegfm.images.probabilities import CERTAIN, FOREGROUND_FROM
from lnsegfm.models.model_store import ModelStore
from lnsegfm.models.published.catalogue import install_bundled
from lnsegfm.phantom import make_case
from lnsegfm.segmentation.uncertainty import expected_benefit

DOMAINS, SEEDS = ("source", "hospital"), range(700, 712)


def print_table() -> None:
    """Print the rank correlations with the true loss of Dice, for the bundled model on the CPU."""
    with tempfile.TemporaryDirectory() as folder:
        store = ModelStore(Path(folder))
        install_bundled(store)
        predictor = Predictor(store.list()[0], torch.device("cpu"))
    print("| quality | measure | both hospitals | " + " | ".join(DOMAINS) + " |\n|---|---|---|---|---|")
    for quality in ("fast", "standard"):
        scores = np.array([[_scores(predictor, domain, seed, quality) for seed in SEEDS] for domain in DOMAINS])
        for column, name in enumerate(("expected benefit", "uncertain volume"), start=1):
            parts = (scores.reshape(-1, 3), *scores)
            cells = [f"{spearmanr(part[:, 0], part[:, column]).statistic:.2f}" for part in parts]
            print(f"| {quality} | {name} | {' | '.join(cells)} |", flush=True)


def _scores(predictor: Predictor, domain: str, seed: int, quality: str) -> tuple[float, float, float]:
    """Return the true loss of Dice, the expected benefit, and the expected volume of wrong voxels (ml)."""
    case = make_case(domain, seed, size=(80, 80, 32), spacing=(2.4, 2.4, 3.6))
    probability = predictor.predict(case.ct, QUALITIES[quality])
    labels = probability >= FOREGROUND_FROM
    certain = sitk.GetArrayFromImage(probability) / CERTAIN
    wrong_ml = np.minimum(certain, 1 - certain).sum() * np.prod(case.ct.GetSpacing()) / 1000
    truth = dice(sitk.GetArrayFromImage(labels), sitk.GetArrayFromImage(case.labels))
    return 1 - truth, expected_benefit(probability, labels), float(wrong_ml)


if __name__ == "__main__":
    print_table()
