"""What the user looks at: slice views and the Segment Editor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import slicer


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
