"""The tasks that run beside a panel: asked from one timer, its errors shown when the timer has come back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import qt
import slicer

from lnsegfm.base.background import Pending, let_threads_run
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.failures import as_user_error
from lnsegfm.base.wording import explain

_POLL_MS = 25
_POLL_OUTSIDE_MS = 100
OnProblem = Callable[[UserError | Cancelled], None]


class _Work(NamedTuple):
    """Work, and who gets what becomes of it."""

    name: str
    pending: Pending
    on_value: Callable[[Any], None]
    on_problem: OnProblem | None


class PanelWork:
    """Named work of a panel, one of each name at a time.

    Args:
        on_tick: Called by the timer while tasks are running, with whether any has ended since the last call.
        is_busy: Tells whether the timer has to go on without any work, so that other threads can run.
    """

    def __init__(
        self, on_tick: Callable[[bool], None] = lambda ended: None, is_busy: Callable[[], bool] = lambda: False
    ) -> None:
        self._on_tick, self._is_busy = on_tick, is_busy
        self._works: dict[str, _Work] = {}
        self._dropped: list[Pending] = []
        self._errors: list[UserError] = []  # still to be shown
        self._timer = qt.QTimer()
        self._timer.setInterval(_POLL_MS)
        self._timer.connect("timeout()", self._poll)
        self.finishing = False
        """Whether ended work is being brought to its end, one after the other."""

    def __contains__(self, name: str) -> bool:
        return name in self._works

    def __bool__(self) -> bool:
        """Whether any work is left, be it dropped: it still has to end and to clear away its files."""
        self._dropped = [pending for pending in self._dropped if not pending.done]
        return bool(self._works or self._dropped)

    @property
    def outside(self) -> bool:
        """Whether all the work is other processes' at the moment."""
        return all(pending.outside for pending in (*self._dropped, *(work.pending for work in self._works.values())))

    def start(
        self, name: str, pending: Pending, on_value: Callable[[Any], None], on_problem: OnProblem | None = None
    ) -> None:
        """Take on work, see `LNSegFMLib.panels.common.panel_host.PanelHost.start_work`.

        Raises:
            ValueError: A task of this name is running already.
        """
        if name in self._works:
            raise ValueError(f"'{name}' is being worked on already")
        self._works[name] = _Work(name, pending, on_value, on_problem)
        self._timer.start()

    def drop(self, *names: str) -> None:
        """Cancel work and forget it, all of it when no name is given; its value goes nowhere."""
        for name in names or tuple(self._works):
            if name in self._works:
                pending = self._works.pop(name).pending
                pending.cancel()
                self._dropped.append(pending)

    def stop(self, *, after: str = "", timeout_s: float = 0.0, cancel: bool = True) -> None:
        """Ask no more, and cancel all work but one, which is waited for.

        Args:
            cancel: Cancel the work; without it, its threads continue unasked.
            after: Name of work that must not be lost, if any: without the timer its thread would stand still.
            timeout_s: How long it is waited for.
        """
        self._timer.stop()
        if after in self._works:
            pending = self._works[after].pending
            with slicer.util.WaitCursor(), suppress(UserError, Cancelled, TimeoutError):
                pending.wait(timeout_s)
        if cancel:
            self.drop()

    def show_error(self, error: UserError) -> None:
        """Show an error in a dialog as soon as the code that is running has come to its end.

        A timer does not fire while its slot shows a dialog, and all other work would stand still behind it.
        """
        self._errors.append(error)
        qt.QTimer.singleShot(0, self._show_errors)

    def _show_errors(self) -> None:
        while self._errors:
            slicer.util.errorDisplay(explain(self._errors.pop(0)))

    def _poll(self) -> None:
        outside = self.outside
        let_threads_run(briefly=outside)
        self._timer.setInterval(_POLL_OUTSIDE_MS if outside else _POLL_MS)
        if slicer.mrmlScene.IsBatchProcessing():
            return  # Slicer runs timers in the middle of loading a scene, when nodes cannot be added or chosen
        # All at once: what one of them calls may start work of the same name again.
        ended = [work for work in self._works.values() if work.pending.done]
        for work in ended:
            del self._works[work.name]
        self.finishing = True
        surprises = [error for work in ended if (error := self._finish(work)) is not None]
        self.finishing = False
        self._on_tick(bool(ended))
        if not self and not self._is_busy():
            self._timer.stop()
        if surprises:
            # Only now: what one does with its result must not cost the others theirs.
            raise surprises[0]

    def _finish(self, work: _Work) -> Exception | None:
        """Bring work to its end; return an unexpected error."""
        try:
            try:
                work.on_value(work.pending.result())
            except (UserError, Cancelled) as problem:
                if work.on_problem is not None:
                    work.on_problem(problem)
                elif isinstance(problem, UserError):
                    self.show_error(problem)
        except Exception as error:
            self.show_error(as_user_error(error))
            return error
        return None
