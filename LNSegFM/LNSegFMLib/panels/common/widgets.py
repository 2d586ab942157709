"""What several sections do with Qt's widgets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import qt

_NARROWEST_PX = 40


def fill_combo_box(combo_box: Any, items: Iterable[tuple[Any, str]], current: Any) -> None:
    """Replace the items, (data, text) pairs, without a signal; ``current`` is chosen, or else the first."""
    blocked = combo_box.blockSignals(True)
    combo_box.clear()
    for data, text in items:
        combo_box.addItem(text, data)
    combo_box.setCurrentIndex(max(combo_box.findData(current), 0) if combo_box.count else -1)
    combo_box.blockSignals(blocked)


def set_up_table(table: Any, titles: Sequence[tuple[str, str]], *, stretched: int = 0) -> None:
    """Give a table its columns: title and tooltip of each; one takes the width that the others leave.

    A panel can be 320 pixels wide: have few and narrow columns, and the rest in a line below for the chosen row. Where
    even these do not fit, as with a large font, the table can be scrolled.
    """
    table.setColumnCount(len(titles))
    for column, (title, tooltip) in enumerate(titles):
        item = qt.QTableWidgetItem(title)
        item.setToolTip(tooltip)
        table.setHorizontalHeaderItem(column, item)
    header = table.horizontalHeader()
    header.setMinimumSectionSize(_NARROWEST_PX)
    header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
    header.setSectionResizeMode(stretched, qt.QHeaderView.Stretch)


def fit_height(table: Any, *, most: int = 5) -> None:
    """Make a table as high as its rows, ``most`` of them; its width has no say in the width of the panel.

    Not Qt's AdjustToContents: with a stretched column a table's size hint is then its present width and a bit, and
    Slicer's module panel, which is never narrower than the size hint of its contents, widens without end.
    """
    table.resizeRowsToContents()
    rows = [table.rowHeight(row) for row in range(min(max(table.rowCount, 1), most))]
    if not table.rowCount:
        rows = [table.verticalHeader().defaultSectionSize]
    table.setFixedHeight(table.horizontalHeader().height + sum(rows) + 2 * table.frameWidth)


def fill_row(table: Any, row: int, texts: Sequence[str]) -> None:
    """Fill a row of a table; the tooltip of a cell is its text, for what is elided."""
    for column, text in enumerate(texts):
        item = qt.QTableWidgetItem(text)
        item.setToolTip(text)
        table.setItem(row, column, item)


def widget_value(widget: Any) -> Any:
    """Return what the user has set: data of a combo box, text of an editor, value of a spin box."""
    if widget.inherits("QComboBox"):
        return widget.currentData
    return widget.text if widget.inherits("QLineEdit") else widget.value


def set_widget_value(widget: Any, value: Any) -> None:
    """Set what `widget_value` returns; a choice that a combo box does not have leaves the one that is shown."""
    if widget.inherits("QComboBox"):
        index = widget.findData(value)
        widget.setCurrentIndex(index if index >= 0 else widget.currentIndex)
    elif widget.inherits("QLineEdit"):
        # Even the same text would move the cursor of somebody who is typing, and the same number would be reformatted.
        if widget.text != value:
            widget.text = value
    else:
        number = float(value) if widget.inherits("QDoubleSpinBox") else int(value)
        if widget.value != number:
            widget.value = number


def connect_edited(widget: Any, slot: Any) -> None:
    """Call a slot when the user, or the program, changes what `widget_value` returns."""
    if widget.inherits("QComboBox"):
        widget.connect("currentIndexChanged(int)", slot)
    elif widget.inherits("QLineEdit"):
        widget.connect("textChanged(QString)", slot)
    else:
        number = "double" if widget.inherits("QDoubleSpinBox") else "int"
        widget.connect(f"valueChanged({number})", slot)
