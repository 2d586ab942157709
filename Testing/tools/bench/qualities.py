"""What the qualities and the body crop cost: ``python -m bench.qualities``, for docs/explanation/quality.md."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import SimpleITK as sitk
import torch

from lnsegfm.engine.inference.predictor import Predictor
from lnsegfm.engine.inference.quality import QUALITIES
from lnsegfm.evaluation.metrics import dice
from lnsegfm.images.boxes import BODY, WHOLE, Region
from lnsegfm.images.crop import region_box, size_of
from lnsegfm.images.probabilities import FOREGROUND_FROM
from lnsegfm.models.model_store import ModelStore
from lnsegfm.models.published.catalogue import install_bundled
from lnsegfm.phantom import PhantomCase, make_case

SEEDS = {"source": (501, 502), "hospital": (504, 505)}
# Large enough for the steps to differ, with the air around the neck that a CT has.
SIZE, SPACING = (112, 112, 56), (2.0, 2.0, 3.0)


@dataclass(frozen=True)
class Row:
    """One way to segment all phantoms."""

    quality: str
    region: Region
    seconds: list[float]
    labels: list[np.ndarray]


def measured(predictor: Predictor, cases: list[PhantomCase], quality: str, region: Region) -> Row:
    """Segment all cases in one way; the seconds are of the processor, so that others' work does not count."""
    seconds, labels = [], []
    for case in cases:
        started = time.process_time()
        probability = predictor.predict(case.ct, QUALITIES[quality], region=region)
        seconds.append(time.process_time() - started)
        labels.append(sitk.GetArrayFromImage(probability) >= FOREGROUND_FROM)
    return Row(quality, region, seconds, labels)


def print_tables() -> None:
    """Print both tables, for the bundled model on the CPU."""
    with tempfile.TemporaryDirectory() as folder:
        store = ModelStore(Path(folder))
        install_bundled(store)
        predictor = Predictor(store.list()[0], torch.device("cpu"))
        cases = [
            make_case(domain, seed, size=SIZE, spacing=SPACING) for domain, seeds in SEEDS.items() for seed in seeds
        ]
        predictor.predict(cases[0].ct, QUALITIES["fast"])  # libraries choose their algorithms at the first call
        standard = measured(predictor, cases, "standard", WHOLE)
        rows = [standard, *(measured(predictor, cases, name, WHOLE) for name in ("fast", "best"))]
        rows.append(measured(predictor, cases, "standard", BODY))
    parts = {domain: slice(2 * index, 2 * index + 2) for index, domain in enumerate(SEEDS)}
    print("| quality | region | CPU seconds | " + " | ".join(f"Dice to standard, {name}" for name in parts)
          + " | " + " | ".join(f"DSC to the truth, {name}" for name in parts) + " |")
    print("|---" * (3 + 2 * len(parts)) + "|")
    truth = [sitk.GetArrayFromImage(case.labels) for case in cases]
    for row in rows:
        cells = [
            f"{fmean(dice(a, b) for a, b in zip(row.labels[part], other[part])):.3f}"
            for other in (standard.labels, truth) for part in parts.values()
        ]
        print(f"| {row.quality} | {row.region} | {fmean(row.seconds):.1f} | {' | '.join(cells)} |", flush=True)
    shares = [np.prod(size_of(region_box(case.ct, BODY))) / np.prod(SIZE) for case in cases]
    print(f"\nThe body's box holds {fmean(shares):.0%} of the voxels.")


if __name__ == "__main__":
    print_tables()
