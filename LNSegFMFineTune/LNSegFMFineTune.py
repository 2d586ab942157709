"""The module LN-Seg-FM Fine-Tuning: cases, fine-tuning jobs, evidence and adapted models."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
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

from LNSegFMFineTuneLib.core.evidence import Evidence
from LNSegFMFineTuneLib.core.selection import Selection
from LNSegFMFineTuneLib.core.spec import PRESETS, JobSpec
from LNSegFMFineTuneLib.core.status import ACTIVE, JobStatus
from LNSegFMFineTuneLib.core.workbench import JobView, Stored, Workbench
from LNSegFMFineTuneLib.scene import wording
from LNSegFMFineTuneLib.scene.curves import LossCurve
from LNSegFMFineTuneLib.scene.stored_case import read_case, show_case
from LNSegFMLib.core.background import Task
from LNSegFMLib.core.case_info import CaseInfo
from LNSegFMLib.core.errors import UserError

POLL_MS = 500
TASK_MS = 50
RESUMABLE = ("failed", "cancelled", "interrupted")
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
        fillComboBox(self.comboBox, wording.parameter_texts()["use"].items(), use)
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


def widgetValue(widget: Any) -> Any:
    if isinstance(widget, qt.QComboBox):
        return widget.currentData
    return widget.text if isinstance(widget, qt.QLineEdit) else widget.value


def setWidgetValue(widget: Any, value: Any) -> None:
    if isinstance(widget, qt.QComboBox):
        index = widget.findData(value)
        if index >= 0:
            widget.setCurrentIndex(index)
    elif isinstance(widget, qt.QLineEdit):
        widget.text = value
    elif isinstance(widget, qt.QDoubleSpinBox):
        widget.value = float(value)
    else:
        widget.value = int(value)


class LNSegFMFineTuneWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: LNSegFMFineTuneLogic | None = None
        self._parameterNode: Any = None
        self._showingParameters = False
        self._stored = Stored()
        self._useChoices: list[UseChoice] = []
        self._jobId = ""
        self._view: JobView | None = None
        self._curve: LossCurve | None = None
        self._attach = True
        self._refreshing = self._polling = self._acting = False

    # Slicer's events

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        panel = slicer.util.loadUI(self.resourcePath("UI/LNSegFMFineTune.ui"))
        self.layout.addWidget(panel)
        self.ui = slicer.util.childWidgetVariables(panel)
        panel.setMRMLScene(slicer.mrmlScene)
        self.logic = LNSegFMFineTuneLogic()
        self._background = Background()
        self._pollTimer = qt.QTimer()
        self._pollTimer.setInterval(POLL_MS)
        self._setUpTables()
        self._connect()
        self._pollTimer.start()
        self.initializeParameterNode()
        self.refresh()

    def cleanup(self) -> None:
        self._pollTimer.stop()
        self._background.forget()
        self.removeObservers()

    def enter(self) -> None:
        self.initializeParameterNode()
        self._attach = True
        self._pollTimer.start()
        self.refresh()

    def exit(self) -> None:
        self.setParameterNode(None)
        if self._view is None or not self._view.status.active:
            self._pollTimer.stop()

    def onReload(self) -> None:
        # Slicer reloads the module file alone; the library has to come anew with it.
        for name in [name for name in sys.modules if name.partition(".")[0] == "LNSegFMFineTuneLib"]:
            del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def onSceneStartClose(self, caller: Any, event: str) -> None:
        self.setParameterNode(None)

    def onSceneChanged(self, caller: Any, event: str) -> None:
        self.initializeParameterNode()

    def _setUpTables(self) -> None:
        for table, columns in (
            (self.ui.casesTable, (_("Case"), _("Date"), _("Nodes"), _("Versions"), _("Use"))),
            (self.ui.resultTable, (_("Case"), _("DSC"), _("NSD at 1 mm"))),
        ):
            table.setColumnCount(len(columns))
            table.setHorizontalHeaderLabels(columns)
            table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.ResizeToContents)
            table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)

    def _connect(self) -> None:
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneChanged)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneChanged)
        self._pollTimer.connect("timeout()", self._poll)
        texts = wording.parameter_texts()
        for field, name in FIELD_WIDGETS.items():
            widget = getattr(self.ui, name)
            if field in texts:
                fillComboBox(widget, texts[field].items(), DEFAULTS[field])
            if isinstance(widget, qt.QComboBox):
                slot = self.onPresetChosen if field == "preset" else self.onParameterEdited
                widget.connect("currentIndexChanged(int)", slot)
            elif isinstance(widget, qt.QLineEdit):
                widget.connect("textChanged(QString)", self.onParameterEdited)
            else:
                kind = "double" if isinstance(widget, qt.QDoubleSpinBox) else "int"
                widget.connect(f"valueChanged({kind})", self.onParameterEdited)
        for button, slot in (
            (self.ui.importButton, self.onImport), (self.ui.showCaseButton, self.onShowCase),
            (self.ui.startButton, self.onStart), (self.ui.cancelButton, self.onCancel),
            (self.ui.resumeButton, self.onResume), (self.ui.curveButton, self.onShowCurve),
            (self.ui.logButton, self.onShowLog), (self.ui.useModelButton, self.onUseModel),
        ):
            button.connect("clicked(bool)", slot)
        self.ui.casesTable.connect("itemSelectionChanged()", self._updateButtons)
        self.ui.jobComboBox.connect("currentIndexChanged(int)", self.onJobChosen)

    # Parameters, saved with the scene

    def initializeParameterNode(self) -> None:
        if self.logic is None or slicer.mrmlScene.IsClosing():
            return
        node = self.logic.getParameterNode()
        for field, value in DEFAULTS.items():
            if not node.GetParameter(field):
                node.SetParameter(field, str(value))
        self.setParameterNode(node)

    def setParameterNode(self, node: Any) -> None:
        if self._parameterNode is not None and self.hasObserver(self._parameterNode, MODIFIED, self._showParameters):
            self.removeObserver(self._parameterNode, MODIFIED, self._showParameters)
        self._parameterNode = node
        if node is not None:
            self.addObserver(node, MODIFIED, self._showParameters)
            self._showParameters()

    def _showParameters(self, caller: Any = None, event: str = "") -> None:
        self._showingParameters = True
        try:
            for field, name in FIELD_WIDGETS.items():
                text = self._parameterNode.GetParameter(field)
                if text or field == "name":
                    setWidgetValue(getattr(self.ui, name), text)
        finally:
            self._showingParameters = False
        self._updateButtons()

    def onPresetChosen(self) -> None:
        if self._showingParameters:
            return
        self._showingParameters = True
        for field, value in PRESETS.get(self.ui.presetComboBox.currentData, {}).items():
            if field in FIELD_WIDGETS:
                setWidgetValue(getattr(self.ui, FIELD_WIDGETS[field]), value)
        self._showingParameters = False
        self.onParameterEdited()

    def onParameterEdited(self) -> None:
        if self._showingParameters or self._parameterNode is None:
            return
        values = self.parameters()
        preset = PRESETS.get(values["preset"], {})
        if any(values.get(field, value) != value for field, value in preset.items()):
            values["preset"] = OWN
        modifying = self._parameterNode.StartModify()
        for field, value in values.items():
            self._parameterNode.SetParameter(field, "" if value is None else str(value))
        self._parameterNode.EndModify(modifying)
        self._updateButtons()

    def parameters(self) -> dict[str, Any]:
        return {field: widgetValue(getattr(self.ui, name)) for field, name in FIELD_WIDGETS.items()}

    # What lies on the disk

    def refresh(self) -> None:
        """Read cases, models and jobs again; the panel follows when that is done."""
        if not self._refreshing:
            self._refreshing = True
            self._background.run(self._showStored, self._onRefreshFailed, self.logic.workbench.read_stored)

    def _onRefreshFailed(self, error: UserError) -> None:
        self._refreshing = False
        self.ui.adviceLabel.text = wording.error_text(error)

    def _showStored(self, stored: Stored) -> None:
        self._refreshing = False
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
        self._useChoices = []
        for index, case in enumerate(cases):
            latest = case.versions[-1]
            for column, text in enumerate((case.id, case.created[:10], str(latest.nodes), str(len(case.versions)))):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(_("{case}, label version {version}").format(case=case.id, version=latest.number))
                table.setItem(index, column, item)
            choice = UseChoice(case.id, case.use, self.onUseChosen)
            table.setCellWidget(index, 4, choice.comboBox)
            self._useChoices.append(choice)
        if 0 <= row < len(cases):
            table.selectRow(row)

    def _showJobs(self, jobs: Sequence[tuple[str, str]]) -> None:
        active = [job for job, state in jobs if state in ACTIVE]
        chosen = active[0] if active and self._attach else self._jobId
        texts = [(job, f"{job} ({wording.job_state(state)})") for job, state in jobs]
        fillComboBox(self.ui.jobComboBox, texts, chosen)
        self._attach = False
        self.watch(self.ui.jobComboBox.currentData or "")

    def onUseChosen(self, caseId: str, use: str) -> None:
        self._act(self._onStoredChanged, self.logic.workbench.set_use, caseId, use)

    def onImport(self) -> None:
        folder = qt.QFileDialog.getExistingDirectory(self.parent, _("Folder with imagesTr and labelsTr"), "")
        if folder:
            self.ui.importLabel.text = _("Importing ...")
            self.ui.importLabel.visible = True
            self._act(self._onImported, self.logic.workbench.import_folder, folder)

    def _onImported(self, report: Any) -> None:
        self.ui.importLabel.text = wording.import_text(len(report.imported), list(report.skipped))
        self._onStoredChanged()

    def _onStoredChanged(self, _result: Any = None) -> None:
        self._endAction()
        self.refresh()

    def onShowCase(self) -> None:
        self._act(self._onCaseRead, read_case, self._stored.cases[self.ui.casesTable.currentRow()])

    def _onCaseRead(self, content: Any) -> None:
        self._endAction()
        show_case(content)

    # What changes something: one at a time, so that a job never starts on a choice that is still being stored

    def _act(self, then: Callable[[Any], None], function: Any, *args: Any) -> None:
        self._acting = True
        self._updateButtons()
        self._background.run(then, self._onActionFailed, function, *args)

    def _endAction(self) -> None:
        self._acting = False
        self._updateButtons()

    def _onActionFailed(self, error: UserError) -> None:
        self._endAction()
        self.ui.importLabel.visible = False
        self._stored = Stored()  # shows the table again as it is on the disk
        self.refresh()
        slicer.util.errorDisplay(wording.error_text(error))

    def onStart(self) -> None:
        fields = self.parameters()
        del fields["preset"]
        self._act(self._onJobChanged, self.logic.workbench.start_job, fields.pop("base_model"), fields)

    def onCancel(self) -> None:
        self._act(self._onJobChanged, self.logic.workbench.cancel_job, self._jobId)

    def onResume(self) -> None:
        self._act(self._onJobChanged, self.logic.workbench.resume_job, self._jobId)

    def _onJobChanged(self, jobId: str) -> None:
        self.watch(jobId)
        self._onStoredChanged()

    # The chosen job

    def onJobChosen(self, index: int) -> None:
        self.watch(self.ui.jobComboBox.itemData(index) or "")

    def watch(self, jobId: str) -> None:
        """Show a job and go on showing how it stands."""
        if jobId != self._jobId:
            self._jobId, self._view = jobId, None
            self._curve = LossCurve(jobId) if jobId else None
        self._pollTimer.start()
        self._poll()

    def _poll(self) -> None:
        if self._jobId and not self._polling:
            self._polling = True
            read, withLog = self.logic.workbench.read_job, self.ui.logButton.checked
            self._background.run(self._showJob, self._onJobLost, read, self._jobId, withLog)

    def _onJobLost(self, error: UserError) -> None:
        self._polling = False
        self._jobId, self._view = "", None
        self.refresh()
        self.ui.stateLabel.text = wording.error_text(error)

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
        if self.ui.logButton.checked:
            self._showLog(view.log)
        if not slicer.mrmlScene.IsClosing() and (status.active or self._curve.exists):
            self._curve.update(view.rows)
        if before is None or before.status.state != status.state:
            self._showResult(status)
        if before is not None and before.status.state != status.state:
            self.refresh()
        if not status.active and self._parameterNode is None:
            self._pollTimer.stop()
        self._updateButtons()

    def _showResult(self, status: JobStatus) -> None:
        evidence = Evidence.of(status.metrics if status.state == "done" else None)
        rows = [*evidence.rows, *([evidence.mean] if evidence.mean else [])]
        self.ui.resultTable.setRowCount(len(rows))
        for index, row in enumerate(rows):
            for column, text in enumerate(wording.score_cells(row)):
                self.ui.resultTable.setItem(index, column, qt.QTableWidgetItem(text))
        self.ui.verdictLabel.text = wording.verdict(evidence) if status.state == "done" else ""

    def onShowCurve(self) -> None:
        self._curve.update(self._view.rows)
        self._curve.show()

    def onShowLog(self) -> None:
        self.ui.logText.visible = self.ui.logButton.checked
        self._poll()

    def _showLog(self, log: str) -> None:
        if log != self.ui.logText.plainText:
            self.ui.logText.plainText = log
            self.ui.logText.moveCursor(qt.QTextCursor.End)

    def onUseModel(self) -> None:
        slicer.modules.lnsegfm.widgetRepresentation().self().useModel(self._view.status.model_id)
        slicer.util.selectModule("LNSegFM")

    def _updateButtons(self) -> None:
        refusal = wording.start_refusal(Selection.of(self._stored.cases), self.ui.modelComboBox.currentData or "")
        state = self._view.status.state if self._view else ""
        active = state in ACTIVE
        idle = not self._acting
        self.ui.startButton.enabled = idle and not refusal
        self.ui.startButton.toolTip = refusal or _("Start a fine-tuning job. It goes on when Slicer is closed.")
        self.ui.cancelButton.enabled = idle and active
        self.ui.resumeButton.enabled = idle and state in RESUMABLE
        self.ui.importButton.enabled = idle
        self.ui.showCaseButton.enabled = idle and self.ui.casesTable.currentRow() >= 0
        self.ui.curveButton.enabled = self._view is not None and bool(self._view.rows)
        self.ui.useModelButton.enabled = state == "done"
