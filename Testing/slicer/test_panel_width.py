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
    app.process_events(0.2)
    return app.window.findChild(qt.QDockWidget, "PanelDockWidget")


@WIDTHS
def test_the_window_keeps_its_width_during_a_job(
    panel: Panel, cases: Any, adapted: Any, width: int, monkeypatch: pytest.MonkeyPatch  # noqa: F811
) -> None:
    run = importlib.import_module("LNSegFMFineTuneLib.panels.jobs_section")  # `qt` is there only now
    monkeypatch.setattr(run, "POLL_MS", 5)
    panel.open()
    polls: list[Any] = []
    jobs = panel.widget.logic.workbench.jobs
    view = jobs.view
    monkeypatch.setattr(jobs, "view", lambda *args, **options: (polls.append(args), view(*args, **options))[1])
    open_sections(panel.app)
    window = panel.app.window.width
    dock = set_width(panel.app, width)
    panel.start(hold=3)
    polls.clear()
    panel.until(lambda: len(polls) > POLLS, "a minute of polls")
    assert (panel.app.window.width, dock.width) == (window, width)


@WIDTHS
def test_every_column_fits_and_its_title_is_whole(opened: Panel, adapted: Any, width: int) -> None:  # noqa: F811
    opened.start()
    open_sections(opened.app)
    assert set_width(opened.app, width).width == width
    for table in (opened.ui.casesTable, opened.ui.jobsTable, opened.ui.resultTable):
        header = table.horizontalHeader()
        assert header.length() <= table.viewport().width, table.objectName
        for column in range(table.columnCount):
            title = table.horizontalHeaderItem(column).text()
            needed = header.fontMetrics().horizontalAdvance(title)
            assert header.sectionSize(column) >= needed + 4, (table.objectName, title)


def test_what_the_tables_leave_out_stands_below_them(opened: Panel, adapted: Any) -> None:  # noqa: F811
    ui = opened.ui
    assert ui.caseDetailsLabel.isHidden()
    opened.app.select_row(ui.casesTable, 2)
    count = opened.widget.stored.cases[2].latest.nodes
    for part in ("case-0003, accepted on 20", "version 1", f"{count} lymph nodes", "Use: hold-out"):
        assert part in ui.caseDetailsLabel.text
    opened.start()
    for part in (opened.job.id, "DGST on ", "2 training and 1 hold-out cases", "4 epochs of 30", "done"):
        assert part in ui.jobDetailsLabel.text
    assert ui.scoreDetailsLabel.text == (
        "case-0003: DSC 0.200 → 0.600; NSD at 1 mm 0.100 → 0.300; "
        "lymph nodes: found 1 → 3, missed 2 → 0, false 4 → 1."
    )
    opened.app.select_row(ui.resultTable, 1)
    assert ui.scoreDetailsLabel.text.startswith("Mean: DSC 0.200 → 0.600")


def test_long_texts_do_not_widen_the_panel(opened: Panel) -> None:  # noqa: F811
    import qt

    open_sections(opened.app)
    dock = set_width(opened.app, 320)
    for label in opened.ui.casesCollapsibleButton.parentWidget().findChildren(qt.QLabel):
        if label.wordWrap:
            label.visible = True
            label.text = "What happened, why, and what can be done about it. " * 10
    opened.app.process_events(0.2)
    assert dock.width == 320
