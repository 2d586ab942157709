"""Lymph nodes as lines on the terminal and as rows of JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lnsegfm.lymph_nodes.instances import LymphNode

_COLUMNS = (
    "number", "short_axis_mm", "long_axis_mm", "volume_mm3", "size_class", "side", "mean_hu", "confidence",
    "centroid_ras",
)  # fmt: skip


def line_of(lymph_node: LymphNode) -> str:
    """Return a lymph node as a line: number, axes, volume, HU, confidence, side and size class."""
    hu = "      -" if lymph_node.mean_hu is None else f"{lymph_node.mean_hu:5.0f} HU"
    confidence = "   -" if lymph_node.confidence is None else f"{lymph_node.confidence:4.0%}"
    return (
        f"  {lymph_node.number:3d}  {lymph_node.short_axis_mm:5.1f} x {lymph_node.long_axis_mm:5.1f} mm  "
        f"{lymph_node.volume_mm3 / 1000:7.2f} ml  {hu}  {confidence}  {lymph_node.side:5s}  {lymph_node.size_class}"
    )


def as_rows(lymph_nodes: Sequence[LymphNode]) -> list[dict[str, Any]]:
    """Return lymph nodes as JSON objects; lengths in mm, volumes in mm³, the centroid in RAS."""
    return [{name: getattr(each, name) for name in _COLUMNS} for each in lymph_nodes]
