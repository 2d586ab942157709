"""Files and folders that are dropped on a widget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt


class DropFilter(qt.QObject):
    """Takes local files and folders that are dragged onto a widget; everything else is passed on to the widget.

    Args:
        target: The widget; of an item view, its viewport gets the events.
        on_paths: Called with the paths of a drop.
    """

    def __init__(self, target: Any, on_paths: Callable[[list[str]], object]) -> None:
        super().__init__()
        self._on_paths, self._target = on_paths, target
        target.setAcceptDrops(True)
        target.installEventFilter(self)

    def close(self) -> None:
        """Look no longer: a widget that outlives its module must not call into it."""
        self._target.removeEventFilter(self)

    def eventFilter(self, _watched: Any, event: Any) -> bool:
        """Look at an event of the widget before the widget does; Qt's name."""
        kind = event.type()
        if kind not in (qt.QEvent.DragEnter, qt.QEvent.DragMove, qt.QEvent.Drop):
            return False
        paths = [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
        if not paths:
            return False
        event.acceptProposedAction()
        if kind == qt.QEvent.Drop:
            self._on_paths(paths)
        return True
