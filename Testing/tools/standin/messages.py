"""Errors and warnings that VTK, Qt and Python's logging only write into Slicer's log: here they fail the test."""

from __future__ import annotations

import logging
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import vtk

from .failures import failures

# slicer.util logs the text of every error dialog; the dialog itself is what a test looks at.
_DIALOG_FUNCTION = "_messageDisplay"
_FRAMES = 12


class MessageLogged(AssertionError):
    """Something wrote an error or a warning into the log."""


class MessageLog:
    """Collects the messages, except those that a test expects."""

    def __init__(self) -> None:
        self._expected: list[tuple[re.Pattern[str], list[str]]] = []

    def install(self) -> None:
        """Listen to VTK and to logging, for good."""
        window = vtk.vtkOutputWindow.GetInstance()
        for event in ("ErrorEvent", "WarningEvent"):
            window.AddObserver(event, self._on_vtk)
        logging.getLogger().addHandler(_Handler(self))

    def record(self, text: str) -> None:
        """Keep a message for the next check, unless it is expected."""
        for pattern, seen in self._expected:
            if pattern.search(text):
                seen.append(text)
                return
        callers = [frame for frame in traceback.extract_stack()[:-1] if not frame.filename.startswith("<")]
        where = "".join(traceback.format_list(callers[-_FRAMES:]))
        failures.record(MessageLogged(f"{text}\nLogged while this ran:\n{where}"))

    @contextmanager
    def expected(self, pattern: str) -> Iterator[list[str]]:
        """Expect messages that match; gives the list of those that came.

        Raises:
            AssertionError: None came.
        """
        entry: tuple[re.Pattern[str], list[str]] = (re.compile(pattern), [])
        self._expected.append(entry)
        try:
            yield entry[1]
        finally:
            self._expected.remove(entry)
        if not entry[1]:
            raise AssertionError(f"No message matched {pattern!r}")

    @vtk.calldata_type(vtk.VTK_STRING)
    def _on_vtk(self, window: Any, event: str, text: str) -> None:
        self.record(text.strip())


class _Handler(logging.Handler):
    """Passes errors on, and what Qt warns of."""

    def __init__(self, log: MessageLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.ERROR and record.name != "qt":
            return
        if record.funcName != _DIALOG_FUNCTION:
            self._log.record(f"{record.name} {record.levelname}: {record.getMessage()}")


messages = MessageLog()
