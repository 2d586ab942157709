"""The main window and its module panel: their widths."""

from __future__ import annotations

import time
from typing import Any

import qt
import slicer

from real_slicer.inside.steps import Skipped, Steps, expect

WIDTHS_PX = (320, 400, 600)
# The frame of the dock, and scroll bars.
_SLACK_PX = 10


def panel_dock() -> Any:
    """Return the dock widget that holds the module panel."""
    docks = slicer.util.findChildren(slicer.util.mainWindow(), "PanelDockWidget")
    if not len(docks):
        raise Skipped("This Slicer has no dock widget for its module panel.")
    return docks[0]


def set_panel_width(width_px: int) -> None:
    """Make the module panel as wide as a user would by dragging its border."""
    dock = panel_dock()
    slicer.util.mainWindow().resizeDocks([dock], [width_px], qt.Qt.Horizontal)
    slicer.app.processEvents()
    expect(dock.width >= width_px, f"Expected the panel to become {width_px} px wide, but it is {dock.width} px.")
    if dock.width > width_px + _SLACK_PX:
        wide = ", ".join(_widest(dock, width_px)) or "unknown"
        module = slicer.util.selectedModule()
        expect(False, f"Expected {module} to fit {width_px} px, but it needs {dock.width} px, for the sake of: {wide}.")


def _widest(widget: Any, width_px: int) -> list[str]:
    """Return the names of the innermost widgets that need more than a width."""
    found: list[str] = []
    for child in widget.children():
        if child.inherits("QWidget") and child.visible:
            found += _widest(child, width_px)
    if not found and _needs_px(widget) > width_px:
        found = [f"{widget.objectName or widget.className()} ({_needs_px(widget)} px)"]
    return found


def _needs_px(widget: Any) -> int:
    hint = widget.minimumSizeHint  # a property, but a method where a Python class overrides it
    return int(max((hint() if callable(hint) else hint).width(), widget.minimumWidth))


def watch_width(steps: Steps, seconds: float) -> None:
    """See that panel and window stay as wide as they are.

    Raises:
        AssertionError: One of them grew.
    """
    widgets = {"panel": panel_dock(), "main window": slicer.util.mainWindow()}
    before = {name: widget.width for name, widget in widgets.items()}
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        steps.pause(0.2)
        for name, widget in widgets.items():
            expect(
                widget.width <= before[name] + _SLACK_PX,
                f"Expected the {name} to stay {before[name]} px wide, but it grew to {widget.width} px.",
            )
