"""From the scores of single cases to mean ± standard deviation."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from lnsegfm.research.benchmark.run_results import CaseScores

METRICS = ("dsc", "nsd")


@dataclass(frozen=True)
class Estimate:
    """Mean and standard deviation of a score over cases, in percent.

    Args:
        mean: 0 to 100.
        sd: Sample standard deviation (n - 1 in the denominator); None for a single case.
        cases: Number of cases; None where a publication does not tell.
    """

    mean: float
    sd: float | None
    cases: int | None = None

    @classmethod
    def of(cls, scores: Collection[float]) -> Estimate | None:
        """Return the estimate from scores of 0 to 1, one per case; None where there are none."""
        if not scores:
            return None
        percent = [100 * score for score in scores]
        return cls(statistics.fmean(percent), statistics.stdev(percent) if len(percent) > 1 else None, len(percent))


def case_means(repeats: Iterable[CaseScores], metric: str) -> dict[str, float]:
    """Average each case over the seeds, so that a case counts once however often it was repeated.

    Args:
        repeats: Scores by case id, one mapping per seed.
        metric: One of `METRICS`.

    Returns:
        Mean score, 0 to 1, by case id in sorted order; cases without a known score are left out.
    """
    known: dict[str, list[float]] = {}
    for scores in repeats:
        for case, values in scores.items():
            score = values.get(metric)
            if score is not None:
                known.setdefault(case, []).append(score)
    return {case: statistics.fmean(known[case]) for case in sorted(known)}


def estimates(repeats: Collection[CaseScores]) -> Mapping[str, Estimate | None]:
    """Return the estimate of each of `METRICS` over the cases; see `case_means`."""
    return {metric: Estimate.of(case_means(repeats, metric).values()) for metric in METRICS}
