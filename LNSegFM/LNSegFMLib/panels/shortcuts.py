"""Single keys that work in a table and in the slice views, and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import qt
import slicer


class Shortcuts:
    """Keys without modifiers; they are off until `on`.

    They belong to the widgets where they mean something, not to the window: a letter must reach every text field, and
    the space bar every button.

    Args:
        slots: What a key does, by its name as QKeySequence has it.
        table: Widget in which they always work; the slice views are added when they are turned on.
    """

    def __init__(self, slots: Mapping[str, Callable[[], None]], table: Any) -> None:
        self._slots = dict(slots)
        self._table = table
        self._shortcuts: list[Any] = []
        manager = slicer.app.layoutManager()
        if manager is not None:
            manager.connect("layoutChanged(int)", self._on_layout)

    def on(self) -> None:
        """Let the keys work, also in the slice views of the layout as it is now."""
        self.off()
        for widget in (self._table, *_slice_views()):
            for key, slot in self._slots.items():
                shortcut = qt.QShortcut(qt.QKeySequence(key), widget)
                shortcut.setContext(qt.Qt.WidgetWithChildrenShortcut)
                shortcut.connect("activated()", slot)
                # The Segment Editor has the same space bar, for the whole window.
                shortcut.connect("activatedAmbiguously()", slot)
                self._shortcuts.append(shortcut)

    def off(self) -> None:
        """Let the keys do nothing."""
        for shortcut in self._shortcuts:
            shortcut.setEnabled(False)
            shortcut.deleteLater()
        self._shortcuts = []

    def close(self) -> None:
        """Take the keys away for good."""
        self.off()
        manager = slicer.app.layoutManager()
        if manager is not None:
            manager.disconnect("layoutChanged(int)", self._on_layout)

    def _on_layout(self, _layout: int) -> None:
        if self._shortcuts:
            self.on()


def _slice_views() -> list[Any]:
    manager = slicer.app.layoutManager()
    if manager is None:
        return []
    widgets = (manager.sliceWidget(name) for name in manager.sliceViewNames())
    return [widget.sliceView() for widget in widgets if widget is not None]
