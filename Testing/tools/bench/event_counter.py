"""Counts what a segmentation tells the rest of Slicer: each event makes views, tables and editors follow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import slicer
import vtk

_SEGMENTATION_EVENTS = (
    "SegmentAdded", "SegmentRemoved", "SegmentModified", "SegmentsOrderModified", "SourceRepresentationModified",
    "RepresentationModified", "ContainedRepresentationNamesModified",
)


class EventCounter:
    """Counts events of a segmentation node, its segmentation and its display node, by name.

    Args:
        segmentation_node: vtkMRMLSegmentationNode with a display node.
    """

    def __init__(self, segmentation_node: Any) -> None:
        self.counts: Counter[str] = Counter()
        self._tags: list[tuple[Any, int]] = []
        segmentation = segmentation_node.GetSegmentation()
        for name in _SEGMENTATION_EVENTS:
            event = getattr(slicer.vtkSegmentation, name)
            self._count(segmentation, event, f"segmentation {name}")
            self._count(segmentation_node, event, f"node {name}")
        self._count(segmentation_node, vtk.vtkCommand.ModifiedEvent, "node Modified")
        self._count(segmentation_node.GetDisplayNode(), vtk.vtkCommand.ModifiedEvent, "display Modified")
        for view in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            self._count(view, vtk.vtkCommand.ModifiedEvent, "slice Modified")

    def _count(self, subject: Any, event: int, name: str) -> None:
        def add(*_: Any) -> None:
            self.counts[name] += 1

        self._tags.append((subject, subject.AddObserver(event, add)))

    def during(self, action: Callable[[], Any]) -> Counter[str]:
        """Return the events of an action."""
        self.counts.clear()
        action()
        return Counter(self.counts)

    def close(self) -> None:
        """Count no more."""
        for subject, tag in self._tags:
            subject.RemoveObserver(tag)
        self._tags = []
