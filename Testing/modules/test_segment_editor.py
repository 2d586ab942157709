"""The embedded Segment Editor: one choice with the table, its keys, defaults and masks, and new segments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6 import QtCore, QtGui, QtTest, QtWidgets
from test_review_section import measured, press

from lnsegfm_panel import BOXES, add_ct, segment
from standin.segment_effects import stroke

KEY = QtCore.Qt.Key


@pytest.fixture(autouse=True)
def slicer_log(app: Any) -> Iterator[Callable[[], str]]:
    """What VTK and Slicer wrote as errors and warnings; a test fails when there is any."""
    import vtk

    before, window = vtk.vtkOutputWindow.GetInstance(), vtk.vtkStringOutputWindow()
    vtk.vtkOutputWindow.SetInstance(window)
    yield window.GetOutput
    vtk.vtkOutputWindow.SetInstance(before)
    assert window.GetOutput() == ""


@pytest.fixture
def scan(app: Any, widget: Any) -> Iterator[tuple[Any, Any]]:
    """A segmented scan: its volume node and segmentation node."""
    volume = add_ct()
    app.process_events()
    yield volume, segment(app, widget)
    widget.ui.editorCollapsibleButton.collapsed = True
    app.process_events()


def open_editor(app: Any, widget: Any) -> Any:
    """Open Edit and return the qMRMLSegmentEditorWidget."""
    widget.ui.editorCollapsibleButton.collapsed = False
    app.process_events()
    return widget.correct.editing.editor.widget


def choose_row(app: Any, widget: Any, row: int) -> None:
    app.select_row(widget.ui.nodeTable, row)


def chosen_rows(widget: Any) -> list[int]:
    return sorted(index.row() for index in widget.ui.nodeTable.selectionModel().selectedRows())


def numbers(widget: Any) -> list[str]:
    table = widget.ui.nodeTable
    return [table.item(row, 0).text() for row in range(table.rowCount)]


def voxels_of(node: Any, segment_id: str) -> int:
    from LNSegFMLib.scene.segments.segment_voxels import SegmentVoxels

    return int(np.count_nonzero(SegmentVoxels.of(node.GetSegmentation().GetSegment(segment_id)).labelmap.array))


def brush(*index: slice) -> np.ndarray:
    """Voxels of the scan's grid, which has the shape (10, 16, 20)."""
    voxels = np.zeros((10, 16, 20), bool)
    voxels[index] = True
    return voxels


def take(app: Any, editor: Any, effect: str) -> None:
    app.click(next(each for each in editor.findChildren(QtWidgets.QToolButton) if each.objectName == effect))


def editor_parameters() -> Any:
    import slicer

    return slicer.mrmlScene.GetSingletonNode("LNSegFMSegmentEditor", "vtkMRMLSegmentEditorNode")


# --- One choice


def test_the_chosen_row_is_painted_also_when_edit_is_opened_for_the_first_time(
    app: Any, widget: Any, scan: Any
) -> None:
    _volume, node = scan
    first, second = voxels_of(node, "LymphNode_1"), voxels_of(node, "LymphNode_2")
    choose_row(app, widget, 1)
    editor = open_editor(app, widget)
    assert editor.currentSegmentID() == "LymphNode_2"
    assert "Lymph node 2" in widget.ui.editStateLabel.text
    take(app, editor, "Paint")
    stroke(editor, brush(slice(6, 8), slice(10, 13), slice(12, 14)))
    app.process_events()
    assert voxels_of(node, "LymphNode_1") == first
    assert voxels_of(node, "LymphNode_2") == second + 2 * 3 * 2


def test_a_segment_chosen_in_the_editor_is_the_chosen_row_and_the_other_way_round(
    app: Any, widget: Any, scan: Any
) -> None:
    editor = open_editor(app, widget)
    table = editor.findChild(QtWidgets.QTableView, "SegmentsTableView")
    app.select_row(table, 1)
    assert chosen_rows(widget) == [1]
    choose_row(app, widget, 0)
    assert table.selectedSegmentIDs() == ["LymphNode_1"]
    editor.selectNextSegment()  # keys of the editor, which give no signal
    app.process_events()
    assert chosen_rows(widget) == [1]


@pytest.mark.parametrize("rows", [(), (0, 1)])
def test_without_one_chosen_lymph_node_nothing_can_be_painted(
    app: Any, widget: Any, scan: Any, rows: tuple[int, ...]
) -> None:
    editor = open_editor(app, widget)
    choose_row(app, widget, 0)
    take(app, editor, "Paint")
    table = widget.ui.nodeTable
    table.clearSelection()
    flags = QtCore.QItemSelectionModel.SelectionFlag
    for row in rows:
        table.selectionModel().select(table.model().index(row, 0), flags.Select | flags.Rows)
    app.process_events()
    assert editor.currentSegmentID() == "" and editor.activeEffect() is None
    assert "Select one lymph node" in widget.ui.editStateLabel.text
    editor.setActiveEffectByName("Paint")  # as its keys do, which do not ask
    assert editor.activeEffect() is None


def test_choice_and_segment_agree_after_delete_undo_merge_and_split(app: Any, widget: Any, scan: Any) -> None:
    def agree() -> bool:
        segments = {record.segment_id for record in widget.review._view.chosen}
        return editor.currentSegmentID() == (next(iter(segments)) if len(segments) == 1 else "")

    editor = open_editor(app, widget)
    choose_row(app, widget, 0)
    app.click(widget.ui.deleteButton)
    assert numbers(widget) == ["2"] and editor.currentSegmentID() == "LymphNode_2" and agree()
    app.click(widget.ui.undoButton)
    assert numbers(widget) == ["1", "2"] and agree()
    widget.ui.nodeTable.selectAll()
    app.process_events()
    assert agree()
    app.click(widget.ui.mergeButton)
    measured(app, widget)
    assert scan[1].GetSegmentation().GetNumberOfSegments() == 1
    assert chosen_rows(widget) == [0] and editor.currentSegmentID() == "LymphNode_1" and agree()
    app.click(widget.ui.splitButton)
    measured(app, widget)
    assert scan[1].GetSegmentation().GetNumberOfSegments() == 2 and agree()


def test_another_pair_does_not_inherit_the_segment(app: Any, widget: Any, scan: Any) -> None:
    _volume, node = scan
    editor = open_editor(app, widget)
    choose_row(app, widget, 1)
    other = segment(app, widget)
    assert editor.segmentationNode() is other and other is not node
    assert chosen_rows(widget) == [] and editor.currentSegmentID() == ""


# --- Scenes and pairs


def test_a_loaded_scene_gives_the_editor_everything_back(app: Any, widget: Any, scan: Any, tmp_path: Path) -> None:
    editor = open_editor(app, widget)
    choose_row(app, widget, 1)
    take(app, editor, "Paint")
    editor.effectByName("Islands").setParameter("MinimumSize", 30)
    app.save_scene(tmp_path / "scene.mrb")
    app.load_scene(tmp_path / "scene.mrb")
    node = widget.ui.segmentationSelector.currentNode()
    assert node is not None and editor.mrmlSegmentEditorNode().GetSegmentationNode() is node
    assert editor.segmentationNode() is node
    assert editor.sourceVolumeNode() is widget.ui.volumeSelector.currentNode()
    assert editor.currentSegmentID() == "LymphNode_2" and chosen_rows(widget) == [1]
    assert editor.activeEffect() is None  # a brush in hand would be a surprise
    assert editor.effectByName("Islands").integerParameter("MinimumSize") == 30


def test_no_volume_is_given_to_an_editor_without_segmentation(app: Any, widget: Any, scan: Any) -> None:
    """The log is looked at by the fixture: closing, loading, choosing and removing."""
    import slicer

    _volume, node = scan
    editor = open_editor(app, widget)
    app.close_scene()
    assert editor.segmentationNode() is None and editor.sourceVolumeNode() is None
    first, second = add_ct("A"), add_ct("B")
    app.process_events()
    app.choose(widget.ui.volumeSelector, "A")
    node = segment(app, widget)
    assert editor.segmentationNode() is node and editor.sourceVolumeNode() is first
    app.choose(widget.ui.volumeSelector, "B")
    widget.choose_pair(second, None)
    app.process_events()
    assert editor.segmentationNode() is None and editor.sourceVolumeNode() is None
    widget.choose_pair(first, node)
    app.process_events()
    assert editor.segmentationNode() is node and editor.sourceVolumeNode() is first
    slicer.mrmlScene.RemoveNode(first)
    slicer.mrmlScene.RemoveNode(node)
    slicer.mrmlScene.RemoveNode(second)
    app.process_events()
    assert editor.segmentationNode() is None


def test_editor_rests_while_another_module_is_shown(app: Any, widget: Any, scan: Any) -> None:
    editor = open_editor(app, widget)
    choose_row(app, widget, 0)
    take(app, editor, "Paint")
    app.select_module("SegmentEditor")
    assert editor.activeEffect() is None
    with pytest.raises(AssertionError, match="active"):
        stroke(editor, brush(slice(0, 1)))
    app.select_module("LNSegFM")
    take(app, editor, "Paint")
    stroke(editor, brush(slice(0, 1), slice(0, 1), slice(0, 1)))
    app.process_events()


# --- Keys


def press_with(app: Any, key: QtCore.Qt.Key, modifier: Any = QtCore.Qt.KeyboardModifier.ControlModifier) -> None:
    app.window.activateWindow()
    app.window.setFocus()
    app.process_events()
    QtTest.QTest.keyClick(app.window, key, modifier)
    QtTest.QTest.keyClick(app.window, KEY.Key_F35)  # or Qt still takes Ctrl for pressed
    app.process_events()


@pytest.mark.parametrize("collapsed", [False, True])
def test_ctrl_z_takes_a_stroke_back_and_ctrl_y_repeats_it(
    app: Any, widget: Any, scan: Any, collapsed: bool
) -> None:
    _volume, node = scan
    editor = open_editor(app, widget)
    choose_row(app, widget, 1)
    before = voxels_of(node, "LymphNode_2")
    take(app, editor, "Paint")
    stroke(editor, brush(slice(8, 9), slice(11, 12), slice(14, 15)))
    app.process_events()
    widget.ui.editorCollapsibleButton.collapsed = collapsed
    for _round in range(2):
        press_with(app, KEY.Key_Z)
        assert voxels_of(node, "LymphNode_2") == before
        press_with(app, KEY.Key_Y)
        assert voxels_of(node, "LymphNode_2") == before + 1


def test_ctrl_z_takes_back_what_was_last_a_deletion_or_a_stroke(app: Any, widget: Any, scan: Any) -> None:
    _volume, node = scan
    editor = open_editor(app, widget)
    choose_row(app, widget, 1)
    before = voxels_of(node, "LymphNode_2")
    take(app, editor, "Paint")
    stroke(editor, brush(slice(8, 9), slice(11, 12), slice(14, 15)))
    take(app, editor, "NULL")
    choose_row(app, widget, 0)
    app.click(widget.ui.deleteButton)
    assert numbers(widget) == ["2"]
    press_with(app, KEY.Key_Z)
    assert numbers(widget) == ["1", "2"] and voxels_of(node, "LymphNode_2") == before + 1
    press_with(app, KEY.Key_Z)
    assert numbers(widget) == ["1", "2"] and voxels_of(node, "LymphNode_2") == before


def test_ctrl_z_without_the_editor_takes_a_deletion_back(app: Any, widget: Any, scan: Any) -> None:
    choose_row(app, widget, 0)
    press(app, widget.ui.nodeTable, KEY.Key_D)
    assert numbers(widget) == ["2"]
    press_with(app, KEY.Key_Z)
    assert numbers(widget) == ["1", "2"]


def hold(app: Any, receiver: Any, key: QtCore.Qt.Key, times: int) -> None:
    """Hold a key down: the shortcuts of the widget are asked as Qt asks them, with the repeats marked."""
    app.window.activateWindow()
    receiver.setFocus()
    app.process_events()
    for shortcut in receiver.findChildren(QtGui.QShortcut):
        if shortcut.key.toString() == QtGui.QKeySequence(key).toString() and shortcut.isEnabled():
            for repeat in range(times):
                if repeat == 0 or shortcut.autoRepeat:
                    shortcut.activated.emit()
    app.process_events()


def test_holding_d_deletes_one_lymph_node(app: Any, widget: Any, scan: Any) -> None:
    choose_row(app, widget, 0)
    hold(app, widget.ui.nodeTable, KEY.Key_D, 3)
    assert numbers(widget) == ["2"]


def test_holding_space_ticks_once_and_n_goes_on(app: Any, widget: Any, scan: Any) -> None:
    choose_row(app, widget, 0)
    hold(app, widget.ui.nodeTable, KEY.Key_Space, 2)
    assert "Reviewed: 1" in widget.ui.summaryLabel.text
    hold(app, widget.ui.nodeTable, KEY.Key_N, 2)
    assert chosen_rows(widget) == [1]


def test_keys_that_change_things_are_off_with_an_effect_active(app: Any, widget: Any, scan: Any) -> None:
    editor = open_editor(app, widget)
    choose_row(app, widget, 0)
    take(app, editor, "Paint")
    press(app, widget.ui.nodeTable, KEY.Key_D)
    assert numbers(widget) == ["1", "2"]
    assert "Key d is disabled while Paint is active" in widget.ui.summaryLabel.text
    press(app, widget.ui.nodeTable, KEY.Key_Space)
    assert "Reviewed: 0" in widget.ui.summaryLabel.text
    press(app, widget.ui.nodeTable, KEY.Key_N)
    assert chosen_rows(widget) == [1] and editor.currentSegmentID() == "LymphNode_2"
    press(app, editor, KEY.Key_Escape)
    app.process_events(0.5)  # a press right after another is taken for a repeat
    press(app, widget.ui.nodeTable, KEY.Key_D)
    assert numbers(widget) == ["1"]


def test_space_ticks_every_time_though_the_editor_has_a_space_bar_too(app: Any, widget: Any, scan: Any) -> None:
    open_editor(app, widget)
    choose_row(app, widget, 0)
    for reviewed in (1, 0, 1):
        press(app, widget.ui.nodeTable, KEY.Key_Space)
        assert f"Reviewed: {reviewed}" in widget.ui.summaryLabel.text


def test_digits_choose_an_effect_while_edit_is_open(app: Any, widget: Any, scan: Any) -> None:
    editor = open_editor(app, widget)
    choose_row(app, widget, 0)
    press(app, widget.ui.nodeTable, KEY.Key_1)
    assert editor.activeEffect().name == "Paint"
    widget.ui.editorCollapsibleButton.collapsed = True
    app.process_events()
    press(app, widget.ui.nodeTable, KEY.Key_1)
    assert editor.activeEffect() is None


# --- Defaults and masks


def test_effects_have_the_size_of_lymph_nodes_and_the_user_keeps_his_own(app: Any, widget: Any, scan: Any) -> None:
    editor = open_editor(app, widget)
    paint, islands = editor.effectByName("Paint"), editor.effectByName("Islands")
    assert paint.integerParameter("BrushSphere") == 1 and paint.integerParameter("BrushDiameterIsRelative") == 0
    assert paint.doubleParameter("BrushAbsoluteDiameter") == 5
    assert islands.integerParameter("MinimumSize") == 1
    assert editor.effectByName("Margin").doubleParameter("MarginSizeMm") == 1
    islands.setParameter("MinimumSize", 20)
    widget.update()
    assert islands.integerParameter("MinimumSize") == 20
    app.close_scene()  # takes all parameters away
    assert islands.integerParameter("MinimumSize") == 1
    assert editor.effectByName("Threshold").parameter("MinimumThreshold") == "0"  # and Slicer's where there are no own


def test_segment_editor_module_keeps_its_own_defaults(app: Any, widget: Any, scan: Any) -> None:
    import slicer

    open_editor(app, widget)
    module_node = slicer.mrmlScene.GetSingletonNode("SegmentEditor", "vtkMRMLSegmentEditorNode")
    assert module_node is None or module_node.GetAttribute("Islands.MinimumSize") is None
    assert editor_parameters().GetSingletonTag() == "LNSegFMSegmentEditor"


def test_keep_largest_island_leaves_a_small_lymph_node(app: Any, widget: Any, scan: Any) -> None:
    _volume, node = scan
    editor = open_editor(app, widget)
    choose_row(app, widget, 1)
    before = voxels_of(node, "LymphNode_2")
    take(app, editor, "Paint")
    stroke(editor, brush(slice(0, 1), slice(0, 1), slice(0, 1)))
    take(app, editor, "Islands")
    editor.activeEffect().self().onApply()
    assert voxels_of(node, "LymphNode_2") == before


def test_a_segment_that_has_become_empty_is_said_and_comes_back(app: Any, widget: Any, scan: Any) -> None:
    _volume, node = scan
    editor = open_editor(app, widget)
    choose_row(app, widget, 1)
    before = voxels_of(node, "LymphNode_2")
    editor.effectByName("Islands").setParameter("MinimumSize", 1000)
    take(app, editor, "Islands")
    editor.activeEffect().self().onApply()
    app.process_events()
    label = widget.ui.editStateLabel
    assert label.text.startswith("Lymph node 2 is empty now.") and voxels_of(node, "LymphNode_2") == 0
    label.linkActivated.emit("undo")
    app.process_events()
    assert voxels_of(node, "LymphNode_2") == before
    assert "empty" not in label.text


def test_soft_tissue_only_holds_for_painting_and_never_for_erasing(app: Any, widget: Any, scan: Any) -> None:
    _volume, node = scan
    editor = open_editor(app, widget)
    choose_row(app, widget, 0)
    before = voxels_of(node, "LymphNode_1")
    app.click(widget.ui.softTissueButton)
    take(app, editor, "Paint")
    box = BOXES[0]
    stroke(editor, brush(slice(1, 5), slice(2, 8), slice(12, 14)))  # -100 HU: soft tissue, just
    assert voxels_of(node, "LymphNode_1") == before + 48
    stroke(editor, brush(*BOXES[1]))  # 320 HU, bone
    assert voxels_of(node, "LymphNode_1") == before + 48
    take(app, editor, "Erase")
    assert not editor_parameters().GetSourceVolumeIntensityMask() and widget.ui.softTissueButton.checked
    stroke(editor, brush(*box))  # 320 HU
    assert voxels_of(node, "LymphNode_1") == 48
    take(app, editor, "Scissors")
    assert not editor_parameters().GetSourceVolumeIntensityMask()
    editor.effectByName("Scissors").setParameter("Operation", "FillInside")
    assert editor_parameters().GetSourceVolumeIntensityMask()
    take(app, editor, "Paint")
    assert editor_parameters().GetSourceVolumeIntensityMask()
    assert tuple(editor_parameters().GetSourceVolumeIntensityMaskRange()) == (-100.0, 300.0)
    app.click(widget.ui.softTissueButton)
    assert not editor_parameters().GetSourceVolumeIntensityMask()


def test_a_range_of_the_users_own_is_left_alone(app: Any, widget: Any, scan: Any) -> None:
    editor = open_editor(app, widget)
    choose_row(app, widget, 0)
    app.click(widget.ui.softTissueButton)
    take(app, editor, "Paint")
    node = editor_parameters()
    node.SetSourceVolumeIntensityMaskRange(0.0, 200.0)
    widget.update()
    take(app, editor, "Erase")
    assert tuple(node.GetSourceVolumeIntensityMaskRange()) == (0.0, 200.0) and node.GetSourceVolumeIntensityMask()
    assert not widget.ui.softTissueButton.checked


def test_the_mask_that_is_turned_off_in_the_editor_is_off(app: Any, widget: Any, scan: Any) -> None:
    editor = open_editor(app, widget)
    choose_row(app, widget, 0)
    app.click(widget.ui.softTissueButton)
    take(app, editor, "Paint")
    press(app, editor, KEY.Key_I)
    assert not editor_parameters().GetSourceVolumeIntensityMask() and not widget.ui.softTissueButton.checked


def test_a_sphere_takes_nothing_from_the_neighbour(app: Any, widget: Any, scan: Any) -> None:
    _volume, node = scan
    first = voxels_of(node, "LymphNode_1")
    editor = open_editor(app, widget)
    choose_row(app, widget, 1)
    take(app, editor, "Paint")
    stroke(editor, brush(slice(1, 5), slice(2, 8), slice(10, 14)))  # reaches into lymph node 1
    assert voxels_of(node, "LymphNode_1") == first


# --- New segments


def test_a_segment_added_in_the_editor_is_a_lymph_node_at_once(app: Any, widget: Any, scan: Any) -> None:
    from LNSegFMLib.scene.segments.terminology import LYMPH_NODE

    _volume, node = scan
    editor = open_editor(app, widget)
    app.click(editor.findChild(QtWidgets.QToolButton, "AddSegmentButton"))
    new = node.GetSegmentation().GetNthSegment(2)
    assert new.GetName() == "Lymph node 3"
    assert new.GetTerminology() == LYMPH_NODE
    assert sorted(numbers(widget)) == ["1", "2", "3"]
    (row,) = chosen_rows(widget)
    assert numbers(widget)[row] == "3" and editor.currentSegmentID() == node.GetSegmentation().GetNthSegmentID(2)
    assert widget.ui.nodeTable.item(row, 2).text() == "–"
    assert "Not all segments are measured" in widget.ui.summaryLabel.text
    take(app, editor, "Paint")
    stroke(editor, brush(slice(7, 9), slice(2, 5), slice(2, 5)))
    app.click(widget.ui.measureButton)
    measured(app, widget)
    (row,) = chosen_rows(widget)
    assert numbers(widget)[row] == "3" and "×" in widget.ui.nodeTable.item(row, 2).text()


def test_a_number_is_not_given_twice_and_undo_takes_the_row_away(app: Any, widget: Any, scan: Any) -> None:
    editor = open_editor(app, widget)
    choose_row(app, widget, 1)
    app.click(widget.ui.deleteButton)
    app.click(editor.findChild(QtWidgets.QToolButton, "AddSegmentButton"))
    assert sorted(numbers(widget)) == ["1", "3"]
    press_with(app, KEY.Key_Z)
    assert numbers(widget) == ["1"]
    press_with(app, KEY.Key_Y)
    assert sorted(numbers(widget)) == ["1", "3"]


def test_a_part_that_islands_split_off_is_a_lymph_node_of_its_own(app: Any, widget: Any, scan: Any) -> None:
    _volume, node = scan
    open_editor(app, widget)
    segmentation = node.GetSegmentation()
    segmentation.AddEmptySegment("", "Lymph node 2_2")  # its name for the second island of lymph node 2
    segmentation.AddEmptySegment("", "Station II")
    app.process_events()
    names = [segmentation.GetNthSegment(index).GetName() for index in range(4)]
    assert names[2:] == ["Lymph node 3", "Station II"]
    assert len(numbers(widget)) == 4
