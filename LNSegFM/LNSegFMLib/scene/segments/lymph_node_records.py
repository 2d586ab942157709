"""What is known of the lymph nodes of a segmentation node, kept in its segments' tags and so saved with the scene."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import slicer
import vtk

from lnsegfm.lymph_nodes.instances import LymphNode

_NODES = "LNSegFM.LymphNodes"
_REVIEWED = "LNSegFM.Reviewed"
_HIGHEST = "LNSegFM.HighestNumber"  # attributes of the segmentation node
_ALL_COUNT = "LNSegFM.ImplausibleCount"


@dataclass(frozen=True)
class NodeRecord:
    """A lymph node of a segmentation node.

    Args:
        node: Its measurements.
        segment_id: The segment it lies in; several may lie in one.
        reviewed: Whether the user has ticked it off.
        is_apart: Whether it is implausible and so neither counted, exported nor accepted. The user's tick brings it in.
    """

    node: LymphNode
    segment_id: str
    reviewed: bool = False
    is_apart: bool = False

    @property
    def is_measured(self) -> bool:
        """Whether it has been measured; a segment that the user has just added has a number only."""
        return self.node.volume_mm3 > 0


def records_of(segmentation_node: Any | None) -> list[NodeRecord]:
    """Return the lymph nodes as they were measured last, by number."""
    if segmentation_node is None:
        return []
    segmentation, found = segmentation_node.GetSegmentation(), []
    for segment_id in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segment_id)
        reviewed = _reviewed_in(segment)
        found += [
            NodeRecord(node, segment_id, node.number in reviewed, is_apart(segmentation_node, segment_id, node))
            for node in _nodes_of(segment) or ()
        ]
    return sorted(found, key=lambda record: record.node.number)


def counted(segmentation_node: Any | None) -> list[NodeRecord]:
    """Return the lymph nodes that count, without those that are kept apart."""
    return [record for record in records_of(segmentation_node) if not record.is_apart]


def is_apart(segmentation_node: Any, segment_id: str, node: LymphNode) -> bool:
    """Tell whether a measured lymph node is to be kept apart: it is implausible, and the user has not ticked it off."""
    if not node.implausible or segmentation_node.GetAttribute(_ALL_COUNT) == "1":
        return False
    segment = segmentation_node.GetSegmentation().GetSegment(segment_id)
    return segment is None or node.number not in _reviewed_in(segment)


def let_all_count(segmentation_node: Any) -> None:
    """Count implausible lymph nodes of a segmentation node among the others, as was asked for."""
    segmentation_node.SetAttribute(_ALL_COUNT, "1")


def segments_apart(segmentation_node: Any | None) -> list[str]:
    """Return the ids of the segments in which everything is kept apart."""
    apart: dict[str, bool] = {}
    for record in records_of(segmentation_node):
        apart[record.segment_id] = apart.get(record.segment_id, True) and record.is_apart
    return [segment_id for segment_id, is_all in apart.items() if is_all]


def is_measured(segmentation_node: Any | None) -> bool:
    """Tell whether every segment has been measured, be it that it was changed since."""
    if segmentation_node is None:
        return False
    segmentation = segmentation_node.GetSegmentation()
    segments = [segmentation.GetNthSegment(index) for index in range(segmentation.GetNumberOfSegments())]
    found = [_nodes_of(segment) for segment in segments]
    return all(nodes is not None and all(node.volume_mm3 > 0 for node in nodes) for nodes in found)


def is_recorded(segment: Any) -> bool:
    """Tell whether a vtkSegment has been measured, or has been given a number."""
    return _nodes_of(segment) is not None


def add_unmeasured(segmentation_node: Any, segment_id: str, number: int) -> None:
    """Give the lymph node of a new segment its number; it keeps it when it is measured."""
    nowhere = (0.0, 0.0, 0.0)
    node = LymphNode(number, 0.0, 0.0, 0.0, nowhere, "", (nowhere, nowhere), (nowhere, nowhere))
    store_records(segmentation_node, {segment_id: [node]})


def store_records(segmentation_node: Any, nodes: Mapping[str, Sequence[LymphNode]]) -> None:
    """Note the measurements on the segments; what is reviewed stays so while its number is there.

    Args:
        segmentation_node: vtkMRMLSegmentationNode.
        nodes: The lymph nodes of each segment, by segment id. Segments that are gone meanwhile are passed over.
    """
    segmentation = segmentation_node.GetSegmentation()
    with slicer.util.NodeModify(segmentation_node):
        for segment_id, members in nodes.items():
            segment = segmentation.GetSegment(segment_id)
            if segment is None:
                continue
            _write(segment, _NODES, [node.to_json() for node in members])
            _write(segment, _REVIEWED, sorted(_reviewed_in(segment) & {node.number for node in members}))
        highest = str(free_number(segmentation_node) - 1)
        if segmentation_node.GetAttribute(_HIGHEST) != highest:
            segmentation_node.SetAttribute(_HIGHEST, highest)


def set_reviewed(segmentation_node: Any, record: NodeRecord, reviewed: bool) -> None:
    """Tick a lymph node off, or take the tick away."""
    segment = segmentation_node.GetSegmentation().GetSegment(record.segment_id)
    numbers = _reviewed_in(segment)
    _write(segment, _REVIEWED, sorted(numbers | {record.node.number} if reviewed else numbers - {record.node.number}))


def free_number(segmentation_node: Any) -> int:
    """Return the first number that no lymph node of a segmentation node has or had: a deleted one may come back."""
    highest = max((record.node.number for record in records_of(segmentation_node)), default=0)
    return 1 + max(highest, int(segmentation_node.GetAttribute(_HIGHEST) or 0))


def numbered(
    measured: Mapping[str, Sequence[LymphNode]], known: Iterable[NodeRecord], first_free: int
) -> dict[str, list[LymphNode]]:
    """Give measured lymph nodes their numbers: a segment keeps its old ones, new ones come after all others.

    So lymph node 3 stays lymph node 3 when number 2 is deleted.

    Args:
        measured: The lymph nodes of each segment by descending volume, by segment id; their numbers do not count.
        known: What was known before.
        first_free: See `free_number`.
    """
    old: dict[str, list[int]] = {}
    for record in known:
        old.setdefault(record.segment_id, []).append(record.node.number)
    result: dict[str, list[LymphNode]] = {}
    # New numbers go by volume, the largest first, over all segments.
    waiting: list[tuple[float, str, int]] = []
    for segment_id, nodes in measured.items():
        numbers = old.get(segment_id, [])
        result[segment_id] = [replace(node, number=number) for node, number in zip(nodes, numbers)]
        waiting += [(-node.volume_mm3, segment_id, place) for place, node in enumerate(nodes) if place >= len(numbers)]
    for number, (_, segment_id, place) in enumerate(sorted(waiting), start=first_free):
        result[segment_id].append(replace(measured[segment_id][place], number=number))
    return result


def _nodes_of(segment: Any) -> tuple[LymphNode, ...] | None:
    return _parsed_nodes(_text(segment, _NODES))


@lru_cache(maxsize=10_000)  # the worklist asks for those of all scans again and again
def _parsed_nodes(text: str) -> tuple[LymphNode, ...] | None:
    try:
        return tuple(LymphNode.from_json(fields) for fields in json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError):  # none, or of a version that measured something else
        return None


def _reviewed_in(segment: Any) -> set[int]:
    try:
        return set(json.loads(_text(segment, _REVIEWED)))
    except (ValueError, TypeError):
        return set()


def _text(segment: Any, tag: str) -> str:
    text = vtk.reference("")
    return str(text) if segment.GetTag(tag, text) else ""


def _write(segment: Any, tag: str, value: Any) -> None:
    text = json.dumps(value, separators=(",", ":"))
    if _text(segment, tag) != text:  # or views and tables would follow for nothing
        segment.SetTag(tag, text)
