"""All runs of an experiment, each as the job that does it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lnsegfm.jobs.job_spec import CaseRef, JobSpec
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.research.benchmark.benchmark_cases import Split
from lnsegfm.research.benchmark.benchmark_config import Config, DatasetConfig
from lnsegfm.research.benchmark.experiment import ALL_SHOT, RunKey, gamma_of


@dataclass(frozen=True)
class Planned:
    """A run that shall be done; the first fields are those of `lnsegfm.research.benchmark.run_results.Run`.

    Args:
        dataset: Name of the dataset.
        method: The method.
        shots: Number of training cases.
        seed: Seed of the choice of the shots and of the training.
        gamma: γ.
        spec: The job; on which device it is done does not matter for what it is.
    """

    dataset: str
    method: str
    shots: int
    seed: int
    gamma: int
    spec: JobSpec


def plan_runs(
    config: Config, base: ModelInfo, splits: Mapping[str, Split], reference: Sequence[CaseRef]
) -> list[Planned]:
    """Return the runs in the order in which they are to be done: the paper's Table 1, Table 2 and Fig. 3, seed by seed.

    Args:
        config: The experiment.
        base: The foundation model.
        splits: The cases by dataset.
        reference: Cases of the foundation model's own domain.
    """
    planned: dict[RunKey, Planned] = {}
    for seed in config.seeds:
        for dataset in config.datasets:
            for method, shots, gamma in _cells(config, dataset):
                cases = splits[dataset.name]
                count = len(cases.pool) if method == ALL_SHOT else shots
                spec = JobSpec(
                    base_model=base.id, base_sha256=base.sha256, cases=cases.shots(count, seed), holdout=cases.test,
                    reference=tuple(reference), gamma=gamma, seed=seed,
                    name=_name(dataset.name, method, count, seed, gamma), **config.job_settings(method),
                )
                run = Planned(dataset.name, method, count, seed, gamma, spec)
                planned.setdefault(RunKey.of(run), run)
    return list(planned.values())


def _cells(config: Config, dataset: DatasetConfig) -> list[tuple[str, int, int]]:
    first = config.gammas[0] if config.gammas else 1
    cells = [(method, shots, first) for shots in dataset.shots for method in config.methods]
    ablation = (*config.ablation, "full", "dgst")
    cells += [(method, shots, first) for shots in dataset.ablation_shots for method in ablation]
    if dataset.gamma_shots:
        cells += [("dgst", dataset.gamma_shots, gamma) for gamma in config.gammas]
        cells.append(("full", dataset.gamma_shots, first))
    if dataset.all_shot:
        cells.append((ALL_SHOT, 0, first))
    return cells


def _name(dataset: str, method: str, shots: int, seed: int, gamma: int) -> str:
    probe = Planned(dataset, method, shots, seed, gamma, None)  # type: ignore[arg-type]
    with_gamma = f" gamma {gamma}" if gamma_of(probe) else ""
    return f"{dataset} {method} {shots}-shot{with_gamma} seed {seed}"


def same_run(job: JobSpec, wanted: JobSpec) -> bool:
    """Tell whether a job is the planned run, wherever it was done."""
    free = {"device": "auto", "checkpoint_seconds": 60.0, "loader_processes": -1}
    return replace(job, **free) == replace(wanted, **free)  # type: ignore[arg-type]
