"""Delete, merge and split the segments of lymph nodes, and take it back without touching what was painted since."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import slicer
from slicer.i18n import tr as _

from lnsegfm.base.errors import UserError
from LNSegFMLib.scene.segments.segment_layers import add_segment, put_back, set_voxels, take_off
from LNSegFMLib.scene.segments.segment_voxels import SegmentVoxels
from LNSegFMLib.scene.segments.segmentations import BINARY
from LNSegFMLib.scene.segments.terminology import LYMPH_NODE, lymph_node_colour


@dataclass(frozen=True, eq=False)
class _Kept:
    """A segment that was taken off, as it was."""

    segment_id: str
    index: int
    segment: Any
    voxels: SegmentVoxels

    @classmethod
    def take(cls, node: Any, segment_id: str) -> _Kept:
        index = node.GetSegmentation().GetSegmentIndex(segment_id)
        segment, voxels = take_off(node.GetSegmentation(), segment_id)
        return cls(segment_id, index, segment, voxels)

    def put_back(self, node: Any) -> None:
        if node.GetSegmentation().GetSegment(self.segment_id) is None:
            put_back(node.GetSegmentation(), self.segment_id, self.segment, self.voxels, self.index)


class SegmentEdits:
    """Edits of segmentation nodes, the latest of which can be taken back."""

    def __init__(self) -> None:
        self._undo: list[tuple[Any, Callable[[], None], bool]] = []

    def can_undo(self, node: Any | None) -> bool:
        """Tell whether the last edit that is left was of this segmentation node."""
        return bool(self._undo) and self._undo[-1][0] is node

    def forget(self) -> None:
        """Forget all edits, as when the scene is closed."""
        self._undo = []

    def undo(self) -> bool:
        """Take the latest edit back; voxels that were painted since stay.

        Returns:
            Whether segments that were there already have changed by it.
        """
        node, undo, changes = self._undo.pop()
        if node.GetScene() is not None:
            undo()
        return changes

    def delete(self, node: Any, segment_ids: Sequence[str]) -> None:
        """Remove segments."""
        with _one_change(node):
            kept = [_Kept.take(node, segment_id) for segment_id in segment_ids]

        def undo() -> None:
            _put_back(node, kept)

        self._undo.append((node, undo, False))

    def merge(self, node: Any, segment_ids: Sequence[str]) -> None:
        """Give the voxels of several segments to the first of them and remove the others.

        Raises:
            UserError: The segments lie on different grids, or are not drawn as voxels.
        """
        _check_drawn_as_voxels(node)
        target, *others = segment_ids
        segmentation = node.GetSegmentation()
        _check_same_lattice([SegmentVoxels.of(segmentation.GetSegment(each)) for each in segment_ids])
        with _one_change(node):
            kept = [_Kept.take(node, segment_id) for segment_id in others]
        # Afterwards: the views must know that segments are gone before they draw what is left.
        _add_voxels(node, target, [each.voxels for each in kept])

        def undo() -> None:
            _take_voxels(node, target, [each.voxels for each in kept])
            _put_back(node, kept)

        self._undo.append((node, undo, True))

    def split(self, node: Any, segment_id: str, islands: Sequence[SegmentVoxels], numbers: Sequence[int]) -> list[str]:
        """Leave a segment its first island and make a segment of each other; return the ids of these.

        Args:
            node: vtkMRMLSegmentationNode.
            segment_id: The segment.
            islands: Its parts, see `SegmentVoxels.islands`.
            numbers: Numbers of the new lymph nodes, one fewer than islands.

        Raises:
            UserError: The segments are not drawn as voxels.
        """
        _check_drawn_as_voxels(node)
        segmentation = node.GetSegmentation()
        made: list[str] = []
        with slicer.util.NodeModify(node):
            set_voxels(segmentation, segment_id, islands[0])
            for number, island in zip(numbers, islands[1:]):
                new = slicer.vtkSegment()
                new.SetName(_("Lymph node {number}").format(number=number))
                new.SetColor(*lymph_node_colour(number))
                new.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), LYMPH_NODE)
                made.append(segmentation.GenerateUniqueSegmentID(f"LymphNode_{number}"))
                add_segment(segmentation, made[-1], new, island)

        def undo() -> None:
            there = [new_id for new_id in made if segmentation.GetSegment(new_id) is not None]
            with _one_change(node):
                voxels = [_Kept.take(node, new_id).voxels for new_id in there]
            _add_voxels(node, segment_id, voxels)

        self._undo.append((node, undo, True))
        return made


@contextmanager
def _one_change(node: Any) -> Iterator[None]:
    """Change segments with one event at the end.

    The views look at what has changed before they see what was removed, so that they need its display properties.
    """
    display = node.GetDisplayNode()
    removes = display is not None and display.GetRemoveUnusedDisplayProperties()
    if removes:
        _set_quietly(display, False)
    try:
        with slicer.util.NodeModify(node):
            yield
    finally:
        if removes:
            _set_quietly(display, True)


def _set_quietly(display: Any, removes_unused: bool) -> None:
    was_disabled = display.GetDisableModifiedEvent()
    display.SetDisableModifiedEvent(1)
    display.SetRemoveUnusedDisplayProperties(removes_unused)
    display.SetDisableModifiedEvent(was_disabled)


def _check_drawn_as_voxels(node: Any) -> None:
    if node.GetSegmentation().GetSourceRepresentationName() != BINARY:
        raise UserError(
            "The segments cannot be changed.", "They are drawn as surfaces or contours, not as voxels.",
            "Make the binary labelmap their source representation (in Slicer: Segmentations module).",
        )


def _add_voxels(node: Any, segment_id: str, parts: Sequence[SegmentVoxels]) -> None:
    segment = node.GetSegmentation().GetSegment(segment_id)
    if segment is not None and not all(part.empty for part in parts):
        united = SegmentVoxels.of(segment)
        for part in parts:
            united = united.united(part)
        with slicer.util.NodeModify(node):
            set_voxels(node.GetSegmentation(), segment_id, united)


def _take_voxels(node: Any, segment_id: str, parts: Sequence[SegmentVoxels]) -> None:
    segment = node.GetSegmentation().GetSegment(segment_id)
    if segment is not None and not all(part.empty for part in parts):
        rest = SegmentVoxels.of(segment)
        for part in parts:
            rest = rest.without(part)
        with slicer.util.NodeModify(node):
            set_voxels(node.GetSegmentation(), segment_id, rest.cut_down())


def _put_back(node: Any, kept: Sequence[_Kept]) -> None:
    with slicer.util.NodeModify(node):
        for each in reversed(kept):
            each.put_back(node)


def _check_same_lattice(segments: Sequence[SegmentVoxels]) -> None:
    matrices = [each.ijk_to_ras for each in segments if not each.empty]
    if any(not np.allclose(matrices[0], matrix, atol=1e-4) for matrix in matrices[1:]):
        raise UserError(
            "The segments cannot be merged.", "They lie on different voxel grids.",
            "Resample the segmentation (in Slicer: Segment Editor, Specify geometry), then merge.",
        )
