"""What an adaptation costs: forgetting on the source domain, changed parameters, time of an iteration."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lnsegfm.research.benchmark.aggregate import METRICS, Estimate, case_means
from lnsegfm.research.benchmark.experiment import ORDER, Experiment, gamma_of, shots_of
from lnsegfm.research.benchmark.run_results import CaseScores, Run


@dataclass(frozen=True)
class Forgetting:
    """Scores on cases of the source domain before and after an adaptation.

    Args:
        dataset: What the model was adapted to.
        method: The method.
        shots: Number of training cases; 0 for All-shot.
        gamma: γ; 0 for methods without.
        before: Estimate by metric with the foundation model, over the cases that were scored before and after.
        after: The same with the adapted model.
        folders: Folders of the runs.
    """

    dataset: str
    method: str
    shots: int
    gamma: int
    before: Mapping[str, Estimate | None]
    after: Mapping[str, Estimate | None]
    folders: tuple[Path, ...]

    def change(self, metric: str) -> float | None:
        """Return after minus before in percentage points, None where it is not known."""
        before, after = self.before[metric], self.after[metric]
        return None if before is None or after is None else after.mean - before.mean


@dataclass(frozen=True)
class UpdatedParameters:
    """How many parameters a method changed, over all its runs on networks of one size.

    Args:
        method: The method.
        gamma: γ; 0 for methods without.
        parameters: Number of parameters of the network.
        fewest: Number that changed in the run with the fewest.
        most: Number that changed in the run with the most.
        folders: Folders of the runs.
    """

    method: str
    gamma: int
    parameters: int
    fewest: int
    most: int
    folders: tuple[Path, ...]


@dataclass(frozen=True)
class Duration:
    """How long an iteration of a method takes on one device.

    Args:
        method: The method.
        gamma: γ; 0 for methods without.
        device: The device, in words.
        seconds: Median over the runs of their median iteration.
        ratio: To Full on the same device; None where Full was not measured there.
        folders: Folders of the runs.
    """

    method: str
    gamma: int
    device: str
    seconds: float
    ratio: float | None
    folders: tuple[Path, ...]


def forgetting(experiment: Experiment) -> tuple[Forgetting, ...]:
    """Return what each method lost on the source domain, by dataset, shots and γ, for runs that measured it."""
    measured = [run for run in experiment.runs if run.source_before and run.source_after]
    datasets = experiment.datasets
    groups = _groups(
        measured, lambda run: (datasets.index(run.dataset), shots_of(run), ORDER.index(run.method), gamma_of(run))
    )
    return tuple(_forgetting(runs) for runs in groups)


def updated_parameters(experiment: Experiment) -> tuple[UpdatedParameters, ...]:
    """Return the number of changed parameters by method, γ and size of the network, for runs that counted them."""
    counted = [run for run in experiment.runs if run.parameters]
    groups = _groups(counted, lambda run: (ORDER.index(run.method), gamma_of(run), run.parameters))
    return tuple(
        UpdatedParameters(
            runs[0].method, gamma_of(runs[0]), runs[0].parameters, min(run.updated for run in runs),
            max(run.updated for run in runs), _folders(runs),
        )
        for runs in groups
    )  # fmt: skip


def durations(experiment: Experiment) -> tuple[Duration, ...]:
    """Return the duration of an iteration by device, method and γ, for runs that measured it."""
    timed = [run for run in experiment.runs if run.iteration_s is not None]
    groups = _groups(timed, lambda run: (run.device, ORDER.index(run.method), gamma_of(run)))
    full = {runs[0].device: _median_s(runs) for runs in groups if runs[0].method == "full"}
    return tuple(
        Duration(
            runs[0].method, gamma_of(runs[0]), runs[0].device or "unknown device", _median_s(runs),
            _median_s(runs) / full[runs[0].device] if full.get(runs[0].device) else None, _folders(runs),
        )
        for runs in groups
    )  # fmt: skip


def _groups(runs: list[Run], key: Callable[[Run], tuple]) -> list[list[Run]]:
    groups: dict[tuple, list[Run]] = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run)
    return [groups[each] for each in sorted(groups)]


def _folders(runs: list[Run]) -> tuple[Path, ...]:
    return tuple(run.folder for run in runs)


def _median_s(runs: list[Run]) -> float:
    return statistics.median(run.iteration_s for run in runs if run.iteration_s is not None)


def _forgetting(runs: list[Run]) -> Forgetting:
    before, after = {}, {}
    for metric in METRICS:
        pairs = [_common(run.source_before, run.source_after, metric) for run in runs]
        before[metric] = Estimate.of(case_means([pair[0] for pair in pairs], metric).values())
        after[metric] = Estimate.of(case_means([pair[1] for pair in pairs], metric).values())
    return Forgetting(
        runs[0].dataset, runs[0].method, shots_of(runs[0]), gamma_of(runs[0]), before, after, _folders(runs)
    )


def _common(before: CaseScores, after: CaseScores, metric: str) -> tuple[CaseScores, CaseScores]:
    """The cases whose score is known on both sides, so that both means are over the same ones."""
    both = [
        case for case in before if case in after
        and before[case].get(metric) is not None and after[case].get(metric) is not None
    ]  # fmt: skip
    return {case: before[case] for case in both}, {case: after[case] for case in both}
