"""The self-test of the module LN-Seg-FM, on a phantom, for Slicer itself and for its stand-in."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import SimpleITK as sitk
import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from LNSegFMLib.core.metrics import dice
from LNSegFMLib.core.self_check import run_self_check
from LNSegFMLib.scene.clinic_self_test import check_editor, check_partial_acceptance, check_review, check_worklist
from LNSegFMLib.scene.export_self_test import check_exports
from LNSegFMLib.scene.packages import missing_packages
from LNSegFMLib.scene.segmentations import label_reader
from LNSegFMLib.scene.views import show_module
from LNSegFMLib.scene.volumes import add_volume, image_reader

_MODEL = "phantom-demonstration"
_TIMEOUT_S = 300.0


class LNSegFMTest(ScriptedLoadableModuleTest):
    """A clinician's first minutes: segment, look at the lymph nodes, accept the case, cancel a second run."""

    def setUp(self) -> None:
        """Start with an empty scene and an empty home folder."""
        slicer.mrmlScene.Clear(0)

    def runTest(self) -> None:
        """Run the whole story."""
        missing = missing_packages()
        if missing:
            self.delayDisplay(f"Skipped: this Python needs {', '.join(missing)}.")
            return
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
            try:
                with mock.patch.dict(os.environ, {"LNSEGFM_HOME": home}):
                    self.setUp()
                    self._run_story()
            finally:
                _widget().logic.bench.close()
                _widget().refreshModels()

    def _run_story(self) -> None:
        show_module("LNSegFM")
        widget = _widget()
        self.delayDisplay("Checking the packages")
        end = time.monotonic() + _TIMEOUT_S
        found = run_self_check("cpu", is_cancelled=lambda: time.monotonic() > end)
        self.assertTrue(found.works, found.words)
        from LNSegFMLib.phantom import (
            make_case,  # here, because it needs scipy, and Slicer imports this file at its start
        )

        case = make_case("source", seed=7)
        volume_node = add_volume(case.ct, "Phantom")
        slicer.util.setSliceViewerLayers(background=volume_node, fit=True)
        self._choose_model(widget)
        widget.ui.volumeSelector.setCurrentNode(volume_node)
        widget.ui.segmentsSelector.setCurrentIndex(0)
        widget.ui.qualitySelector.setCurrentIndex(widget.ui.qualitySelector.findData("fast"))

        self.delayDisplay("Segmenting")
        widget.ui.segmentButton.click()
        self.wait(lambda: not widget.is_working("segment"), "the segmentation")
        segmentation_node = widget.ui.segmentationSelector.currentNode()
        self.assertIsNotNone(segmentation_node, widget.ui.statusLabel.text)
        labels = label_reader(segmentation_node, volume_node)()
        self.assertEqual(labels.GetSize(), image_reader(volume_node)().GetSize())
        self.assertGreater(dice(sitk.GetArrayFromImage(labels), sitk.GetArrayFromImage(case.labels)), 0.5)

        self._check_table(widget, segmentation_node)
        self.delayDisplay("Exporting")
        check_exports(self, widget.logic.bench, segmentation_node, volume_node)
        check_review(self, widget, segmentation_node, volume_node)
        check_editor(self, widget, segmentation_node, volume_node)
        self.delayDisplay("Accepting the case")
        widget.ui.acceptButton.click()
        self.wait(lambda: widget.logic.bench.cases.list(), "the case")
        self.assertEqual(widget.logic.bench.cases.list()[0].draft_model, _MODEL)

        self.wait(lambda: not widget.is_working("accept"), "the end of the acceptance")
        check_partial_acceptance(self, widget, volume_node)
        check_worklist(self, widget, add_volume(make_case("source", seed=8).ct, "Second phantom"))
        self._check_cancel(widget)
        self.delayDisplay("Passed")

    def _choose_model(self, widget: Any) -> None:
        widget.logic.bench.install_bundled().wait(60)
        widget.useModel(_MODEL)

    def _check_table(self, widget: Any, segmentation_node: Any) -> None:
        table = widget.ui.nodeTable
        self.assertEqual(table.rowCount, segmentation_node.GetSegmentation().GetNumberOfSegments())
        row = table.rowCount - 1
        table.setCurrentCell(row, 0)
        number = int(table.item(row, 0).text())
        bounds = [0.0] * 6
        segment = segmentation_node.GetSegmentation().GetSegment(f"LymphNode_{number}")
        segment.GetBounds(bounds)
        for slice_node in slicer.util.getNodesByClass("vtkMRMLSliceNode"):
            to_ras = slice_node.GetSliceToRAS()
            centre = np.array([to_ras.GetElement(axis, 3) for axis in range(3)])
            self.assertTrue((np.array(bounds[::2]) <= centre).all() and (centre <= np.array(bounds[1::2])).all())

    def _check_cancel(self, widget: Any) -> None:
        self.delayDisplay("Cancelling a second run")
        before = slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
        widget.ui.segmentButton.click()
        self.wait(lambda: not widget.ui.cancelButton.isHidden(), "the second run")
        widget.ui.cancelButton.click()
        self.wait(lambda: widget.ui.cancelButton.isHidden(), "the end of the second run")
        self.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode"), before)

    def wait(self, condition: Callable[[], Any], what: str) -> None:
        """Let Slicer work until ``condition`` holds."""
        end = time.monotonic() + _TIMEOUT_S
        while not condition():
            self.assertLess(time.monotonic(), end, f"Waited {_TIMEOUT_S:.0f} s in vain for {what}.")
            slicer.app.processEvents()
            time.sleep(0.01)


def _widget() -> Any:
    return slicer.util.getModuleWidget("LNSegFM")
