"""How wide the module panels are in a main window that follows its contents, as Slicer's does."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from finetune_panel import (  # noqa: F401 - fixtures
    Panel,
    adapted,
    app,
    case_template,
    cases,
    home,
    opened,
    panel,
)

POLLS = 120  # of a panel that looks at its job twice a second: a minute
WIDTHS = pytest.mark.parametrize("width", [320, 400, 600])


def open_sections(app: Any) -> None:  # noqa: F811
    import ctk

    for button in app.window.findChildren(ctk.ctkCollapsibleButton):
        button.collapsed = button.name == "HelpCollapsibleButton"
    app.process_events()


def set_width(app: Any, width: int) -> Any:  # noqa: F811
    """Drag the panel to a width; return its dock widget."""
    import qt

    app.window.set_panel_width(width)
    app.process_events()
    return app.window.findChild(qt.QDockWidget, "PanelDockWidget")


@WIDTHS
def test_the_window_keeps_its_width_during_a_job(
    panel: Panel, cases: Any, adapted: Any, width: int, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:
    run = importlib.import_module("LNSegFMFineTuneLib.panels.run")  # `qt` is there only now
    monkeypatch.setattr(run, "POLL_MS", 5)
    panel.open()
    polls: list[Any] = []
    workbench = panel.widget.logic.workbench
    read_job = workbench.read_job
    monkeypatch.setattr(workbench, "read_job", lambda *args: (polls.append(args), read_job(*args))[1])
    open_sections(panel.app)
    window = panel.app.window.width
    dock = set_width(panel.app, width)
    panel.start(hold=3)
    polls.clear()
    panel.until(lambda: len(polls) > POLLS, "a minute of polls")
    assert (panel.app.window.width, dock.width) == (window, width)
