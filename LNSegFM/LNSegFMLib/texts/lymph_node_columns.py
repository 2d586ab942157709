"""The table of lymph nodes: what stands in its columns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from slicer.i18n import tr as _

from lnsegfm.lymph_nodes.instances import NON_TARGET_MM, TARGET_MM, LymphNode
from lnsegfm.lymph_nodes.plausibility import told
from lnsegfm.segmentation.segment_run import SegmentResult
from LNSegFMLib.scene.segments.lymph_node_records import NodeRecord


@dataclass(frozen=True)
class Column:
    """One column of the table.

    Args:
        name: What the program knows it by.
        title: Short enough for a narrow panel.
        tooltip: What the column shows.
        text: What stands in it for a lymph node.
        key: By what it is sorted.
    """

    name: str
    title: str
    tooltip: str
    text: Callable[[LymphNode], str]
    key: Callable[[LymphNode], float | str]


def columns() -> list[Column]:
    """Return the columns in the user's language."""
    classes = {"target": _("target"), "non-target": _("non-target"), "normal": _("normal")}
    sides = {"left": _("L"), "right": _("R"), "": ""}
    return [
        Column(
            "number", _("No."),
            _("Number of the lymph node, in the colour of its segment; it does not change while the segment exists."),
            lambda node: str(node.number), lambda node: node.number,
        ),
        Column(
            "side", _("L/R"), _("Left or right of the patient's midline; empty close to it."),
            lambda node: sides[node.side], lambda node: node.side,
        ),
        Column(
            "diameters", _("SAD × LAD (mm)"),
            _("Short-axis and long-axis diameter, a dash until measured. Long axis: the longest in any axial slice; "
              "short axis: the longest perpendicular to it in the same slice."),
            lambda node: _measured(node, f"{node.short_axis_mm:.1f} × {node.long_axis_mm:.1f}"),
            lambda node: node.short_axis_mm,
        ),
        Column(
            "volume", _("cm³"), _("Volume in cubic centimetres."),
            lambda node: _measured(node, f"{node.volume_mm3 / 1000:.2f}"), lambda node: node.volume_mm3,
        ),
        Column(
            "hu", _("HU"), _("Mean CT attenuation of the lymph node."),
            lambda node: "" if node.mean_hu is None else f"{node.mean_hu:.0f}",
            lambda node: float("-inf") if node.mean_hu is None else node.mean_hu,
        ),
        Column(
            "recist", _("Size"),
            _("RECIST 1.1 size class by the short axis: target from 15 mm, non-target from 10 mm, otherwise normal."),
            lambda node: classes.get(node.size_class, ""), lambda node: node.short_axis_mm,
        ),
        Column(
            "confidence", _("Confidence (%)"),
            _("Mean lymph node probability that the model gave to its voxels, in percent."),
            lambda node: "" if node.confidence is None else f"{100 * node.confidence:.0f}",
            lambda node: -1.0 if node.confidence is None else node.confidence,
        ),
    ]


def _measured(node: LymphNode, text: str) -> str:
    return text if node.volume_mm3 > 0 else "–"


def details(columns: Sequence[Column], node: LymphNode) -> str:
    """Return all columns of a lymph node as lines of a tooltip, for a narrow table does not show all."""
    lines = [f"{column.title}: {text}" for column in columns if (text := column.text(node))]
    return "\n".join([*([implausible_text(node)] if node.implausible else []), *lines])


def implausible_text(node: LymphNode) -> str:
    """Return why something cannot be a lymph node, as a sentence."""
    return _("No lymph node: {reason}.").format(reason=node.implausible)


def apart_text(records: Sequence[NodeRecord]) -> str:
    """Return what is kept apart as a sentence; empty where nothing is."""
    left_out = [record.node for record in records if record.is_apart]
    return _("Not counted: {implausible}.").format(implausible=told(left_out)) if left_out else ""


def count_of_nodes(count: int) -> str:
    """Return a number of lymph nodes in words."""
    return _("1 lymph node") if count == 1 else _("{count} lymph nodes").format(count=count)


def accept_question(apart: Sequence[NodeRecord], without: Collection[str]) -> str:
    """Return what is asked before a case is accepted that shows what cannot be lymph nodes.

    Args:
        apart: What is kept apart.
        without: The segments that hold nothing else and are left out.
    """
    left_out = [record.node for record in apart if record.segment_id in without]
    shared = [record.node for record in apart if record.segment_id not in without]
    parts = []
    if left_out:
        parts.append(_("These are not stored as lymph nodes: {implausible}.").format(implausible=told(left_out)))
        parts.append(_("To store one of them, cancel, show it in Review and tick it as reviewed."))
    if shared:
        parts.append(
            _("These are stored as lymph nodes, for their segments hold others as well: {implausible}. To leave them "
              "out, cancel, split their segments and measure.").format(implausible=told(shared))
        )
    return "\n\n".join([*parts, _("Store the case?")])


def outcome(result: SegmentResult) -> str:
    """Return what came out of a segmentation: how many lymph nodes, and whether there is more to know."""
    parts = [count_of_nodes(len(result.nodes))]
    if result.implausible:
        parts.append(_("{count} implausible").format(count=len(result.implausible)))
    return "; ".join([", ".join(parts), *result.warnings])


def summary(records: Sequence[NodeRecord]) -> str:
    """Return one or two lines about all lymph nodes; those that are kept apart are not among the numbers."""
    apart = apart_text(records)
    records = [record for record in records if not record.is_apart]
    if not records:
        return " ".join(part for part in (_("No lymph nodes."), apart) if part)
    axes = [round(record.node.short_axis_mm, 3) for record in records]
    text = _(
        "{count}, {volume} cm³ in total. Short axis of 10 mm or more: {enlarged}; of 15 mm or more: {target}. "
        "Reviewed: {reviewed}."
    ).format(
        count=count_of_nodes(len(records)),
        volume=f"{sum(record.node.volume_mm3 for record in records) / 1000:.1f}",
        enlarged=sum(axis >= NON_TARGET_MM for axis in axes),
        target=sum(axis >= TARGET_MM for axis in axes),
        reviewed=sum(record.reviewed for record in records),
    )
    return f"{text} {apart}".strip()
