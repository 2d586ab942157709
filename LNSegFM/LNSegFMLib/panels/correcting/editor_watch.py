"""Tells what the user does in the embedded Segment Editor."""

from __future__ import annotations

from typing import Any, Protocol

import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

from LNSegFMLib.scene.editor_node import editor_node


class EditorListener(Protocol):
    """Who wants to know."""

    def on_editor_changed(self) -> None:
        """The editor's parameter node has changed: segment, effect, masks or parameters."""

    def on_segments_edited(self, added: set[str]) -> None:
        """Voxels were changed, or segments came or went; called once the change is complete.

        Args:
            added: Ids of new segments.
        """


class EditorWatch(VTKObservationMixin):
    """Observes the embedded editor's parameter node and the segmentation that it edits.

    Args:
        listener: Is told of changes.
    """

    def __init__(self, listener: EditorListener) -> None:
        super().__init__()
        self._listener = listener
        self._segmentation: Any = None
        self._known: set[str] = set()
        # Slicer gives a new segment its terminology after it says that there is one.
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._tell)

    def watch(self, segmentation_node: Any | None) -> None:
        """Observe a segmentation node, and the parameter node as it is now."""
        node = editor_node()
        for event in (vtk.vtkCommand.ModifiedEvent, slicer.vtkMRMLSegmentEditorNode.EffectParameterModified):
            if not self.hasObserver(node, event, self._on_node):
                self.addObserver(node, event, self._on_node)
        segmentation = None if segmentation_node is None else segmentation_node.GetSegmentation()
        if segmentation is self._segmentation:
            return
        if self._segmentation is not None:
            self.removeObservers(self._on_segments)
        self._timer.stop()
        self._segmentation = segmentation
        self._known = set() if segmentation is None else set(segmentation.GetSegmentIDs())
        if segmentation is not None:
            kind = slicer.vtkSegmentation
            # The last is all that undo and redo say.
            for event in (
                kind.SegmentAdded, kind.SegmentRemoved, kind.SourceRepresentationModified, kind.SegmentModified,
            ):
                self.addObserver(segmentation, event, self._on_segments)

    def stop(self) -> None:
        """Observe nothing."""
        self._timer.stop()
        self.removeObservers()
        self._segmentation, self._known = None, set()

    def _on_node(self, caller: Any, event: Any) -> None:
        self._listener.on_editor_changed()

    def _on_segments(self, caller: Any, event: Any) -> None:
        self._timer.start()

    def _tell(self) -> None:
        if self._segmentation is not None:
            now = set(self._segmentation.GetSegmentIDs())
            added, self._known = now - self._known, now
            self._listener.on_segments_edited(added)
