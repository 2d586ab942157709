"""What the user looks at: slice views and the Segment Editor."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import slicer

# Share of its opacity in 3D that is left to what does not stand out.
_DIMMED = 0.25


def show_module(name: str) -> None:
    """Switch to a module; without a main window there is nothing to switch."""
    if slicer.util.mainWindow() is not None:
        slicer.util.selectModule(name)


def centre_on(position_ras: Sequence[float], volume_node: Any) -> tuple[float, float, float]:
    """Centre all slice views on a position of a volume, which is shown where it is not yet.

    Args:
        position_ras: Position in mm, in the volume's own RAS.
        volume_node: The volume node; its parent transform is applied to the position.

    Returns:
        The position in world coordinates, RAS, mm.
    """
    # Neither is there without a main window, nor the red view in every layout.
    manager = slicer.app.layoutManager()
    red = manager.sliceWidget("Red") if manager is not None else None
    if red is not None:
        layers = red.sliceLogic().GetSliceCompositeNode()
        if volume_node.GetID() not in (layers.GetBackgroundVolumeID(), layers.GetForegroundVolumeID()):
            slicer.util.setSliceViewerLayers(background=volume_node)
    world = [0.0, 0.0, 0.0]
    volume_node.TransformPointToWorld(list(position_ras), world)
    right, anterior, superior = world
    slicer.vtkMRMLSliceNode.JumpAllSlices(
        slicer.mrmlScene, right, anterior, superior, slicer.vtkMRMLSliceNode.CenteredJumpSlice
    )
    return right, anterior, superior


@contextmanager
def shown_at_once(segmentation_node: Any | None) -> Iterator[None]:
    """Let the views follow once to all that changes in how a segmentation node is shown within the block."""
    display = None if segmentation_node is None else segmentation_node.GetDisplayNode()
    with nullcontext() if display is None else slicer.util.NodeModify(display):
        yield


class Highlight:
    """Lets some segments stand out: the others are outlines in the slices and translucent in 3D.

    Every segment gets its own opacities back afterwards.
    """

    def __init__(self) -> None:
        self._node: Any = None
        self._before: dict[str, tuple[float, float]] = {}  # opacities in slices and 3D by segment id

    def show(self, segmentation_node: Any | None, segment_ids: Collection[str]) -> None:
        """Highlight segments of a segmentation node; none of them ends it."""
        if segmentation_node is not self._node:
            self._dim(())
            self._node, self._before = segmentation_node, {}
        self._dim(segment_ids)
        if not segment_ids:
            self._before = {}

    def _dim(self, bright_ids: Collection[str]) -> None:
        node = self._node
        display = None if node is None or node.GetScene() is None else node.GetDisplayNode()
        if display is None or not (bright_ids or self._before):
            return
        with slicer.util.NodeModify(display):
            for segment_id in node.GetSegmentation().GetSegmentIDs():
                now = (display.GetSegmentOpacity2DFill(segment_id), display.GetSegmentOpacity3D(segment_id))
                fill, solid = self._before.setdefault(segment_id, now)
                wanted = (fill, solid) if not bright_ids or segment_id in bright_ids else (0.0, solid * _DIMMED)
                if wanted != now:
                    display.SetSegmentOpacity2DFill(segment_id, wanted[0])
                    display.SetSegmentOpacity3D(segment_id, wanted[1])


def open_segment_editor(segmentation_node: Any, volume_node: Any) -> None:
    """Switch to the Segment Editor with a segmentation node and its volume node chosen."""
    # The editor of the module uses the parameter node with this tag and makes one only where there is none.
    tag, class_name = "SegmentEditor", "vtkMRMLSegmentEditorNode"
    parameters = slicer.mrmlScene.GetSingletonNode(tag, class_name)
    if parameters is None:
        parameters = slicer.mrmlScene.CreateNodeByClass(class_name)
        parameters.UnRegister(None)
        parameters.SetSingletonTag(tag)
        parameters = slicer.mrmlScene.AddNode(parameters)
    parameters.SetAndObserveSegmentationNode(segmentation_node)
    parameters.SetAndObserveSourceVolumeNode(volume_node)
    show_module("SegmentEditor")
