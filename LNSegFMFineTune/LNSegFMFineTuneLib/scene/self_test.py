"""The self-test of the module LN-Seg-FM Fine-Tuning, for Slicer itself and for its stand-in."""

from __future__ import annotations

import os
import tempfile
import time
import unittest
from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from LNSegFMLib.core.cases import CaseStore
from LNSegFMLib.core.home import Home
from LNSegFMLib.core.models import ModelStore
from LNSegFMLib.scene.packages import missing_packages
from LNSegFMLib.scene.views import show_module


class LNSegFMFineTuneTest(ScriptedLoadableModuleTest):
    """Adapts the demonstration model to two phantom cases, from the stored cases to the model in use."""

    def setUp(self) -> None:
        """Start with an empty scene and an empty home folder."""
        missing = missing_packages()
        if missing:
            self.skipTest(f"not installed: {', '.join(missing)}")
        slicer.mrmlScene.Clear()
        self._folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._home = os.environ.get("LNSEGFM_HOME")
        os.environ["LNSEGFM_HOME"] = self._folder.name
        show_module("LNSegFMFineTune")
        self.widget = slicer.modules.lnsegfmfinetune.widgetRepresentation().self()

    def tearDown(self) -> None:
        """Stop a job that still runs and give the user's home folder back."""
        if self.widget.ui.cancelButton.enabled:
            self.widget.ui.cancelButton.click()
            self.waitUntil(lambda: self.widget.ui.resumeButton.enabled, 60, "the job to stop")
        os.environ.pop("LNSEGFM_HOME")
        if self._home is not None:
            os.environ["LNSEGFM_HOME"] = self._home
        self.widget.refresh()
        self._folder.cleanup()

    def runTest(self) -> None:
        """Run the whole story."""
        try:
            self.setUp()
        except unittest.SkipTest as reason:
            self.delayDisplay(f"Skipped, {reason}")
            return
        try:
            self.test_adaptation()
        finally:
            self.tearDown()

    def waitUntil(self, condition: Callable[[], Any], seconds: float, what: str) -> None:
        """Let Slicer work until ``condition`` holds."""
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, f"Waited in vain for {what}: {self.widget.ui.stateLabel.text}")
            slicer.app.processEvents()
            time.sleep(0.02)

    def test_adaptation(self) -> None:
        """Adapt to two cases, measure on a third, use the model."""
        from LNSegFMLib.phantom import (
            make_case,  # here, because it needs scipy, and Slicer imports this file at its start
        )

        store = CaseStore(Home.default().cases)
        for seed in range(3):
            phantom = make_case("hospital", seed, size=(48, 48, 24), spacing=(4.0, 4.0, 5.0))
            case = store.accept(phantom.ct, phantom.labels)
        store.set_use(case.id, "holdout")
        ui = self.widget.ui
        self.widget.refresh()
        self.waitUntil(lambda: ui.casesTable.rowCount == 3 and ui.startButton.enabled, 30, "the cases")
        self.delayDisplay("Three cases are stored")
        ui.presetComboBox.setCurrentIndex(ui.presetComboBox.findData("short"))
        ui.epochsSpinBox.value, ui.iterationsSpinBox.value = 1, 4
        ui.startButton.click()
        self.waitUntil(lambda: ui.cancelButton.enabled, 60, "the job to start")
        self.waitUntil(lambda: not ui.cancelButton.enabled and ui.startButton.enabled, 600, "the job to end")
        self.assertTrue(ui.useModelButton.enabled, ui.stateLabel.text)
        self.assertEqual(ui.progressBar.value, 4)
        self.assertEqual([ui.resultTable.item(row, 0).text() for row in range(2)], [case.id, _("Mean")])
        self.assertTrue(ui.verdictLabel.text)
        ui.curveButton.click()
        tables = slicer.util.getNodesByClass("vtkMRMLTableNode")
        self.assertIn(4, [table.GetTable().GetNumberOfRows() for table in tables])
        adapted = ModelStore(Home.default().models).list()[-1]
        self.assertEqual(adapted.card.kind, "adapted")
        ui.useModelButton.click()
        segmenting = slicer.modules.lnsegfm.widgetRepresentation().self()
        self.assertEqual(segmenting.ui.modelSelector.currentData, adapted.id)
        self.delayDisplay("The adapted model is in use")
