"""The measurements of lymph nodes as a table of text, for spreadsheets and statistics programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lnsegfm.base.files import write_atomic
from lnsegfm.lymph_nodes.instances import LymphNode

HEADER = (
    "number", "segment", "side", "short_axis_mm", "long_axis_mm", "volume_mm3", "mean_hu", "confidence",
    "recist_1_1_class", "reviewed", "centroid_right_mm", "centroid_anterior_mm", "centroid_superior_mm",
)  # fmt: skip


@dataclass(frozen=True)
class MeasuredNode:
    """A lymph node of the table: its measurements, the name of its segment, and whether the user ticked it off."""

    node: LymphNode
    segment: str
    reviewed: bool


def as_text(rows: Iterable[MeasuredNode], *, separator: str = ",") -> str:
    """Return the table with its header, a lymph node a line, by number; decimal points whatever the language.

    Args:
        rows: The lymph nodes.
        separator: Between the columns.
    """
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    writer.writerow(HEADER)
    for row in sorted(rows, key=lambda each: each.node.number):
        writer.writerow(_cells(row))
    return text.getvalue()


def write_csv(rows: Iterable[MeasuredNode], path: Path) -> None:
    """Write the table to a CSV file, atomically, as UTF-8 with the mark by which spreadsheets know it."""
    text = as_text(rows)
    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8-sig", newline=""))


def _cells(row: MeasuredNode) -> list[object]:
    node = row.node
    # A spreadsheet would take such a name for a formula.
    name = f"'{row.segment}" if row.segment.startswith(("=", "+", "-", "@")) else row.segment
    return [
        node.number, name, node.side, f"{node.short_axis_mm:.1f}", f"{node.long_axis_mm:.1f}",
        f"{node.volume_mm3:.1f}", "" if node.mean_hu is None else f"{node.mean_hu:.1f}",
        "" if node.confidence is None else f"{node.confidence:.3f}", node.size_class, "yes" if row.reviewed else "no",
        *(f"{value:.1f}" for value in node.centroid_ras),
    ]  # fmt: skip
