"""The self-test of the module LN-Seg-FM Fine-Tuning, for Slicer itself and for its stand-in."""

from __future__ import annotations

import os
import tempfile
import time
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from LNSegFMLib.core.cases import CaseStore
from LNSegFMLib.core.home import Home
from LNSegFMLib.core.models import ModelInfo, ModelStore
from LNSegFMLib.scene.packages import missing_packages
from LNSegFMLib.scene.views import show_module


class LNSegFMFineTuneTest(ScriptedLoadableModuleTest):
    """Adapts the demonstration model to two phantom cases, from the stored cases to the model in use and back."""

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
        slicer.modules.lnsegfm.widgetRepresentation().self().refreshModels()
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
        """Adapt to two cases, measure on a third, decide on the model."""
        case_id = self._store_cases()
        self._remove_and_undo()
        self._plan()
        self._train()
        adapted = self._look_at_the_evidence(case_id)
        self._save_reports()
        self._decide(adapted)

    def _store_cases(self) -> str:
        """Store three phantoms, the last one as hold-out; return its id."""
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
        self.waitUntil(lambda: not ui.casesTable.item(2, 0).icon().isNull(), 60, "the thumbnails")
        self.delayDisplay("Three cases are stored")
        return case.id

    def _remove_and_undo(self) -> None:
        ui = self.widget.ui
        ui.casesTable.selectRow(0)
        ui.removeCaseButton.click()
        self.waitUntil(lambda: ui.importButton.enabled, 30, "the removal")
        # A Slicer that is testing answers the question itself, with no.
        if ui.undoRemoveButton.enabled:
            ui.undoRemoveButton.click()
            self.waitUntil(lambda: ui.importButton.enabled, 30, "the return")
        self.waitUntil(lambda: ui.casesTable.rowCount == 3 and ui.startButton.enabled, 30, "all three cases")

    def _plan(self) -> None:
        ui = self.widget.ui
        ui.presetComboBox.setCurrentIndex(ui.presetComboBox.findData("short"))
        ui.epochsSpinBox.value, ui.iterationsSpinBox.value = 2, 10
        before = ui.presetComboBox.itemText(0)
        ui.calibrateButton.click()
        self.waitUntil(lambda: ui.startButton.enabled and ui.presetComboBox.itemText(0) != before, 300, "the times")
        self.assertIn("20", ui.estimateLabel.text)
        self.delayDisplay(ui.estimateLabel.text)

    def _train(self) -> None:
        ui = self.widget.ui
        ui.startButton.click()
        self.waitUntil(lambda: ui.pauseButton.enabled, 60, "the job to start")
        self.waitUntil(lambda: ui.progressBar.value > 0 or not ui.pauseButton.enabled, 300, "the first iteration")
        if ui.pauseButton.enabled:
            ui.pauseButton.click()
        self.waitUntil(lambda: ui.resumeButton.enabled or ui.useModelButton.enabled, 120, "the job to pause")
        if ui.resumeButton.enabled:
            ui.resumeButton.click()
        self.waitUntil(lambda: ui.useModelButton.enabled or ui.resumeButton.enabled, 600, "the job to end")
        self.assertTrue(ui.useModelButton.enabled, ui.stateLabel.text)
        self.assertEqual(ui.progressBar.value, 20)
        ui.curveButton.click()
        tables = slicer.util.getNodesByClass("vtkMRMLTableNode")
        self.assertIn(20, [table.GetTable().GetNumberOfRows() for table in tables])

    def _look_at_the_evidence(self, case_id: str) -> ModelInfo:
        ui = self.widget.ui
        self.assertEqual([ui.resultTable.item(row, 0).text() for row in range(2)], [case_id, _("Mean")])
        self.assertTrue(ui.verdictLabel.text)
        self.waitUntil(lambda: ui.legendLabel.text.startswith(case_id), 60, "the picture")
        self.delayDisplay(ui.verdictLabel.text)
        adapted = ModelStore(Home.default().models).list()[-1]
        self.assertEqual(adapted.card.kind, "adapted")
        return adapted

    def _save_reports(self) -> None:
        folder = Path(self._folder.name)
        for name, beginning in (("report.html", b"<!DOCTYPE html>"), ("report.pdf", b"%PDF")):
            self.widget.evidenceSection.save_report(str(folder / name))
            self.waitUntil(lambda: self.widget.ui.reportButton.enabled, 60, "the report")
            if not (folder / name).is_file():
                self.delayDisplay(f"Skipped {name}: {self.widget.ui.decisionLabel.text}")
                continue
            self.assertTrue((folder / name).read_bytes().startswith(beginning), name)

    def _decide(self, adapted: ModelInfo) -> None:
        ui, models = self.widget.ui, ModelStore(Home.default().models)
        ui.useModelButton.click()
        segmenting = slicer.modules.lnsegfm.widgetRepresentation().self()
        self.assertEqual(segmenting.ui.modelSelector.currentData, adapted.id)
        self.assertEqual(models.default_id, adapted.id)
        show_module("LNSegFMFineTune")
        self.waitUntil(lambda: ui.rollBackButton.enabled, 60, "the ancestors")
        ui.rollBackButton.menu().actions()[0].trigger()
        self.assertEqual(models.default_id, adapted.card.parent)
        self.assertEqual(segmenting.ui.modelSelector.currentData, adapted.card.parent)
        show_module("LNSegFMFineTune")
        self.waitUntil(lambda: ui.rejectButton.enabled, 60, "the decision")
        ui.rejectButton.click()
        self.assertTrue(models.is_rejected(adapted.id))
        self.delayDisplay("The adapted model was used, rolled back and rejected")
