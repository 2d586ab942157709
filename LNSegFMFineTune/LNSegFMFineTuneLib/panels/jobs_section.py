"""The section of the jobs: how they stand, the curve and the log of one, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer

from lnsegfm.base.background import Task
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.wording import explain
from lnsegfm.jobs.job_status import ACTIVE, RESUMABLE
from lnsegfm.jobs.job_store import DAMAGED
from lnsegfm.jobs.method_names import METHODS
from lnsegfm.jobs.stored import JobSummary, JobView, Stored
from lnsegfm.session.job_handle import JobHandle
from LNSegFMFineTuneLib.panels.fine_tune_host import FineTuneHost, FineTuneSection
from LNSegFMFineTuneLib.scene.curves import LossCurve
from LNSegFMFineTuneLib.scene.plot_layout import PlotLayout
from LNSegFMFineTuneLib.texts import job_texts as wording
from LNSegFMLib.panels.common.widgets import fill_row, fit_height, set_up_table

POLL_MS = 500
_POLLS_OF_LIST = 4  # so often the list of jobs is read, in polls, while another job than the chosen one is active
_WORK = "job"


class RunSection(FineTuneSection):
    """All jobs, and one of them closely.

    Args:
        host: The panel.
        ui_file: Path of the .ui file.
        frame: The panel's widgets around the sections.
        on_view: Called whenever the chosen job was read, with its view before, None when it is another one or the
            first, and now; None for now when there is no job.
    """

    def __init__(
        self, host: FineTuneHost, ui_file: str, *, frame: Any,
        on_view: Callable[[JobView | None, JobView | None], None],
    ) -> None:
        super().__init__(host, ui_file, frame=frame)
        self._on_view = on_view
        self._job_id = ""
        self._view: JobView | None = None
        self._curve: LossCurve | None = None
        self._layout = PlotLayout()
        self._shall_attach, self._is_outdated = True, False
        self._stored = Stored()
        self._polls = 0
        set_up_table(self.ui.jobsTable, wording.titles(), stretched=1)
        fit_height(self.ui.jobsTable)
        for button, slot in (
            (self.ui.pauseButton, self.on_pause), (self.ui.resumeButton, self.on_resume),
            (self.ui.cancelButton, self.on_cancel), (self.ui.curveButton, self.on_show_curve),
            (self.ui.logButton, self.on_show_log), (self.ui.removeJobButton, self.on_remove),
        ):  # fmt: skip
            button.connect("clicked(bool)", slot)
        self.ui.jobsTable.connect("itemSelectionChanged()", self.on_chosen)
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.connect("timeout()", self.read)

    def enter(self) -> None:
        """The panel is shown: follow the running job, if there is one."""
        self._shall_attach = True
        self._timer.start()

    def exit(self) -> None:
        """The panel is hidden: a running job is followed on, for its curve; the layout is the one from before."""
        self._layout.restore()
        if self._view is None or not self._view.status.active:
            self._timer.stop()

    def close(self) -> None:
        """The panel goes away."""
        self._layout.restore()
        self._timer.stop()

    def show_stored(self, before: Stored, stored: Stored) -> None:
        """Follow what lies on the disk."""
        self._stored = stored
        active = [job for job in stored.jobs if job.state in ACTIVE]
        running = [job.id for job in sorted(active, key=lambda job: job.state == "queued")]
        wanted = running[0] if running and self._shall_attach else self._job_id
        self._shall_attach = False
        ids = [job.id for job in stored.jobs]
        self._fill(wanted if wanted in ids else next(iter(ids), ""))

    def _fill(self, chosen: str) -> None:
        table = self.ui.jobsTable
        blocked = table.blockSignals(True)
        table.setRowCount(len(self._stored.jobs))
        for row, job in enumerate(self._stored.jobs):
            fill_row(table, row, wording.cells(job))
            if job.id == chosen:
                table.selectRow(row)
        fit_height(table)
        table.blockSignals(blocked)
        self.watch(chosen)

    def update_controls(self) -> None:
        """Enable what can be done now."""
        ui, idle = self.ui, not self.host.is_acting
        state = self._view.status.state if self._view else DAMAGED if self._unreadable else ""
        ui.pauseButton.enabled = ui.cancelButton.enabled = idle and state in ACTIVE
        ui.resumeButton.enabled = idle and self._view is not None and state in (*RESUMABLE, DAMAGED)
        ui.removeJobButton.enabled = idle and bool(state) and state not in ACTIVE
        ui.curveButton.enabled = self._view is not None and bool(self._view.rows)

    def on_chosen(self) -> None:
        """Show the job whose row was chosen."""
        row = self.ui.jobsTable.currentRow()
        if 0 <= row < len(self._stored.jobs):
            self.watch(self._stored.jobs[row].id)

    def watch(self, job_id: str) -> None:
        """Show a job and go on showing how it stands."""
        if job_id != self._job_id:
            self._job_id, self._view = job_id, None
            self._curve = LossCurve(job_id) if job_id else None
        if not job_id:
            self._show_nothing("")
        elif self._unreadable is not None:
            self._view = None
            self._show_nothing(wording.unreadable(self._unreadable))
            self.host.update_controls()
        self.read()

    @property
    def _unreadable(self) -> JobSummary | None:
        """The chosen job, if it can only be removed."""
        return next((job for job in self._stored.jobs if job.id == self._job_id and not job.readable), None)

    def read(self) -> None:
        """Read the watched job."""
        self._polls += 1
        others = any(job.state in ACTIVE and job.id != self._job_id for job in self._stored.jobs)
        if others and self._polls % _POLLS_OF_LIST == 0:
            self.host.refresh()
        if self._job_id and self._unreadable is None and not self.host.is_working(_WORK):
            task = Task(self.host.workbench.jobs.view, self._job_id, with_log=self.ui.logButton.checked)
            self.host.start_work(_WORK, task, self._show, self._on_lost)

    def _on_lost(self, problem: UserError | Cancelled) -> None:
        self._job_id, self._view, self._is_outdated = "", None, False
        self._show_nothing(explain(problem) if isinstance(problem, UserError) else "")
        self.host.refresh()

    def _show_nothing(self, text: str) -> None:
        self.ui.stateLabel.text, self.ui.figuresLabel.text = text, ""
        self.ui.progressBar.visible = self.ui.figuresLabel.visible = False
        self.ui.stateLabel.visible = bool(text)
        self.ui.jobDetailsLabel.visible = False
        self._on_view(None, None)

    def _show(self, view: JobView) -> None:
        if view.id != self._job_id or self._is_outdated:
            self._is_outdated = False
            self.read()
            return
        before, self._view = self._view, view
        status, ui = view.status, self.ui
        for widget in (ui.stateLabel, ui.figuresLabel, ui.progressBar):
            widget.visible = True
        ui.stateLabel.text, ui.stateLabel.toolTip = wording.text(status), status.device
        ui.figuresLabel.text = wording.figures(status)
        ui.progressBar.maximum = max(status.iterations, 1)
        ui.progressBar.value = status.iteration
        self._show_details(view)
        self._show_log(view)
        curve = self._curve
        if not slicer.mrmlScene.IsClosing() and curve and (status.active or curve.exists or curve.was_plotted):
            curve.update(view.rows)
        self._on_view(before, view)
        # Also when a job has ended before it was looked at for the first time.
        if any(job.id == view.id and job.state != status.state for job in self._stored.jobs):
            self.host.refresh()
        if self.host.parameter_node is None and not status.active:
            self._timer.stop()
        self.host.update_controls()

    def _show_details(self, view: JobView) -> None:
        created = next((job.created for job in self._stored.jobs if job.id == view.id), "")
        names = {model.id: model.name for model in self._stored.models}
        self.ui.jobDetailsLabel.text = wording.details(view, created, names)
        self.ui.jobDetailsLabel.visible = True

    def _show_log(self, view: JobView) -> None:
        text = self.ui.logText
        if self.ui.logButton.checked and view.log != text.plainText:
            text.plainText = view.log
            text.moveCursor(qt.QTextCursor.End)

    # What the user can do with the job

    def on_pause(self) -> None:
        """Let the job write a checkpoint and end for now."""
        self._act(self.host.workbench.jobs.pause)

    def on_cancel(self) -> None:
        """Let the job end."""
        self._act(self.host.workbench.jobs.cancel)

    def on_resume(self) -> None:
        """Let the job go on from its checkpoint."""
        if self._view is None:
            return
        method = METHODS.get(self._view.spec.method)  # None for one of a newer version
        if self.host.packages_ready(method.packages if method is not None else ()):
            self.host.act(self._on_resumed, self.host.workbench.jobs.resume, self._job_id)

    def _on_resumed(self, handle: JobHandle) -> None:
        self._on_changed(handle.id)

    def _act(self, function: Any) -> None:
        self.host.act(self._on_changed, function, self._job_id)

    def _on_changed(self, job_id: str) -> None:
        # What is known of the job, or is being read right now, is how it stood before.
        self._view, self._is_outdated = None, self.host.is_working(_WORK)
        self.watch(job_id)

    def on_remove(self) -> None:
        """Delete the job, once the user has agreed."""
        if slicer.util.confirmOkCancelDisplay(wording.removal_question(self._job_id)):
            self.host.act(self._on_removed, self.host.workbench.jobs.remove, self._job_id)

    def _on_removed(self, _result: Any) -> None:
        self.watch("")

    def on_show_curve(self) -> None:
        """Show the curve in a plot view."""
        if self._curve is not None and self._view is not None:
            self._curve.update(self._view.rows)
            self._layout.show(self._curve.chart)
            self._curve.update(self._view.rows)

    def on_show_log(self) -> None:
        """Show or hide the log."""
        self.ui.logText.visible = self.ui.logButton.checked
        self.read()
