"""The report's numbers as CSV; the column ``runs`` leads from each to the run folders it comes from."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from lnsegfm.base.files import write_text
from lnsegfm.jobs.method_names import METHODS
from lnsegfm.research.benchmark.aggregate import METRICS, Estimate
from lnsegfm.research.benchmark.costs import Duration, Forgetting, UpdatedParameters
from lnsegfm.research.benchmark.experiment import ALL_SHOT, TABLE_2, Experiment, gamma_of
from lnsegfm.research.benchmark.paper_values import PaperValues
from lnsegfm.research.benchmark.run_results import CaseScores
from lnsegfm.research.benchmark.statistics import REFERENCE, Comparison
from lnsegfm.research.benchmark.sweep import GammaSweep
from lnsegfm.research.benchmark.tables import Cell, ScoreTable, all_shot, foundation

Value = str | int | float | None
Row = dict[str, Value]


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Value]]) -> None:
    """Write rows atomically; None becomes an empty field, and numbers keep ten digits."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: f"{value:.10g}" if isinstance(value, float) else value for name, value in row.items()})
    write_text(path, stream.getvalue())


_SCORES = [f"{metric}_{what}" for metric in METRICS for what in ("mean", "sd", "cases")]
TABLE_COLUMNS = (
    "dataset", "method", "name", "shots", "seeds", *_SCORES, *(f"{metric}_rank" for metric in METRICS), "partial",
    *(f"paper_{metric}_{what}" for metric in METRICS for what in ("mean", "sd")), "runs",
)  # fmt: skip
ABLATION_COLUMNS = (*TABLE_COLUMNS[:-1], "iteration_s", "iteration_ratio", "iteration_device", "runs")
GAMMA_COLUMNS = ("dataset", "shots", "method", "gamma", *_SCORES, "runs")
TEST_COLUMNS = (
    "dataset", "shots", "metric", "method", "against", "pairs", "unequal_pairs", "mean_difference_points", "statistic",
    "p", "p_holm", "holm_comparisons", "note", "runs",
)  # fmt: skip
FORGETTING_COLUMNS = (
    "dataset", "method", "shots", "gamma",
    *(f"{metric}_{what}" for metric in METRICS for what in ("before", "after", "change", "cases")), "runs",
)  # fmt: skip
PARAMETER_COLUMNS = ("method", "gamma", "parameters", "updated_fewest", "updated_most", "runs")
DURATION_COLUMNS = ("method", "gamma", "device", "iteration_s", "iteration_ratio", "paper_iteration_s", "runs")
SCORE_COLUMNS = (
    "dataset", "method", "shots", "seed", "gamma", "domain", "case",
    *(f"{metric}_{what}" for metric in METRICS for what in ("before", "after")), "run",
)  # fmt: skip


def table_rows(experiment: Experiment, tables: Sequence[ScoreTable], paper: PaperValues | None) -> Iterable[Row]:
    """Return one row per cell of Table 1, references included; the foundation model has an empty method."""
    yield from _cells(tables, paper)
    for dataset in experiment.datasets:
        if experiment.shots(dataset, (ALL_SHOT,)):
            cell = all_shot(experiment, dataset)
            printed = _printed(paper, dataset, ALL_SHOT, 0)
            yield {**_row(cell, dataset, ALL_SHOT), **printed, "shots": cell.shots or None}
        yield {**_row(foundation(experiment, dataset), dataset, ""), "name": "Foundation model, not adapted"}


def ablation_rows(
    tables: Sequence[ScoreTable], times: Sequence[Duration], paper: PaperValues | None
) -> Iterable[Row]:
    """Return one row per cell of Table 2 and device on which the method's iterations were timed."""
    for row in _cells(tables, paper):
        timed = [time for time in times if time.method == row["method"] and time.method in TABLE_2]
        yield from ({**row, **_time(time)} for time in timed)
        if not timed:
            yield row


def gamma_rows(sweeps: Sequence[GammaSweep]) -> Iterable[Row]:
    """Return the points of Fig. 3."""
    for sweep in sweeps:
        for point in (*sweep.points, sweep.full):
            yield {
                "dataset": sweep.dataset, "shots": sweep.shots, "method": "dgst" if point.gamma else "full",
                "gamma": point.gamma or None, **_scores(point.scores), "runs": _runs(point.folders),
            }  # fmt: skip


def test_rows(comparisons: Sequence[Comparison]) -> Iterable[Row]:
    """Return one row per comparison."""
    for item in comparisons:
        yield {
            "dataset": item.dataset, "shots": item.shots, "metric": item.metric, "method": item.method,
            "against": REFERENCE, "pairs": item.pairs, "unequal_pairs": item.unequal,
            "mean_difference_points": item.difference, "statistic": item.statistic, "p": item.p,
            "p_holm": item.p_holm, "holm_comparisons": item.family, "note": item.note, "runs": _runs(item.folders),
        }  # fmt: skip


def forgetting_rows(rows: Sequence[Forgetting]) -> Iterable[Row]:
    """Return one row per method, dataset, shots and γ."""
    for item in rows:
        row: Row = {"dataset": item.dataset, "method": item.method, "shots": item.shots or None,
                    "gamma": item.gamma or None, "runs": _runs(item.folders)}  # fmt: skip
        for metric in METRICS:
            before, after = item.before[metric], item.after[metric]
            if before and after:
                row |= {
                    f"{metric}_before": before.mean, f"{metric}_after": after.mean,
                    f"{metric}_change": item.change(metric), f"{metric}_cases": after.cases,
                }  # fmt: skip
        yield row


def parameter_rows(rows: Sequence[UpdatedParameters]) -> Iterable[Row]:
    """Return one row per method, γ and size of the network."""
    for item in rows:
        yield {
            "method": item.method, "gamma": item.gamma or None, "parameters": item.parameters,
            "updated_fewest": item.fewest, "updated_most": item.most, "runs": _runs(item.folders),
        }  # fmt: skip


def duration_rows(times: Sequence[Duration], paper: PaperValues | None) -> Iterable[Row]:
    """Return one row per device, method and γ."""
    for time in times:
        yield {
            "method": time.method, "gamma": time.gamma or None, "device": time.device, "iteration_s": time.seconds,
            "iteration_ratio": time.ratio, "paper_iteration_s": paper.iteration_s.get(time.method) if paper else None,
            "runs": _runs(time.folders),
        }  # fmt: skip


def score_rows(experiment: Experiment) -> Iterable[Row]:
    """Return one row per run and case, 0 to 1; ``domain`` is ``target`` (test cases) or ``source``."""
    for run in experiment.runs:
        start: Row = {"dataset": run.dataset, "method": run.method, "shots": run.shots, "seed": run.seed,
                      "gamma": gamma_of(run) or None, "run": run.folder.as_posix()}  # fmt: skip
        for domain, before, after in (
            ("target", run.before, run.after), ("source", run.source_before, run.source_after)
        ):  # fmt: skip
            for case in sorted({*before, *after}):
                yield {**start, "domain": domain, "case": case, **_case(before, after, case)}


def _cells(tables: Sequence[ScoreTable], paper: PaperValues | None) -> Iterable[Row]:
    for table in tables:
        for (method, shots), cell in table.cells.items():
            ranks = {f"{metric}_rank": table.ranks.get((method, shots, metric)) for metric in METRICS}
            printed = _printed(paper, table.dataset, method, shots)
            yield {**_row(cell, table.dataset, method), **ranks, **printed, "shots": shots}


def _row(cell: Cell, dataset: str, method: str) -> Row:
    return {
        "dataset": dataset, "method": method, "name": METHODS[method].name if method else None,
        "seeds": " ".join(str(seed) for seed in cell.seeds), **_scores(cell.scores),
        "partial": "yes" if cell.partial else None, "runs": _runs(cell.folders),
    }  # fmt: skip


def _scores(scores: Mapping[str, Estimate | None]) -> Row:
    row: Row = {}
    for metric, found in scores.items():
        if found is not None:
            row |= {f"{metric}_mean": found.mean, f"{metric}_sd": found.sd, f"{metric}_cases": found.cases}
    return row


def _printed(paper: PaperValues | None, dataset: str, method: str, shots: int) -> Row:
    row: Row = {}
    for metric in METRICS:
        found = paper.scores.get((dataset, method, shots, metric)) if paper else None
        if found is not None:
            row |= {f"paper_{metric}_mean": found.mean, f"paper_{metric}_sd": found.sd}
    return row


def _time(time: Duration) -> Row:
    return {"iteration_s": time.seconds, "iteration_ratio": time.ratio, "iteration_device": time.device}


def _case(before: CaseScores, after: CaseScores, case: str) -> Row:
    return {
        f"{metric}_{what}": scores.get(case, {}).get(metric)
        for metric in METRICS for what, scores in (("before", before), ("after", after))
    }  # fmt: skip


def _runs(folders: Iterable[Path]) -> str:
    return ";".join(folder.as_posix() for folder in folders)
