"""qMRMLTableView: the cells of a vtkMRMLTableNode."""

from __future__ import annotations

from typing import Any, ClassVar

from PySide6 import QtWidgets
from PySide6.QtCore import Signal


class qMRMLTableView(QtWidgets.QTableWidget):
    """A table that follows a MRML table node."""

    selectionSignal = Signal()
    sceneSignal = Signal(object)
    cpp_signals: ClassVar[dict[str, str]] = {
        "mrmlSceneChanged(vtkMRMLScene*)": "sceneSignal",
        "selectionChanged()": "selectionSignal",
    }
    cpp_slots = ("setMRMLScene(vtkMRMLScene*)", "setMRMLTableNode(vtkMRMLNode*)")

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._node: Any = None
        self._tag = 0
        self._scene: Any = None
        self.itemSelectionChanged.connect(self.selectionSignal.emit)

    def setMRMLScene(self, scene: Any) -> None:
        """Use another scene."""
        self._scene = scene
        self.sceneSignal.emit(scene)

    def mrmlScene(self) -> Any:
        """Return the scene."""
        return self._scene

    def mrmlTableNode(self) -> Any:
        """Return the table node or None."""
        return self._node

    def setMRMLTableNode(self, node: Any) -> None:
        """Show a table node; None empties the view."""
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
        self._node = node
        if node is not None:
            self._tag = node.AddObserver("ModifiedEvent", lambda *_: self._fill())
        self._fill()

    def _fill(self) -> None:
        table = self._node.GetTable() if self._node is not None else None
        columns = table.GetNumberOfColumns() if table is not None else 0
        rows = table.GetNumberOfRows() if table is not None else 0
        self.setRowCount(rows)
        self.setColumnCount(columns)
        for column in range(columns):
            name = table.GetColumnName(column)
            self.setHorizontalHeaderItem(column, QtWidgets.QTableWidgetItem(name))
            for row in range(rows):
                text = table.GetValue(row, column).ToString()
                self.setItem(row, column, QtWidgets.QTableWidgetItem(text))
