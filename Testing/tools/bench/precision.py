"""Training in bfloat16 against single precision: seconds of an iteration, and what the network learns."""

from __future__ import annotations

import io
import statistics
import tempfile
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import torch

from bench.iterations import loss_of
from bench.network import alternate, paper_network
from bench.step_size import prepared
from bench.targets import Targets
from lnsegfm.engine.dgst.method_table import METHODS
from lnsegfm.engine.precision import Precision, autocast, bfloat16_is_faster
from lnsegfm.jobs.job_spec import CaseRef, JobSpec

PATCH, BATCH = (32, 64, 96), 2
SEEDS, ITERATIONS = (1, 2, 3), 60
_CPU = torch.device("cpu")


def print_table(targets: Targets) -> None:
    """Print both tables, where this CPU gains by bfloat16."""
    if not bfloat16_is_faster():
        print("This CPU does not gain by bfloat16; trainings compute in single precision.\n")
        return
    data = torch.randn(BATCH, 1, *PATCH)
    precisions: tuple[Precision, ...] = ("single", "bfloat16")
    seconds = alternate({each: _iteration(each, data) for each in precisions}, _CPU, 3)
    share = seconds["bfloat16"] / seconds["single"]
    print(f"### Training iteration of DGST on the paper's network, patch {'x'.join(map(str, PATCH))}, batch {BATCH}\n")
    print("| precision | seconds | share |\n|---|---|---|")
    for name, value in seconds.items():
        said = ", as the build before" * (name == "single")
        print(f"| {name}{said} | {value:.2f} | {value / seconds['single']:.2f} |")
    targets.at_most("training iteration in bfloat16: share of the build before", share, 0.55)
    _print_learning()


def _iteration(precision: Precision, data: torch.Tensor) -> Callable[[], None]:
    network = paper_network()
    optimizer = METHODS["dgst"].prepare(network, JobSpec("base", "", (CaseRef("case", 1),)))

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        with autocast(_CPU, precision):
            loss = loss_of(network, data)
        loss.backward()
        optimizer.step()

    return run


def _print_learning() -> None:
    scores: dict[str, list[float]] = {"single": [], "bfloat16": []}
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):  # nnU-Net prints its citation
        study = prepared(Path(folder))
        before = study.score(None)
        for seed in SEEDS:
            for precision, found in scores.items():
                found.append(study.adapt(ITERATIONS, seed, step_rule="plain", learning_rate=0.1,
                                         precision=precision)[0])  # fmt: skip
    print(f"\nDSC on four scans of the other hospital after {ITERATIONS} iterations of DGST on three "
          f"({before:.3f} before):\n")  # fmt: skip
    print(f"| precision | {' | '.join(f'seed {seed}' for seed in SEEDS)} | mean | SD |\n|---" + "|---" * 5 + "|")
    for precision, found in scores.items():
        cells = " | ".join(f"{value:.3f}" for value in found)
        print(f"| {precision} | {cells} | {statistics.fmean(found):.3f} | {statistics.stdev(found):.3f} |")
    print()
