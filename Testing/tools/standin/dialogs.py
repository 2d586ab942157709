"""Dialogs without a user: what they say is recorded, what the user would answer comes from a queue.

The functions of slicer.util are the real ones; only what would wait for a user is replaced, which is Qt's exec.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from PySide6 import QtWidgets

Box = QtWidgets.QMessageBox
Button = Box.StandardButton
# What the icon of a message box says about it; a question has more than one button.
_KINDS = ((Box.Icon.Information, "info"), (Box.Icon.Warning, "warning"), (Box.Icon.Critical, "error"))
_YES = (Button.Yes, Button.Ok, Button.Retry, Button.Save, Button.Open)
_NO = (Button.No, Button.Cancel, Button.Close, Button.Abort, Button.Discard)


class DialogRecorder:
    """Stands in for every modal dialog.

    Attributes:
        shown: (kind, text) of every dialog, oldest first. Kinds: info, warning, error, confirm, message, file, input,
            dialog, and pip for packages that would have been installed.
        answers: What the user will answer, next first; empty means yes, OK, and for files and texts: cancelled. True
            and False stand for the buttons that agree and refuse. An answer that can be called gets the dialog's text
            (or the QDialog itself) and returns the answer.
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
        """Replace pip, and what in Qt waits for a user."""
        # Tests must not change the environment they run in; and the wheel has no slicer.packaging, which these call.
        util.pip_install = self._pip_install
        util.pip_uninstall = self._pip_uninstall
        self._install_static_functions()
        for name in ("exec", "exec_"):
            # Functions and no bound methods: they get the dialog they are called on.
            setattr(QtWidgets.QDialog, name, lambda dialog: self._exec(dialog))
            setattr(QtWidgets.QMessageBox, name, lambda box: self._exec_message(box))

    def _pip_install(
        self, requirements: Any, constraints: Any = None, no_deps_requirements: Any = None, skip_packages: Any = None,
        blocking: bool = True, show_progress: bool = True, requester: Any = None, logCallback: Any = None,
        completedCallback: Any = None,
    ) -> None:  # fmt: skip
        self.ask("pip", str(requirements), None)

    def _pip_uninstall(
        self, requirements: Any, blocking: bool = True, logCallback: Any = None, completedCallback: Any = None
    ) -> None:
        self.ask("pip", str(requirements), None)

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
        # "Show Details..." is no standard button.
        buttons = [button for each in box.buttons() if (button := box.standardButton(each)) != Button.NoButton]
        agree = next((button for button in _YES if button in buttons), Button.Ok)
        refuse = next((button for button in _NO if button in buttons), Button.Cancel)
        kind = next((kind for icon, kind in _KINDS if box.icon == icon), "message")
        if len(buttons) > 1:
            kind = "confirm"
        # slicer.util makes CTK's boxes; one that a module makes itself can be told apart by nothing but itself.
        answer = self.ask(kind, box.text, agree, box.text if type(box).__name__ == "ctkMessageBox" else box)
        return (agree if answer else refuse) if isinstance(answer, bool) else answer
