"""Review of lymph nodes: the table, its keys, edits with undo, and the probability over the CT."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6 import QtCore, QtGui, QtTest, QtWidgets

from lnsegfm_panel import BOXES, add_ct, bright, exported, segment

NUMBER, SIDE, DIAMETERS, VOLUME, HU, RECIST, CONFIDENCE, REVIEWED = range(8)


@pytest.fixture
def reviewed(app: Any, widget: Any) -> tuple[Any, Any]:
    """A segmented scan: its volume node and segmentation node."""
    volume = add_ct()
    app.process_events()
    return volume, segment(app, widget)


def column(widget: Any, index: int) -> list[str]:
    table = widget.ui.nodeTable
    return [table.item(row, index).text() for row in range(table.rowCount)]


def sort_by(app: Any, widget: Any, index: int) -> None:
    widget.ui.nodeTable.horizontalHeader().sectionClicked.emit(index)
    app.process_events()


def press(app: Any, receiver: Any, key: QtCore.Qt.Key) -> None:
    """Press a key as a user does: in the active window, where the focus is."""
    app.window.activateWindow()
    receiver.setFocus()
    app.process_events()
    QtTest.QTest.keyClick(receiver, key)
    app.process_events()


def segment_names(node: Any) -> list[str]:
    segmentation = node.GetSegmentation()
    return [segmentation.GetNthSegment(index).GetName() for index in range(segmentation.GetNumberOfSegments())]


def measured(app: Any, widget: Any) -> None:
    app.wait_until(lambda: not widget.is_working("split") and not widget.is_working("measure"), 30, "the measurements")


def test_table_shows_what_was_measured(app: Any, widget: Any, reviewed: Any) -> None:
    voxel = 1.5 * 2.0 * 3.0
    assert column(widget, NUMBER) == ["1", "2"]
    assert column(widget, VOLUME) == [f"{216 * voxel / 1000:.2f}", f"{12 * voxel / 1000:.2f}"]
    assert column(widget, RECIST)[1] == "normal"
    assert "2 lymph nodes" in widget.ui.summaryLabel.text
    app.click(widget.ui.measureButton)
    measured(app, widget)
    assert column(widget, HU) == ["320", "320"]
    assert column(widget, CONFIDENCE) == ["100", "100"]


def test_diameters_are_sorted_as_numbers(app: Any, widget: Any, reviewed: Any) -> None:
    axes = [float(text.split(" × ")[0]) for text in column(widget, DIAMETERS)]
    assert axes == sorted(axes, reverse=True)
    sort_by(app, widget, DIAMETERS)
    assert [float(text.split(" × ")[0]) for text in column(widget, DIAMETERS)] == sorted(axes)
    assert widget.ui.nodeTable.horizontalHeaderItem(DIAMETERS).text().endswith("↑")
    sort_by(app, widget, DIAMETERS)
    assert column(widget, NUMBER) == ["1", "2"]
    sort_by(app, widget, NUMBER)


def test_filter_lists_only_large_nodes_and_counts_all(app: Any, widget: Any, reviewed: Any) -> None:
    app.type_text(widget.ui.filterSpinBox, "10")
    assert column(widget, NUMBER) == ["1"]
    assert "2 lymph nodes" in widget.ui.summaryLabel.text
    assert len(segment_names(reviewed[1])) == 2
    app.type_text(widget.ui.filterSpinBox, "0")
    assert column(widget, NUMBER) == ["1", "2"]


def test_chosen_node_stands_out_and_the_others_are_dimmed(app: Any, widget: Any, reviewed: Any) -> None:
    display = reviewed[1].GetDisplayNode()
    display.SetSegmentOpacity2DFill("LymphNode_1", 0.7)  # as the user likes it
    app.select_row(widget.ui.nodeTable, 1)
    fills = [display.GetSegmentOpacity2DFill(f"LymphNode_{number}") for number in (1, 2)]
    assert fills == [0.0, 1.0]
    assert display.GetSegmentOpacity3D("LymphNode_1") < display.GetSegmentOpacity3D("LymphNode_2")
    app.click(widget.ui.highlightCheckBox)
    assert display.GetSegmentOpacity2DFill("LymphNode_1") == pytest.approx(0.7)
    app.click(widget.ui.highlightCheckBox)
    app.select_module("SegmentEditor")
    assert display.GetSegmentOpacity2DFill("LymphNode_1") == pytest.approx(0.7)
    app.select_module("LNSegFM")
    assert display.GetSegmentOpacity2DFill("LymphNode_1") == 0.0


def test_keys_go_through_the_nodes_and_tick_them(app: Any, widget: Any, reviewed: Any) -> None:
    table = widget.ui.nodeTable
    for key, row in ((QtCore.Qt.Key_N, 0), (QtCore.Qt.Key_N, 1), (QtCore.Qt.Key_N, 1), (QtCore.Qt.Key_P, 0)):
        press(app, table, key)
        assert table.currentRow() == row
    press(app, table, QtCore.Qt.Key_Space)
    assert [table.item(row, REVIEWED).checkState() for row in range(2)] == [
        QtCore.Qt.CheckState.Checked, QtCore.Qt.CheckState.Unchecked,
    ]
    assert "Reviewed: 1." in widget.ui.summaryLabel.text
    press(app, table, QtCore.Qt.Key_Space)
    assert "Reviewed: 0." in widget.ui.summaryLabel.text


def test_keys_work_in_the_slice_views_and_not_in_text_fields(app: Any, widget: Any, reviewed: Any) -> None:
    import slicer

    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    view.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
    press(app, view, QtCore.Qt.Key_N)
    assert widget.ui.nodeTable.currentRow() == 0
    edit = widget.ui.filterSpinBox.findChild(QtWidgets.QLineEdit)
    press(app, edit, QtCore.Qt.Key_D)
    press(app, edit, QtCore.Qt.Key_N)
    assert widget.ui.nodeTable.currentRow() == 0
    assert len(segment_names(reviewed[1])) == 2


def test_keys_do_nothing_in_other_modules(app: Any, widget: Any, reviewed: Any) -> None:
    import slicer

    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    view.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
    app.select_row(widget.ui.nodeTable, 0)
    app.select_module("SegmentEditor")
    press(app, view, QtCore.Qt.Key_D)
    assert len(segment_names(reviewed[1])) == 2
    app.select_module("LNSegFM")


def test_click_on_the_tick_marks_a_node_as_reviewed(app: Any, widget: Any, reviewed: Any) -> None:
    widget.ui.nodeTable.item(1, REVIEWED).setCheckState(QtCore.Qt.CheckState.Checked)
    app.process_events()
    assert "Reviewed: 1." in widget.ui.summaryLabel.text
    assert widget.ui.nodeTable.item(1, REVIEWED).checkState() == QtCore.Qt.CheckState.Checked


def test_measurements_and_ticks_are_saved_with_the_scene(
    app: Any, widget: Any, reviewed: Any, tmp_path: Path
) -> None:
    widget.ui.nodeTable.item(0, REVIEWED).setCheckState(QtCore.Qt.CheckState.Checked)
    before = [column(widget, index) for index in range(REVIEWED)]
    app.save_scene(tmp_path / "scene.mrb")
    app.close_scene()
    assert widget.ui.nodeTable.rowCount == 0
    app.load_scene(tmp_path / "scene.mrb")
    assert [column(widget, index) for index in range(REVIEWED)] == before
    assert "Reviewed: 1." in widget.ui.summaryLabel.text


def test_deleted_node_comes_back_by_undo(app: Any, widget: Any, reviewed: Any) -> None:
    volume, node = reviewed
    whole = exported(node, volume)
    widget.ui.nodeTable.item(0, REVIEWED).setCheckState(QtCore.Qt.CheckState.Checked)
    app.select_row(widget.ui.nodeTable, 0)
    press(app, widget.ui.nodeTable, QtCore.Qt.Key_D)
    assert app.dialogs == []
    assert column(widget, NUMBER) == ["2"]  # numbers stay
    assert widget.ui.nodeTable.currentRow() == 0  # and the next node is in view
    assert (exported(node, volume) > 0).sum() == (whole == 2).sum()
    app.click(widget.ui.undoButton)
    assert column(widget, NUMBER) == ["1", "2"]
    assert "Reviewed: 1." in widget.ui.summaryLabel.text
    assert segment_names(node) == ["Lymph node 1", "Lymph node 2"]
    np.testing.assert_array_equal(exported(node, volume), whole)
    assert not widget.ui.undoButton.enabled


def test_a_held_d_deletes_one_node_even_where_its_repeats_look_like_presses(
    app: Any, widget: Any, reviewed: Any
) -> None:
    import slicer

    from LNSegFMLib.panels.reviewing.shortcuts import PAUSE_S

    table, view = widget.ui.nodeTable, slicer.app.layoutManager().sliceWidget("Red").sliceView()
    view.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
    app.select_row(table, 0)
    press(app, table, QtCore.Qt.Key_D)
    press(app, view, QtCore.Qt.Key_D)
    press(app, table, QtCore.Qt.Key_D)
    assert column(widget, NUMBER) == ["2"]
    app.process_events(PAUSE_S + 0.1)
    press(app, view, QtCore.Qt.Key_D)
    assert column(widget, NUMBER) == []


def test_merged_nodes_are_one_and_come_apart_by_undo(app: Any, widget: Any, reviewed: Any) -> None:
    volume, node = reviewed
    whole = exported(node, volume)
    assert not widget.ui.mergeButton.enabled
    widget.ui.nodeTable.selectAll()
    app.click(widget.ui.mergeButton)
    measured(app, widget)
    assert segment_names(node) == ["Lymph node 1"]
    np.testing.assert_array_equal(exported(node, volume) > 0, whole > 0)
    app.click(widget.ui.undoButton)
    measured(app, widget)
    assert segment_names(node) == ["Lymph node 1", "Lymph node 2"]
    np.testing.assert_array_equal(exported(node, volume), whole)
    assert column(widget, NUMBER) == ["1", "2"]


def test_segment_in_parts_is_split_and_put_together_by_undo(app: Any, widget: Any) -> None:
    volume = add_ct()
    app.process_events()
    if widget.ui.optionsCollapsibleButton.collapsed:
        app.click(widget.ui.optionsCollapsibleButton)
    app.choose(widget.ui.segmentsSelector, "One for all lymph nodes")
    node = segment(app, widget)
    app.choose(widget.ui.segmentsSelector, "One per lymph node")
    assert column(widget, NUMBER) == ["1", "2"]
    app.select_row(widget.ui.nodeTable, 1)
    press(app, widget.ui.nodeTable, QtCore.Qt.Key_D)
    app.wait_until(lambda: app.dialogs, 10, "the refusal")
    assert "Split the segment first." in app.dialogs.pop()[1]
    app.click(widget.ui.splitButton)
    measured(app, widget)
    assert segment_names(node) == ["Lymph nodes", "Lymph node 2"]
    assert column(widget, NUMBER) == ["1", "2"]
    assert sorted(np.unique(exported(node, volume), return_counts=True)[1].tolist())[:2] == [12, 216]
    app.click(widget.ui.undoButton)
    measured(app, widget)
    assert segment_names(node) == ["Lymph nodes"]
    np.testing.assert_array_equal(exported(node, volume) > 0, bright(volume))


def test_segment_in_one_piece_is_not_split(app: Any, widget: Any, reviewed: Any) -> None:
    app.select_row(widget.ui.nodeTable, 0)
    app.click(widget.ui.splitButton)
    measured(app, widget)
    assert widget.ui.summaryLabel.text.endswith("The segment has only one connected part.")
    assert segment_names(reviewed[1]) == ["Lymph node 1", "Lymph node 2"]


def test_undo_of_a_merge_keeps_what_was_painted_since(app: Any, widget: Any, reviewed: Any) -> None:
    import slicer

    volume, node = reviewed
    widget.ui.nodeTable.selectAll()
    app.click(widget.ui.mergeButton)
    measured(app, widget)
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, "LymphNode_1", volume)
    array[0, 0, 0] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, "LymphNode_1", volume)
    assert "Edited" in widget.ui.summaryLabel.text
    app.click(widget.ui.undoButton)
    measured(app, widget)
    labels = exported(node, volume)
    assert labels[0, 0, 0] == 1
    assert [(labels == number).sum() for number in (1, 2)] == [217, 12]


def test_touching_nodes_in_two_segments_stay_two(app: Any, widget: Any, reviewed: Any) -> None:
    import slicer

    volume, node = reviewed
    array = np.zeros(bright(volume).shape, np.uint8)
    array[BOXES[0]] = 1
    array[:, :, :7] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, "LymphNode_1", volume)
    array[:] = 0
    array[BOXES[0]] = 1
    array[:, :, 7:] = 0
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, "LymphNode_2", volume)
    app.click(widget.ui.measureButton)
    measured(app, widget)
    voxel = 1.5 * 2.0 * 3.0
    assert column(widget, VOLUME) == [f"{120 * voxel / 1000:.2f}", f"{96 * voxel / 1000:.2f}"]


def test_table_is_copied_with_tabs(app: Any, widget: Any, reviewed: Any) -> None:
    app.click(widget.ui.copyButton)
    lines = QtGui.QGuiApplication.clipboard().text().splitlines()
    assert [line.split("\t")[0] for line in lines] == ["number", "1", "2"]
    assert lines[1].split("\t")[1] == "Lymph node 1"


def test_probability_lies_over_the_ct_until_it_is_switched_off(app: Any, widget: Any, reviewed: Any) -> None:
    import slicer

    volume, _node = reviewed
    other = add_ct("PET")
    slicer.util.setSliceViewerLayers(background=volume, foreground=other, foregroundOpacity=0.25)
    layers = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    app.click(widget.ui.overlayCheckBox)
    app.wait_until(lambda: layers.GetForegroundVolumeID() != other.GetID(), 30, "the probability")
    overlay = slicer.mrmlScene.GetNodeByID(layers.GetForegroundVolumeID())
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(overlay) == 100, bright(volume))
    assert overlay.GetDisplayNode().GetLowerThreshold() == 10.0
    widget.ui.thresholdSlider.value = 40.0
    widget.ui.opacitySlider.value = 80
    app.process_events()
    assert overlay.GetDisplayNode().GetLowerThreshold() == 40.0
    assert layers.GetForegroundOpacity() == pytest.approx(0.8)
    app.click(widget.ui.overlayCheckBox)
    assert (layers.GetForegroundVolumeID(), layers.GetForegroundOpacity()) == (other.GetID(), 0.25)


def test_nothing_else_in_the_scene_changes(app: Any, widget: Any, reviewed: Any) -> None:
    volume, _node = reviewed
    other = add_ct("Other")
    app.choose(widget.ui.volumeSelector, "Other")
    second = segment(app, widget)
    app.choose(widget.ui.segmentationSelector, reviewed[1].GetName())
    state = [(node.GetID(), node.GetMTime()) for node in (volume, other, second, second.GetDisplayNode())]
    app.select_row(widget.ui.nodeTable, 0)
    app.click(widget.ui.deleteButton)
    app.click(widget.ui.undoButton)
    assert state == [(node.GetID(), node.GetMTime()) for node in (volume, other, second, second.GetDisplayNode())]
