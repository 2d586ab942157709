"""The loss curve of a job as tables, plot series and a plot chart of the MRML scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util import numpy_support

# MRML nodes of a curve are found again by these attributes: after a module reload, and by a second widget.
JOB_ATTRIBUTE = "LNSegFMFineTune.Job"
ROLE_ATTRIBUTE = "LNSegFMFineTune.Role"


_Ranges = tuple[tuple[float, float], tuple[float, float]]


class LossCurve:
    """The curve of one job; its MRML nodes are made on demand, hidden, and not saved with the scene.

    Args:
        job_id: The job; a second object for it uses the same MRML nodes.
    """

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self._shown: tuple[Any, ...] = ()
        self._was_plotted = False
        self._fitted: _Ranges | None = None  # of the axes, when they were last fitted

    def update(self, rows: Sequence[dict[str, Any]]) -> None:
        """Make the tables hold these rows, and nothing else.

        Args:
            rows: What `lnsegfm.jobs.job_store.Job.progress` returns.
        """
        # A resumed job repeats iterations, so the same number of rows may have another end.
        state = (len(rows), rows[-1]["iteration"], rows[-1].get("loss")) if rows else (0,)
        if self.exists:
            self._was_plotted = self.is_plotted
            if state == self._shown:
                return
        # Iterations that were skipped have no loss.
        measured = [row for row in rows if row.get("loss") is not None]
        scored = [row for row in rows if row.get("pseudo_dice") is not None]
        chart = self.chart
        self._plot(chart, "loss", _("Loss"), measured, (0.20, 0.45, 0.80))
        self._plot(chart, "pseudo_dice", _("Pseudo-Dice"), scored, (0.90, 0.55, 0.10))
        self._shown = state
        if self._was_plotted and not self.is_plotted:  # its MRML nodes went with the scene
            self._plot_again()
        self._fit_axes(chart)

    @property
    def was_plotted(self) -> bool:
        """Whether a plot view had this curve at the last update at which its MRML nodes were there."""
        return self._was_plotted

    @property
    def is_plotted(self) -> bool:
        """Whether a plot view has this curve; the layout may hide that view."""
        chart = self._find("vtkMRMLPlotChartNode", "chart")
        views = slicer.util.getNodesByClass("vtkMRMLPlotViewNode")
        return chart is not None and any(view.GetPlotChartNodeID() == chart.GetID() for view in views)

    def _plot_again(self) -> None:
        # Without a change of the layout, which is the user's by now.
        logic = slicer.app.applicationLogic()
        logic.GetSelectionNode().SetActivePlotChartID(self.chart.GetID())
        logic.PropagatePlotChartSelection()

    def _fit_axes(self, chart: Any) -> None:
        """Let the axes grow with the curve: a plot view fits them by itself only when a line is added."""
        manager, fitted = slicer.app.layoutManager(), self._fitted
        if manager is None or (fitted is not None and not _covers(_ranges_of(chart), fitted)):
            return  # somebody has zoomed in
        for index in range(manager.plotViewCount):
            widget = manager.plotWidget(index)
            node = widget.mrmlPlotViewNode()
            if node is not None and node.GetPlotChartNodeID() == chart.GetID():
                widget.plotView().fitToContent()
                self._fitted = _ranges_of(chart)

    @property
    def exists(self) -> bool:
        """Whether the scene has this curve."""
        return self._find("vtkMRMLPlotChartNode", "chart") is not None

    @property
    def chart(self) -> Any:
        """The plot chart MRML node, made when there is none."""
        chart = self._find("vtkMRMLPlotChartNode", "chart")
        if chart is None:
            chart = self._add("vtkMRMLPlotChartNode", "chart", _("{job} curve").format(job=self.job_id))
            chart.SetTitle(_("Fine-tuning, {job}").format(job=self.job_id))
            chart.SetXAxisTitle(_("Iteration"))
            chart.SetYAxisTitle(_("Loss and pseudo-Dice"))
        return chart

    def table(self, role: str) -> Any:
        """Return the table MRML node of ``loss`` or ``pseudo_dice``; None when there is none yet."""
        return self._find("vtkMRMLTableNode", role)

    def _plot(
        self, chart: Any, role: str, title: str, rows: Sequence[dict[str, Any]], color: tuple[float, float, float]
    ) -> None:
        if not rows and self.table(role) is None:
            return
        table = self.table(role) or self._add("vtkMRMLTableNode", role, f"{self.job_id} {title}")
        series = self._find("vtkMRMLPlotSeriesNode", role)
        if series is None:
            series = self._add("vtkMRMLPlotSeriesNode", role, title)
            series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
            series.SetColor(*color)
            series.SetLineWidth(2)
            few = role == "pseudo_dice"
            markers = slicer.vtkMRMLPlotSeriesNode
            series.SetMarkerStyle(markers.MarkerStyleCircle if few else markers.MarkerStyleNone)
        _fill(table, title, rows, role)
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName(_("Iteration"))
        series.SetYColumnName(title)
        # VTK reports an error at each rendering of a line with fewer points than two.
        is_line, is_drawn = len(rows) > 1, chart.HasPlotSeriesNodeID(series.GetID())
        if is_line and not is_drawn:
            chart.AddAndObservePlotSeriesNodeID(series.GetID())
        elif is_drawn and not is_line:
            chart.RemovePlotSeriesNodeID(series.GetID())

    def _find(self, class_name: str, role: str) -> Any:
        for node in slicer.util.getNodesByClass(class_name):
            if node.GetAttribute(JOB_ATTRIBUTE) == self.job_id and node.GetAttribute(ROLE_ATTRIBUTE) == role:
                return node
        return None

    def _add(self, class_name: str, role: str, name: str) -> Any:
        node = slicer.mrmlScene.CreateNodeByClass(class_name)
        node.UnRegister(None)  # CreateNodeByClass counts a reference that Python does not know of
        node.SetName(slicer.mrmlScene.GenerateUniqueName(name))
        node.SetAttribute(JOB_ATTRIBUTE, self.job_id)
        node.SetAttribute(ROLE_ATTRIBUTE, role)
        node.SetHideFromEditors(True)
        node.SetSaveWithScene(False)
        return slicer.mrmlScene.AddNode(node)


def _ranges_of(chart: Any) -> _Ranges:
    return chart.GetXAxisRange(), chart.GetYAxisRange()


def _covers(ranges: _Ranges, others: _Ranges) -> bool:
    return all(low <= other[0] and other[1] <= high for (low, high), other in zip(ranges, others))


def _fill(table: Any, title: str, rows: Sequence[dict[str, Any]], role: str) -> None:
    count = len(rows)
    filled = vtk.vtkTable()
    for name, key in ((_("Iteration"), "iteration"), (title, role)):
        values = np.fromiter((_number(row[key]) for row in rows), np.float64, count)
        column = numpy_support.numpy_to_vtk(values, deep=True)
        column.SetName(name)
        filled.AddColumn(column)
    table.SetAndObserveTable(filled)


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
