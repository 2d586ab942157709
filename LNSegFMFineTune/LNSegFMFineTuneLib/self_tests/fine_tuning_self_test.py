"""The self-test of the module LN-Seg-FM Fine-Tuning, for Slicer itself and for its stand-in."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.jobs.job_store import JobStore
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_store import ModelStore
from lnsegfm.session import AdaptOptions
from LNSegFMLib.scene.segmentation_choice import choose_model, chosen_model
from LNSegFMLib.scene.views import show_module
from LNSegFMLib.self_tests.panel_self_test import WidthWatch, check_sections
from LNSegFMLib.self_tests.self_test_slate import Slate, clean_slate
from LNSegFMLib.setup.packages import missing_packages, nothing_installed

SECTIONS = {
    "casesCollapsibleButton": "casesTable",
    "planCollapsibleButton": "presetComboBox",
    "advancedCollapsibleButton": "epochsSpinBox",
    "runCollapsibleButton": "jobsTable",
    "evidenceCollapsibleButton": "verdictLabel",
}
"""What each section of the panel shows, by its heading."""


class LNSegFMFineTuneTest(ScriptedLoadableModuleTest):
    """Adapts the demonstration model to two phantom cases, from the stored cases to the model in use and back."""

    _slate: Slate

    def setUp(self) -> None:
        """Nothing: `runTest` brings the empty scene and home, and takes them away."""

    def runTest(self) -> None:
        """Run the whole story."""
        missing = missing_packages()
        if missing:
            self.delayDisplay(f"Skipped, not installed: {', '.join(missing)}")
            return
        self.widget = slicer.util.getModuleWidget("LNSegFMFineTune")
        with nothing_installed(), clean_slate(close=self._stop_job, refresh=self._show_own_home) as self._slate:
            show_module("LNSegFMFineTune")
            self.test_adaptation()

    def _stop_job(self) -> None:
        # Also when the test has failed somewhere.
        for job in JobStore(Home.default().jobs).list():
            job.cancel()
            end = time.monotonic() + 60
            while job.status().active and time.monotonic() < end:
                slicer.app.processEvents()
                time.sleep(0.02)

    def _show_own_home(self) -> None:
        self.widget.refresh()
        choose_model("")  # so that the other panel lists the user's own models again

    def waitUntil(
        self, condition: Callable[[], Any], seconds: float, what: str, meanwhile: Callable[[], object] = bool
    ) -> None:
        """Let Slicer work until ``condition`` holds, and call ``meanwhile`` again and again."""
        end = time.monotonic() + seconds
        while not condition():
            meanwhile()
            self._slate.check()
            self.assertLess(time.monotonic(), end, f"{what} did not come: {self.widget.ui.stateLabel.text}")
            slicer.app.processEvents()
            time.sleep(0.02)

    def test_adaptation(self) -> None:
        """Adapt to two cases, measure on a third, decide on the model."""
        check_sections(self, self.widget, SECTIONS)
        width = WidthWatch(self.widget)
        case_id = self._store_cases()
        self._remove_and_undo()
        self._plan()
        self._train(width)
        adapted = self._look_at_the_evidence(case_id)
        self._save_reports()
        self._decide(adapted)
        self._adapt_by_script(adapted)

    def _store_cases(self) -> str:
        """Store three phantoms, the last one as hold-out; return its id."""
        from lnsegfm.phantom import (
            make_case,
        )  # here, because it needs scipy, and Slicer imports this file at its start

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
        self.assertTrue(ui.undoRemoveButton.enabled, "Expected that the removal of a case can be undone.")
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
        self.assertIn("20", ui.estimateLabel.text, "Expected the estimate to count 2 epochs of 10 iterations.")
        self.delayDisplay(ui.estimateLabel.text)

    def _train(self, width: WidthWatch) -> None:
        ui = self.widget.ui
        ui.startButton.click()
        self.waitUntil(lambda: ui.pauseButton.enabled, 60, "the job to start")
        self.waitUntil(lambda: ui.progressBar.value > 0 or not ui.pauseButton.enabled, 300, "the first iteration")
        if ui.pauseButton.enabled:
            ui.pauseButton.click()
        self.waitUntil(lambda: ui.resumeButton.enabled or ui.useModelButton.enabled, 120, "the job to pause")
        if ui.resumeButton.enabled:
            ui.resumeButton.click()
            self.waitUntil(lambda: not ui.resumeButton.enabled, 60, "the job to start again")
        self._quit_meanwhile()
        self.waitUntil(
            lambda: ui.useModelButton.enabled or ui.resumeButton.enabled, 600, "the job to end", meanwhile=width.look
        )
        self.assertTrue(ui.useModelButton.enabled, f"Expected an adapted model, but: {ui.stateLabel.text}")
        self.assertEqual(ui.progressBar.value, 20, "Expected all iterations to be done.")
        ui.curveButton.click()
        tables = slicer.util.getNodesByClass("vtkMRMLTableNode")
        rows = [table.GetTable().GetNumberOfRows() for table in tables]
        self.assertIn(20, rows, "Expected a curve with a point for each iteration.")
        width.check(self)

    def _quit_meanwhile(self) -> None:
        """Let a second panel end as it does when Slicer quits; a job must outlive that."""
        self.delayDisplay("Closing a panel while the job is running")
        second = slicer.util.getNewModuleWidget("LNSegFMFineTune")
        try:
            self.waitUntil(lambda: second.ui.jobsTable.rowCount == 1, 60, "a second panel to list the job")
        finally:
            second._onModuleAboutToBeUnloaded("LNSegFMFineTune")  # what Slicer calls when it quits
            second.parent.deleteLater()
        job = JobStore(Home.default().jobs).list()[0]
        done = job.status().iteration
        self.waitUntil(
            lambda: not job.status().active or job.status().iteration > done, 300, "an iteration after the panel's end"
        )
        state = job.status().state
        self.assertIn(state, ("running", "done"), f"Expected the job to outlive the panel, but it is {state}.")

    def _look_at_the_evidence(self, case_id: str) -> ModelInfo:
        ui = self.widget.ui
        rows = [ui.resultTable.item(row, 0).text() for row in range(2)]
        self.assertEqual(rows, [case_id, _("Mean")], "Expected the figures of the case that was held out.")
        self.assertTrue(ui.verdictLabel.text, "Expected a verdict on the adapted model.")
        self.waitUntil(lambda: ui.legendLabel.text.startswith(case_id), 60, "the picture")
        self.delayDisplay(ui.verdictLabel.text)
        adapted = ModelStore(Home.default().models).list()[-1]
        self.assertEqual(adapted.card.kind, "adapted", "Expected the newest model to be the adapted one.")
        return adapted

    def _save_reports(self) -> None:
        folder = self._slate.home
        for name, beginning in (("report.html", b"<!DOCTYPE html>"), ("report.pdf", b"%PDF")):
            self.widget.evidenceSection.save_report(str(folder / name))
            self.waitUntil(lambda: self.widget.ui.reportButton.enabled, 60, "the report")
            if not (folder / name).is_file():
                self.delayDisplay(f"Skipped {name}: {self.widget.ui.decisionLabel.text}")
                continue
            is_right = (folder / name).read_bytes().startswith(beginning)
            self.assertTrue(is_right, f"Expected {name} to begin with {beginning!r}.")

    def _decide(self, adapted: ModelInfo) -> None:
        ui, models = self.widget.ui, ModelStore(Home.default().models)
        ui.useModelButton.click()
        in_use = (chosen_model(), models.default_id)
        self.assertEqual(in_use, (adapted.id, adapted.id), "Expected the adapted model to be chosen and the default.")
        show_module("LNSegFMFineTune")
        self.waitUntil(lambda: ui.rollBackButton.enabled, 60, "the ancestors")
        ui.rollBackButton.menu().actions()[0].trigger()
        in_use, parent = (chosen_model(), models.default_id), adapted.card.parent
        self.assertEqual(in_use, (parent, parent), "Expected to go back to the model that it was adapted from.")
        show_module("LNSegFMFineTune")
        self.waitUntil(lambda: ui.rejectButton.enabled, 60, "the decision")
        ui.rejectButton.click()
        self.assertTrue(models.is_rejected(adapted.id), "Expected the adapted model to be rejected.")
        self.delayDisplay("The adapted model was used, rolled back and rejected")

    def _adapt_by_script(self, adapted: ModelInfo) -> None:
        self.delayDisplay("Adapting from a script")
        options = AdaptOptions(
            base_model=str(adapted.card.parent), preset="short", epochs=1, iterations_per_epoch=2, holdout=(),
            name="Scripted",
        )
        model = slicer.util.getModuleLogic("LNSegFMFineTune").adapt(options)
        in_short = (model.name, model.card.parent)
        self.assertEqual(in_short, ("Scripted", adapted.card.parent), "Expected a script to get the adapted model.")
