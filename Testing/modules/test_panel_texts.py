"""The panel of LN-Seg-FM as narrow and as wide as users have it: everything fits, and no words are lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PySide6 import QtWidgets

from lnsegfm_panel import add_ct, finish_queue, open_queue, segment
from preview.widths import WIDTHS, all_sections_open

LONG_NAME = "CT neck with contrast, 1.5 mm, kernel B30f, from the archive"
MARGIN = 4  # of a title in its header, pixels


@pytest.fixture(params=WIDTHS)
def panel(app: Any, widget: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The panel with results, all sections open, at a width."""
    volumes = [add_ct(LONG_NAME), add_ct("B")]
    app.process_events()
    app.choose(widget.ui.modelSelector, "refuse")
    app.choose(widget.ui.volumeSelector, "B")
    open_queue(app, widget)
    app.click(widget.ui.addAllButton)
    finish_queue(app, widget)
    app.choose(widget.ui.volumeSelector, volumes[0].GetName())
    segment(app, widget)
    app.click(widget.ui.acceptButton)
    app.wait_until(lambda: not widget.is_working("accept"), 60, "the case")
    # With all columns filled.
    app.choose(widget.ui.volumeSelector, LONG_NAME)
    app.click(widget.ui.measureButton)
    app.wait_until(lambda: not widget.is_working("measure"), 60, "the measurements")
    with all_sections_open(app, widget.parent):
        app.window.set_panel_width(request.param)
        app.process_events(0.2)
        yield widget.parent
    app.window.set_panel_width(420)
    app.process_events()


def shown(panel: Any, kind: type) -> list[Any]:
    return [each for each in panel.findChildren(kind) if each.isVisible()]


def width_of(text: str, widget: Any) -> int:
    return max(widget.fontMetrics().horizontalAdvance(line) for line in text.splitlines() or [""])


def test_nothing_is_wider_than_the_panel(panel: Any, request: pytest.FixtureRequest) -> None:
    from PySide6.QtCore import QPoint

    width = QtWidgets.QWidget.width(panel)
    assert width <= request.node.callspec.params["panel"]
    for each in shown(panel, QtWidgets.QWidget):
        if each.parentWidget().metaObject().className() in ("QHeaderView", "QTableWidget", "QTreeWidget"):
            continue
        right = each.mapTo(panel, QPoint(0, 0)).x() + QtWidgets.QWidget.width(each)
        assert right <= width, (each.objectName, right, width)


def test_no_label_or_button_is_cut_without_a_tooltip(panel: Any) -> None:
    for label in shown(panel, QtWidgets.QLabel):
        inside = QtWidgets.QWidget.contentsRect(label)
        if label.wordWrap:
            needed = QtWidgets.QWidget.heightForWidth(label, QtWidgets.QWidget.width(label))
            assert needed <= QtWidgets.QWidget.height(label), label.objectName
            longest = max((width_of(word, label) for word in label.text.split()), default=0)
        else:
            longest = width_of(label.text, label)
        assert longest <= inside.width() or label.toolTip, (label.objectName, label.text)
    for button in shown(panel, QtWidgets.QAbstractButton):
        fits = QtWidgets.QWidget.width(button) >= width_of(button.text.replace("&", ""), button) + MARGIN
        assert fits or button.toolTip, (button.objectName, button.text)


def test_titles_of_columns_are_whole_and_cells_have_tooltips(panel: Any) -> None:
    for table in shown(panel, QtWidgets.QTableWidget):
        header = table.horizontalHeader()
        assert header.length() <= QtWidgets.QWidget.width(table.viewport()), table.objectName
        for column in range(table.columnCount):
            title = table.horizontalHeaderItem(column)
            room = header.sectionSize(column)
            if header.isSectionHidden(column):
                tips = [table.item(row, 0).toolTip() for row in range(table.rowCount)]
                assert all(f"{title.text()}: {table.item(row, column).text()}" in tips[row] for row in range(len(tips)))
                continue
            assert width_of(title.text(), header) + MARGIN <= room, (table.objectName, title.text())
            for row in range(table.rowCount):
                item = table.item(row, column)
                assert width_of(item.text(), table) + MARGIN <= room or item.text() in item.toolTip()


def test_the_volume_of_the_worklist_can_be_read(panel: Any, widget: Any) -> None:
    table = widget.ui.worklistTable
    assert table.columnWidth(1) >= 65


def test_columns_come_back_when_there_is_room(app: Any, widget: Any) -> None:
    add_ct()
    app.process_events()
    segment(app, widget)
    app.click(widget.ui.measureButton)
    app.wait_until(lambda: not widget.is_working("measure"), 60, "the measurements")
    table = widget.ui.nodeTable
    titles = [table.horizontalHeaderItem(column).text() for column in range(table.columnCount)]
    for width, left_out in ((600, []), (320, ["HU", "Confidence (%)"]), (600, [])):
        app.window.set_panel_width(width)
        app.process_events(0.2)
        assert [title for column, title in enumerate(titles) if table.isColumnHidden(column)] == left_out
    app.window.set_panel_width(420)
    app.process_events()


def test_pictures_are_taken_at_each_width(app: Any, widget: Any, tmp_path: Any) -> None:
    from PIL import Image

    from preview.widths import take_pictures

    closed = widget.ui.worklistCollapsibleButton.collapsed
    for path, width in zip(take_pictures(app, tmp_path, "LNSegFM"), WIDTHS):
        assert path == tmp_path / str(width) / "LNSegFM.png"
        with Image.open(path) as picture:
            assert width - 40 <= picture.width <= width
            assert picture.height > 1000  # all sections, not only those that fit the window
    assert widget.ui.worklistCollapsibleButton.collapsed == closed
