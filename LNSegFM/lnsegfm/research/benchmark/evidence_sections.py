"""The parts of the report that go beyond the paper's tables: tests, forgetting, parameters, what is not done yet."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from lnsegfm.research.benchmark import markdown
from lnsegfm.research.benchmark.aggregate import METRICS
from lnsegfm.research.benchmark.costs import Forgetting, UpdatedParameters
from lnsegfm.research.benchmark.experiment import ORDER, Experiment
from lnsegfm.research.benchmark.statistics import CORRECTION_NAME, EXACTNESS, LEVEL, TEST_NAME, Comparison
from lnsegfm.research.benchmark.sweep import GammaSweep
from lnsegfm.research.benchmark.tables import DECIMALS


def tests(comparisons: Sequence[Comparison]) -> str:
    """Return the tests of each method against DGST, one table per dataset."""
    parts = [
        "## Paired tests against DGST",
        f"{TEST_NAME}; {CORRECTION_NAME}. {EXACTNESS}. Each cell: mean of DGST minus the method in percentage "
        f"points, and the corrected p; in bold below {LEVEL}. Uncorrected p and the numbers of pairs are in tests.csv.",
    ]
    if not comparisons:
        return "\n\n".join([*parts, "There is no method yet that could be compared with DGST."])
    for dataset, group in groupby(comparisons, key=lambda item: item.dataset):
        items = list(group)
        found = {(item.method, item.shots, item.metric): item for item in items}
        columns = [(shots, metric) for shots in sorted({item.shots for item in items}) for metric in METRICS]
        rows = [
            [markdown.method_name(method), *(_comparison(found.get((method, *column))) for column in columns)]
            for method in dict.fromkeys(item.method for item in items)
        ]
        header = ["Method", *(f"{markdown.shots_name(shots)} {metric.upper()}" for shots, metric in columns)]
        parts += [f"### {dataset}", markdown.table(header, rows), *_limits(items)]
    return "\n\n".join(parts)


def forgetting_table(rows: Sequence[Forgetting], gamma: int) -> str:
    """Return the scores on the source domain before and after; ``gamma`` is the one that goes without saying."""
    parts = [
        "## Forgetting on the source domain",
        "Mean scores (%) of cases of the source domain: with the foundation model → with the adapted one (change). "
        "From scratch and All-shot do not start from the foundation model; theirs is what they never learned.",
    ]
    if not rows:
        return "\n\n".join([*parts, "No run has measured cases of the source domain."])
    for dataset, group in groupby(rows, key=lambda row: row.dataset):
        found = {(row.method, row.gamma, row.shots): row for row in group}
        columns = [(shots, metric) for shots in sorted({key[2] for key in found}) for metric in METRICS]
        lines = []
        for method, number in sorted({key[:2] for key in found}, key=lambda key: (ORDER.index(key[0]), key[1])):
            cells = (_before_after(found.get((method, number, shots)), metric) for shots, metric in columns)
            lines.append([markdown.method_name(method, number, gamma), *cells])
        header = ["Method", *(f"{markdown.shots_name(shots)} {metric.upper()}" for shots, metric in columns)]
        parts += [f"### Adapted to {dataset}", markdown.table(header, lines)]
    return "\n\n".join(parts)


def parameter_table(rows: Sequence[UpdatedParameters], gamma: int) -> str:
    """Return the numbers of updated parameters; ``gamma`` is the one that goes without saying."""
    parts = ["## Updated parameters", "Parameters that differ between the foundation model and the adapted one."]
    if not rows:
        return "\n\n".join([*parts, "No run has counted them."])
    lines = [
        [
            markdown.method_name(row.method, row.gamma, gamma), f"{row.parameters:,}",
            _span(f"{row.fewest:,}", f"{row.most:,}"),
            _span(f"{100 * row.fewest / row.parameters:.2f}", f"{100 * row.most / row.parameters:.2f}"),
        ]
        for row in rows
    ]  # fmt: skip
    return "\n\n".join([*parts, markdown.table(["Method", "parameters", "updated", "share (%)"], lines)])


def gamma_table(sweeps: Sequence[GammaSweep]) -> str:
    """Return the numbers of Fig. 3."""
    parts = []
    for sweep in sweeps:
        rows = [
            [f"{markdown.method_name('dgst')}, γ {point.gamma}" if point.gamma else markdown.method_name("full"),
             *(markdown.estimate(point.scores[metric]) for metric in METRICS)]
            for point in (*sweep.points, sweep.full)
        ]  # fmt: skip
        header = [f"{sweep.dataset}, {markdown.shots_name(sweep.shots)}", *(f"{name.upper()} (%)" for name in METRICS)]
        parts.append(markdown.table(header, rows))
    return "\n\n".join(parts)


def not_done(experiment: Experiment) -> str:
    """Return what is planned and not finished, and what lacks the scores of test cases."""
    parts = ["## Not done yet"]
    lines = []
    for cell, keys in groupby(experiment.missing(), key=lambda key: (key.dataset, key.method, key.shots, key.gamma)):
        dataset, method, shots, gamma = cell
        shown = f", {markdown.shots_name(shots)}" if shots else ""
        seeds = ", ".join(str(key.seed) for key in keys)
        lines.append(f"* {dataset}: {markdown.method_name(method, gamma, experiment.gamma)}{shown}, seed {seeds}")
    for dataset in experiment.datasets:
        cases = experiment.test_cases(dataset)
        own = [run for run in experiment.runs if run.dataset == dataset]
        scored = {run.folder.as_posix(): cases & run.after.keys() for run in own}
        before = {case for run in own for case in run.before}
        if before:
            scored["the foundation model"] = cases & before
        lines += [
            f"* {dataset}: {who} has scores of {len(having)} of {len(cases)} test cases"
            for who, having in scored.items() if len(having) < len(cases)
        ]  # fmt: skip
    return "\n\n".join([*parts, "\n".join(lines) or "Nothing: every planned run is in this report."])


def _comparison(item: Comparison | None) -> str:
    if item is None or item.p_holm is None:
        return markdown.NOTHING
    text = f"{markdown.signed(item.difference)} (p {markdown.p_value(item.p_holm)})"
    return markdown.ranked(text, 1 if item.p_holm < LEVEL else None)


def _before_after(row: Forgetting | None, metric: str) -> str:
    before, after = (row.before[metric], row.after[metric]) if row else (None, None)
    if row is None or before is None or after is None:
        return markdown.NOTHING
    return f"{before.mean:.{DECIMALS}f} → {after.mean:.{DECIMALS}f} ({markdown.signed(row.change(metric))})"


def _limits(items: Sequence[Comparison]) -> list[str]:
    """What limits the comparisons, one line for all that share it."""
    notes: dict[str, list[str]] = {}
    for item in items:
        if item.note:
            where = f"{markdown.method_name(item.method)} {markdown.shots_name(item.shots)} {item.metric.upper()}"
            notes.setdefault(item.note, []).append(where)
    if not notes:
        return []
    return ["\n".join(
        f"* {note[0].upper()}{note[1:]}: {'all comparisons' if len(where) == len(items) else ', '.join(where)}."
        for note, where in notes.items()
    )]  # fmt: skip


def _span(low: str, high: str) -> str:
    return low if low == high else f"{low} to {high}"
