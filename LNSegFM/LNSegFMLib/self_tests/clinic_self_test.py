"""The part of the self-test that reviews, corrects and works a list off, by the panel's own buttons."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer

from lnsegfm.cases.case_info import IGNORE
from LNSegFMLib.scene.overlay import overlay_of
from LNSegFMLib.scene.segments.lymph_node_records import records_of
from LNSegFMLib.scene.segments.segmentations import label_reader, mask_reader


def check_review(test: Any, widget: Any, segmentation_node: Any, volume_node: Any) -> None:
    """Tick, delete and undo a lymph node, and lay the probability over the CT.

    Args:
        test: The running test, for its assertions, messages and waiting.
        widget: The module's widget, with the pair chosen.
        segmentation_node: Measured lymph nodes, a segment each.
        volume_node: Their CT.
    """
    test.delayDisplay("Reviewing")
    ui, table = widget.ui, widget.ui.nodeTable
    before, count = _labels(segmentation_node, volume_node), table.rowCount
    table.setCurrentCell(0, 0)
    widget.review.on_toggle_reviewed()
    ticked = sum(record.reviewed for record in records_of(segmentation_node))
    test.assertEqual(ticked, 1, "Expected the first lymph node alone to be ticked off.")
    ui.deleteButton.click()
    test.assertEqual(table.rowCount, count - 1, "Expected Delete to remove one row.")
    ui.undoButton.click()
    test.assertEqual(table.rowCount, count, "Expected Undo to bring the row back.")
    np.testing.assert_array_equal(_labels(segmentation_node, volume_node), before)
    ui.measureButton.click()
    test.wait(lambda: not widget.is_working("measure"), "the measurements")
    confidences = [record.node.confidence for record in records_of(segmentation_node)]
    test.assertNotIn(None, confidences, "Expected every lymph node to be measured with its confidence.")
    ui.overlayCheckBox.checked = True
    test.wait(lambda: overlay_of(segmentation_node) is not None, "the probability")
    ui.overlayCheckBox.checked = False


def check_editor(test: Any, widget: Any, segmentation_node: Any, volume_node: Any) -> None:
    """Open the embedded Segment Editor, where this Slicer has its widget, use an effect and undo it.

    Args:
        test: The running test.
        widget: The module's widget, with the pair chosen.
        segmentation_node: What is edited; two segments at least.
        volume_node: Its CT.
    """
    section, table = widget.correct, widget.ui.nodeTable
    if not has_editor(test, widget):
        return
    test.delayDisplay("Editing")
    row = table.rowCount - 1
    table.selectRow(row)
    section.ui.editorCollapsibleButton.collapsed = False
    slicer.app.processEvents()
    editor = editor_of(widget)
    test.assertEqual(editor.segmentationNode(), segmentation_node, "Expected the editor to edit the chosen pair.")
    test.assertEqual(editor.sourceVolumeNode(), volume_node, "Expected the editor to use the chosen CT.")
    paint = editor.effectByName("Paint")
    test.assertEqual(paint.integerParameter("BrushSphere"), 1, "Expected Paint to start with a sphere brush.")
    _check_soft_tissue(test, section, editor)
    check_row_and_segment(test, widget)
    table.selectRow(row)
    _check_margin(test, widget, segmentation_node, volume_node)
    section.ui.editorCollapsibleButton.collapsed = True


def has_editor(test: Any, widget: Any) -> bool:
    """Tell whether this Slicer has the widget of the Segment Editor; if not, say what is skipped."""
    if widget.ui.editorCollapsibleButton.isHidden():
        test.delayDisplay("Skipped: this Slicer has no widget of the Segment Editor.")
        return False
    return True


def check_row_and_segment(test: Any, widget: Any) -> None:
    """Choose lymph nodes in the table and in the open editor, and see the other one follow.

    Args:
        test: The running test.
        widget: The module's widget; *Edit* is open, and two segments at least are listed.
    """
    table, editor = widget.ui.nodeTable, editor_of(widget)
    last = table.rowCount - 1
    expected = "Expected the editor to edit the lymph node of the chosen row."
    test.assertEqual(editor.currentSegmentID(), segment_of_row(widget, table.currentRow()), expected)
    for row in (0, last):
        table.selectRow(row)
        slicer.app.processEvents()
        test.assertEqual(editor.currentSegmentID(), segment_of_row(widget, row), expected)
    for row in (0, last):
        editor.setCurrentSegmentID(segment_of_row(widget, row))
        slicer.app.processEvents()
        chosen = [index.row() for index in table.selectionModel().selectedRows()]
        test.assertEqual(chosen, [row], "Expected the row of the segment that was chosen in the editor.")


def editor_of(widget: Any) -> Any:
    """Return the embedded qMRMLSegmentEditorWidget of a panel; *Edit* has been opened."""
    return widget.correct.editing.editor.widget


def segment_of_row(widget: Any, row: int) -> str:
    """Return the id of the segment that a row of the table of lymph nodes stands for."""
    segments = {
        record.node.number: record.segment_id for record in records_of(widget.ui.segmentationSelector.currentNode())
    }
    return segments[int(widget.ui.nodeTable.item(row, 0).text())]


def _check_soft_tissue(test: Any, section: Any, editor: Any) -> None:
    node = editor.mrmlSegmentEditorNode()
    editor.setActiveEffectByName("Paint")
    section.ui.softTissueButton.click()
    slicer.app.processEvents()
    test.assertTrue(node.GetSourceVolumeIntensityMask(), "Expected painting to be restricted to soft tissue.")
    editor.setActiveEffectByName("Erase")
    slicer.app.processEvents()
    test.assertFalse(node.GetSourceVolumeIntensityMask(), "Expected erasing not to be restricted to soft tissue.")
    editor.setActiveEffectByName("")
    section.ui.softTissueButton.click()


def _check_margin(test: Any, widget: Any, segmentation_node: Any, volume_node: Any) -> None:
    editor = editor_of(widget)
    chosen = segment_of_row(widget, widget.ui.nodeTable.currentRow())
    before = _voxels(segmentation_node, volume_node)
    node = editor.mrmlSegmentEditorNode()
    overwrite = node.GetOverwriteMode()
    node.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
    # The one effect that a test can apply without a mouse.
    editor.setActiveEffectByName("Margin")
    effect = editor.activeEffect()
    margin_mm = effect.parameter("MarginSizeMm")
    effect.setParameter("MarginSizeMm", "4")
    effect.self().onApply()
    after = _voxels(segmentation_node, volume_node)
    changed = {segment_id for segment_id, count in after.items() if count != before[segment_id]}
    test.assertEqual(changed, {chosen}, "Expected the effect to change the lymph node of the chosen row, and no other.")
    test.assertGreater(after[chosen], before[chosen], "Expected the lymph node to grow by a margin of 4 mm.")
    editor.undo()
    effect.setParameter("MarginSizeMm", margin_mm)
    editor.setActiveEffectByName("")
    node.SetOverwriteMode(overwrite)
    test.assertEqual(_voxels(segmentation_node, volume_node), before, "Expected Undo to bring every voxel back.")


def check_partial_acceptance(test: Any, widget: Any, volume_node: Any) -> None:
    """Accept what lies in a ROI alone, and see the rest ignored.

    Args:
        test: The running test.
        widget: The module's widget, with the pair chosen.
        volume_node: The CT.
    """
    test.delayDisplay("Accepting a part")
    ui, cases = widget.ui, widget.logic.bench.cases
    known = sum(len(case.versions) for case in cases.list())
    wish, ui.openNextCheckBox.checked = ui.openNextCheckBox.checked, False
    roi_node = ui.checkedRoiSelector.addNode()
    test.assertIsNotNone(roi_node, "Expected a new ROI for the checked part.")
    ui.acceptButton.click()
    test.wait(lambda: sum(len(case.versions) for case in cases.list()) > known, "the case")
    partial = [case for case in cases.list() if case.latest.partial]
    test.assertEqual(len(partial), 1, "Expected one case of which a part alone was accepted.")
    case = partial[0]
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(case.label_path())))
    ignored = (labels == IGNORE).mean()
    test.assertTrue(0 < ignored < 1, f"Expected the outside of the ROI to be ignored, not {ignored:.0%} of the case.")
    shape = slicer.util.arrayFromVolume(volume_node).shape
    test.assertEqual(labels.shape, shape, "Expected the case to have the grid of the CT.")
    test.wait(lambda: not widget.is_working("accept"), "the end of the acceptance")
    ui.openNextCheckBox.checked = wish
    slicer.mrmlScene.RemoveNode(roi_node)


def check_worklist(test: Any, widget: Any, new_volume_node: Any) -> None:
    """Segment what is new by the queue, and open it as the next one to correct.

    Args:
        test: The running test.
        widget: The module's widget; all segmented volumes are accepted.
        new_volume_node: A CT without a segmentation.
    """
    test.delayDisplay("Working the list off")
    ui = widget.ui
    ui.addAllButton.click()
    test.wait(lambda: not widget.is_working("segment"), "the queue")
    test.assertEqual(ui.worklistTable.rowCount, 2, "Expected both CTs in the worklist.")
    first = ui.worklistTable.item(0, 1).text()
    test.assertEqual(first, new_volume_node.GetName(), "Expected the CT that is left to correct first.")
    ui.openNextButton.click()
    test.assertEqual(ui.volumeSelector.currentNode(), new_volume_node, "Expected Open next to choose that CT.")
    count = len(records_of(ui.segmentationSelector.currentNode()))
    test.assertEqual(ui.nodeTable.rowCount, count, "Expected a row for each of its lymph nodes.")


def _labels(segmentation_node: Any, volume_node: Any) -> np.ndarray:
    return sitk.GetArrayFromImage(label_reader(segmentation_node, volume_node)())


def _voxels(segmentation_node: Any, volume_node: Any) -> dict[str, int]:
    masks = mask_reader(segmentation_node, volume_node)()
    return {segment_id: int(sitk.GetArrayViewFromImage(mask).sum()) for segment_id, mask in masks.items()}
