"""The parts of the report that hold the paper's tables: Table 1 and Table 2."""

from __future__ import annotations

from collections.abc import Sequence

from lnsegfm.research.benchmark import markdown
from lnsegfm.research.benchmark.aggregate import METRICS
from lnsegfm.research.benchmark.costs import Duration
from lnsegfm.research.benchmark.experiment import ABLATION, ALL_SHOT, Experiment
from lnsegfm.research.benchmark.paper_values import PaperValues
from lnsegfm.research.benchmark.tables import Cell, ScoreTable, all_shot, foundation

LEGEND = "Best in **bold**, second best <ins>underlined</ins> (by the printed number); † incomplete, see Not done yet."


def comparison(experiment: Experiment, tables: Sequence[ScoreTable], paper: PaperValues | None) -> str:
    """Return Table 1: one table per dataset, its two references below."""
    parts = ["## Table 1: comparison of the methods", LEGEND]
    shown = {table.dataset: table for table in tables}
    for dataset in experiment.datasets:
        parts.append(f"### {dataset}")
        if dataset in shown:
            parts.append(_score_table(shown[dataset], paper))
        else:
            parts.append("None of the methods of Table 1 is planned.")
        parts.append("\n".join(_references(experiment, dataset, paper)))
        if paper and dataset in paper.gaps:
            parts.append(f"Of the paper's numbers: {paper.gaps[dataset]}")
    return "\n\n".join(parts)


def ablation(tables: Sequence[ScoreTable], times: Sequence[Duration], paper: PaperValues | None) -> str:
    """Return Table 2: one table per dataset, then the duration of an iteration of its methods."""
    parts = ["## Table 2: ablation of the sparsification"]
    if not tables:
        return "\n\n".join([*parts, f"None of its methods is planned ({_names(ABLATION)})."])
    parts.append(LEGEND)
    for table in tables:
        parts += [f"### {table.dataset}", _score_table(table, paper)]
    methods = dict.fromkeys(method for table in tables for method in table.methods)
    return "\n\n".join([*parts, "### Iteration duration", duration_table(tuple(methods), times, paper)])


def duration_table(methods: Sequence[str], times: Sequence[Duration], paper: PaperValues | None) -> str:
    """Return seconds and ratio to Full per device, beside the paper's.

    Args:
        methods: The rows.
        times: Durations of one γ per method.
        paper: The paper's durations; None for no such columns.
    """
    found = {(time.device, time.method): time for time in times}
    devices = list(dict.fromkeys(time.device for time in times)) or ["no device yet"]
    printed = paper.iteration_s if paper else {}
    header = ["Method", *(f"{device}: {what}" for device in devices for what in ("s", "ratio to Full"))]
    if paper:
        header += [f"paper ({paper.device}): s", "paper: ratio to Full"]
    rows = []
    for method in methods:
        cells = []
        for device in devices:
            time = found.get((device, method))
            cells += _duration(time.seconds, time.ratio) if time else _duration(None, None)
        if paper:
            seconds = printed.get(method)
            cells += _duration(seconds, seconds / printed["full"]) if seconds else _duration(None, None)
        rows.append([markdown.method_name(method), *cells])
    return markdown.table(header, rows)


def _duration(seconds: float | None, ratio: float | None) -> list[str]:
    return [f"{seconds:.4f}" if seconds else markdown.NOTHING, f"{ratio:.2f}" if ratio else markdown.NOTHING]


def _score_table(table: ScoreTable, paper: PaperValues | None) -> str:
    columns = [(shots, metric) for shots in table.shots for metric in METRICS]
    header = ["Method", *(f"{markdown.shots_name(shots)} {metric.upper()} (%)" for shots, metric in columns)]
    rows = []
    for method in table.methods:
        rows.append([markdown.method_name(method), *(_score(table, method, *column) for column in columns)])
        printed = [_paper_score(paper, table.dataset, method, *column) for column in columns]
        if any(text != markdown.NOTHING for text in printed):
            rows.append(["*in the paper*", *(text if text == markdown.NOTHING else f"*{text}*" for text in printed)])
    return markdown.table(header, rows)


def _score(table: ScoreTable, method: str, shots: int, metric: str) -> str:
    cell = table.cells[method, shots]
    text = markdown.ranked(markdown.estimate(cell.scores[metric]), table.ranks.get((method, shots, metric)))
    return text + (" †" if cell.partial else "")


def _paper_score(paper: PaperValues | None, dataset: str, method: str, shots: int, metric: str) -> str:
    return markdown.estimate(paper.scores.get((dataset, method, shots, metric)) if paper else None)


def _references(experiment: Experiment, dataset: str, paper: PaperValues | None) -> list[str]:
    lines = []
    if experiment.shots(dataset, (ALL_SHOT,)):
        cell = all_shot(experiment, dataset)
        name = markdown.method_name(ALL_SHOT) + (f" ({cell.shots}-shot, from scratch)" if cell.shots else "")
        texts = [_paper_score(paper, dataset, ALL_SHOT, 0, metric) for metric in METRICS]
        known = any(text != markdown.NOTHING for text in texts)
        lines.append(f"* {name}: {_in_words(cell)}" + (f"; *in the paper {_dsc_nsd(texts)}*" if known else ""))
    return [*lines, f"* Foundation model, not adapted: {_in_words(foundation(experiment, dataset))}"]


def _in_words(cell: Cell) -> str:
    return _dsc_nsd([markdown.estimate(cell.scores[metric]) for metric in METRICS]) + (" †" if cell.partial else "")


def _dsc_nsd(texts: Sequence[str]) -> str:
    return ", ".join(f"{metric.upper()} {text}" for metric, text in zip(METRICS, texts))


def _names(methods: Sequence[str]) -> str:
    return ", ".join(markdown.method_name(method) for method in methods)
