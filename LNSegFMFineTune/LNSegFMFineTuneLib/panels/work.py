"""The work that goes on beside the panel: asked from one timer, its errors shown when the timer has come back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt
import slicer

from LNSegFMLib.core.agenda import Agenda, Work
from LNSegFMLib.core.background import Pending, let_threads_run
from LNSegFMLib.core.errors import Cancelled, UserError
from LNSegFMLib.core.failures import as_user_error
from LNSegFMLib.core.wording import explain

_TASK_MS = 25


class PanelWork:
    """Named work of a panel, one of each name at a time.

    Args:
        on_cancelled: Called with the name of work that was cancelled.
    """

    def __init__(self, on_cancelled: Callable[[str], None]) -> None:
        self._on_cancelled = on_cancelled
        self._agenda = Agenda()
        self._on_error: dict[str, Callable[[UserError], None]] = {}
        self._errors: list[UserError] = []  # still to be shown
        self._timer = qt.QTimer()
        self._timer.setInterval(_TASK_MS)
        self._timer.connect("timeout()", self._collect)

    def __contains__(self, name: str) -> bool:
        return name in self._agenda

    def __getitem__(self, name: str) -> Pending:
        return self._agenda[name]

    def start(
        self,
        name: str,
        pending: Pending,
        on_value: Callable[[Any], None],
        on_error: Callable[[UserError], None] | None = None,
    ) -> None:
        """Take on work, see `LNSegFMFineTuneLib.panels.host.FineTuneHost.start_work`.

        Raises:
            ValueError: Work of this name goes on already.
        """
        self._agenda.start(name, pending, on_value)
        self._on_error[name] = on_error or self.show_error
        self._timer.start()

    def stop(self) -> None:
        """Forget all work; what it returns goes nowhere."""
        self._timer.stop()
        self._agenda.drop()

    def show_error(self, error: UserError) -> None:
        """Show an error in a dialog as soon as the timer has come back.

        A timer does not fire while its slot shows a dialog, and all other work would stand still behind it.
        """
        self._errors.append(error)
        qt.QTimer.singleShot(0, self._show_errors)

    def _show_errors(self) -> None:
        while self._errors:
            slicer.util.errorDisplay(explain(self._errors.pop(0)))

    def _collect(self) -> None:
        let_threads_run()
        if slicer.mrmlScene.IsBatchProcessing():
            return  # Slicer runs timers in the middle of loading a scene, when nodes cannot be added
        # All at once: what one of them calls may start work of the same name again.
        for work, failed in [(work, self._on_error.pop(work.name)) for work in self._agenda.take_done()]:
            self._finish(work, failed)
        if not self._agenda:
            self._timer.stop()

    def _finish(self, work: Work, failed: Callable[[UserError], None]) -> None:
        try:
            value = work.pending.result()
        except Cancelled:
            self._on_cancelled(work.name)
            return
        except UserError as error:
            failed(error)
            return
        try:
            work.on_value(value)
        except Exception as error:
            # What one entry does with its result must not cost the others theirs.
            self.show_error(as_user_error(error))
            raise
