"""The keys that a qMRMLSegmentEditorWidget takes for a whole window."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets


def install(editor: Any, parent: QtWidgets.QWidget) -> list[QtGui.QShortcut]:
    """Make the shortcuts of installKeyboardShortcuts.

    Args:
        editor: The qMRMLSegmentEditorWidget.
        parent: Widget whose window gets the keys, while the widget is shown.
    """
    places = {f"{'Shift+' if place > 10 else ''}{place % 10}": place for place in range(1, 21)}
    taken: list[tuple[Any, Callable[[], None]]] = [
        (key, partial(editor._toggle_effect, place)) for key, place in places.items()
    ]
    taken += [("Esc", partial(editor._toggle_effect, 0)), ("Space", editor._take_last_effect)]
    standard, key = QtGui.QKeySequence.StandardKey, QtCore.Qt.Key
    for keys, slot in (
        ((key.Key_Z, standard.Undo), editor.undo),
        ((key.Key_Y, standard.Redo), editor.redo),
        ((key.Key_Q, key.Key_Slash, key.Key_Comma, key.Key_Greater), editor.selectPreviousSegment),
        ((key.Key_W, key.Key_Asterisk, key.Key_Period, key.Key_Less), editor.selectNextSegment),
        ((key.Key_I,), editor._logic.ToggleSourceVolumeIntensityMask),
    ):
        taken += [(each, slot) for each in keys]
    shortcuts = []
    for sequence, slot in taken:
        shortcuts.append(QtGui.QShortcut(QtGui.QKeySequence(sequence), parent))
        shortcuts[-1].activated.connect(slot)
    return shortcuts
