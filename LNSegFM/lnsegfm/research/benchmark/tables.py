"""The paper's Table 1 and Table 2 as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lnsegfm.research.benchmark.aggregate import METRICS, Estimate, estimates
from lnsegfm.research.benchmark.experiment import ABLATION, ALL_SHOT, TABLE_1, TABLE_2, Experiment
from lnsegfm.research.benchmark.run_results import Run

DECIMALS = 2
"""Decimals of a percentage in the tables; ranks are given to the printed numbers."""


@dataclass(frozen=True)
class Cell:
    """One method with one number of shots on one dataset.

    Args:
        scores: Estimate over the test cases by metric; None where it is not known.
        seeds: The seeds that are finished.
        shots: Number of training cases; 0 where nothing was trained or no run is finished.
        folders: Folders of the runs that the scores come from.
        partial: Something planned is not in it: a seed, or a test case.
    """

    scores: Mapping[str, Estimate | None]
    seeds: tuple[int, ...] = ()
    shots: int = 0
    folders: tuple[Path, ...] = ()
    partial: bool = False


@dataclass(frozen=True)
class ScoreTable:
    """Scores of one dataset.

    Args:
        dataset: Name of the dataset.
        methods: The rows, in the paper's order.
        shots: The columns.
        cells: By method and shots; those without a finished run have no scores.
        ranks: 1 for the best and 2 for the second best mean by method, shots and metric; equal printed numbers have
            equal ranks.
    """

    dataset: str
    methods: tuple[str, ...]
    shots: tuple[int, ...]
    cells: Mapping[tuple[str, int], Cell]
    ranks: Mapping[tuple[str, int, str], int]


def table_1(experiment: Experiment) -> tuple[ScoreTable, ...]:
    """Return the comparison of the methods: one table per dataset that has any."""
    shots = {dataset: experiment.shots(dataset, TABLE_1) for dataset in experiment.datasets}
    return _tables(experiment, TABLE_1, shots)


def table_2(experiment: Experiment) -> tuple[ScoreTable, ...]:
    """Return the ablation study: one table per dataset for which any of its own methods is planned."""
    shots = {dataset: experiment.shots(dataset, ABLATION) for dataset in experiment.datasets}
    return _tables(experiment, TABLE_2, shots)


def all_shot(experiment: Experiment, dataset: str) -> Cell:
    """Return the reference that was trained from scratch on all training cases."""
    return _cell(experiment, dataset, ALL_SHOT, 0)


def foundation(experiment: Experiment, dataset: str) -> Cell:
    """Return the reference that was not adapted at all: the foundation model on the same test cases."""
    measured = [run for run in experiment.runs if run.dataset == dataset and run.before]
    cases = experiment.test_cases(dataset)
    known = {case for run in measured for case in run.before}
    return Cell(
        estimates([run.before for run in measured]),
        folders=tuple(run.folder for run in measured),
        partial=bool(measured) and not cases <= known,
    )


def _tables(
    experiment: Experiment, methods: Sequence[str], shots: Mapping[str, tuple[int, ...]]
) -> tuple[ScoreTable, ...]:
    return tuple(
        _table(experiment, dataset, experiment.methods(dataset, methods), numbers)
        for dataset, numbers in shots.items() if numbers
    )  # fmt: skip


def _table(experiment: Experiment, dataset: str, methods: tuple[str, ...], shots: tuple[int, ...]) -> ScoreTable:
    cells = {(method, number): _cell(experiment, dataset, method, number) for method in methods for number in shots}
    ranks = {}
    for number in shots:
        for metric in METRICS:
            column = {method: cells[method, number].scores[metric] for method in methods}
            ranks.update({(method, number, metric): rank for method, rank in _ranks(column).items()})
    return ScoreTable(dataset, methods, shots, cells, ranks)


def _cell(experiment: Experiment, dataset: str, method: str, shots: int) -> Cell:
    runs = experiment.select(dataset, method, shots)
    return Cell(
        estimates([run.after for run in runs]),
        seeds=tuple(run.seed for run in runs),
        shots=max((run.shots for run in runs), default=shots),
        folders=tuple(run.folder for run in runs),
        partial=bool(runs) and _is_partial(experiment, dataset, runs, len(experiment.keys(dataset, method, shots))),
    )


def _is_partial(experiment: Experiment, dataset: str, runs: tuple[Run, ...], planned: int) -> bool:
    cases = experiment.test_cases(dataset)
    return len(runs) < planned or any(cases - run.after.keys() for run in runs)


def _ranks(column: Mapping[str, Estimate | None]) -> dict[str, int]:
    printed = {method: round(found.mean, DECIMALS) for method, found in column.items() if found is not None}
    best = sorted(set(printed.values()), reverse=True)[:2]
    return {method: best.index(mean) + 1 for method, mean in printed.items() if mean in best}
