"""Single keys that work in a table and in the slice views, and keys of the whole window."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Any

import qt
import slicer

PAUSE_S = 0.3  # longer than between two repeats of a held key, shorter than between two deliberate presses


class Shortcuts:
    """Keys of a module; they are off until `on`.

    Keys without modifiers belong to the widgets where they mean something, not to the window: a letter must reach every
    text field, and the space bar every button.

    Args:
        slots: What a key does, by its name as QKeySequence has it.
        table: Widget in which they always work; the slice views are added when they are turned on.
        repeating: Keys that act again and again while they are held down. All others act once: what deletes must not
            go on because a finger rests.
        deleting: Keys that delete. They do nothing right after they have acted: on X11 Qt takes the repeats of a held
            key for presses while the application is busy.
        window: What keys with modifiers do, anywhere in the main window; none of them repeats.
    """

    def __init__(
        self,
        slots: Mapping[str, Callable[[], None]],
        table: Any,
        *,
        repeating: Collection[str] = (),
        deleting: Collection[str] = (),
        window: Mapping[str, Callable[[], None]] | None = None,
    ) -> None:
        self._slots, self._window = dict(slots), dict(window or {})
        for key in deleting:
            self._slots[key] = _deliberate(self._slots[key])
        self._table = table
        self._repeating = frozenset(repeating)
        self._shortcuts: list[Any] = []
        manager = slicer.app.layoutManager()
        if manager is not None:
            manager.connect("layoutChanged(int)", self._on_layout)

    def on(self) -> None:
        """Let the keys work, also in the slice views of the layout as it is now."""
        self.off()
        for widget in (self._table, *_slice_views()):
            for key, slot in self._slots.items():
                shortcut = self._add(key, slot, widget)
                shortcut.setContext(qt.Qt.WidgetWithChildrenShortcut)
        main_window = slicer.util.mainWindow()
        if main_window is not None:
            for key, slot in self._window.items():
                self._add(key, slot, main_window)

    def _add(self, key: str, slot: Callable[[], None], widget: Any) -> Any:
        shortcut = qt.QShortcut(qt.QKeySequence(key), widget)
        shortcut.setAutoRepeat(key in self._repeating)
        shortcut.connect("activated()", slot)
        # Another extension may have taken the same key for the whole window.
        shortcut.connect("activatedAmbiguously()", slot)
        self._shortcuts.append(shortcut)
        return shortcut

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


def _deliberate(slot: Callable[[], None]) -> Callable[[], None]:
    """Return a slot that does nothing until its key has been left alone for a moment."""
    last = float("-inf")

    def call() -> None:
        nonlocal last
        try:
            if time.monotonic() - last > PAUSE_S:
                slot()
        finally:
            last = time.monotonic()

    return call


def _slice_views() -> list[Any]:
    manager = slicer.app.layoutManager()
    if manager is None:
        return []
    widgets = (manager.sliceWidget(name) for name in manager.sliceViewNames())
    return [widget.sliceView() for widget in widgets if widget is not None]
