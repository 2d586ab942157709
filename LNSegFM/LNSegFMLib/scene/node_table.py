"""The table of lymph nodes: what stands in its columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from slicer.i18n import tr as _

from LNSegFMLib.core.nodes import LymphNode


@dataclass(frozen=True)
class Column:
    """One column of the table.

    Args:
        title: Short enough for a narrow panel.
        tooltip: What the column shows.
        value: The value of a lymph node; numbers stay numbers, so that they sort as such.
    """

    title: str
    tooltip: str
    value: Callable[[LymphNode], int | float | str]


def columns() -> list[Column]:
    """Return the columns in the user's language."""
    classes = {
        "target": _("target"),
        "non-target": _("non-target"),
        "normal": _("normal"),
    }
    return [
        Column(_("No."), _("Number of the lymph node; 1 is the largest."), lambda node: node.number),
        Column(
            _("Short mm"),
            _("Short axis: the longest diameter perpendicular to the long axis, in the same axial slice."),
            lambda node: round(node.short_axis_mm, 1),
        ),
        Column(
            _("Long mm"),
            _("Long axis: the longest diameter in any axial slice."),
            lambda node: round(node.long_axis_mm, 1),
        ),
        Column(_("cm³"), _("Volume in cubic centimetres."), lambda node: round(node.volume_mm3 / 1000, 2)),
        Column(
            _("RECIST"),
            _("Size class of RECIST 1.1 by the short axis: target from 15 mm, non-target from 10 mm, else normal."),
            lambda node: classes[node.size_class],
        ),
    ]


def summary(nodes: list[LymphNode]) -> str:
    """Return one line about all lymph nodes."""
    enlarged = sum(node.size_class != "normal" for node in nodes)
    if not nodes:
        return _("No lymph nodes.")
    return _("{count} lymph nodes, {enlarged} with a short axis of 10 mm or more.").format(
        count=len(nodes), enlarged=enlarged
    )
