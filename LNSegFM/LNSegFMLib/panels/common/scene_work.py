"""Work of several steps that ends in the scene, for scripts: a handle to ask, or to wait for in the event loop."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator
from typing import Any

import slicer

from lnsegfm.base.background import Pending, Progress, let_threads_run
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.failures import as_user_error
from lnsegfm.base.wording import duration
from LNSegFMLib.panels.common.panel_work import PanelWork

Steps = Generator[Pending, Any, Any]
"""Yields work, gets its value, or its error raised, and returns a value at its end."""
_numbers = itertools.count()


class SceneWork(Pending):
    """Steps of which each begins in the thread of the user interface, where alone the scene may be changed.

    Args:
        steps: The steps; the value that they return is the value of the work.
        work: The timer that asks each step.
    """

    def __init__(self, steps: Steps, work: PanelWork) -> None:
        super().__init__()
        self._steps, self._work = steps, work
        self._step: Pending | None = None
        self._name = f"script {next(_numbers)}"
        self._go_on(lambda: next(steps))

    @property
    def progress(self) -> Progress:
        """The progress of the present step."""
        return Progress() if self._step is None else self._step.progress

    def cancel(self) -> None:
        """Ask the present step to stop, and those that follow; what a step has done in spite of that counts."""
        super().cancel()
        if self._step is not None:
            self._step.cancel()

    def wait(self, timeout_s: float | None = None) -> Any:
        """Let Slicer's event loop run until the work is done and return its value; the status bar shows the progress.

        Raises:
            UserError: The work failed.
            Cancelled: It was cancelled.
            TimeoutError: It is not done after ``timeout_s`` seconds.
        """
        end = None if timeout_s is None else time.monotonic() + timeout_s
        shown = None
        try:
            while not self.done:
                if end is not None and time.monotonic() > end:
                    raise TimeoutError(f"The work was not done after {timeout_s} s.")
                if self.progress != shown:
                    shown = self.progress
                    slicer.util.showStatusMessage(_words(shown))
                slicer.app.processEvents()
                let_threads_run()
        except KeyboardInterrupt:
            self.cancel()
            raise
        finally:
            slicer.util.showStatusMessage("")
        return self.result()

    def _go_on(self, enter: Callable[[], Pending]) -> None:
        try:
            step = self._step = enter()
            if self.cancel_requested:
                step.cancel()
            self._work.start(self._name, step, self._on_value, self._on_problem)
        except StopIteration as end:
            self._end(end.value)
        except Cancelled:
            self._end(cancelled=True)
        except Exception as error:
            self._end(error=as_user_error(error))

    def _on_value(self, value: Any) -> None:
        self._go_on(lambda: self._steps.send(value))

    def _on_problem(self, problem: UserError | Cancelled) -> None:
        self._go_on(lambda: self._steps.throw(problem))


def _words(progress: Progress) -> str:
    parts = [progress.message]
    if progress.fraction is not None:
        parts.append(f"{progress.fraction:.0%}")
    if progress.remaining_s is not None and 0 < (progress.fraction or 0.0) < 1:
        parts.append(duration(progress.remaining_s))
    return ", ".join(part for part in parts if part)
