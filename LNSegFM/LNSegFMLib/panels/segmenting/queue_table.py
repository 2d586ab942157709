"""The queue of volumes as a table."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from lnsegfm.segmentation.segment_queue import CANCELLED, DONE, FAILED, RUNNING, WAITING, Entry, SegmentQueue


class QueueTable:
    """Shows a queue.

    Args:
        table: QTableWidget with the columns volume and state.
        queue: What it shows.
    """

    def __init__(self, table: Any, queue: SegmentQueue) -> None:
        self._table, self._queue = table, queue
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.Stretch)

    @property
    def chosen(self) -> Entry | None:
        """The entry of the chosen row."""
        rows = self._table.selectionModel().selectedRows()
        return self._queue.find(self._table.item(rows[0].row(), 0).data(qt.Qt.UserRole)) if rows else None

    def show(self) -> None:
        """Show all entries as they are now; the chosen one stays chosen."""
        table, entries = self._table, self._queue.entries
        if table.rowCount != len(entries):
            table.setRowCount(len(entries))
        for row, entry in enumerate(entries):
            node = slicer.mrmlScene.GetNodeByID(entry.key)
            name = _item(table, row, 0)
            name.setData(qt.Qt.UserRole, entry.key)
            _say(name, node.GetName() if node is not None else entry.name)
            _say(_item(table, row, 1), _state(entry))

    def show_progress(self, text: str) -> None:
        """Show how far the volume is that is being segmented."""
        for row, entry in enumerate(self._queue.entries):
            if entry.state == RUNNING and row < self._table.rowCount:
                _say(_item(self._table, row, 1), text or _state(entry))


def _state(entry: Entry) -> str:
    texts = {
        WAITING: _("waiting"), RUNNING: _("segmenting"), DONE: entry.detail, CANCELLED: _("cancelled"),
        FAILED: _("failed: {reason}").format(reason=entry.detail),
    }
    return texts[entry.state]


def _item(table: Any, row: int, column: int) -> Any:
    item = table.item(row, column)
    if item is None:
        item = qt.QTableWidgetItem()
        table.setItem(row, column, item)
    return item


def _say(item: Any, text: str) -> None:
    item.setText(text)
    item.setToolTip(text)  # a narrow panel elides it
