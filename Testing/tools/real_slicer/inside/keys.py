"""Keys as Qt delivers them: with the search for shortcuts, and as often as the keyboard repeats them."""

from __future__ import annotations

from typing import Any

import qt
import slicer

_NAMES = {"Space": (qt.Qt.Key_Space, " ")}


def press(widget: Any, key: str, *, control: bool = False, repeats: int = 0) -> None:
    """Press a key with the focus in a widget, hold it, and let it go.

    Args:
        widget: Gets the focus.
        key: A letter, or "Space".
        control: Whether Ctrl is held.
        repeats: How often the keyboard repeats the key.
    """
    slicer.util.mainWindow().activateWindow()
    widget.setFocus()
    slicer.app.processEvents()
    code, text = _NAMES.get(key) or (getattr(qt.Qt, f"Key_{key.upper()}"), key)
    modifier = qt.Qt.ControlModifier if control else qt.Qt.NoModifier
    for number in range(repeats + 1):
        _send(widget, qt.QEvent.KeyPress, code, modifier, text, number > 0)
    _send(widget, qt.QEvent.KeyRelease, code, modifier, text, False)
    if control:
        # Otherwise Ctrl counts as held, since the last press was with it: a click on a row adds to the chosen ones.
        _send(widget, qt.QEvent.KeyPress, qt.Qt.Key_F35, qt.Qt.NoModifier, "", False)


def _send(widget: Any, kind: Any, code: Any, modifier: Any, text: str, is_repeat: bool) -> None:
    # Unlike a letter in a text field, this is looked up among the shortcuts: QApplication does so for every press.
    qt.QApplication.sendEvent(widget, qt.QKeyEvent(kind, code, modifier, text, is_repeat))
    slicer.app.processEvents()
