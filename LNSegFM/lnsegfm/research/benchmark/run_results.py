"""What is known of one finished run of the experiment; all tables and figures are made of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lnsegfm.evaluation.metrics import Scores

CaseScores = Mapping[str, Scores]
"""``{"dsc": 0..1, "nsd": 0..1 or None}`` by case id."""


@dataclass(frozen=True)
class Run:
    """One method on one few-shot training set, measured on the dataset's test cases.

    Args:
        dataset: The dataset's name in the configuration, for example ``SegRap2023``.
        method: One of `lnsegfm.jobs.job_spec.METHODS`.
        shots: Number of training cases.
        seed: Seed of the choice of the shots and of the training.
        gamma: DGST's γ.
        folder: The run's job folder, relative to the report: where each number can be traced to.
        after: Scores of the test cases with the adapted model.
        before: Scores of the same cases with the foundation model.
        source_after: Scores of cases of the source domain with the adapted model; empty where there are none.
        source_before: Scores of the same cases with the foundation model.
        iteration_s: Median duration of an iteration in seconds.
        device: What it ran on, in words.
        parameters: Number of parameters of the network.
        updated: How many of them the training changed.
    """

    dataset: str
    method: str
    shots: int
    seed: int
    gamma: int
    folder: Path
    after: CaseScores
    before: CaseScores = field(default_factory=dict)
    source_after: CaseScores = field(default_factory=dict)
    source_before: CaseScores = field(default_factory=dict)
    iteration_s: float | None = None
    device: str = ""
    parameters: int = 0
    updated: int = 0
