"""The part of the self-test that reviews, corrects and works a list off, by the panel's own buttons."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer

from LNSegFMLib.core.case_info import IGNORE
from LNSegFMLib.scene.node_records import records_of
from LNSegFMLib.scene.overlay import overlay_of
from LNSegFMLib.scene.segmentations import label_reader


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
    test.assertEqual(sum(record.reviewed for record in records_of(segmentation_node)), 1)
    ui.deleteButton.click()
    test.assertEqual(table.rowCount, count - 1)
    ui.undoButton.click()
    test.assertEqual(table.rowCount, count)
    np.testing.assert_array_equal(_labels(segmentation_node, volume_node), before)
    ui.measureButton.click()
    test.wait(lambda: not widget.is_working("measure"), "the measurements")
    test.assertTrue(all(record.node.confidence is not None for record in records_of(segmentation_node)))
    ui.overlayCheckBox.checked = True
    test.wait(lambda: overlay_of(segmentation_node) is not None, "the probability")
    ui.overlayCheckBox.checked = False


def check_editor(test: Any, widget: Any, segmentation_node: Any, volume_node: Any) -> None:
    """Open the embedded Segment Editor, where this Slicer has its widget, use an effect and undo it.

    Args:
        test: The running test.
        widget: The module's widget, with the pair chosen.
        segmentation_node: What is edited.
        volume_node: Its CT.
    """
    section = widget.correct
    if section.ui.editorCollapsibleButton.isHidden():
        test.delayDisplay("Skipped: this Slicer has no widget of the Segment Editor.")
        return
    test.delayDisplay("Editing")
    section.ui.editorCollapsibleButton.collapsed = False
    editor = section.editor.widget
    test.assertEqual(editor.segmentationNode(), segmentation_node)
    test.assertEqual(editor.sourceVolumeNode(), volume_node)
    paint = editor.effectByName("Paint")
    test.assertEqual(paint.integerParameter("BrushSphere"), 1)
    section.ui.softTissueButton.click()
    test.assertTrue(editor.mrmlSegmentEditorNode().GetSourceVolumeIntensityMask())
    section.ui.softTissueButton.click()
    before = _labels(segmentation_node, volume_node)
    editor.setCurrentSegmentID(segmentation_node.GetSegmentation().GetNthSegmentID(0))
    # Not offered to the user, but the one effect that a test can apply without a mouse.
    editor.setActiveEffectByName("Margin")
    effect = editor.activeEffect()
    effect.setParameter("MarginSizeMm", "4")
    effect.self().onApply()
    test.assertGreater(_labels(segmentation_node, volume_node).sum(), before.sum())
    editor.undo()
    editor.setActiveEffectByName("")
    np.testing.assert_array_equal(_labels(segmentation_node, volume_node), before)
    section.ui.editorCollapsibleButton.collapsed = True


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
    test.assertIsNotNone(roi_node)
    ui.acceptButton.click()
    test.wait(lambda: sum(len(case.versions) for case in cases.list()) > known, "the case")
    partial = [case for case in cases.list() if case.latest.partial]
    test.assertTrue(partial, "The accepted case is not stored as one that is checked in part.")
    case = partial[0]
    labels = sitk.GetArrayFromImage(sitk.ReadImage(str(case.label_path())))
    test.assertTrue((labels == IGNORE).any() and (labels != IGNORE).any())
    test.assertEqual(labels.shape, slicer.util.arrayFromVolume(volume_node).shape)
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
    test.assertEqual(ui.worklistTable.rowCount, 2)
    test.assertEqual(ui.worklistTable.item(0, 1).text(), new_volume_node.GetName())
    ui.openNextButton.click()
    test.assertEqual(ui.volumeSelector.currentNode(), new_volume_node)
    test.assertEqual(ui.nodeTable.rowCount, len(records_of(ui.segmentationSelector.currentNode())))


def _labels(segmentation_node: Any, volume_node: Any) -> np.ndarray:
    return sitk.GetArrayFromImage(label_reader(segmentation_node, volume_node)())
