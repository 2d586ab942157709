"""Dialogs that are not answered: they are pictured, written down and closed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt

_INTERVAL_MS = 1000


class DialogWatch:
    """Closes modal dialogs that stay for more than a second, from within their own event loop.

    Args:
        picture: Takes a picture of a widget under a name.
    """

    def __init__(self, picture: Callable[[str, Any], None]) -> None:
        self.found = False
        self._picture = picture
        self._texts: list[str] = []
        self._seen: Any = None
        self._timer = qt.QTimer()
        self._timer.setInterval(_INTERVAL_MS)
        self._timer.connect("timeout()", self._look)
        self._timer.start()

    def take(self) -> str:
        """Return what the dialogs since the last call said; empty when there was none."""
        texts, self._texts = self._texts, []
        return " ".join(f"A dialog came up: {text}." for text in texts)

    def stop(self) -> None:
        """Leave dialogs alone from now on."""
        self._timer.stop()

    def _look(self) -> None:
        dialog = qt.QApplication.activeModalWidget()
        if dialog is None or dialog != self._seen:
            self._seen = dialog
            return
        self._seen = None
        self.found = True
        texts = [str(getattr(dialog, name, "")) for name in ("windowTitle", "text")]
        self._texts.append(": ".join(text for text in texts if text) or dialog.className())
        self._picture("dialog", dialog)
        if hasattr(dialog, "reject"):
            dialog.reject()
        else:
            dialog.close()
