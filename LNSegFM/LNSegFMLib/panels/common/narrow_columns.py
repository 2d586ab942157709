"""Columns that a table leaves out where the panel is too narrow for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import qt

_STRETCHED_PX = 58


class NarrowColumns:
    """Hides some columns of a table while it is too narrow for all; their texts should be in the cells' tooltips.

    Args:
        table: QTableWidget with one stretched column; the others are as wide as their contents.
        stretched: Index of the stretched column.
        optional: Indices of the columns that are left out.
    """

    def __init__(self, table: Any, stretched: int, optional: Sequence[int]) -> None:
        self._table, self._stretched, self._optional = table, stretched, tuple(optional)
        self._widths = dict.fromkeys(self._optional, 0)  # of the last time when they were shown
        # Not at once: the header is about to lay out its sections, and none may go meanwhile.
        self._timer = qt.QTimer(table)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._fit)
        # With the viewport the stretched column changes its width, and with their contents the others. Where nothing is
        # left for the stretched column, Qt leaves it as it was, and there is something to scroll.
        table.horizontalHeader().connect("sectionResized(int,int,int)", self._on_resized)
        table.horizontalScrollBar().connect("rangeChanged(int,int)", self._on_resized)

    def _on_resized(self, *_changed: int) -> None:
        self._timer.start()

    def _fit(self) -> None:
        table, header = self._table, self._table.horizontalHeader()
        for column in self._optional:
            if not header.isSectionHidden(column):
                self._widths[column] = header.sectionSize(column)
        fixed = [each for each in range(table.columnCount) if each not in (*self._optional, self._stretched)]
        needed = sum(header.sectionSize(each) for each in fixed) + sum(self._widths.values()) + _STRETCHED_PX
        narrow = needed > table.viewport().width
        for column in self._optional:
            if header.isSectionHidden(column) != narrow:
                table.setColumnHidden(column, narrow)
