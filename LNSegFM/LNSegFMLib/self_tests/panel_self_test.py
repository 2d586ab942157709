"""Checks of the panels for both self-tests: every section is there, and the window keeps its width."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import slicer

# Scroll bars come and go.
_SLACK_PX = 40
_NO_WINDOW = "Skipped: without a main window no panel is shown."


def check_sections(test: Any, widget: Any, sections: Mapping[str, str]) -> None:
    """Open each section of a panel and see what is in it.

    Args:
        test: The running test, for its assertions and messages.
        widget: The module's widget, shown.
        sections: Name of a widget that a section always shows, by the name of the section's ctkCollapsibleButton.
    """
    if slicer.util.mainWindow() is None:
        test.delayDisplay(_NO_WINDOW)
        return
    ui = getattr(widget, "ui", None)
    test.assertIsNotNone(ui, "Expected a panel with sections, but setup() did not reach its end; see Slicer's log.")
    for name in (*sections, *sections.values()):
        test.assertTrue(hasattr(ui, name), f"Expected the widget {name} in the panel, but it was not built.")
    were_collapsed = {heading: getattr(ui, heading).collapsed for heading in sections}
    try:
        for heading, inside in sections.items():
            getattr(ui, heading).collapsed = False
            slicer.app.processEvents()
            is_seen = getattr(ui, inside).visible
            test.assertTrue(is_seen, f"Expected to see {inside} after opening {heading}, but it is not shown.")
    finally:
        for heading, was_collapsed in were_collapsed.items():
            getattr(ui, heading).collapsed = was_collapsed


class WidthWatch:
    """Sees whether the main window or the panel grows while something is going on.

    Args:
        widget: The module's widget.
    """

    def __init__(self, widget: Any) -> None:
        self._window, self._panel = slicer.util.mainWindow(), widget.parent
        self._before = self._widths()
        self._after = self._before

    def look(self) -> None:
        """Remember the largest widths."""
        self._after = tuple(max(pair) for pair in zip(self._after, self._widths()))

    def check(self, test: Any) -> None:
        """Let the test fail when something grew."""
        self.look()
        for name, before, after in zip(("main window", "module panel"), self._before, self._after):
            test.assertLessEqual(
                after, before + _SLACK_PX, f"Expected the {name} to stay {before} px wide, but it grew to {after} px."
            )

    def _widths(self) -> tuple[int, ...]:
        return () if self._window is None else (self._window.width, self._panel.width)
