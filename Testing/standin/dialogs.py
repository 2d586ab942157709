"""Dialogs without a user: what they say is recorded, what the user would answer comes from a queue."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any

from PySide6 import QtWidgets

Button = QtWidgets.QMessageBox.StandardButton


class DialogRecorder:
    """Stands in for every modal dialog.

    Attributes:
        shown: (kind, text) of every dialog, oldest first. Kinds: info, warning, error, confirm, message, file, input,
            dialog, and pip for packages that would have been installed.
        answers: What the user will answer, next first; empty means yes, OK, and for files and texts: cancelled. An
            answer that can be called gets the dialog's text (or the QDialog itself) and returns the answer.
    """

    def __init__(self) -> None:
        self.shown: list[tuple[str, str]] = []
        self.answers: deque[Any] = deque()

    def ask(self, kind: str, text: str, default: Any, subject: Any = None) -> Any:
        """Record a dialog and return the next answer, or the default."""
        self.shown.append((kind, text))
        if not self.answers or kind in ("info", "warning", "error"):
            return default
        answer = self.answers.popleft()
        return answer(subject if subject is not None else text) if callable(answer) else answer

    def install(self, util: Any) -> None:
        """Replace the dialogs of slicer.util and the modal functions of Qt."""
        for kind in ("info", "warning", "error"):
            setattr(util, f"{kind}Display", self._display(kind))
        for name in ("confirmOkCancelDisplay", "confirmYesNoDisplay", "confirmRetryCloseDisplay"):
            setattr(util, name, self._confirm)
        util.messageBox = lambda text, parent=None, **_: self.ask("message", text, Button.Ok)
        util.delayDisplay = self._delay
        # Tests must not change the environment they run in.
        util.pip_install = lambda requirements, **_: self.ask("pip", str(requirements), None)
        util.pip_uninstall = lambda requirements, **_: self.ask("pip", str(requirements), None)
        self._install_static_functions()
        QtWidgets.QDialog.exec_ = self._exec  # type: ignore[attr-defined]
        QtWidgets.QDialog.exec = self._exec  # type: ignore[method-assign,assignment]
        QtWidgets.QMessageBox.exec_ = self._exec_message  # type: ignore[attr-defined]
        QtWidgets.QMessageBox.exec = self._exec_message  # type: ignore[method-assign,assignment]

    def _display(self, kind: str) -> Any:
        level = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}[kind]

        def display(text: str, windowTitle: str | None = None, parent: Any = None, **_: Any) -> None:
            logging.log(level, text)
            self.ask(kind, text, None)

        return display

    def _confirm(self, text: str, windowTitle: str | None = None, parent: Any = None, **_: Any) -> bool:
        return bool(self.ask("confirm", text, True))

    def _delay(self, message: str, autoCloseMsec: int = 1000, parent: Any = None, **_: Any) -> None:
        logging.info(message)
        QtWidgets.QApplication.processEvents()

    def _install_static_functions(self) -> None:
        file_dialog, message_box, input_dialog = (
            QtWidgets.QFileDialog,
            QtWidgets.QMessageBox,
            QtWidgets.QInputDialog,
        )
        # PythonQt returns the bare path, PySide6 a pair with the filter.
        for name in ("getOpenFileName", "getSaveFileName", "getExistingDirectory"):
            setattr(file_dialog, name, staticmethod(self._static("file", "")))
        file_dialog.getOpenFileNames = staticmethod(self._static("file", ()))  # type: ignore[method-assign,assignment]
        for name in ("getText", "getItem"):
            setattr(input_dialog, name, staticmethod(self._static("input", "")))
        for name, answer in (
            ("question", Button.Yes),
            ("information", Button.Ok),
            ("warning", Button.Ok),
            ("critical", Button.Ok),
        ):
            setattr(message_box, name, staticmethod(self._static("message", answer)))

    def _static(self, kind: str, default: Any) -> Any:
        def ask(parent: Any = None, *texts: Any, **_: Any) -> Any:
            return self.ask(kind, " ".join(text for text in texts[:2] if isinstance(text, str)), default)

        return ask

    def _exec(self, dialog: Any) -> Any:
        accepted = QtWidgets.QDialog.DialogCode.Accepted.value
        return self.ask("dialog", dialog.windowTitle, accepted, dialog)

    def _exec_message(self, box: Any) -> Any:
        return self.ask("message", box.text, Button.Ok, box)
