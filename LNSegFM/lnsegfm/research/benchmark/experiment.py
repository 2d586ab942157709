"""The runs of an experiment beside what was planned of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from lnsegfm.base.errors import UserError
from lnsegfm.jobs.method_names import METHODS
from lnsegfm.research.benchmark.run_results import Run

TABLE_1 = ("scratch", "full", "linear", "bias", "adapter", "lora", "affine", "dgst")
ABLATION = ("encoder", "decoder", "bias_norm", "drst", "sgst")
TABLE_2 = ("full", *ABLATION, "dgst")
ALL_SHOT = "allshot"
ORDER = (*TABLE_1[:-1], *ABLATION, "dgst", ALL_SHOT)
"""The methods in the order of the paper's tables."""

_WITH_GAMMA = ("drst", "sgst", "dgst")


class PlannedRun(Protocol):
    """What tells one run from another; the arguments are those of `lnsegfm.research.benchmark.run_results.Run`."""

    @property
    def dataset(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def shots(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def gamma(self) -> int: ...


class RunKey(NamedTuple):
    """The identity of a run: ``shots`` is 0 for All-shot, ``gamma`` is 0 for methods without γ."""

    dataset: str
    method: str
    shots: int
    seed: int
    gamma: int

    @classmethod
    def of(cls, run: PlannedRun) -> RunKey:
        """Return the key of a run that is planned or done."""
        return cls(run.dataset, run.method, shots_of(run), run.seed, gamma_of(run))


def shots_of(run: PlannedRun) -> int:
    """Return the number of shots; 0 for All-shot, whose number of cases is the dataset's and no choice."""
    return 0 if run.method == ALL_SHOT else run.shots


def gamma_of(run: PlannedRun) -> int:
    """Return γ, or 0 where the method has none."""
    return run.gamma if run.method in _WITH_GAMMA else 0


@dataclass(frozen=True)
class Experiment:
    """What is planned and what is done; make it with `Experiment.of`.

    Args:
        runs: The finished runs, in the order of the plan.
        planned: The keys of all runs there shall be, finished ones included.
        gamma: γ of the DGST, DRST and SGST that the tables show and that the tests compare.
    """

    runs: tuple[Run, ...]
    planned: tuple[RunKey, ...]
    gamma: int

    @classmethod
    def of(cls, runs: Iterable[Run], planned: Iterable[PlannedRun] | None = None, *, gamma: int = 1) -> Experiment:
        """Put the finished runs beside the planned ones.

        Args:
            runs: The finished runs.
            planned: All runs there shall be. Default: every method of the paper's tables with the shots and seeds
                that each dataset's runs have.
            gamma: γ of the tables; the paper's is 1.

        Raises:
            UserError: A method is not known, or two runs are the same by `RunKey`.
        """
        done = tuple(runs)
        _check(done)
        wanted = _paper_plan(done, gamma) if planned is None else [RunKey.of(run) for run in planned]
        keys = tuple(dict.fromkeys([*wanted, *sorted(RunKey.of(run) for run in done)]))
        # In the order of the plan, so that the report does not depend on which run was finished first.
        return cls(tuple(sorted(done, key=lambda run: keys.index(RunKey.of(run)))), keys, gamma)

    @property
    def datasets(self) -> tuple[str, ...]:
        """The datasets, in the order of the plan."""
        return tuple(dict.fromkeys(key.dataset for key in self.planned))

    def shots(self, dataset: str, methods: Iterable[str]) -> tuple[int, ...]:
        """Return the numbers of shots that are planned for any of the methods, ascending."""
        among = set(methods)
        return tuple(sorted({key.shots for key in self.planned if key.dataset == dataset and key.method in among}))

    def methods(self, dataset: str, among: Iterable[str]) -> tuple[str, ...]:
        """Return those methods that are planned for the dataset, in the given order."""
        planned = {key.method for key in self.planned if key.dataset == dataset}
        return tuple(method for method in among if method in planned)

    def keys(self, dataset: str, method: str, shots: int, gamma: int | None = None) -> tuple[RunKey, ...]:
        """Return the planned seeds of one method at one number of shots; ``gamma`` defaults to that of the tables."""
        wanted = (self.gamma if gamma is None else gamma) if method in _WITH_GAMMA else 0
        return tuple(key for key in self.planned if key[:3] == (dataset, method, shots) and key.gamma == wanted)

    def select(self, dataset: str, method: str, shots: int, gamma: int | None = None) -> tuple[Run, ...]:
        """Return the finished ones of `keys`."""
        wanted = set(self.keys(dataset, method, shots, gamma))
        return tuple(run for run in self.runs if RunKey.of(run) in wanted)

    def test_cases(self, dataset: str) -> set[str]:
        """Return the ids of the dataset's test cases, as far as any run has scored them."""
        return {case for run in self.runs if run.dataset == dataset for case in run.after}

    def missing(self) -> tuple[RunKey, ...]:
        """Return the planned runs that are not finished, in the order of the plan."""
        done = {RunKey.of(run) for run in self.runs}
        return tuple(key for key in self.planned if key not in done)


def _check(runs: tuple[Run, ...]) -> None:
    seen: dict[RunKey, Run] = {}
    for run in runs:
        if run.method not in METHODS or run.method not in ORDER:
            raise UserError(
                "The report cannot be written.", f"{run.folder} is a run of the unknown method '{run.method}'.",
                f"Choose among {', '.join(ORDER)}.",
            )
        other = seen.setdefault(RunKey.of(run), run)
        if other is not run:
            raise UserError(
                "The report cannot be written.",
                f"{other.folder} and {run.folder} are the same run: dataset, method, shots, seed and γ are equal.",
                "Leave one of them out, so that no case counts twice.",
            )


def _paper_plan(runs: tuple[Run, ...], gamma: int) -> list[RunKey]:
    plan = []
    for dataset in dict.fromkeys(run.dataset for run in runs):
        own = [run for run in runs if run.dataset == dataset]
        seeds = sorted({run.seed for run in own})
        shots = sorted({run.shots for run in own if run.method != ALL_SHOT})
        cells = [(method, number) for number in shots for method in TABLE_1]
        # The paper's ablation has the smallest and the largest number of shots.
        cells += [(method, number) for number in dict.fromkeys((*shots[:1], *shots[-1:])) for method in ABLATION]
        cells.append((ALL_SHOT, 0))
        plan += [
            RunKey(dataset, method, number, seed, gamma if method in _WITH_GAMMA else 0)
            for method, number in cells for seed in seeds
        ]  # fmt: skip
    return plan
