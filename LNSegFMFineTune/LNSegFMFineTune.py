"""The module LN-Seg-FM Fine-Tuning: cases, fine-tuning jobs, evidence and adapted models."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

if importlib.util.find_spec("LNSegFMLib") is None:
    # Slicer was pointed at this folder alone, or loads this module first.
    sys.path.append(str(Path(__file__).resolve().parent.parent / "LNSegFM"))

from LNSegFMFineTuneLib.core.evidence import Evidence
from LNSegFMFineTuneLib.core.methods import METHODS
from LNSegFMFineTuneLib.core.selection import Selection
from LNSegFMFineTuneLib.core.spec import PRESETS
from LNSegFMFineTuneLib.core.status import ACTIVE, RESUMABLE, JobStatus
from LNSegFMFineTuneLib.core.workbench import JobView, Stored, Workbench
from LNSegFMFineTuneLib.scene import parameters, wording
from LNSegFMFineTuneLib.scene.curves import LossCurve
from LNSegFMFineTuneLib.scene.self_test import LNSegFMFineTuneTest  # noqa: F401 - Slicer looks for it here
from LNSegFMFineTuneLib.scene.stored_case import CaseContent, read_case, show_case
from LNSegFMLib.core.background import Task, let_threads_run
from LNSegFMLib.core.case_info import CaseInfo
from LNSegFMLib.core.errors import UserError
from LNSegFMLib.core.wording import explain
from LNSegFMLib.scene.packages import install_packages, missing_packages
from LNSegFMLib.scene.views import show_module

POLL_MS = 500
TASK_MS = 25
MODIFIED = vtk.vtkCommand.ModifiedEvent
# What the user sets of a job, with its widget.
WIDGETS = {
    "base_model": "modelComboBox",
    "preset": "presetComboBox",
    "method": "methodComboBox",
    "epochs": "epochsSpinBox",
    "iterations_per_epoch": "iterationsSpinBox",
    "batch_size": "batchSizeSpinBox",
    "learning_rate": "learningRateSpinBox",
    "gamma": "gammaSpinBox",
    "granularity": "granularityComboBox",
    "step_rule": "stepRuleComboBox",
    "seed": "seedSpinBox",
    "device": "deviceComboBox",
    "name": "nameLineEdit",
}


class LNSegFMFineTune(ScriptedLoadableModule):
    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("LN-Seg-FM Fine-Tuning")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        self.parent.dependencies = ["LNSegFM"]
        self.parent.contributors = ["LN-Seg-FM for 3D Slicer developers"]
        self.parent.helpText = _(
            "Adapts a lymph node segmentation model to a handful of corrected cases with Dynamic Gradient "
            "Sparsification Training (DGST), in the background. For research only."
        )
        self.parent.acknowledgementText = _(
            "Method: Luo et al., Dynamic Gradient Sparsification Training for Few-Shot Fine-tuning of CT Lymph Node "
            "Segmentation Foundation Model, MICCAI 2025."
        )


class LNSegFMFineTuneLogic(ScriptedLoadableModuleLogic):
    """The owner of the parameter node; the work is the workbench's."""

    def __init__(self) -> None:
        ScriptedLoadableModuleLogic.__init__(self)
        self.workbench = Workbench()


class UseChoice:
    """The combo box of a case in the table: what the case is used for."""

    def __init__(self, caseId: str, use: str, onChoice: Callable[[str, str], None]) -> None:
        self.caseId = caseId
        self._onChoice = onChoice
        self.comboBox = qt.QComboBox()
        self.comboBox.setToolTip(_("Training: learned from. Hold-out: only measured on. Left out: not used."))
        fillComboBox(self.comboBox, wording.choices()["use"].items(), use)
        self.comboBox.connect("currentIndexChanged(int)", self._onIndexChanged)

    def _onIndexChanged(self, index: int) -> None:
        self._onChoice(self.caseId, self.comboBox.itemData(index))


def fillComboBox(comboBox: Any, items: Any, current: Any) -> None:
    """Replace the items, (data, text) pairs, without a signal; ``current`` is chosen, or else the first."""
    blocked = comboBox.blockSignals(True)
    comboBox.clear()
    for data, text in items:
        comboBox.addItem(text, data)
    comboBox.setCurrentIndex(max(comboBox.findData(current), 0) if comboBox.count else -1)
    comboBox.blockSignals(blocked)


def fillRow(table: Any, row: int, texts: Sequence[str]) -> None:
    for column, text in enumerate(texts):
        item = qt.QTableWidgetItem(text)
        item.setToolTip(text)
        table.setItem(row, column, item)


def widgetValue(widget: Any) -> Any:
    if isinstance(widget, qt.QComboBox):
        return widget.currentData
    return widget.text if isinstance(widget, qt.QLineEdit) else widget.value


def setWidgetValue(widget: Any, value: Any) -> None:
    if isinstance(widget, qt.QComboBox):
        # A choice this computer does not have, such as a model, leaves the one that is shown.
        index = widget.findData(value)
        widget.setCurrentIndex(index if index >= 0 else widget.currentIndex)
    elif isinstance(widget, qt.QLineEdit):
        widget.text = value
    else:
        widget.value = float(value) if isinstance(widget, qt.QDoubleSpinBox) else int(value)


class LNSegFMFineTuneWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: LNSegFMFineTuneLogic | None = None
        self._parameterNode: Any = None
        self._showingParameters = False
        self._tasks: list[tuple[Task, Callable[[Any], None], Callable[[UserError], None]]] = []
        self._refreshing = self._stale = self._polling = self._acting = False
        self._stored = Stored()
        self._useChoices: list[UseChoice] = []
        self._importing: Task | None = None
        self._jobId, self._view, self._curve = "", None, None
        self._attach = True
        self._errors: list[UserError] = []  # still to be shown
        self._askedForScores = False

    # Set-up and end

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/LNSegFMFineTune.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = LNSegFMFineTuneLogic()
        tables = (self.ui.casesTable, self.ui.resultTable)
        for table, titles in zip(tables, (wording.case_titles(), wording.score_titles())):
            table.setColumnCount(len(titles))
            table.setHorizontalHeaderLabels(titles)
            table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
            table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        self._connectParameters()
        self._connect()
        self.initializeParameterNode()
        self._pollTimer.start()
        self.refresh()

    def _connectParameters(self) -> None:
        for field, name in WIDGETS.items():
            widget = getattr(self.ui, name)
            if isinstance(widget, qt.QComboBox):
                fillComboBox(widget, wording.choices().get(field, {}).items(), None)
                slot = self.onPresetChosen if field == "preset" else self.onParameterEdited
                widget.connect("currentIndexChanged(int)", slot)
            elif isinstance(widget, qt.QLineEdit):
                widget.connect("textChanged(QString)", self.onParameterEdited)
            else:
                kind = "double" if isinstance(widget, qt.QDoubleSpinBox) else "int"
                widget.connect(f"valueChanged({kind})", self.onParameterEdited)

    def _connect(self) -> None:
        ui, scene = self.ui, slicer.mrmlScene
        for button, slot in (
            (ui.importButton, self.onImport), (ui.showCaseButton, self.onShowCase), (ui.startButton, self.onStart),
            (ui.cancelButton, self.onCancel), (ui.resumeButton, self.onResume), (ui.curveButton, self.onShowCurve),
            (ui.logButton, self.onShowLog), (ui.useModelButton, self.onUseModel),
        ):  # fmt: skip
            button.connect("clicked(bool)", slot)
        ui.casesTable.connect("itemSelectionChanged()", self._updateButtons)
        ui.jobComboBox.connect("currentIndexChanged(int)", self.onJobChosen)
        self.addObserver(scene, scene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self.onSceneChanged)
        self.addObserver(scene, scene.EndImportEvent, self.onSceneChanged)
        self._pollTimer, self._taskTimer = qt.QTimer(), qt.QTimer()
        self._pollTimer.setInterval(POLL_MS)
        self._pollTimer.connect("timeout()", self._poll)
        self._taskTimer.setInterval(TASK_MS)
        self._taskTimer.connect("timeout()", self._collect)

    def enter(self) -> None:
        self.initializeParameterNode()
        self._attach = True
        self._pollTimer.start()
        self.refresh()

    def exit(self) -> None:
        self.setParameterNode(None)
        if self._view is None or not self._view.status.active:
            self._pollTimer.stop()

    def cleanup(self) -> None:
        self.setParameterNode(None)
        self._pollTimer.stop()
        self._taskTimer.stop()
        self._tasks = []
        self.removeObservers()

    def onReload(self) -> None:
        # Slicer reloads the module file alone; the library has to come anew with it.
        for name in [name for name in sys.modules if name.partition(".")[0] == "LNSegFMFineTuneLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    # Work beside the user interface

    def _run(self, then: Callable[[Any], None], failed: Callable[[UserError], None], function: Any, *args: Any) -> Task:
        task = Task(function, *args)
        self._tasks.append((task, then, failed))
        self._taskTimer.start()
        return task

    def _collect(self) -> None:
        let_threads_run()
        if slicer.mrmlScene.IsBatchProcessing():
            return  # Slicer runs timers in the middle of loading a scene, when nodes cannot be added
        if self._importing is not None:
            self.ui.importLabel.text = wording.importing(self._importing.progress.message)
        for entry in [entry for entry in self._tasks if entry[0].done]:
            # One by one: what one entry does with its result must not cost the others theirs.
            self._tasks.remove(entry)
            task, then, failed = entry
            if task.error is not None:
                failed(task.error)
            else:
                then(task.result())
        if not self._tasks:
            self._taskTimer.stop()

    def _act(self, then: Callable[[Any], None], function: Any, *args: Any) -> Task:
        """Change something, one thing at a time, so that no job starts on a choice that is still being stored."""
        self._acting = True
        self._updateButtons()
        return self._run(then, self._onActionFailed, function, *args)

    def _endAction(self, _result: Any = None) -> None:
        self._acting, self._importing = False, None
        self.refresh()
        self._updateButtons()

    def _onActionFailed(self, error: UserError) -> None:
        self._stored = Stored()  # so that the table is filled again as it is on the disk
        self.ui.importLabel.visible = False
        self._endAction()
        # A timer does not fire while its slot shows a dialog, and all other work would stand still behind it.
        self._errors.append(error)
        qt.QTimer.singleShot(0, self._showErrors)

    def _showErrors(self) -> None:
        while self._errors:
            slicer.util.errorDisplay(explain(self._errors.pop(0)))

    # Parameters, saved with the scene

    def onSceneStartClose(self, caller: Any, event: str) -> None:
        self.setParameterNode(None)

    def onSceneChanged(self, caller: Any, event: str) -> None:
        self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        self.setParameterNode(self.logic.getParameterNode())

    def setParameterNode(self, node: Any) -> None:
        if self._parameterNode is not None:
            self.removeObserver(self._parameterNode, MODIFIED, self._showParameters)
        self._parameterNode = node
        if node is not None:
            parameters.fill_defaults(node)
            self.addObserver(node, MODIFIED, self._showParameters)
            self._showParameters()

    def _showParameters(self, caller: Any = None, event: str = "") -> None:
        node = self._parameterNode
        self._setParameterWidgets({field: node.GetParameter(field) for field in WIDGETS})
        self._updateButtons()

    def _setParameterWidgets(self, values: Mapping[str, Any]) -> None:
        self._showingParameters = True
        for field, value in values.items():
            if field in WIDGETS and (value or field == "name"):
                setWidgetValue(getattr(self.ui, WIDGETS[field]), value)
        self._showingParameters = False

    def onPresetChosen(self) -> None:
        if not self._showingParameters:
            self._setParameterWidgets(PRESETS.get(self.ui.presetComboBox.currentData, {}))
            self.onParameterEdited()

    def onParameterEdited(self) -> None:
        if not self._showingParameters and self._parameterNode is not None:
            parameters.store(self._parameterNode, self.parameters())

    def parameters(self) -> dict[str, Any]:
        return {field: widgetValue(getattr(self.ui, name)) for field, name in WIDGETS.items()}

    # Cases, models and jobs on the disk

    def refresh(self) -> None:
        """Read cases, models and jobs again; the panel follows when that is done."""
        self._stale = True
        if not self._refreshing:
            self._stale, self._refreshing = False, True
            self._run(self._showStored, self._onRefreshFailed, self.logic.workbench.read_stored)

    def _onRefreshFailed(self, error: UserError) -> None:
        self._refreshing = False
        self.ui.adviceLabel.text = explain(error)

    def _showStored(self, stored: Stored) -> None:
        self._refreshing = False
        if self._stale:  # something changed while it was being read
            self.refresh()
            return
        if stored.cases != self._stored.cases:
            self._showCases(stored.cases)
        self._stored = stored
        self.ui.adviceLabel.text = wording.case_advice(Selection.of(stored.cases), stored.problem)
        chosen = self._parameterNode.GetParameter("base_model") if self._parameterNode else ""
        models = [(model.id, model.name) for model in stored.models]
        fillComboBox(self.ui.modelComboBox, models, chosen or self.ui.modelComboBox.currentData)
        self.onParameterEdited()
        self._showJobs(stored.jobs)
        self._updateButtons()

    def _showCases(self, cases: Sequence[CaseInfo]) -> None:
        table = self.ui.casesTable
        row = table.currentRow()
        table.setRowCount(0)
        table.setRowCount(len(cases))
        self._useChoices = [UseChoice(case.id, case.use, self.onUseChosen) for case in cases]
        for index, case in enumerate(cases):
            fillRow(table, index, wording.case_cells(case))
            table.setCellWidget(index, table.columnCount - 1, self._useChoices[index].comboBox)
        if 0 <= row < len(cases):
            table.selectRow(row)

    def _showJobs(self, jobs: Sequence[tuple[str, str]]) -> None:
        running = [job for job, state in jobs if state in ACTIVE]
        texts = [(job, f"{job} ({wording.job_state(state)})") for job, state in jobs]
        fillComboBox(self.ui.jobComboBox, texts, running[0] if running and self._attach else self._jobId)
        self._attach = False
        self.watch(self.ui.jobComboBox.currentData or "")

    def onUseChosen(self, caseId: str, use: str) -> None:
        self._act(self._endAction, self.logic.workbench.set_use, caseId, use)

    def onImport(self) -> None:
        folder = qt.QFileDialog.getExistingDirectory(self.parent, _("Folder with imagesTr and labelsTr"), "")
        if folder:
            self.ui.importLabel.visible = True
            self._importing = self._act(self._onImported, self.logic.workbench.import_folder, folder)

    def _onImported(self, report: Any) -> None:
        self._endAction()
        self.ui.importLabel.text = wording.import_text(len(report.imported), report.skipped)

    def onShowCase(self) -> None:
        self._act(self._onCaseRead, read_case, self._stored.cases[self.ui.casesTable.currentRow()])

    def _onCaseRead(self, content: CaseContent) -> None:
        self._endAction()
        show_case(content)

    # The chosen job

    def onStart(self) -> None:
        running = [job for job, state in self._stored.jobs if state in ACTIVE]
        if running and not slicer.util.confirmOkCancelDisplay(wording.second_job_question(running)):
            return
        fields = self.parameters()
        if self._packagesReady(fields["method"]):
            del fields["preset"]
            self._act(self._onJobChanged, self.logic.workbench.start_job, fields.pop("base_model"), fields)

    def onResume(self) -> None:
        if self._packagesReady(self._view.method):
            self._act(self._onJobChanged, self.logic.workbench.resume_job, self._jobId)

    def onCancel(self) -> None:
        self._act(self._onJobChanged, self.logic.workbench.cancel_job, self._jobId)

    def _onJobChanged(self, jobId: str) -> None:
        self.watch(jobId)
        self._endAction()

    def _packagesReady(self, method: str) -> bool:
        also = METHODS[method].packages if method in METHODS else ()
        missing = missing_packages(also)
        if missing and slicer.util.confirmOkCancelDisplay(wording.install_question(missing)):
            try:
                install_packages(also)
                missing = []
            except UserError as error:
                slicer.util.errorDisplay(explain(error))
        if not missing and not self._askedForScores and importlib.util.find_spec("surface_distance") is None:
            self._askedForScores = True  # once is enough: only the NSD needs it
            if slicer.util.confirmOkCancelDisplay(wording.scores_question()):
                slicer.util.pip_install("surface-distance")
        return not missing

    def onJobChosen(self, index: int) -> None:
        self.watch(self.ui.jobComboBox.itemData(index) or "")

    def watch(self, jobId: str) -> None:
        """Show a job and go on showing how it stands."""
        if jobId != self._jobId:
            self._jobId, self._view = jobId, None
            self._curve = LossCurve(jobId) if jobId else None
        self._poll()

    def _poll(self) -> None:
        if self._jobId and not self._polling:
            self._polling = True
            read, withLog = self.logic.workbench.read_job, self.ui.logButton.checked
            self._run(self._showJob, self._onJobLost, read, self._jobId, withLog)

    def _onJobLost(self, error: UserError) -> None:
        self._polling = False
        self._jobId, self._view = "", None
        self.refresh()
        self.ui.stateLabel.text = explain(error)

    def _showJob(self, view: JobView) -> None:
        self._polling = False
        if view.id != self._jobId:
            self._poll()
            return
        before, self._view = self._view, view
        status = view.status
        self.ui.stateLabel.text = wording.job_text(status)
        self.ui.stateLabel.toolTip = status.device
        self.ui.figuresLabel.text = wording.job_figures(status)
        self.ui.progressBar.maximum = max(status.iterations, 1)
        self.ui.progressBar.value = status.iteration
        if self.ui.logButton.checked and view.log != self.ui.logText.plainText:
            self.ui.logText.plainText = view.log
            self.ui.logText.moveCursor(qt.QTextCursor.End)
        if not slicer.mrmlScene.IsClosing() and (status.active or self._curve.exists):
            self._curve.update(view.rows)
        if before is None or before.status.state != status.state:
            self._showResult(status)
            if before is not None:
                self.refresh()
        if self._parameterNode is None and not status.active:
            self._pollTimer.stop()
        self._updateButtons()

    def _showResult(self, status: JobStatus) -> None:
        evidence = Evidence.of(status.metrics if status.state == "done" else None)
        rows = [*evidence.rows, *([evidence.mean] if evidence.mean else [])]
        self.ui.resultTable.visible = bool(rows)
        self.ui.resultTable.setRowCount(len(rows))
        for index, row in enumerate(rows):
            fillRow(self.ui.resultTable, index, wording.score_cells(row))
        self.ui.verdictLabel.text = wording.verdict(evidence) if status.state == "done" else wording.no_result()

    def onShowCurve(self) -> None:
        self._curve.update(self._view.rows)
        self._curve.show()

    def onShowLog(self) -> None:
        self.ui.logText.visible = self.ui.logButton.checked
        self._poll()

    def onUseModel(self) -> None:
        slicer.modules.lnsegfm.widgetRepresentation().self().useModel(self._view.status.model_id)
        show_module("LNSegFM")

    def _updateButtons(self) -> None:
        ui = self.ui
        refusal = wording.start_refusal(Selection.of(self._stored.cases), ui.modelComboBox.currentData or "")
        state = self._view.status.state if self._view else ""
        idle = not self._acting
        ui.startButton.enabled = idle and not refusal
        ui.startButton.toolTip = refusal or _("Start a fine-tuning job. It goes on when Slicer is closed.")
        ui.cancelButton.enabled = idle and state in ACTIVE
        ui.resumeButton.enabled = idle and state in RESUMABLE
        ui.importButton.enabled = idle
        ui.showCaseButton.enabled = idle and ui.casesTable.currentRow() >= 0
        ui.curveButton.enabled = self._view is not None and bool(self._view.rows)
        ui.useModelButton.enabled = state == "done"
