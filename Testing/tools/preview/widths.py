"""Pictures of a module's whole panel, all its sections open, as narrow and as wide as users have it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtWidgets

from standin.window import PANEL_WIDTH

WIDTHS = (320, 400, 600)


def take_pictures(app: Any, folder: Path, name: str, widths: Sequence[int] = WIDTHS) -> list[Path]:
    """Write pictures of the panel that is shown, from its first section to its last one.

    Args:
        app: The running stand-in.
        folder: The pictures go to ``<width>/<name>.png`` in it.
        name: Of the pictures.
        widths: Of the panel, pixels.
    """
    panel = slicer.util.getModule(slicer.util.selectedModule()).widgetRepresentation()
    paths = [folder / str(width) / f"{name}.png" for width in widths]
    with all_sections_open(app, panel):
        for width, path in zip(widths, paths):
            app.window.set_panel_width(width)
            app.process_events(0.3)
            app.screenshot(path, panel)
        app.window.set_panel_width(PANEL_WIDTH)
    return paths


@contextmanager
def all_sections_open(app: Any, panel: QtWidgets.QWidget) -> Iterator[None]:
    """Open all sections of a panel; afterwards those that were closed are closed again."""
    opened: list[Any] = []
    # Sections in sections are there to be opened once the outer ones are open.
    while closed := [each for each in _sections(panel) if each.collapsed and each.isVisible()]:
        for section in closed:
            section.collapsed = False
            opened.append(section)
        app.process_events()
    try:
        yield
    finally:
        for section in reversed(opened):
            section.collapsed = True
        app.process_events()


def _sections(panel: QtWidgets.QWidget) -> list[Any]:
    return [each for each in panel.findChildren(QtWidgets.QAbstractButton) if hasattr(each, "collapsed")]
