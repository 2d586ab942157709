"""What a user does with hands and eyes: clicks, keys, scrolling, painting; on top of the stand-in's own actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6 import QtCore, QtTest, QtWidgets

WAIT_S = 600.0
COMPLAINTS = ("error", "warning")


class User:
    """Somebody in front of the application.

    Args:
        app: The running stand-in.
    """

    def __init__(self, app: Any) -> None:
        self.app = app

    # --- Hands

    def click(self, button: Any) -> None:
        """Click a button as soon as it is enabled."""
        self.until(lambda: button.enabled, f"{button.objectName} to be enabled")
        self.app.click(button)

    def open(self, *sections: Any) -> None:
        """Expand collapsed sections, the outer one first."""
        for section in sections:
            if section.collapsed:
                self.app.click(section)

    def close(self, *sections: Any) -> None:
        """Collapse sections."""
        for section in sections:
            if not section.collapsed:
                self.app.click(section)

    def choose_data(self, box: Any, data: Any) -> None:
        """Choose the entry of a combo box that stands for a value; its text may hold a time or a language."""
        self.app.choose(box, box.itemText(box.findData(data)))

    def choose_in_tree(self, tree: Any, text: str) -> None:
        """Click the first row of a tree whose first cell contains a text."""
        wanted = QtCore.Qt.MatchFlag.MatchContains | QtCore.Qt.MatchFlag.MatchRecursive
        tree.setCurrentItem(tree.findItems(text, wanted, 0)[0])
        self.app.process_events()

    def choose_in_menu(self, button: Any, text: str) -> None:
        """Choose the first entry of a button's menu that contains a text."""
        menu = button.menu()
        menu.aboutToShow.emit()
        next(action for action in menu.actions() if text in action.text).trigger()
        self.app.process_events()

    def press(self, widget: Any, key: str) -> None:
        """Press a key where the focus is put before."""
        self.app.window.activateWindow()
        widget.setFocus()
        self.app.process_events()
        QtTest.QTest.keyClick(widget, getattr(QtCore.Qt.Key, f"Key_{key}"))
        self.app.process_events()

    def scroll_to(self, widget: Any) -> None:
        """Scroll the panel until a widget is at its top, as far as the panel goes."""
        self.app.process_events()
        area = widget.parentWidget()
        while not isinstance(area, QtWidgets.QScrollArea):
            area = area.parentWidget()
        top = widget.mapTo(area.widget(), QtCore.QPoint(0, 0)).y()
        area.verticalScrollBar().setValue(top)

    # --- Eyes

    def until(self, condition: Callable[[], Any], what: str) -> None:
        """Wait for something, and not on after a dialog that complains.

        Raises:
            AssertionError: A dialog complained.
            TimeoutError: It did not come.
        """
        self.app.wait_until(lambda: self.complaints or condition(), WAIT_S, what)
        if self.complaints:
            raise AssertionError(f"While waiting for {what}: {self.complaints}")

    @property
    def complaints(self) -> list[str]:
        """What error and warning dialogs said so far."""
        return [text for kind, text in self.app.dialogs if kind in COMPLAINTS]
