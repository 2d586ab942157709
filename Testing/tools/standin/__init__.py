"""A strict stand-in of 3D Slicer's application layer, for tests and previews of scripted modules.

Real: MRML, the module logics and slicer.util (the wheel slicer-core), Qt (PySide6), VTK. Stood in for: PythonQt's way
to see Qt, CTK and qMRML widgets, slicer.app, the scripted module classes, the main window. Stricter than Slicer where
PythonQt only prints: unknown signals, unknown attributes, exceptions in callbacks, .ui files with unknown names.

docs/explanation/standin.md says what it has been compared with, and what it cannot show.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from .failures import CallbackFailed

if TYPE_CHECKING:
    from .app import App

__all__ = ["CallbackFailed", "start"]

_running: App | None = None


def start(offscreen: bool = True) -> App:
    """Start the application once per process; later calls return the running one.

    Args:
        offscreen: Draw without a display. When False a display is used if there is one, views are live, and dialogs
            really open.

    Returns:
        The application, with the actions of a user.
    """
    global _running
    if _running is not None:
        return _running
    has_display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")) or sys.platform != "linux"
    if offscreen or not has_display:
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        offscreen = True
    from .bootstrap import boot

    _running = boot(offscreen)
    return _running
