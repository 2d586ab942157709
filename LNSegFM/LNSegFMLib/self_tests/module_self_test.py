"""The self-test of the module LN-Seg-FM, on a phantom, for Slicer itself and for its stand-in."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from lnsegfm.evaluation.metrics import dice
from lnsegfm.setup.compute_check import run_self_check
from LNSegFMLib.scene.segments.segmentations import label_reader
from LNSegFMLib.scene.views import show_module
from LNSegFMLib.scene.volumes import add_volume, image_reader
from LNSegFMLib.self_tests.clinic_self_test import check_editor, check_partial_acceptance, check_review, check_worklist
from LNSegFMLib.self_tests.export_self_test import check_exports
from LNSegFMLib.self_tests.panel_self_test import WidthWatch, check_sections
from LNSegFMLib.self_tests.saved_scene_self_test import check_saved_scene
from LNSegFMLib.self_tests.scripting_self_test import check_logic
from LNSegFMLib.self_tests.self_test_slate import Slate, clean_slate
from LNSegFMLib.setup.packages import missing_packages, nothing_installed

_MODEL = "phantom-demonstration"
_TIMEOUT_S = 300.0
SECTIONS = {
    "setupCollapsibleButton": "selfCheckButton",
    "reviewCollapsibleButton": "nodeTable",
    "correctCollapsibleButton": "acceptButton",
    "worklistCollapsibleButton": "openNextButton",
    "exportCollapsibleButton": "exportCsvButton",
    "modelsCollapsibleButton": "modelTree",
    "optionsCollapsibleButton": "segmentsSelector",
}
"""What each section of the panel shows, by its heading; the first one, to segment, has none."""


class LNSegFMTest(ScriptedLoadableModuleTest):
    """A clinician's first minutes: segment, look at the lymph nodes, accept the case, save and load the scene."""

    _slate: Slate

    def setUp(self) -> None:
        """Nothing: `runTest` brings the empty scene and home, and takes them away."""

    def runTest(self) -> None:
        """Run the whole story."""
        missing = missing_packages()
        if missing:
            self.delayDisplay(f"Skipped: this Python needs {', '.join(missing)}.")
            return
        with nothing_installed(), clean_slate(close=_end_work, refresh=_show_own_home) as self._slate:
            self._run_story()

    def _run_story(self) -> None:
        show_module("LNSegFM")
        widget = _widget()
        self.delayDisplay("Opening the panel")
        check_sections(self, widget, SECTIONS)
        width = WidthWatch(widget)
        self.delayDisplay("Checking the packages")
        end = time.monotonic() + _TIMEOUT_S
        found = run_self_check("cpu", is_cancelled=lambda: time.monotonic() > end)
        self.assertTrue(found.works, f"Expected PyTorch to work: {found.words}")
        from lnsegfm.phantom import (
            make_case,
        )  # here, because it needs scipy, and Slicer imports this file at its start

        case = make_case("source", seed=7)
        volume_node = add_volume(case.ct, "Phantom")
        slicer.util.setSliceViewerLayers(background=volume_node, fit=True)
        self._choose_model(widget)
        widget.ui.volumeSelector.setCurrentNode(volume_node)
        widget.ui.segmentsSelector.setCurrentIndex(0)
        widget.ui.qualitySelector.setCurrentIndex(widget.ui.qualitySelector.findData("fast"))

        self.delayDisplay("Segmenting")
        widget.ui.segmentButton.click()
        self.wait(lambda: not widget.is_working("segment"), "the segmentation", meanwhile=width.look)
        segmentation_node = widget.ui.segmentationSelector.currentNode()
        self.assertIsNotNone(segmentation_node, f"Expected a segmentation, but: {widget.ui.statusLabel.text}")
        labels = label_reader(segmentation_node, volume_node)()
        size = image_reader(volume_node)().GetSize()
        self.assertEqual(labels.GetSize(), size, "Expected the labels on the grid of the CT.")
        score = dice(sitk.GetArrayFromImage(labels), sitk.GetArrayFromImage(case.labels))
        self.assertGreater(score, 0.5, "Expected most of the phantom's lymph nodes to be found.")

        self._check_table(widget, segmentation_node)
        self.delayDisplay("Exporting")
        check_exports(self, widget.logic.bench, segmentation_node, volume_node)
        check_review(self, widget, segmentation_node, volume_node)
        width.check(self)
        check_editor(self, widget, segmentation_node, volume_node)
        width = WidthWatch(widget)  # Slicer's Segment Editor has widened the panel by what it needs itself
        self.delayDisplay("Accepting the case")
        widget.ui.acceptButton.click()
        self.wait(lambda: widget.logic.bench.cases.list(), "the case")
        draft_model = widget.logic.bench.cases.list()[0].draft_model
        self.assertEqual(draft_model, _MODEL, "Expected the case to tell which model drew the draft.")
        self.wait(lambda: not widget.is_working("accept"), "the end of the acceptance")
        check_partial_acceptance(self, widget, volume_node)
        check_worklist(self, widget, add_volume(make_case("source", seed=8).ct, "Second phantom"))
        self._check_cancel(widget)
        check_saved_scene(self, widget)
        width.check(self)
        check_logic(self, widget.ui.volumeSelector.currentNode(), _MODEL)
        self.delayDisplay("Passed")

    def _choose_model(self, widget: Any) -> None:
        widget.logic.bench.install_bundled().wait(60)
        widget.useModel(_MODEL)

    def _check_table(self, widget: Any, segmentation_node: Any) -> None:
        table = widget.ui.nodeTable
        count = segmentation_node.GetSegmentation().GetNumberOfSegments()
        self.assertEqual(table.rowCount, count, "Expected a row for each segment.")
        row = table.rowCount - 1
        table.setCurrentCell(row, 0)
        number = int(table.item(row, 0).text())
        bounds = [0.0] * 6
        segment = segmentation_node.GetSegmentation().GetSegment(f"LymphNode_{number}")
        segment.GetBounds(bounds)
        for slice_node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            to_ras = slice_node.GetSliceToRAS()
            centre = np.array([to_ras.GetElement(axis, 3) for axis in range(3)])
            is_inside = (np.array(bounds[::2]) <= centre).all() and (centre <= np.array(bounds[1::2])).all()
            self.assertTrue(is_inside, f"Expected {slice_node.GetName()} to show the chosen lymph node, not {centre}.")

    def _check_cancel(self, widget: Any) -> None:
        self.delayDisplay("Cancelling a second run")
        before = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
        widget.ui.segmentButton.click()
        self.wait(lambda: not widget.ui.cancelButton.isHidden(), "the second run")
        widget.ui.cancelButton.click()
        self.wait(lambda: widget.ui.cancelButton.isHidden(), "the end of the second run")
        after = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
        self.assertEqual(after, before, "Expected no segmentation from the run that was cancelled.")

    def wait(self, condition: Callable[[], Any], what: str, meanwhile: Callable[[], object] = bool) -> None:
        """Let Slicer work until ``condition`` holds, and call ``meanwhile`` again and again."""
        end = time.monotonic() + _TIMEOUT_S
        while not condition():
            meanwhile()
            self._slate.check()
            self.assertLess(time.monotonic(), end, f"Waited {_TIMEOUT_S:.0f} s for {what}, which did not come.")
            slicer.app.processEvents()
            time.sleep(0.01)


def _widget() -> Any:
    return slicer.util.getModuleWidget("LNSegFM")


def _end_work() -> None:
    _widget().logic.bench.close()


def _show_own_home() -> None:
    _widget().refreshModels()
