"""From the job folders of an experiment to what its report is made of."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable
from pathlib import Path

from lnsegfm.base.errors import UserError
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.evaluation.metrics import Scores
from lnsegfm.jobs.job_results import RESULT, label_file
from lnsegfm.jobs.job_store import Job
from lnsegfm.models.model_store import ModelStore
from lnsegfm.research.benchmark.benchmark_cases import Split
from lnsegfm.research.benchmark.experiment import TABLE_1
from lnsegfm.research.benchmark.figure_cases import FigureCase
from lnsegfm.research.benchmark.planned_runs import Planned
from lnsegfm.research.benchmark.run_results import CaseScores, Run

# The first iterations of a process load libraries and choose algorithms.
_WARM_UP = 5


def collect(
    planned: Iterable[Planned], jobs: Iterable[Job | None], models: ModelStore, report_folder: Path
) -> list[Run]:
    """Return the runs that are done.

    Raises:
        UserError: A job is done, but its model is not there.
    """
    runs = []
    for run, job in zip(planned, jobs):
        if job is None:
            continue
        status = job.status()
        if status.state != "done":
            continue
        metrics, counts = status.metrics or {}, models.get(status.model_id).card.lineage["parameters"]
        reference = metrics.get("reference", {})
        seconds = [row["seconds"] for row in job.progress()]
        runs.append(
            Run(
                run.dataset, run.method, run.shots, run.seed, run.gamma, Path(os.path.relpath(job.path, report_folder)),
                after=_scores(metrics, "after"), before=_scores(metrics, "before"),
                source_after=_scores(reference, "after"), source_before=_scores(reference, "before"),
                iteration_s=statistics.median(seconds[_WARM_UP:] or seconds), device=status.device,
                parameters=counts["total"], updated=counts["updated"] + counts["added"],
            )
        )
    return runs


def figure_cases(runs: list[Run], splits: dict[str, Split], cases: CaseStore, report_folder: Path) -> list[FigureCase]:
    """Choose each dataset's first test case with lymph nodes, as the methods of Table 1 see it with most shots."""
    chosen = []
    for dataset, split in splits.items():
        own = [run for run in runs if run.dataset == dataset and run.method in TABLE_1]
        if not own:
            continue
        most = max(run.shots for run in own)
        seed, gamma = min(run.seed for run in own), min(run.gamma for run in own)
        case = next((case for ref in split.test if (case := cases.get(ref.id)).latest.nodes), None)
        if case is None:
            continue
        predictions = {
            run.method: report_folder / run.folder / RESULT / label_file(case.id, "after")
            for run in own if (run.shots, run.seed, run.gamma) == (most, seed, gamma)
        }
        chosen.append(FigureCase(dataset, case.image_path, case.label_path(), predictions))
    return chosen


def _scores(metrics: dict[str, dict[str, dict[str, Scores]]], when: str) -> CaseScores:
    try:
        return {case: scores[when] for case, scores in metrics.get("cases", {}).items()}
    except KeyError as error:
        raise UserError("The scores of a job are incomplete.", f"{error} is missing.", "Remove the job.") from error
