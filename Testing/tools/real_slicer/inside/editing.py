"""The table of lymph nodes and the embedded Segment Editor, with a stroke by the mouse."""

from __future__ import annotations

import unittest
from typing import Any

import slicer

from real_slicer.inside import phantom_scene
from real_slicer.inside.keys import press
from real_slicer.inside.steps import Skipped, Steps, expect, expect_equal

_ROW = 4  # the fifth: not the one that an editor chooses by itself
_BRUSH_MM = 9.0


class Editing(unittest.TestCase):
    """Drives the review and correction sections; a test case, for the checks of the self-test take one.

    Args:
        steps: Waits.
    """

    def __init__(self, steps: Steps) -> None:
        super().__init__()
        self._steps = steps

    def runTest(self) -> None:
        """Nothing: its methods are steps."""

    def delayDisplay(self, message: str) -> None:
        """As the self-tests' `delayDisplay`."""
        slicer.util.delayDisplay(message, autoCloseMsec=0)

    def wait(self, condition: Any, what: str) -> None:
        """As the self-tests' `wait`."""
        self._steps.until(condition, what)

    @property
    def _widget(self) -> Any:
        return slicer.util.getModuleWidget("LNSegFM")

    # --- Steps

    def choose_pair(self) -> None:
        """Put a CT with lymph nodes into the scene and measure them."""
        slicer.util.selectModule("LNSegFM")
        ui = self._widget.ui
        volume_node, segmentation_node = phantom_scene.add_pair("Spheres")
        ui.volumeSelector.setCurrentNode(volume_node)
        ui.segmentationSelector.setCurrentNode(segmentation_node)
        slicer.util.setSliceViewerLayers(background=volume_node, fit=True)
        for section in (ui.reviewCollapsibleButton, ui.correctCollapsibleButton):
            section.collapsed = False
        slicer.app.processEvents()
        ui.measureButton.click()
        self._steps.until(lambda: not self._widget.is_working("measure"), "the measurements")
        expect_equal(ui.nodeTable.rowCount, phantom_scene.COUNT, "The table does not list the lymph nodes.")

    def open_editor(self) -> None:
        """Choose a row and open *Edit* for the first time."""
        self._need_pair()
        ui = self._widget.ui
        ui.nodeTable.selectRow(_ROW)
        slicer.app.processEvents()
        self._open_edit()
        self._expect_segment_of_row(_ROW)

    def follow(self) -> None:
        """Choose rows and segments in turns."""
        self._need_pair()
        self._open_edit()
        from LNSegFMLib.self_tests.clinic_self_test import check_row_and_segment

        check_row_and_segment(self, self._widget)

    def paint(self) -> None:
        """Draw a stroke with the mouse in the axial view, and undo it by Ctrl+Z."""
        self._need_pair()
        self._open_edit()
        ui = self._widget.ui
        volume_node, segmentation_node = ui.volumeSelector.currentNode(), ui.segmentationSelector.currentNode()
        ui.nodeTable.selectRow(_ROW)
        slicer.app.processEvents()
        chosen = self._segment_of_row(_ROW)
        before = phantom_scene.voxels(segmentation_node, volume_node)
        editor = self._editor()
        editor.setActiveEffectByName("Paint")
        effect = editor.activeEffect()
        effect.setCommonParameter("BrushDiameterIsRelative", 0)
        effect.setCommonParameter("BrushAbsoluteDiameter", _BRUSH_MM)
        self._stroke()
        after = phantom_scene.voxels(segmentation_node, volume_node)
        self._steps.picture("stroke-drawn")
        press(self._slice_view(), "z", control=True)
        self._steps.pause(0.5)
        editor.setActiveEffectByName("")
        changed = {segment_id for segment_id, count in after.items() if count != before.get(segment_id)}
        expect_equal(changed, {chosen}, "The stroke did not change the lymph node of the chosen row alone.")
        undone = phantom_scene.voxels(segmentation_node, volume_node)
        expect_equal(undone, before, "Ctrl+Z did not bring all voxels back.")

    def use_keys(self) -> None:
        """Hold keys in the table and in a slice view, and press one that is off while an effect is active."""
        self._need_pair()
        table, view, count = self._widget.ui.nodeTable, self._slice_view(), self._widget.ui.nodeTable.rowCount
        self._editor().setActiveEffectByName("")
        table.selectRow(0)
        press(table, "n", repeats=2)
        expect_equal(table.currentRow(), 3, "Holding n does not go on to the next rows.")
        for number, widget in enumerate((table, view), start=1):
            press(widget, "d", repeats=5)
            expect_equal(table.rowCount, count - number, "Holding d does not delete one lymph node.")
            self._steps.pause(0.5)  # a press right after another is taken for a repeat
        self._open_edit()
        table.selectRow(0)
        slicer.app.processEvents()
        self._editor().setActiveEffectByName("Paint")
        press(view, "d")
        expect_equal(table.rowCount, count - 2, "Key d deletes a lymph node with the brush in hand.")
        said = self._widget.ui.summaryLabel.text
        expect("Paint" in said, f"Expected to be told that key d is off while Paint is active, not: {said}")
        self._editor().setActiveEffectByName("")
        for _number in range(2):
            press(table, "z", control=True)
            self._steps.pause(0.5)
        expect_equal(table.rowCount, count, "Ctrl+Z does not bring the deleted lymph nodes back.")

    def keep_largest_island(self) -> None:
        """Let the Islands effect keep the largest part of a lymph node, with what the panel has set."""
        self._need_pair()
        self._open_edit()
        ui, editor = self._widget.ui, self._editor()
        volume_node, segmentation_node = ui.volumeSelector.currentNode(), ui.segmentationSelector.currentNode()
        ui.nodeTable.selectRow(1)
        slicer.app.processEvents()
        before = phantom_scene.voxels(segmentation_node, volume_node)
        editor.setActiveEffectByName("Islands")
        effect = editor.activeEffect()
        effect.setParameter("Operation", "KEEP_LARGEST_ISLAND")
        effect.self().onApply()
        editor.setActiveEffectByName("")
        after = phantom_scene.voxels(segmentation_node, volume_node)
        expect_equal(after, before, "Keeping the largest island took voxels away from whole lymph nodes.")

    def add_segment(self) -> None:
        """Add a segment by the editor's button: it is a lymph node with a row."""
        self._need_pair()
        self._open_edit()
        ui = self._widget.ui
        segmentation = ui.segmentationSelector.currentNode().GetSegmentation()
        known, rows = set(segmentation.GetSegmentIDs()), ui.nodeTable.rowCount
        self._click_in_editor("AddSegmentButton")
        self._steps.pause(1)
        added = [each for each in segmentation.GetSegmentIDs() if each not in known]
        expect_equal(len(added), 1, "The editor's Add did not add a segment.")
        segment = segmentation.GetSegment(added[0])
        expect(segment.GetName().startswith("Lymph node"), f"Expected a lymph node, but it is {segment.GetName()}.")
        terminology = segment.GetTerminology()
        expect("lymph node" in terminology.lower(), f"Expected a terminology of lymph nodes, not {terminology!r}.")
        expect_equal(ui.nodeTable.rowCount, rows + 1, "The new segment has no row.")
        self._click_in_editor("RemoveSegmentButton")
        self._steps.pause(0.5)
        expect_equal(ui.nodeTable.rowCount, rows, "The row of the removed segment stays.")

    def save_and_load(self) -> None:
        """Save the scene with *Edit* open, close it and load it."""
        self._need_pair()
        from LNSegFMLib.self_tests.saved_scene_self_test import check_saved_scene

        check_saved_scene(self, self._widget)

    def close_scene(self) -> None:
        """Close the scene; the panel must not speak of what was in it."""
        slicer.mrmlScene.Clear(0)
        self._steps.pause(1)
        ui = self._widget.ui
        expect_equal(ui.nodeTable.rowCount, 0, "The table still lists lymph nodes after closing the scene.")
        expect_equal(ui.caseLabel.text, "", "The case label still speaks of a case after closing the scene.")

    # --- Hands and eyes

    def _need_pair(self) -> None:
        if self._widget.ui.segmentationSelector.currentNode() is None:
            raise Skipped("No segmentation is chosen, since the step that chooses it failed.")

    def _open_edit(self) -> None:
        from LNSegFMLib.self_tests.clinic_self_test import has_editor

        if not has_editor(self, self._widget):
            raise Skipped("This Slicer has no widget of the Segment Editor.")
        self._widget.ui.editorCollapsibleButton.collapsed = False
        self._steps.pause(0.5)

    def _editor(self) -> Any:
        from LNSegFMLib.self_tests.clinic_self_test import editor_of

        return editor_of(self._widget)

    def _click_in_editor(self, name: str) -> None:
        buttons = slicer.util.findChildren(self._editor(), name=name)
        expect(len(buttons), f"Expected the Segment Editor to have a {name}.")
        buttons[0].click()

    def _segment_of_row(self, row: int) -> str:
        from LNSegFMLib.self_tests.clinic_self_test import segment_of_row

        return segment_of_row(self._widget, row)

    def _expect_segment_of_row(self, row: int) -> None:
        found = self._editor().currentSegmentID()
        expect_equal(found, self._segment_of_row(row), f"The editor does not edit the lymph node of row {row + 1}.")

    @staticmethod
    def _slice_view() -> Any:
        return slicer.app.layoutManager().sliceWidget("Red").sliceView()

    def _stroke(self) -> None:
        """Drag the mouse a little around the middle of the axial view, where the chosen lymph node is."""
        view = slicer.app.layoutManager().sliceWidget("Red")
        expect(view is not None, "Expected a layout with the red slice view.")
        width, height = view.interactorStyle().GetInteractor().GetSize()
        middle = (width // 2, height // 2)
        slicer.util.clickAndDrag(view, start=middle, end=(middle[0] + 12, middle[1]), steps=4)
        self._steps.pause(0.5)
