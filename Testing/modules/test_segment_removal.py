"""Removing segments leaves no warning in Slicer's log while views show them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lnsegfm_panel import add_ct

NAMES = ("LymphNode_1", "LymphNode_2", "LymphNode_3")


def show_segments() -> Any:
    """Three lymph nodes in one labelmap, shown in all views."""
    import slicer

    volume = add_ct()
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    shape = slicer.util.arrayFromVolume(volume).shape
    for number, name in enumerate(NAMES):
        node.GetSegmentation().AddEmptySegment(name)
        voxels = np.zeros(shape, np.uint8)
        voxels[2:4, 3 * number : 3 * number + 2, 2:5] = 1
        slicer.util.updateSegmentBinaryLabelmapFromArray(voxels, node, name, volume)
    node.GetSegmentation().CollapseBinaryLabelmaps(False)
    node.CreateClosedSurfaceRepresentation()
    slicer.util.setSliceViewerLayers(background=volume)
    draw_views()
    return node


def segment_edits() -> Any:
    from LNSegFMLib.scene.segments.segment_edits import SegmentEdits

    return SegmentEdits()


def draw_views() -> None:
    import slicer

    manager = slicer.app.layoutManager()
    for name in manager.sliceViewNames():
        manager.sliceWidget(name).sliceView().draw()
    manager.threeDWidget(0).threeDView().draw()


@pytest.mark.parametrize("gone", [NAMES[1:2], NAMES[:2], NAMES])
def test_deleted_segments_leave_the_views_without_a_warning(app: Any, gone: tuple[str, ...]) -> None:
    node = show_segments()
    display = node.GetDisplayNode()
    display.SetSegmentOpacity3D(NAMES[1], 0.25)
    edits = segment_edits()
    edits.delete(node, gone)
    draw_views()
    app.check()
    assert tuple(node.GetSegmentation().GetSegmentIDs()) == tuple(name for name in NAMES if name not in gone)
    assert display.GetRemoveUnusedDisplayProperties()
    edits.undo()
    draw_views()
    app.check()
    assert tuple(node.GetSegmentation().GetSegmentIDs()) == NAMES


def test_merged_segments_leave_the_views_without_a_warning(app: Any) -> None:
    node = show_segments()
    edits = segment_edits()
    edits.merge(node, NAMES)
    draw_views()
    app.check()
    edits.undo()
    draw_views()
    app.check()
    assert tuple(node.GetSegmentation().GetSegmentIDs()) == NAMES
