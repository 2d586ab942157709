"""The parts of the benchmark, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from bench import (
    gpu,
    inference,
    iterations,
    jobs,
    memory,
    precision,
    resampling,
    responsiveness,
    sessions,
    start_up,
    steps,
)
from bench.network import PATCH
from bench.targets import Targets

# The paper's patch needs some 8 GB with AMP on a GPU; on a CPU one iteration of it would take minutes.
_CPU_PATCH = (32, 64, 96)


@dataclass(frozen=True)
class Part:
    """One part.

    Args:
        run: Prints its tables, and notes what it was to show.
        minutes: What it takes on two cores, or on one GPU.
        on: Where it runs: ``cpu``, ``cuda``, or empty for both.
    """

    run: Callable[[torch.device, Targets], None]
    minutes: float
    on: str = ""


def _iterations(device: torch.device, targets: Targets) -> None:
    if device.type == "cuda":
        iterations.print_table(device, PATCH, 5)
    else:
        iterations.print_table(device, _CPU_PATCH, 1, methods=("full", "dgst"))


PARTS = {
    "iterations": Part(_iterations, 2),
    "steps": Part(lambda device, targets: steps.print_table(device, 5, targets), 0.5),
    "gpu": Part(lambda device, targets: gpu.print_table(device), 4, "cuda"),
    "precision": Part(lambda device, targets: precision.print_table(targets), 1.5, "cpu"),
    "jobs": Part(lambda device, targets: jobs.print_table(targets), 2, "cpu"),
    "resampling": Part(lambda device, targets: resampling.print_table(1, targets), 2, "cpu"),
    "inference": Part(lambda device, targets: inference.print_table(targets), 1.5, "cpu"),
    "sessions": Part(lambda device, targets: sessions.print_table(targets), 1.5, "cpu"),
    "start": Part(lambda device, targets: start_up.print_table(targets), 1, "cpu"),
    "memory": Part(lambda device, targets: memory.print_table(targets), 4, "cpu"),
    "responsiveness": Part(lambda device, targets: responsiveness.print_table(targets), 3, "cpu"),
}
"""By name."""
