"""The stand-in's Segment Editor does what the real widget does, also where that is inconvenient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PySide6 import QtWidgets

from lnsegfm_panel import add_ct


@pytest.fixture
def editor(app: Any) -> Iterator[Any]:
    """A widget as the Segment Editor module makes it, with a parameter node of its own."""
    import slicer

    widget = slicer.qMRMLSegmentEditorWidget()
    node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLSegmentEditorNode")
    node.UnRegister(None)
    node.SetSingletonTag("StandinTest")
    widget.setMRMLSegmentEditorNode(slicer.mrmlScene.AddNode(node))
    widget.setMRMLScene(slicer.mrmlScene)
    yield widget
    widget.setMRMLSegmentEditorNode(None)
    widget.setMRMLScene(None)
    slicer.mrmlScene.RemoveNode(node)


def add_pair() -> tuple[Any, Any]:
    import numpy as np

    from LNSegFMLib.scene.segments.segmentations import Labelmap, add_segmentation

    volume = add_ct()
    array = np.zeros((2, 2, 2), np.uint8)
    array[0], array[1] = 1, 2
    return volume, add_segmentation(Labelmap(array, (0, 0, 0), (1, 2)), volume, str, "Pair")


def test_it_selects_the_first_segment_and_the_reference_volume(app: Any, editor: Any) -> None:
    volume, node = add_pair()
    editor.mrmlSegmentEditorNode().SetSelectedSegmentID("LymphNode_2")
    editor.setSegmentationNode(None)
    editor.setSegmentationNode(node)
    assert editor.currentSegmentID() == "LymphNode_1"
    assert editor.sourceVolumeNode() is volume


def test_a_volume_without_a_segmentation_is_an_error_in_the_log(app: Any, editor: Any) -> None:
    import vtk

    volume = add_ct()
    before, log = vtk.vtkOutputWindow.GetInstance(), vtk.vtkStringOutputWindow()
    vtk.vtkOutputWindow.SetInstance(log)
    editor.setSourceVolumeNode(volume)
    vtk.vtkOutputWindow.SetInstance(before)
    assert "SetSourceVolumeNode: need to set segment editor and segmentation nodes first" in log.GetOutput()


def test_its_boxes_choose_by_themselves_and_win_at_the_end_of_a_batch(app: Any, editor: Any) -> None:
    import slicer

    _volume, node = add_pair()
    assert editor.mrmlSegmentEditorNode().GetSegmentationNode() is node  # it was not chosen
    box = editor.findChild(QtWidgets.QWidget, "SegmentationNodeComboBox")
    box.noneEnabled = True
    box.setCurrentNode(None)
    editor.mrmlSegmentEditorNode().SetAndObserveSegmentationNode(node)
    blocked = box.blockSignals(True)
    box.setCurrentNode(None)
    box.blockSignals(blocked)
    slicer.mrmlScene.StartState(slicer.vtkMRMLScene.BatchProcessState)
    slicer.mrmlScene.EndState(slicer.vtkMRMLScene.BatchProcessState)
    assert editor.mrmlSegmentEditorNode().GetSegmentationNode() is None


def test_a_removed_segment_leaves_the_selection_to_the_one_beside_it(app: Any, editor: Any) -> None:
    _volume, node = add_pair()
    editor.setSegmentationNode(node)
    table = editor.findChild(QtWidgets.QTableView, "SegmentsTableView")
    table.setCurrentIndex(table.model().index(0, 0))
    node.GetSegmentation().RemoveSegment("LymphNode_1")
    assert editor.currentSegmentID() == "LymphNode_2"


def test_effects_have_slicers_defaults_and_a_new_segment_has_slicers_name(app: Any, editor: Any) -> None:
    volume, node = add_pair()
    editor.setSegmentationNode(node)
    editor.setSourceVolumeNode(volume)
    assert editor.effectByName("Islands").integerParameter("MinimumSize") == 1000
    assert editor.effectByName("Paint").integerParameter("BrushDiameterIsRelative") == 1
    editor.findChild(QtWidgets.QToolButton, "AddSegmentButton").click()
    assert node.GetSegmentation().GetNthSegment(2).GetName() == "Segment_1"
    assert editor.currentSegmentID() == node.GetSegmentation().GetNthSegmentID(2)


def test_its_keys_are_the_real_ones(app: Any, editor: Any) -> None:
    editor.installKeyboardShortcuts(editor)
    from PySide6 import QtGui

    keys = {shortcut.key.toString() for shortcut in editor.findChildren(QtGui.QShortcut)}
    assert {"1", "0", "Shift+1", "Esc", "Space", "Z", "Ctrl+Z", "Y", "Q", "W", "I"} <= keys
    assert set("/*,.><") <= keys
    editor.uninstallKeyboardShortcuts()
    assert not editor.findChildren(QtGui.QShortcut)
