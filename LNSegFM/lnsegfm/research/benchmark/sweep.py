"""The sensitivity to γ (Fig. 3 of the paper) as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lnsegfm.research.benchmark.aggregate import Estimate, estimates
from lnsegfm.research.benchmark.experiment import Experiment


@dataclass(frozen=True)
class SweepPoint:
    """DGST with one γ, or Full.

    Args:
        gamma: γ; 0 for Full.
        scores: Estimate over the test cases by metric; None where it is not known.
        folders: Folders of the runs that the scores come from.
    """

    gamma: int
    scores: Mapping[str, Estimate | None]
    folders: tuple[Path, ...]


@dataclass(frozen=True)
class GammaSweep:
    """Scores over γ on one dataset with one number of shots.

    Args:
        dataset: Name of the dataset.
        shots: Number of training cases.
        points: One for each planned γ, ascending; those without a finished run have no scores.
        full: The reference line.
    """

    dataset: str
    shots: int
    points: tuple[SweepPoint, ...]
    full: SweepPoint


def gamma_sweeps(experiment: Experiment) -> tuple[GammaSweep, ...]:
    """Return a sweep for each dataset and number of shots at which DGST is planned with several γ."""
    sweeps = []
    for dataset in experiment.datasets:
        for shots in experiment.shots(dataset, ("dgst",)):
            gammas = sorted({key.gamma for key in experiment.planned if key[:3] == (dataset, "dgst", shots)})
            if len(gammas) > 1:
                points = tuple(_point(experiment, dataset, "dgst", shots, gamma) for gamma in gammas)
                sweeps.append(GammaSweep(dataset, shots, points, _point(experiment, dataset, "full", shots, 0)))
    return tuple(sweeps)


def _point(experiment: Experiment, dataset: str, method: str, shots: int, gamma: int) -> SweepPoint:
    runs = experiment.select(dataset, method, shots, gamma)
    return SweepPoint(gamma, estimates([run.after for run in runs]), tuple(run.folder for run in runs))
