"""What an evaluation says: tables for programs and for people, with the conventions behind the numbers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lnsegfm.base.files import write_json, write_text
from lnsegfm.base.outputs import begins_with
from lnsegfm.evaluation.detection import MatchedNode, NodeCounts
from lnsegfm.evaluation.scoring import CaseResult, Evaluation

# The convention stands in the table itself: a reader of the CSV sees nothing else.
_EMPTY = {"": "", "both": "both empty: 1", "truth": "truth empty: 0", "prediction": "prediction empty: 0"}
_BEGINNINGS = {
    "cases.csv": "case,dsc,nsd,", "nodes.csv": "case,result,short_axis_mm,", "summary.json": '{\n  "cases": ',
    "summary.md": "# Evaluation of ",
}  # fmt: skip
Row = Sequence[object]


def report_files(folder: Path) -> list[Path]:
    """Return the files that `write_report` writes."""
    return [folder / name for name in _BEGINNINGS]


def is_report(path: Path) -> bool:
    """Tell whether a file begins as the one of its name that `write_report` writes."""
    return begins_with(path, _BEGINNINGS[path.name])


def write_report(evaluation: Evaluation, folder: Path) -> None:
    """Write ``cases.csv``, ``nodes.csv``, ``summary.json`` and ``summary.md`` into a folder, each atomically."""
    write_text(folder / "cases.csv", _csv(_case_rows(evaluation)))
    write_text(folder / "nodes.csv", _csv(_node_rows(evaluation)))
    write_json(folder / "summary.json", summary(evaluation))
    write_text(folder / "summary.md", markdown(evaluation))


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """Return the cohort's scores, their conventions and what is missing, as JSON types."""
    metrics = {metric: dict(zip(("mean", "sd"), evaluation.mean_sd(metric))) for metric in ("dsc", "nsd")}
    return {
        "cases": len(evaluation.cases),
        **metrics,
        "nodes": {text: _node_summary(counts) for text, counts in evaluation.node_counts().items()},
        "settings": asdict(evaluation.settings),
        "conventions": conventions(evaluation),
        "warnings": warnings(evaluation),
        "refused": evaluation.refused,
        "missing_predictions": list(evaluation.missing_predictions),
        "missing_truths": list(evaluation.missing_truths),
    }


def markdown(evaluation: Evaluation) -> str:
    """Return the tables of cases and of lymph nodes by size, and all remarks, as Markdown."""
    tolerance = f"NSD at {evaluation.settings.tolerance_mm:g} mm"
    cases: list[Row] = [("case", "DSC", tolerance, "nodes found", "false positives", "convention")]
    for name, case in evaluation.cases.items():
        counts = NodeCounts.of([case.detection])
        scores = (f"{case.dsc:.3f}", f"{case.nsd:.3f}", f"{counts.found} of {counts.nodes}", counts.false_positives)
        cases.append((name, *scores, _EMPTY[case.empty]))
    cases.append(("mean ± SD", *(_mean_sd(*evaluation.mean_sd(metric)) for metric in ("dsc", "nsd")), "", "", ""))
    nodes: list[Row] = [("short axis", "nodes", "found", "sensitivity", "false positives", "per case")]
    for text, counts in evaluation.node_counts().items():
        shares = (_number(counts.sensitivity), counts.false_positives, _number(counts.false_positives_per_case))
        nodes.append((text, counts.nodes, counts.found, *shares))
    remarks = {
        "Conventions": conventions(evaluation),
        "Warnings": warnings(evaluation),
        "Not evaluated": failures(evaluation),
    }
    lists = [f"## {title}\n\n" + "\n".join(f"* {line}" for line in lines) for title, lines in remarks.items() if lines]
    parts = [f"# Evaluation of {_count(evaluation)}", _table(cases), "## Lymph nodes by size", _table(nodes), *lists]
    return "\n\n".join(parts) + "\n"


def conventions(evaluation: Evaluation) -> list[str]:
    """Return what a reader has to know about the scores, a text each."""
    settings, empty = evaluation.settings, [case.empty for case in evaluation.cases.values()]
    share = f"at least {settings.overlap:g} of its voxels" if settings.overlap else "at least one of its voxels"
    said = [
        f"DSC and NSD are 1 where both masks are empty ({empty.count('both')} of {len(empty)} cases) and 0 where one "
        f"is ({empty.count('truth') + empty.count('prediction')} cases).",
        "SD is the sample standard deviation over cases.",
        f"A node is found when the prediction covers {share}; a predicted region is a false positive unless the truth "
        "covers as much of it. Sensitivity is over the nodes of all cases; sizes are short axes.",
    ]
    if settings.ignore is not None:
        count = sum(case.ignored_voxels > 0 for case in evaluation.cases.values())
        said.append(
            f"Voxels that have the ignore label {settings.ignore} in the truth are left out of both masks ({count} of "
            f"{len(empty)} cases have such voxels)."
        )
    return said


def warnings(evaluation: Evaluation) -> list[str]:
    """Return what makes the scores doubtful, a text each."""
    said = []
    results = evaluation.cases.values()
    values = sorted({value for case in results for value in case.values})
    if len(values) > 1:
        listed = ", ".join(map(str, values[:5])) + (", ..." if len(values) > 5 else "")
        said.append(f"The values {listed} were all taken for lymph node; --label takes a single one.")
    said += [f"{name}: {note}" for name, case in evaluation.cases.items() for note in case.notes]
    if not any(case.truth_mm3 for case in results):
        said.append("The truth is empty in every case; check --label and --channel.")
    if not any(case.predicted_mm3 for case in results):
        said.append("The prediction is empty in every case; check --label and --channel.")
    resampled = [name for name, case in evaluation.cases.items() if case.is_resampled]
    if resampled:
        said.append(f"The prediction was brought onto the truth's grid in {_listed(resampled)}.")
    return said


def failures(evaluation: Evaluation) -> list[str]:
    """Return which cases are not among the scores and why, a text each; empty when all are."""
    said = [f"{name}: {reason}" for name, reason in evaluation.refused.items()]
    if evaluation.missing_predictions:
        said.append(f"There is no prediction for {_listed(evaluation.missing_predictions)}.")
    if evaluation.missing_truths:
        said.append(f"There is no truth for {_listed(evaluation.missing_truths)}.")
    return said


def _case_rows(evaluation: Evaluation) -> Iterator[Row]:
    yield (
        "case", "dsc", "nsd", "tolerance_mm", "empty", "nodes", "found", "false_positives", "truth_mm3",
        "predicted_mm3", "ignored_voxels", "resampled",
    )  # fmt: skip
    for name, case in evaluation.cases.items():
        yield (name, *_case_row(case, evaluation.settings.tolerance_mm))


def _case_row(case: CaseResult, tolerance_mm: float) -> Row:
    counts = NodeCounts.of([case.detection])
    return (
        case.dsc, case.nsd, tolerance_mm, _EMPTY[case.empty], counts.nodes, counts.found, counts.false_positives,
        round(case.truth_mm3, 3), round(case.predicted_mm3, 3), case.ignored_voxels, int(case.is_resampled),
    )  # fmt: skip


def _node_rows(evaluation: Evaluation) -> Iterator[Row]:
    yield (
        "case", "result", "short_axis_mm", "long_axis_mm", "volume_mm3", "size_class", "overlap", "r_mm", "a_mm", "s_mm"
    )
    for name, case in evaluation.cases.items():
        for each in case.detection.truth:
            yield (name, "found" if each.is_matched else "missed", *_node_row(each))
        for each in case.detection.predicted:
            yield (name, "matched" if each.is_matched else "false positive", *_node_row(each))


def _node_row(each: MatchedNode) -> Row:
    node = each.node
    measured = (node.short_axis_mm, node.long_axis_mm, node.volume_mm3, node.size_class)
    return (*measured, round(each.overlap, 4), *node.centroid_ras)


def _node_summary(counts: NodeCounts) -> dict[str, float | None]:
    return {
        "nodes": counts.nodes,
        "found": counts.found,
        "sensitivity": counts.sensitivity,
        "false_positives": counts.false_positives,
        "false_positives_per_case": counts.false_positives_per_case,
    }


def _csv(rows: Iterator[Row]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _table(rows: Sequence[Row]) -> str:
    cells = [[str(cell).replace("|", "\\|") for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells)]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in cells)


def _count(evaluation: Evaluation) -> str:
    scored = len(evaluation.cases)
    known = scored + len(evaluation.refused) + len(evaluation.missing_predictions) + len(evaluation.missing_truths)
    return f"{'' if scored == known else f'{scored} of '}{known} {'case' if known == 1 else 'cases'}"


def _mean_sd(mean: float, sd: float | None) -> str:
    return f"{mean:.3f} ± {_number(sd)}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _listed(names: Sequence[str]) -> str:
    return f"{len(names)} {'case' if len(names) == 1 else 'cases'}: {', '.join(names)}"
