"""qMRMLSegmentsTableView: the segments of a segmentation node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

_ID = QtCore.Qt.ItemDataRole.UserRole


class SegmentsTableView(QtWidgets.QTableView):
    """One row a segment; Qt's view itself goes to the row beside one that is removed.

    Args:
        on_selection: Called when another row is selected, by the user or by `setSelectedSegmentIDs`.
    """

    def __init__(self, on_selection: Callable[[], None]) -> None:
        super().__init__()
        self._node: Any = None
        self._tags: list[int] = []
        self._model = QtGui.QStandardItemModel(0, 1)
        self.setModel(self._model)
        self.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QtWidgets.QAbstractItemView.SelectionMode.SingleSelection)
        self.horizontalHeader().setStretchLastSection(True)
        self.verticalHeader().hide()
        self.setMinimumHeight(80)
        self.selectionModel().selectionChanged.connect(
            lambda *_: None if self.signalsBlocked() else on_selection()
        )

    def setSegmentationNode(self, node: Any) -> None:
        """Show another segmentation node."""
        if self._node is not None:
            for tag in self._tags:
                self._node.RemoveObserver(tag)
        self._node, self._tags = node, []
        self._model.setRowCount(0)
        if node is None:
            return
        kind = slicer.vtkSegmentation
        for event, slot in (
            (kind.SegmentAdded, self._add_missing),
            (kind.SegmentRemoved, self._remove_gone),
            (kind.SegmentModified, self._rename),
        ):
            self._tags.append(node.AddObserver(event, lambda *_, slot=slot: slot(), 10.0))
        self._add_missing()

    def segmentIDs(self) -> list[str]:
        """Return the listed segments from top to bottom."""
        return [self._model.item(row).data(_ID) for row in range(self._model.rowCount())]

    def selectedSegmentIDs(self) -> list[str]:
        """Return the selected segments."""
        listed = self.segmentIDs()
        return [listed[index.row()] for index in self.selectionModel().selectedRows()]

    def setSelectedSegmentIDs(self, segment_ids: list[str]) -> None:
        """Select segments; ids that are not listed are passed over."""
        if self._node is None and segment_ids:
            QtCore.qCritical("setSelectedSegmentIDs failed: segmentation node is not set")
            return
        if segment_ids == self.selectedSegmentIDs():
            return
        flags = QtCore.QItemSelectionModel.SelectionFlag
        listed = self.segmentIDs()
        rows = [listed.index(each) for each in segment_ids if each in listed]
        for place, row in enumerate(rows):
            how = flags.Select if place else flags.ClearAndSelect
            self.selectionModel().select(self._model.index(row, 0), how | flags.Rows)
        if not rows:
            self.selectionModel().clearSelection()

    def _add_missing(self) -> None:
        listed = self.segmentIDs()
        segmentation = self._node.GetSegmentation()
        for place, segment_id in enumerate(segmentation.GetSegmentIDs()):
            if segment_id not in listed:
                item = QtGui.QStandardItem(segmentation.GetSegment(segment_id).GetName())
                item.setData(segment_id, _ID)
                self._model.insertRow(min(place, self._model.rowCount()), item)

    def _remove_gone(self) -> None:
        there = self._node.GetSegmentation().GetSegmentIDs()
        for row in reversed(range(self._model.rowCount())):
            if self._model.item(row).data(_ID) not in there:
                self._model.removeRow(row)

    def _rename(self) -> None:
        segmentation = self._node.GetSegmentation()
        for row, segment_id in enumerate(self.segmentIDs()):
            segment = segmentation.GetSegment(segment_id)
            if segment is not None and self._model.item(row).text() != segment.GetName():
                self._model.item(row).setText(segment.GetName())
