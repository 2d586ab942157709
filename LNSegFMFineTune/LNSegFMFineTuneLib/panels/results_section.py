"""The section of the evidence: what a job changed on the hold-out cases, and what is decided on its model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from lnsegfm.base.background import Task
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.jobs.outcome import Evidence, Row
from lnsegfm.jobs.stored import JobView, Stored
from lnsegfm.models.ancestry import ancestors_among
from lnsegfm.models.model_card import ModelInfo
from LNSegFMFineTuneLib.panels.fine_tune_host import FineTuneHost, FineTuneSection
from LNSegFMFineTuneLib.panels.report_file import write_report
from LNSegFMFineTuneLib.texts import result_texts as wording
from LNSegFMFineTuneLib.texts.result_report import report_html
from LNSegFMLib.panels.common.widgets import fill_row, fit_height, set_up_table
from LNSegFMLib.panels.models.rejected_models import may_use
from LNSegFMLib.scene.views import show_module
from LNSegFMLib.texts.model_texts import listed_name

_PICTURE = "picture"
_REPORT = "report"


class EvidenceSection(FineTuneSection):
    """Figures, pictures and decisions of the chosen job.

    Args:
        host: The panel.
        ui_file: Path of the .ui file.
        frame: The panel's widgets around the sections.
    """

    def __init__(self, host: FineTuneHost, ui_file: str, *, frame: Any) -> None:
        super().__init__(host, ui_file, frame=frame)
        self._view: JobView | None = None
        self._evidence = Evidence()
        self._rows: list[Row] = []
        self._stored = Stored()
        self._ancestors: list[ModelInfo] = []
        self._picture: tuple[str, Any] = ("", None)  # case id and pixmap
        set_up_table(self.ui.resultTable, wording.titles())
        self.ui.resultTable.connect("itemSelectionChanged()", self.on_case_chosen)
        self.ui.legendLabel.text = wording.legend()
        self._roll_back_menu = qt.QMenu(self.ui.rollBackButton)
        self._roll_back_menu.connect("triggered(QAction*)", self.on_roll_back)
        self._roll_back_actions: list[Any] = []
        self.ui.rollBackButton.setMenu(self._roll_back_menu)
        for button, slot in (
            (self.ui.useModelButton, self.on_accept), (self.ui.rejectButton, self.on_reject),
            (self.ui.reportButton, self.on_report),
        ):  # fmt: skip
            button.connect("clicked(bool)", slot)
        self.show_job(None, None)

    def show_stored(self, before: Stored, stored: Stored) -> None:
        """Follow what lies on the disk."""
        self._stored = stored
        self._show_decision()

    def show_job(self, before: JobView | None, view: JobView | None) -> None:
        """Follow the chosen job."""
        self._view = view
        if before is not None and view is not None and before.status.state == view.status.state:
            return
        is_done = view is not None and view.status.state == "done"
        self._evidence = Evidence.of(view.status.metrics if view is not None and is_done else None)
        self.ui.verdictLabel.text = wording.verdict(self._evidence) if is_done else wording.no_result()
        self.ui.forgettingLabel.text = wording.forgetting(self._evidence)
        self.ui.forgettingLabel.visible = bool(self._evidence.forgetting)
        self._fill_table()
        self._show_decision()

    def _fill_table(self) -> None:
        table, mean = self.ui.resultTable, self._evidence.mean
        rows = self._rows = [*self._evidence.rows, *([mean] if mean else [])]
        blocked = table.blockSignals(True)
        table.visible = bool(rows)
        table.setRowCount(len(rows))
        for index, row in enumerate(rows):
            fill_row(table, index, wording.cells(row))
        fit_height(table, most=4)
        table.clearSelection()
        table.setCurrentCell(-1, -1)
        table.blockSignals(blocked)
        self._show_details()
        self._show_picture("", None)
        if self._evidence.rows:
            table.selectRow(0)

    # Pictures

    @property
    def _chosen_case(self) -> str:
        row = self.ui.resultTable.currentRow()
        return self._evidence.rows[row].case if 0 <= row < len(self._evidence.rows) else ""

    def _show_details(self) -> None:
        row, label = self.ui.resultTable.currentRow(), self.ui.scoreDetailsLabel
        label.visible = 0 <= row < len(self._rows)
        label.text = wording.details(self._rows[row]) if 0 <= row < len(self._rows) else ""

    def on_case_chosen(self) -> None:
        """Show the scores and the picture of the chosen case."""
        self._show_details()
        if self._chosen_case and self._view is not None and not self.host.is_working(_PICTURE):
            case, job = self._chosen_case, self._view.id
            self._picture = (case, None)
            task = Task(self.host.workbench.comparison, job, case)
            self.host.start_work(_PICTURE, task, self._on_picture, self._on_no_picture)

    def _on_picture(self, path: str) -> None:
        if self._picture[0] != self._chosen_case:
            self.on_case_chosen()  # another one was chosen meanwhile
            return
        self._show_picture(self._chosen_case, qt.QPixmap(path))

    def _on_no_picture(self, problem: UserError | Cancelled) -> None:
        if self._picture[0] != self._chosen_case:
            self.on_case_chosen()
            return
        self._show_picture("", None)
        if isinstance(problem, UserError):
            self.ui.legendLabel.text, self.ui.legendLabel.visible = problem.what, True

    def _show_picture(self, case: str, pixmap: Any) -> None:
        self._picture = (case, pixmap)
        label = self.ui.pictureLabel
        label.visible = self.ui.legendLabel.visible = pixmap is not None
        if pixmap is not None:
            width = max(self.ui.resultTable.width, 200)
            scaled = pixmap.scaledToWidth(min(width, pixmap.width()), qt.Qt.SmoothTransformation)
            label.setPixmap(scaled)
            label.setFixedHeight(scaled.height())
            self.ui.legendLabel.text = f"{case}: {wording.legend()}"

    # Decisions

    @property
    def _model_id(self) -> str:
        is_done = self._view is not None and self._view.status.state == "done"
        return self._view.status.model_id if self._view is not None and is_done else ""

    def _show_decision(self) -> None:
        model_id, models = self._model_id, {model.id: model for model in self._stored.models}
        self._ancestors = ancestors_among(self._stored.models, model_id)
        # Kept as members: PythonQt would delete the actions with the last Python reference.
        self._roll_back_menu.clear()
        self._roll_back_actions = [
            qt.QAction(wording.ancestor(listed_name(model, "", self._stored.rejected), number), self._roll_back_menu)
            for number, model in enumerate(self._ancestors, 1)
        ]
        for action, model in zip(self._roll_back_actions, self._ancestors):
            action.setData(model.id)
            self._roll_back_menu.addAction(action)
        self.ui.decisionLabel.visible = bool(model_id)
        self.ui.decisionLabel.text = wording.decision(
            model_id in models, model_id == self._stored.default_model, model_id in self._stored.rejected
        )
        self.host.update_controls()

    def update_controls(self) -> None:
        """Enable what can be done now."""
        idle, model_id = not self.host.is_acting, self._model_id
        is_there = any(model.id == model_id for model in self._stored.models)
        self.ui.useModelButton.enabled = idle and is_there
        self.ui.rejectButton.enabled = idle and is_there and model_id not in self._stored.rejected
        self.ui.rollBackButton.enabled = idle and bool(self._ancestors)
        self.ui.reportButton.enabled = bool(model_id) and not self.host.is_working(_REPORT)

    def on_accept(self) -> None:
        """Make the adapted model the default and use it."""
        self._use(self._model_id)

    def on_roll_back(self, action: Any) -> None:
        """Make an ancestor the default and use it."""
        if may_use(self.host.workbench.models, action.data()):
            self._use(action.data())

    def _use(self, model_id: str) -> None:
        if self._changed(self.host.workbench.models.set_default, model_id):
            self.host.use_model(model_id)
            show_module("LNSegFM")

    def on_reject(self) -> None:
        """Keep the adapted model aside."""
        models = self.host.workbench.models
        if self._changed(models.reject, self._model_id) and (default := models.default) is not None:
            # The other module may have been using the rejected one.
            self.host.use_model(default.id)

    def _changed(self, function: Callable[[str], object], model_id: str) -> bool:
        # Not in a thread: it is one small file, and the module that is shown next should know of it.
        try:
            function(model_id)
        except UserError as error:
            self.host.show_error(error)
            return False
        self.host.refresh()
        return True

    # Report

    def on_report(self) -> None:
        """Write what is known of the job into a file of the user's choice."""
        if self._view is None:
            return
        title, filters = _("Save the report"), _("HTML (*.html);;PDF (*.pdf)")
        name = f"{self._view.id}.html"
        path = qt.QFileDialog.getSaveFileName(slicer.util.mainWindow(), title, name, filters)
        if path:
            self.save_report(path)

    def save_report(self, path: str) -> None:
        """Write what is known of the job into a file; its ending decides whether it is HTML or PDF."""
        if self._view is not None:
            task = Task(self.host.workbench.comparisons, self._view.id, [row.case for row in self._evidence.rows])
            self._report = (path, self._view)
            self.host.start_work(_REPORT, task, self._on_pictures)
            self.host.update_controls()

    def _on_pictures(self, pictures: dict[str, bytes]) -> None:
        path, view = self._report
        models = {model.id: model for model in self._stored.models}
        html = report_html(view, models, pictures)
        try:
            written, note = write_report(html, path)
        except UserError as error:
            self.host.show_error(error)
            return
        self.ui.decisionLabel.visible = True
        self.ui.decisionLabel.text = _("The report was saved as {name}.").format(name=written.name) + note
        self.host.update_controls()
