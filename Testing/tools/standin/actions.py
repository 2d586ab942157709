"""What a user does, for tests; refuses what a user could not do."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore, QtWidgets


class NotPossible(AssertionError):
    """A user could not do this now."""


def click(widget: Any) -> None:
    """Click a button.

    Raises:
        NotPossible: When it is disabled, hidden or inside a collapsed section.
    """
    require_reachable(widget)
    widget.click()


def type_text(widget: Any, text: str) -> None:
    """Replace the text of an editor, or the value of a spin box, as by typing and Return.

    Raises:
        NotPossible: When it is disabled, hidden or read-only.
    """
    require_reachable(widget)
    edit = widget.findChild(QtWidgets.QLineEdit) if not isinstance(widget, QtWidgets.QLineEdit) else widget
    if edit is None:
        if widget.isReadOnly():
            raise NotPossible(f"{_name(widget)} is read-only")
        widget.setPlainText(text)
        return
    if edit.isReadOnly():
        raise NotPossible(f"{_name(widget)} is read-only")
    edit.setText(text)
    edit.textEdited.emit(text)
    if isinstance(widget, QtWidgets.QAbstractSpinBox):
        widget.interpretText()
    edit.returnPressed.emit()
    edit.editingFinished.emit()


def select_row(table: Any, row: int, column: int = 0) -> None:
    """Click a cell of a table, tree or list.

    Raises:
        NotPossible: When there is no such row, or the table is disabled or hidden.
    """
    require_reachable(table)
    model = table.model()
    if not 0 <= row < model.rowCount():
        raise NotPossible(f"{_name(table)} has {model.rowCount()} rows, no row {row}")
    index = model.index(row, column)
    table.setCurrentIndex(index)
    if table.selectionModel() is not None:
        table.selectionModel().select(
            index,
            QtCore.QItemSelectionModel.SelectionFlag.ClearAndSelect | QtCore.QItemSelectionModel.SelectionFlag.Rows,
        )
    table.clicked.emit(index)
    if isinstance(table, QtWidgets.QTableWidget):
        table.cellClicked.emit(row, column)


def choose(box: Any, text: str) -> None:
    """Choose an entry of a combo box by its text.

    Raises:
        NotPossible: When there is no such entry, or the box is disabled or hidden.
    """
    require_reachable(box)
    inner = box if isinstance(box, QtWidgets.QComboBox) else box.findChild(QtWidgets.QComboBox)
    index = inner.findText(text)
    if index < 0:
        entries = [inner.itemText(i) for i in range(inner.count)]
        raise NotPossible(f"{_name(box)} has no entry {text!r}; it has {entries}")
    inner.setCurrentIndex(index)
    inner.activated.emit(index)


def require_reachable(widget: Any) -> None:
    """Raise NotPossible when a widget is disabled, hidden or inside a collapsed section."""
    if not widget.isEnabled():
        raise NotPossible(f"{_name(widget)} is disabled")
    part = widget
    while part is not None:
        if part.isHidden() and not part.isWindow():
            raise NotPossible(f"{_name(widget)} is hidden ({_name(part)} is not shown)")
        if part is not widget and getattr(part, "collapsed", False) is True:
            raise NotPossible(f"{_name(widget)} is in the collapsed section {_name(part)}")
        part = part.parentWidget()


def wait_until(condition: Callable[[], Any], timeout_s: float, what: str, check: Callable[[], None]) -> None:
    """Run the event loop until the condition holds.

    Args:
        condition: Asked after every round of events.
        timeout_s: Seconds to wait at most.
        what: What is waited for, for the error text.
        check: Called after every round; raises when a callback failed.

    Raises:
        TimeoutError: When the condition does not come true.
    """
    end = time.monotonic() + timeout_s
    while True:
        QtWidgets.QApplication.processEvents()
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete.value)
        check()
        if condition():
            return
        if time.monotonic() > end:
            raise TimeoutError(f"Waited {timeout_s} s in vain for {what}")
        time.sleep(0.005)


def _name(widget: Any) -> str:
    return f"{widget.metaObject().className()} {widget.objectName!r}"
