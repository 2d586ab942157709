"""Paired tests between methods: Wilcoxon's signed-rank test over the test cases, corrected after Holm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from lnsegfm.research.benchmark.aggregate import METRICS, case_means
from lnsegfm.research.benchmark.experiment import ORDER, Experiment
from lnsegfm.research.benchmark.run_results import Run

REFERENCE = "dgst"
LEVEL = 0.05
TEST_NAME = "Wilcoxon signed-rank test, two-sided, paired by test case"
CORRECTION_NAME = "Holm's step-down correction over the methods compared with DGST on one dataset, shots and metric"
EXACTNESS = "p is exact up to 50 cases, with ties up to 13, else from the normal approximation"


@dataclass(frozen=True)
class Comparison:
    """DGST against another method on the same test cases.

    Args:
        dataset: Name of the dataset.
        shots: Number of training cases.
        metric: ``dsc`` or ``nsd``.
        method: The other method.
        pairs: Number of test cases that both have.
        unequal: How many of them differ; only these enter the test.
        difference: Mean of DGST minus the other method, in percentage points; None without pairs.
        statistic: The smaller sum of signed ranks; None where no test was possible.
        p: Uncorrected p; None without pairs, 1 where all pairs are equal.
        p_holm: Corrected p.
        family: Number of comparisons that were corrected together.
        folders: The runs compared: those of the seeds that both have.
    """

    dataset: str
    shots: int
    metric: str
    method: str
    pairs: int
    unequal: int
    difference: float | None
    statistic: float | None
    p: float | None
    p_holm: float | None
    family: int
    folders: tuple[Path, ...]

    @property
    def smallest_p(self) -> float:
        """The smallest uncorrected p that so many unequal pairs can give: all differences of one sign."""
        return min(1.0, 2.0 ** (1 - self.unequal))

    @property
    def note(self) -> str:
        """What limits this comparison; empty when nothing does."""
        if not self.pairs:
            return "no test case that both have"
        if not self.unequal:
            return "no test case differs: no test, p is set to 1"
        if self.smallest_p >= LEVEL:
            return f"{self.unequal} unequal pairs cannot reach p < {LEVEL} (6 are needed)"
        if self.smallest_p * self.family >= LEVEL:
            return f"{self.unequal} unequal pairs and {self.family} comparisons may not reach a corrected p < {LEVEL}"
        return ""


def compare_methods(experiment: Experiment) -> tuple[Comparison, ...]:
    """Compare every method with DGST wherever both have finished runs.

    A case's score is its mean over the seeds that both methods have. Cases that do not differ are left out of the test
    (Wilcoxon's own rule); `EXACTNESS` says when p is exact. All-shot is not compared: it has other training cases.
    """
    found = []
    for dataset in experiment.datasets:
        others = [method for method in experiment.methods(dataset, ORDER[:-1]) if method != REFERENCE]
        for shots in experiment.shots(dataset, ORDER[:-1]):
            reference = experiment.select(dataset, REFERENCE, shots)
            rivals = {method: experiment.select(dataset, method, shots) for method in others}
            for metric in METRICS:
                found += [_compare(metric, reference, runs) for runs in rivals.values() if runs and reference]
    families = groupby(found, key=lambda item: (item.dataset, item.shots, item.metric))
    return tuple(item for _, family in families for item in _corrected(list(family)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for being several (Holm 1979): the chance of any false finding among them stays below the level.

    Returns:
        The corrected values in the order given, each at most 1.
    """
    # Written here because scipy has the false discovery rate only.
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def _compare(metric: str, reference: Sequence[Run], other: Sequence[Run]) -> Comparison:
    seeds = {run.seed for run in reference} & {run.seed for run in other}
    both = [[run for run in runs if run.seed in seeds] for runs in (reference, other)]
    ours, theirs = (case_means([run.after for run in runs], metric) for runs in both)
    cases = sorted(ours.keys() & theirs.keys())
    # Rounding errors of the means over seeds must neither break a tie nor make equal scores differ.
    differences = np.array([round(ours[case] - theirs[case], 9) for case in cases])
    unequal = int(np.count_nonzero(differences))
    statistic, p = _wilcoxon(differences) if unequal else (None, 1.0 if cases else None)
    return Comparison(
        dataset=other[0].dataset, shots=other[0].shots, metric=metric, method=other[0].method, pairs=len(cases),
        unequal=unequal, difference=100 * float(differences.mean()) if cases else None, statistic=statistic, p=p,
        p_holm=None, family=0, folders=tuple(run.folder for runs in both for run in runs),
    )  # fmt: skip


def _wilcoxon(differences: np.ndarray) -> tuple[float, float]:
    # Imported here: it takes half a second, which every command would pay at its start.
    from scipy.stats import wilcoxon

    # Zeros are dropped before the call, for with them scipy would leave the exact distribution above 13 cases.
    result = wilcoxon(differences[differences != 0])
    return float(result.statistic), float(result.pvalue)


def _corrected(family: list[Comparison]) -> list[Comparison]:
    tested = [item.p for item in family if item.p is not None]
    values = iter(holm(tested))
    return [
        replace(item, p_holm=next(values) if item.p is not None else None, family=len(tested)) for item in family
    ]  # fmt: skip
