"""The measurements of lymph nodes as a table of text, for spreadsheets and statistics programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lnsegfm.base.files import write_atomic
from lnsegfm.base.outputs import begins_with
from lnsegfm.lymph_nodes.instances import LymphNode

HEADER = (
    "number", "segment", "side", "short_axis_mm", "long_axis_mm", "volume_mm3", "mean_hu", "confidence",
    "recist_1_1_class", "reviewed", "centroid_right_mm", "centroid_anterior_mm", "centroid_superior_mm",
)  # fmt: skip
REASON = "implausible"
"""Title of the last column of a table that implausible lymph nodes are kept in; it is empty for all others."""


@dataclass(frozen=True)
class MeasuredNode:
    """A lymph node of the table.

    Args:
        node: Its measurements.
        segment: Name of its segment; empty outside of Slicer.
        reviewed: Whether the user ticked it off.
        case: What the table calls its scan, where it holds several; empty in the table of one scan.
    """

    node: LymphNode
    segment: str = ""
    reviewed: bool = False
    case: str = ""


def as_text(rows: Iterable[MeasuredNode], *, separator: str = ",", with_reasons: bool = False) -> str:
    """Return the table with its header, a lymph node a line; decimal points whatever the language.

    The lymph nodes of a scan are sorted by number; scans keep their order. A column ``case`` comes first where a row
    has one.

    Args:
        rows: The lymph nodes.
        separator: Between the columns.
        with_reasons: Say in a last column why a lymph node is implausible.
    """
    rows = list(rows)
    order = {case: place for place, case in enumerate(dict.fromkeys(row.case for row in rows))}
    several = any(order)
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    case, reason = ("case",) if several else (), (REASON,) if with_reasons else ()
    writer.writerow((*case, *HEADER, *reason))
    for row in sorted(rows, key=lambda each: (order[each.case], each.node.number)):
        cells = [_harmless(row.case), *_cells(row)] if several else _cells(row)
        writer.writerow([*cells, row.node.implausible] if with_reasons else cells)
    return text.getvalue()


def write_csv(rows: Iterable[MeasuredNode], path: Path, *, with_reasons: bool = False) -> None:
    """Write the table to a CSV file, atomically, as UTF-8 with the mark by which spreadsheets know it."""
    text = as_text(rows, with_reasons=with_reasons)
    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8-sig", newline=""))


def is_table(path: Path) -> bool:
    """Tell whether a file begins as the tables that `write_csv` writes."""
    return begins_with(path, ",".join(HEADER), ",".join(("case", *HEADER)))


def _cells(row: MeasuredNode) -> list[object]:
    node = row.node
    return [
        node.number, _harmless(row.segment), node.side, f"{node.short_axis_mm:.1f}", f"{node.long_axis_mm:.1f}",
        f"{node.volume_mm3:.1f}", "" if node.mean_hu is None else f"{node.mean_hu:.1f}",
        "" if node.confidence is None else f"{node.confidence:.3f}", node.size_class, "yes" if row.reviewed else "no",
        *(f"{value:.1f}" for value in node.centroid_ras),
    ]  # fmt: skip


def _harmless(name: str) -> str:
    # A spreadsheet would take such a name for a formula.
    return f"'{name}" if name.startswith(("=", "+", "-", "@")) else name
