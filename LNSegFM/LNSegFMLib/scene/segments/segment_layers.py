"""Changes of one segment in the labelmap that it shares with others: they touch its box, and no other segment.

Slicer's own functions go through all voxels of the shared labelmap several times for each of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from LNSegFMLib.scene.segments.label_boxes import box_of, known_boxes, paint, voxels_of
from LNSegFMLib.scene.segments.segment_voxels import SegmentVoxels
from LNSegFMLib.scene.segments.segmentations import BINARY

_SURFACE = "Closed surface"
_OWN_VALUE = 1


def take_off(segmentation: Any, segment_id: str) -> tuple[Any, SegmentVoxels]:
    """Remove a segment; what it is drawn as, its closed surface too, stays with it.

    Args:
        segmentation: vtkSegmentation.
        segment_id: Id of one of its segments.

    Returns:
        The vtkSegment, with its voxels in a labelmap of its own, and its voxels.
    """
    segment = segmentation.GetSegment(segment_id)
    voxels = SegmentVoxels.of(segment)
    if segmentation.GetSourceRepresentationName() == BINARY:
        _leave_layer(segmentation, segment, voxels)
    segmentation.RemoveSegment(segment_id)
    return segment, voxels


def put_back(segmentation: Any, segment_id: str, segment: Any, voxels: SegmentVoxels, index: int) -> None:
    """Add a segment that was taken off, where it can to a labelmap of others: each costs the views a pipeline.

    Args:
        segmentation: vtkSegmentation.
        segment_id: Id that no segment has.
        segment: The vtkSegment, as `take_off` returns it.
        voxels: Its voxels.
        index: Its place among the segments.
    """
    if segmentation.GetSourceRepresentationName() == BINARY:
        if segment.GetRepresentation(_SURFACE) is None:
            _draw_surface(segmentation, segment, voxels)
        _join_a_layer(segmentation, segment, voxels)
    segmentation.AddSegment(segment, segment_id)
    segmentation.SetSegmentIndex(segment_id, min(index, segmentation.GetNumberOfSegments() - 1))


def add_segment(segmentation: Any, segment_id: str, segment: Any, voxels: SegmentVoxels) -> None:
    """Add a new vtkSegment with these voxels."""
    segment.AddRepresentation(BINARY, voxels.image())
    _draw_surface(segmentation, segment, voxels)
    _join_a_layer(segmentation, segment, voxels)
    segmentation.AddSegment(segment, segment_id)


def set_voxels(segmentation: Any, segment_id: str, voxels: SegmentVoxels) -> None:
    """Let a segment have these voxels and no others; where others of its labelmap have some, it leaves that.

    Args:
        segmentation: vtkSegmentation whose source representation is the binary labelmap.
        segment_id: Id of one of its segments.
        voxels: The voxels.
    """
    segment = segmentation.GetSegment(segment_id)
    image, value = segment.GetRepresentation(BINARY), segment.GetLabelValue()
    box = None if image is None else voxels.box_in(image)
    if box is not None and np.isin(voxels_of(image)[box][_mask(voxels)], (0, value)).all():
        _erase(image, value)
        paint(image, box, _mask(voxels), value, {value: box})
    else:
        _leave_layer(segmentation, segment, voxels)
    _draw_surface(segmentation, segment, voxels)
    # As after a stroke of the Segment Editor, so that views and editor follow.
    segmentation.InvokeEvent(segmentation.SourceRepresentationModified, segment_id)
    segmentation.InvokeEvent(segmentation.RepresentationModified, segment_id)


def _mask(voxels: SegmentVoxels) -> np.ndarray:
    return voxels.labelmap.array != 0


def _leave_layer(segmentation: Any, segment: Any, voxels: SegmentVoxels) -> None:
    """Give a segment a labelmap of its own with these voxels, and take its old ones off the shared one."""
    image = segment.GetRepresentation(BINARY)
    if image is not None and _others_in(segmentation, image, segment):
        _erase(image, segment.GetLabelValue())
    segment.AddRepresentation(BINARY, voxels.image())
    segment.SetLabelValue(_OWN_VALUE)


def _join_a_layer(segmentation: Any, segment: Any, voxels: SegmentVoxels) -> None:
    """Let a segment that is not in the segmentation share a labelmap of one that is, when it has room there."""
    for image in _layers(segmentation):
        box = voxels.box_in(image)
        if box is None or voxels_of(image)[box][_mask(voxels)].any():
            continue
        value = _free_value(segmentation, image)
        if value is not None:
            paint(image, box, _mask(voxels), value, {value: box})
            segment.AddRepresentation(BINARY, image)
            segment.SetLabelValue(value)
            return


def _layers(segmentation: Any) -> list[Any]:
    images: list[Any] = []
    for segment_id in segmentation.GetSegmentIDs():
        image = segmentation.GetSegment(segment_id).GetRepresentation(BINARY)
        if image is not None and not image.IsEmpty() and image not in images:
            images.append(image)
    return images


def _others_in(segmentation: Any, image: Any, segment: Any) -> list[Any]:
    all_segments = map(segmentation.GetSegment, segmentation.GetSegmentIDs())
    return [each for each in all_segments if each is not segment and each.GetRepresentation(BINARY) is image]


def _free_value(segmentation: Any, image: Any) -> int | None:
    """Return the lowest label that neither a segment nor a voxel of a labelmap has; None where its type has no more."""
    used = {each.GetLabelValue() for each in _others_in(segmentation, image, None)}
    used |= {value for value, box in known_boxes(image).items() if box is not None}
    for value in range(1, int(image.GetScalarTypeMax()) + 1):
        if value not in used and box_of(image, value) is None:
            return value
    return None


def _erase(image: Any, value: int) -> None:
    box = None if image.IsEmpty() else box_of(image, value)
    if box is not None:
        paint(image, box, voxels_of(image)[box] == value, 0, {value: None})


def _draw_surface(segmentation: Any, segment: Any, voxels: SegmentVoxels) -> None:
    """Remake the closed surface of a segment from its box, where the segmentation has closed surfaces."""
    if not segmentation.ContainsRepresentation(_SURFACE):
        return
    alone, copy = slicer.vtkSegmentation(), slicer.vtkSegment()
    alone.SetSourceRepresentationName(BINARY)
    alone.CopyConversionParameters(segmentation)
    copy.AddRepresentation(BINARY, voxels.image())
    alone.AddSegment(copy, "alone")
    alone.CreateRepresentation(_SURFACE)
    segment.AddRepresentation(_SURFACE, copy.GetRepresentation(_SURFACE))
