"""Collects the exceptions that Qt and VTK would only print."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType


class CallbackFailed(AssertionError):
    """An exception escaped from a slot, a timer or an observer."""


class FailureLog:
    """Exceptions that escaped from callbacks, until `check` raises them.

    PySide6 and VTK hand an exception that leaves a Python callback to `sys.excepthook`; real Slicer prints it there and
    goes on, so that a test would pass over a broken slot.
    """

    def __init__(self) -> None:
        self._failures: list[BaseException] = []
        self._texts: list[str] = []

    def install(self) -> None:
        """Take over `sys.excepthook`."""
        sys.excepthook = self._hook

    def record(self, error: BaseException) -> None:
        """Keep an exception with its traceback."""
        self._failures.append(error)
        self._texts.append("".join(traceback.format_exception(error)))

    def check(self) -> None:
        """Raise what was collected since the last call.

        Raises:
            CallbackFailed: When a callback failed; its text holds every traceback, its cause is the first exception.
        """
        if not self._failures:
            return
        first, text = self._failures[0], "\n".join(self._texts)
        self._failures, self._texts = [], []
        raise CallbackFailed("A slot, timer or observer raised an exception:\n" + text) from first

    def clear(self) -> list[BaseException]:
        """Forget what was collected and return it."""
        failures, self._failures, self._texts = self._failures, [], []
        return failures

    def _hook(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        sys.__excepthook__(kind, error, trace)
        if not issubclass(kind, KeyboardInterrupt):
            self.record(error)


failures = FailureLog()
