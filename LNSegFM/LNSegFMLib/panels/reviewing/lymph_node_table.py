"""The table of lymph nodes as the user sees it: sorted, filtered, ticked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import qt
from slicer.i18n import tr as _

from LNSegFMLib.panels.common.narrow_columns import NarrowColumns
from LNSegFMLib.scene.segments.lymph_node_records import NodeRecord
from LNSegFMLib.texts.lymph_node_columns import columns, details

_SWATCH = 9
_GREY = (0.5, 0.5, 0.5)
_ALIGN_CENTRE = 0x84  # Qt::AlignCenter; items of PythonQt want the number
_FOREGROUND_ROLE = 9  # Qt::ForegroundRole


class NodeTableView:
    """Shows records of lymph nodes.

    Args:
        table: QTableWidget without columns.
        on_chosen: Called when the user has gone to another row, or clicked one.
        on_reviewed: Called with a record and its new tick when the user has ticked a row.
    """

    def __init__(
        self, table: Any, on_chosen: Callable[[], None], on_reviewed: Callable[[NodeRecord, bool], None]
    ) -> None:
        self.table = table
        self._on_chosen, self._on_reviewed = on_chosen, on_reviewed
        self._columns = columns()
        self._records: list[NodeRecord] = []
        self._rows: list[NodeRecord] = []
        self._colours: dict[str, tuple[float, float, float]] = {}
        self._swatches: dict[int, tuple[float, float, float]] = {}  # colours that the rows show
        self._greyed: dict[int, bool] = {}  # rows that are kept apart
        self._sorted_by, self._descending, self._least_mm = 0, False, 0.0
        self._tick = len(self._columns)
        self._filling = False
        self._prepare()

    def _prepare(self) -> None:
        table = self.table
        table.setColumnCount(self._tick + 1)
        for index, tooltip in enumerate([*(column.tooltip for column in self._columns), _("Reviewed (key space).")]):
            item = qt.QTableWidgetItem()
            item.setToolTip(tooltip)
            table.setHorizontalHeaderItem(index, item)
        self._show_order()
        header = table.horizontalHeader()
        header.setMinimumSectionSize(20)
        left_out = [_column_named(self._columns, name) for name in ("hu", "confidence")]
        self._narrow = NarrowColumns(table, _column_named(self._columns, "recist"), left_out)
        self._fit_columns()
        # Not the table's own sorting: it would put "9.5 × 12" behind "10.1 × 15".
        header.setSectionsClickable(True)
        header.connect("sectionClicked(int)", self._on_header)
        table.connect("itemSelectionChanged()", self._on_selection)
        table.connect("cellClicked(int,int)", self._on_clicked)
        table.connect("itemChanged(QTableWidgetItem*)", self._on_item_changed)

    # --- What it shows

    def show(
        self, records: Sequence[NodeRecord], colours: dict[str, tuple[float, float, float]], least_mm: float = 0.0,
        *, with_implausible: bool = False,
    ) -> None:
        """Show lymph nodes; those that are chosen stay chosen while they are there.

        Args:
            records: The lymph nodes.
            colours: Colour of each segment, RGB from 0 to 1, by its id.
            least_mm: Rows with a smaller short axis are hidden.
            with_implausible: List what is kept apart as well, in grey.
        """
        wanted = ([each for each in records if with_implausible or not each.is_apart], dict(colours), least_mm)
        if wanted != (self._records, self._colours, self._least_mm):
            chosen = {record.node.number for record in self.chosen}
            self._records, self._colours, self._least_mm = wanted
            self._fill(chosen)

    def _fill(self, chosen: set[int]) -> None:
        table = self.table
        self._filling = True
        # Or every cell would make the table compute its columns' widths.
        table.horizontalHeader().setSectionResizeMode(qt.QHeaderView.Fixed)
        try:
            shown = [record for record in self._records if _is_listed(record, self._least_mm)]
            if self._sorted_by == self._tick:
                shown.sort(key=lambda record: record.reviewed, reverse=self._descending)
            else:
                key = self._columns[self._sorted_by].key
                shown.sort(key=lambda record: key(record.node), reverse=self._descending)
            self._rows = shown
            if table.rowCount != len(shown):
                table.setRowCount(len(shown))
            for row, record in enumerate(shown):
                self._fill_row(row, record)
            self._select_numbers(chosen)
        finally:
            self._filling = False
            self._fit_columns()

    def _fit_columns(self) -> None:
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(_column_named(self._columns, "recist"), qt.QHeaderView.Stretch)

    def _fill_row(self, row: int, record: NodeRecord) -> None:
        # Cells are kept, and written only where they differ: each change makes the table lay out and draw again.
        unmeasured = _("Not measured yet: press Measure.")
        for index, column in enumerate(self._columns):
            item, text = self._cell(row, index), column.text(record.node)
            tooltip = details(self._columns, record.node) if record.is_measured else unmeasured
            if (item.text(), item.toolTip()) != (text, tooltip):
                item.setText(text)
                item.setToolTip(tooltip)
        if self._greyed.get(row, False) != record.is_apart:
            self._greyed[row] = record.is_apart
            ink = qt.QBrush(qt.QColor.fromRgbF(*_GREY)) if record.is_apart else None
            for index in range(len(self._columns)):
                self._cell(row, index).setData(_FOREGROUND_ROLE, ink)
        colour = self._colours.get(record.segment_id, _GREY)
        if self._swatches.get(row) != colour:
            self._swatches[row] = colour
            self._cell(row, 0).setIcon(_swatch(colour))
        tick, state = self._cell(row, self._tick), qt.Qt.Checked if record.reviewed else qt.Qt.Unchecked
        if tick.checkState() != state:
            tick.setCheckState(state)

    def _cell(self, row: int, column: int) -> Any:
        item = self.table.item(row, column)
        if item is None:
            item = qt.QTableWidgetItem()
            if column == self._tick:
                item.setFlags(qt.Qt.ItemIsUserCheckable | qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
                item.setCheckState(qt.Qt.Unchecked)
            elif column > 0:
                item.setTextAlignment(_ALIGN_CENTRE)
            else:
                self._swatches.pop(row, None)
                self._greyed.pop(row, None)
            self.table.setItem(row, column, item)
        return item

    def _select_numbers(self, numbers: set[int]) -> None:
        rows = [row for row, record in enumerate(self._rows) if record.node.number in numbers]
        self.table.clearSelection()
        if not rows:
            return
        model, selection = self.table.model(), self.table.selectionModel()
        # Not by setCurrentCell, which adds to the selection while Ctrl is held, as for Ctrl+Z.
        selection.setCurrentIndex(model.index(rows[0], 0), qt.QItemSelectionModel.NoUpdate)
        for row in rows:
            selection.select(model.index(row, 0), qt.QItemSelectionModel.Select | qt.QItemSelectionModel.Rows)

    # --- What is chosen

    @property
    def rows(self) -> list[NodeRecord]:
        """The lymph nodes that are listed, from top to bottom."""
        return list(self._rows)

    @property
    def chosen(self) -> list[NodeRecord]:
        """The lymph nodes of the chosen rows, from top to bottom."""
        rows = sorted(index.row() for index in self.table.selectionModel().selectedRows())
        return [self._rows[row] for row in rows if row < len(self._rows)]

    @property
    def current(self) -> NodeRecord | None:
        """The lymph node whose row was chosen last."""
        row, chosen = self.table.currentRow(), self.chosen
        return self._rows[row] if 0 <= row < len(self._rows) and self._rows[row] in chosen else next(iter(chosen), None)

    def forget_choice(self) -> None:
        """Choose no row, as when another segmentation is shown whose lymph nodes have the same numbers."""
        self._filling = True
        self.table.clearSelection()
        self._filling = False

    def choose(self, number: int) -> None:
        """Choose the row of a lymph node as a click would."""
        self._filling = True
        try:
            self._select_numbers({number})
        finally:
            self._filling = False
        self._on_chosen()

    def choose_segment(self, segment_id: str) -> None:
        """Choose the first row of a segment without telling that it was chosen; no row where it has none."""
        if {record.segment_id for record in self.chosen} == {segment_id}:
            return
        numbers = [record.node.number for record in self._rows if record.segment_id == segment_id]
        self._filling = True
        try:
            self._select_numbers(set(numbers[:1]))
        finally:
            self._filling = False

    def step(self, rows: int) -> None:
        """Choose the row below or above the current one; without one the first or last."""
        if self._rows:
            row = self.table.currentRow() + rows if self.chosen else (0 if rows > 0 else len(self._rows) - 1)
            self.choose(self._rows[min(max(row, 0), len(self._rows) - 1)].node.number)

    # --- What the user does

    def _on_header(self, column: int) -> None:
        self._descending = column == self._sorted_by and not self._descending
        self._sorted_by = column
        self._show_order()
        self._fill({record.node.number for record in self.chosen})

    def _show_order(self) -> None:
        # Not by the header's own indicator, for which every column would be wider.
        for index, title in enumerate([*(column.title for column in self._columns), "✓"]):
            arrow = ("" if index != self._sorted_by else " ↓" if self._descending else " ↑")
            self.table.horizontalHeaderItem(index).setText(title + arrow)

    def _on_selection(self) -> None:
        if not self._filling:
            self._on_chosen()

    def _on_clicked(self, row: int, column: int) -> None:
        # A click on the row that is chosen already goes back to it after the user has scrolled away.
        if column != self._tick:
            self._on_chosen()

    def _on_item_changed(self, item: Any) -> None:
        if not self._filling and item.column() == self._tick:
            record, reviewed = self._rows[item.row()], item.checkState() == qt.Qt.Checked
            ticked = replace(record, reviewed=reviewed)
            # Noted here first, so that the table is not refilled while it is still changing this very cell.
            self._rows[item.row()] = self._records[self._records.index(record)] = ticked
            self._on_reviewed(record, reviewed)


def _is_listed(record: NodeRecord, least_mm: float) -> bool:
    return not record.is_measured or record.node.short_axis_mm >= least_mm - 1e-6


def _column_named(shown: Sequence[Any], name: str) -> int:
    return next(index for index, column in enumerate(shown) if column.name == name)


def _swatch(colour: tuple[float, float, float]) -> Any:
    pixmap = qt.QPixmap(_SWATCH, _SWATCH)
    pixmap.fill(qt.QColor.fromRgbF(*colour))
    icon = qt.QIcon(pixmap)
    icon.addPixmap(pixmap, qt.QIcon.Selected)  # or a chosen row would tint it
    return icon
