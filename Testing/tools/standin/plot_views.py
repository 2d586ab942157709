"""The widgets that draw charts and show table nodes in the layout."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtCore, QtWidgets

from .mrml_widgets import qMRMLWidget
from .renderers import PlotRenderer
from .table_view import qMRMLTableView
from .views import RenderedView, stack_under_bar


class qMRMLPlotView(RenderedView):
    """Draws the chart of a plot view node."""

    cpp_slots = ("setMRMLPlotViewNode(vtkMRMLPlotViewNode*)", "setMRMLScene(vtkMRMLScene*)")

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(lambda changed: PlotRenderer())
        if parent is not None:
            self.setParent(parent)
        self._node: Any = None
        self._scene: Any = None
        # The chart, its series and its tables all may change: in interactive use it is drawn again and again.
        self._clock = QtCore.QTimer(self)
        self._clock.timeout.connect(self.scheduleRender)
        if self.interactive:
            self._clock.start(500)

    def setMRMLScene(self, scene: Any) -> None:
        """Use another scene."""
        self._scene = scene

    def setMRMLPlotViewNode(self, node: Any) -> None:
        """Draw the chart of another plot view node; Python is not told which one it is, see `PlotWidget`."""
        self._node = node
        self.scheduleRender()

    def chart(self) -> Any:
        """Return the vtkChartXY as the view has it now."""
        self._renderer_of_chart().follow()
        return self._renderer_of_chart().chart

    def fitToContent(self) -> None:
        """Show the whole chart. Of itself the view does so when a line is added, not when a table gets more rows."""
        self._renderer_of_chart().fit()
        self.scheduleRender()

    def draw(self) -> None:
        """Render now."""
        self._renderer_of_chart()
        super().draw()

    def _renderer_of_chart(self) -> Any:
        renderer = self.renderer_pipeline()
        renderer.chart_node = self._node.GetPlotChartNode() if self._node is not None else None
        return renderer


class PlotWidget(qMRMLWidget):
    """qMRMLPlotWidget."""

    cpp_slots = (*qMRMLWidget.cpp_slots, "setMRMLPlotViewNode(vtkMRMLPlotViewNode*)")

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._view = qMRMLPlotView()
        self._node: Any = None
        stack_under_bar(self, "Plot", self._view, "#888888")

    @classmethod
    def for_layout(cls, scene: Any) -> PlotWidget:
        """Return the layout's plot view with its node, which is added to the scene."""
        node = slicer.vtkMRMLPlotViewNode()
        node.SetSingletonTag("PlotView1")
        node.SetLayoutName("PlotView1")
        widget = cls()
        widget.setMRMLScene(scene)
        widget.setMRMLPlotViewNode(scene.AddNode(node))
        return widget

    def plotView(self) -> qMRMLPlotView:
        """Return the view itself."""
        return self._view

    def mrmlPlotViewNode(self) -> Any:
        """Return the plot view node."""
        return self._node

    def setMRMLPlotViewNode(self, node: Any) -> None:
        """Draw the chart of another plot view node."""
        self._node = node
        self._view.setMRMLPlotViewNode(node)


class TableWidget(qMRMLWidget):
    """qMRMLTableWidget."""

    def __init__(self, scene: Any) -> None:
        super().__init__()
        self._view = qMRMLTableView()
        self._view.setMRMLScene(scene)
        stack_under_bar(self, "Table", self._view, "#888888")

    def tableView(self) -> qMRMLTableView:
        """Return the view itself."""
        return self._view
