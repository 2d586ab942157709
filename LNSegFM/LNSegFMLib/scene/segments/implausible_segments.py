"""How segments are shown in which nothing can be a lymph node: grey, and only on demand."""

from __future__ import annotations

import json
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _

from LNSegFMLib.scene.segments.lymph_node_records import records_of, segments_apart
from LNSegFMLib.scene.segments.new_segments import lymph_node_name
from LNSegFMLib.scene.segments.terminology import IMPLAUSIBLE_COLOUR
from LNSegFMLib.scene.views import shown_at_once

_COLOUR = "LNSegFM.ColourBefore"  # tag of a grey segment


def follow_plausibility(segmentation_node: Any | None) -> None:
    """Grey what is kept apart, and give what is not any more its colour back; the first stays as visible as it is."""
    if segmentation_node is None:
        return
    apart, segmentation = set(segments_apart(segmentation_node)), segmentation_node.GetSegmentation()
    changed = [
        each for each in segmentation.GetSegmentIDs()
        if (each in apart) != bool(_colour_before(segmentation.GetSegment(each)))
    ]
    if not changed:
        return
    with slicer.util.NodeModify(segmentation_node), shown_at_once(segmentation_node):
        for segment_id in changed:
            segment = segmentation.GetSegment(segment_id)
            if segment_id in apart:
                segment.SetTag(_COLOUR, json.dumps(segment.GetColor()))
                segment.SetColor(*IMPLAUSIBLE_COLOUR)
            else:
                segment.SetColor(*json.loads(_colour_before(segment)))
                segment.RemoveTag(_COLOUR)
                segment.SetName(_plausible_name(segmentation_node, segment_id, segment.GetName()))
                _show(segmentation_node, [segment_id], visible=True)


def show_implausible(segmentation_node: Any | None, *, visible: bool) -> None:
    """Show or hide the segments that are kept apart."""
    if segmentation_node is not None:
        with shown_at_once(segmentation_node):
            _show(segmentation_node, segments_apart(segmentation_node), visible=visible)


def is_implausible_shown(segmentation_node: Any | None) -> bool:
    """Tell whether a segment that is kept apart is visible."""
    display = None if segmentation_node is None else segmentation_node.GetDisplayNode()
    if display is None:
        return False
    return any(display.GetSegmentVisibility(segment_id) for segment_id in segments_apart(segmentation_node))


def _show(segmentation_node: Any, segment_ids: list[str], *, visible: bool) -> None:
    display = segmentation_node.GetDisplayNode()
    for segment_id in segment_ids if display is not None else ():
        if bool(display.GetSegmentVisibility(segment_id)) != visible:
            display.SetSegmentVisibility(segment_id, visible)


def _colour_before(segment: Any) -> str:
    text = vtk.reference("")
    return str(text) if segment.GetTag(_COLOUR, text) else ""


def implausible_name(number: int) -> str:
    """Return the name of the segment of something that cannot be a lymph node."""
    return _("Implausible {number}").format(number=number)


def _plausible_name(segmentation_node: Any, segment_id: str, name: str) -> str:
    """Return the name of a segment that counts again; a name that the user has given stays."""
    numbers = [record.node.number for record in records_of(segmentation_node) if record.segment_id == segment_id]
    return next((lymph_node_name(number) for number in numbers if name == implausible_name(number)), name)
