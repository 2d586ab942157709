"""Qt's own warnings: kept out of the tests' output unless they tell of a mistake."""

from __future__ import annotations

import logging
from typing import Any

from PySide6 import QtCore

# Said by the offscreen platform about itself.
_HARMLESS = ("This plugin does not support", "propagateSizeHints")


def install() -> None:
    """Send Qt's messages to Python's logging, without the harmless ones."""
    QtCore.qInstallMessageHandler(_handle)


def _handle(kind: QtCore.QtMsgType, context: Any, text: str) -> None:
    if text.startswith(_HARMLESS):
        return
    level = logging.WARNING if kind != QtCore.QtMsgType.QtDebugMsg else logging.DEBUG
    logging.getLogger("qt").log(level, text)
