"""A fine-tuning job, long enough to do things meanwhile."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import slicer

from real_slicer.inside.self_tests import require_packages
from real_slicer.inside.steps import Steps, expect, expect_equal

# Some minutes at least, on any computer; it is cancelled in the end.
_EPOCHS, _ITERATIONS = 200, 250
_SIZE, _SPACING = (48, 48, 24), (4.0, 4.0, 5.0)
_MODULE = "LNSegFMFineTune"


class Training:
    """Drives the panel of LN-Seg-FM Fine-Tuning.

    Args:
        steps: Waits.
    """

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.home = Path(os.environ["LNSEGFM_HOME"])

    @property
    def ui(self) -> Any:
        """The panel's widgets, of the module as it is loaded now."""
        return slicer.util.getModuleWidget(_MODULE).ui

    def job(self) -> Any:
        """Return the only job."""
        jobs = self._jobs()
        expect_equal(len(jobs), 1, "There is not the one job.")
        return jobs[0]

    def start(self) -> None:
        """Store three phantoms as cases, start a job and show its curve."""
        require_packages()
        from lnsegfm.base.home import Home
        from lnsegfm.cases.case_store import CaseStore
        from lnsegfm.phantom import make_case

        store = CaseStore(Home.default().cases)
        for seed in range(3):
            phantom = make_case("hospital", seed, size=_SIZE, spacing=_SPACING)
            case = store.accept(phantom.ct, phantom.labels)
        store.set_use(case.id, "holdout")
        slicer.util.selectModule(_MODULE)
        slicer.util.getModuleWidget(_MODULE).refresh()
        ui, until = self.ui, self._steps.until
        until(lambda: ui.casesTable.rowCount == 3 and ui.startButton.enabled, "the cases")
        ui.presetComboBox.setCurrentIndex(ui.presetComboBox.findData("short"))
        ui.epochsSpinBox.value, ui.iterationsSpinBox.value = _EPOCHS, _ITERATIONS
        ui.startButton.click()
        until(lambda: ui.pauseButton.enabled, "the job to start")
        until(lambda: ui.progressBar.value > 1, "the first iterations")
        until(lambda: ui.curveButton.enabled, "a curve to show")
        ui.curveButton.click()
        shown = self._shown_iterations()
        until(lambda: self._shown_iterations() > shown, "the axes of the plot to grow with the curve", 60)

    def queue_another(self) -> None:
        """Start a second job while the first is running: it waits for it. It is cancelled again."""
        require_packages()
        ui, until = self.ui, self._steps.until
        first = self.job().id
        until(lambda: ui.startButton.enabled, "the button that starts a job", 60)
        ui.startButton.click()
        until(lambda: len(self._jobs()) == 2, "the second job", 60)
        second = next(job for job in self._jobs() if job.id != first)
        until(lambda: second.status().state == "queued", "the second job to be queued", 60)
        states = {job.id: job.status().state for job in self._jobs()}
        expect_equal(states, {first: "running", second.id: "queued"}, "The second job does not wait for the first.")
        self._choose(second.id)
        ui.cancelButton.click()
        until(lambda: not second.status().active, "the second job to be cancelled", 60)
        until(lambda: ui.removeJobButton.enabled, "the panel to show that it is cancelled", 60)
        second.remove()
        slicer.util.getModuleWidget(_MODULE).refresh()
        until(lambda: ui.jobsTable.rowCount == 1, "one job in the list", 60)
        self._choose(first)
        self.wait_for_progress("an iteration of the first job")

    def wait_for_progress(self, what: str) -> None:
        """Wait until the panel shows an iteration more than now."""
        ui = self.ui
        self._steps.until(lambda: ui.pauseButton.enabled, "the running job to be shown", 60)
        before = ui.progressBar.value
        self._steps.until(lambda: ui.progressBar.value > before, what)

    def close_scene(self) -> None:
        """Close the scene; the job continues, and so does its curve, without a click."""
        require_packages()
        slicer.util.selectModule(_MODULE)
        slicer.mrmlScene.Clear(0)
        self.wait_for_progress("an iteration after the scene was closed")
        self._steps.until(self._curve_is_shown, "the curve to come back after the scene was closed", 60)
        state = self.job().status().state
        expect(state == "running", f"Expected the job to outlive the scene, but it is {state}.")

    def _jobs(self) -> list[Any]:
        from lnsegfm.jobs.job_store import JobStore

        return JobStore(self.home / "jobs").list()

    def _choose(self, job_id: str) -> None:
        table = self.ui.jobsTable
        for row in range(table.rowCount):
            if table.item(row, 0).text() in job_id or job_id in table.item(row, 0).text():
                table.selectRow(row)
        slicer.app.processEvents()

    def _shown_iterations(self) -> float:
        axis = slicer.app.layoutManager().plotWidget(0).plotView().chart().GetAxis(1)
        return float(axis.GetMaximum())

    def _curve_is_shown(self) -> bool:
        charts = {node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLPlotChartNode")}
        views = slicer.util.getNodesByClass("vtkMRMLPlotViewNode")
        return any(view.GetPlotChartNodeID() in charts for view in views)
