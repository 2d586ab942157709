"""Segments that the user adds in the Segment Editor become lymph nodes of their own."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

import slicer
from slicer.i18n import tr as _

from LNSegFMLib.scene.segments.label_boxes import known_boxes, voxels_of
from LNSegFMLib.scene.segments.lymph_node_records import add_unmeasured, free_number, is_recorded
from LNSegFMLib.scene.segments.segmentations import BINARY
from LNSegFMLib.scene.segments.terminology import LYMPH_NODE, lymph_node_colour

# What Slicer calls a new segment, and (behind the name of the segment) a part that Islands has split off.
_AUTOMATIC_NAME = re.compile(r"Segment(_\d+)?")
_PART = re.compile(r"_\d+")


def lymph_node_name(number: int) -> str:
    """Return the name of the segment of a lymph node."""
    return _("Lymph node {number}").format(number=number)


def adopt_segments(segmentation_node: Any, segment_ids: Collection[str]) -> list[str]:
    """Make lymph nodes of new segments: number, name, colour, terminology, and a record that waits to be measured.

    Segments that are known as lymph nodes, as those that come back by undo, and names that the user has given stay.

    Args:
        segmentation_node: vtkMRMLSegmentationNode.
        segment_ids: The new segments.

    Returns:
        Those that became lymph nodes.
    """
    segmentation = segmentation_node.GetSegmentation()
    names = [segmentation.GetNthSegment(index).GetName() for index in range(segmentation.GetNumberOfSegments())]
    adopted = []
    with slicer.util.NodeModify(segmentation_node):
        for segment_id in segmentation.GetSegmentIDs():
            segment = segmentation.GetSegment(segment_id)
            if segment_id not in segment_ids or is_recorded(segment) or _is_named_by_us(segment.GetName()):
                continue
            number = free_number(segmentation_node)
            if _is_automatic(segment.GetName(), names):
                segment.SetName(lymph_node_name(number))
                segment.SetColor(*lymph_node_colour(number))
                segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), LYMPH_NODE)
            add_unmeasured(segmentation_node, segment_id, number)
            adopted.append(segment_id)
    return adopted


def is_empty(segment: Any) -> bool:
    """Tell whether a vtkSegment has no voxels; False where it is not drawn as voxels."""
    image = segment.GetRepresentation(BINARY)
    if image is None:
        return segment.GetNumberOfRepresentations() == 0
    if image.IsEmpty():
        return True
    value, known = segment.GetLabelValue(), known_boxes(image)
    if value in known:
        return known[value] is None
    # A labelmap may be shared by all of a neck: stop at the first plane with a voxel.
    return not any((plane == value).any() for plane in voxels_of(image))


def _is_named_by_us(name: str) -> bool:
    start, end = lymph_node_name(0).split("0")
    return re.fullmatch(re.escape(start) + r"\d+" + re.escape(end), name) is not None


def _is_automatic(name: str, others: Collection[str]) -> bool:
    is_part = any(name.startswith(other) and _PART.fullmatch(name[len(other):]) for other in others if other)
    return is_part or _AUTOMATIC_NAME.fullmatch(name) is not None
