"""The table of lymph nodes and the embedded Segment Editor, with a stroke by the mouse."""

from __future__ import annotations

import unittest
from typing import Any

import slicer

from real_slicer.inside import phantom_scene
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
        """Draw a stroke with the mouse in the axial view, and undo it."""
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
        editor.undo()
        editor.setActiveEffectByName("")
        changed = {segment_id for segment_id, count in after.items() if count != before.get(segment_id)}
        expect_equal(changed, {chosen}, "The stroke did not change the lymph node of the chosen row alone.")
        undone = phantom_scene.voxels(segmentation_node, volume_node)
        expect_equal(undone, before, "Undo did not bring all voxels back.")

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

    def _segment_of_row(self, row: int) -> str:
        from LNSegFMLib.self_tests.clinic_self_test import segment_of_row

        return segment_of_row(self._widget, row)

    def _expect_segment_of_row(self, row: int) -> None:
        found = self._editor().currentSegmentID()
        expect_equal(found, self._segment_of_row(row), f"The editor does not edit the lymph node of row {row + 1}.")

    def _stroke(self) -> None:
        """Drag the mouse a little around the middle of the axial view, where the chosen lymph node is."""
        view = slicer.app.layoutManager().sliceWidget("Red")
        expect(view is not None, "Expected a layout with the red slice view.")
        width, height = view.interactorStyle().GetInteractor().GetSize()
        middle = (width // 2, height // 2)
        slicer.util.clickAndDrag(view, start=middle, end=(middle[0] + 12, middle[1]), steps=4)
        self._steps.pause(0.5)
