"""Offscreen VTK pipelines of the views, built from Slicer's own displayable managers."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import slicer
import vtk
from PySide6 import QtGui
from vtkmodules.util.numpy_support import vtk_to_numpy

_SLICE_MANAGERS = (
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
)
_THREE_D_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
)


class _OffscreenWindow:
    """A vtkRenderWindow without a window, and its picture as a QImage."""

    def __init__(self) -> None:
        if not os.environ.get("DISPLAY"):
            os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
        self.window = vtk.vtkRenderWindow()
        self.window.SetOffScreenRendering(True)
        self.window.SetMultiSamples(0)
        self.window.SetSize(320, 240)
        self.renderer = vtk.vtkRenderer()
        self.window.AddRenderer(self.renderer)

    def picture(self, width: int, height: int) -> QtGui.QImage:
        """Render in this size (pixels)."""
        self.window.SetSize(max(width, 1), max(height, 1))
        self.window.Render()
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(self.window)
        grabber.ReadFrontBufferOff()
        grabber.Update()
        data = grabber.GetOutput()
        columns, rows, _ = data.GetDimensions()
        pixels = vtk_to_numpy(data.GetPointData().GetScalars()).reshape(rows, columns, 3)[::-1].copy()
        return QtGui.QImage(pixels.data, columns, rows, 3 * columns, QtGui.QImage.Format.Format_RGB888).copy()


class _MRMLWindow(_OffscreenWindow):
    """A window whose contents Slicer's displayable managers make."""

    def __init__(
        self, factory: Any, managers: tuple[str, ...], application_logic: Any, changed: Callable[[], None]
    ) -> None:
        super().__init__()
        # The managers listen to an interactor; it is never started.
        self.interactor = vtk.vtkGenericRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.interactor.Initialize()
        factory.SetMRMLApplicationLogic(application_logic)
        for name in managers:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self.group = slicer.vtkMRMLDisplayableManagerGroup()
        self.group.Initialize(factory, self.renderer)
        self.group.AddObserver(vtk.vtkCommand.UpdateEvent, lambda *_: changed())


class SliceRenderer(_MRMLWindow):
    """The image of a slice logic, with segmentations, models and markups over it."""

    def __init__(self, logic: Any, application_logic: Any, changed: Callable[[], None]) -> None:
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        super().__init__(factory, _SLICE_MANAGERS, application_logic, changed)
        self._logic = logic
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        self._mapper = vtk.vtkImageMapper()
        # The slice logic has applied window and level already: its pixels are colours of 0 to 255.
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._actor = vtk.vtkActor2D()
        self._actor.SetMapper(self._mapper)
        self._actor.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(self._actor)
        self.group.SetMRMLDisplayableNode(logic.GetSliceNode())
        logic.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: changed())

    def render(self, width: int, height: int) -> QtGui.QImage:
        """Return the picture in this size (pixels)."""
        self._logic.ResizeSliceNode(width, height)
        connection = self._logic.GetImageDataConnection()
        self._actor.SetVisibility(connection is not None)
        self._mapper.SetInputConnection(connection)
        return self.picture(width, height)


class ThreeDRenderer(_MRMLWindow):
    """Surfaces of segmentations and models."""

    def __init__(self, node: Any, application_logic: Any, changed: Callable[[], None]) -> None:
        factory = slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance()
        super().__init__(factory, _THREE_D_MANAGERS, application_logic, changed)
        self._node = node
        self.group.SetMRMLDisplayableNode(node)

    def render(self, width: int, height: int) -> QtGui.QImage:
        """Return the picture in this size (pixels)."""
        self.renderer.ResetCameraClippingRange()
        return self.picture(width, height)

    def camera_node(self) -> Any:
        """Return the MRML camera node of the view."""
        return self.group.GetDisplayableManagerByClassName("vtkMRMLCameraDisplayableManager").GetCameraNode()

    def look_at_contents(self) -> bool:
        """Show everything, from the front and a little from above; return whether there is anything to see."""
        was = self._node.GetBoxVisible(), self._node.GetAxisLabelsVisible()
        self._show_box(0, 0)
        camera = self.renderer.GetActiveCamera()
        camera.SetFocalPoint(0, 0, 0)
        camera.SetPosition(150, 500, 150)  # RAS: the patient's face looks to +A
        camera.SetViewUp(0, 0, 1)
        filled = bool(vtk.vtkMath.AreBoundsInitialized(self.renderer.ComputeVisiblePropBounds()))
        if filled:
            self.renderer.ResetCamera()
        self._show_box(*was)
        self._node.InvokeEvent(slicer.vtkMRMLViewNode.ResetFocalPointRequestedEvent)
        return filled

    def turn(self, right: float, down: float) -> None:
        """Turn the camera around the contents by a mouse movement in pixels."""
        camera = self.renderer.GetActiveCamera()
        camera.Azimuth(-0.5 * right)
        camera.Elevation(0.5 * down)
        camera.OrthogonalizeViewUp()

    def _show_box(self, box: int, labels: int) -> None:
        modifying = self._node.StartModify()
        self._node.SetBoxVisible(box)
        self._node.SetAxisLabelsVisible(labels)
        self._node.EndModify(modifying)


class PlotRenderer(_OffscreenWindow):
    """A vtkMRMLPlotChartNode as a VTK chart."""

    def __init__(self) -> None:
        super().__init__()
        self.chart_node: Any = None
        self._scene = vtk.vtkContextScene()
        actor = vtk.vtkContextActor()
        actor.SetScene(self._scene)
        self.renderer.AddActor(actor)
        self.renderer.SetBackground(1, 1, 1)
        self._scene.SetRenderer(self.renderer)
        self.chart = vtk.vtkChartXY()
        self._fitted_to: tuple[Any, ...] = ()

    def render(self, width: int, height: int) -> QtGui.QImage:
        """Return the picture in this size (pixels)."""
        self.follow()
        self._scene.ClearItems()
        if self.chart_node is not None:
            self._scene.AddItem(self.chart)
        return self.picture(width, height)

    def follow(self) -> None:
        """Make the chart that the node says, with the axes as they were as long as it has the same lines."""
        before, node = [self.chart.GetAxis(axis) for axis in (0, 1)], self.chart_node
        self.chart = vtk.vtkChartXY() if node is None else self._chart(node)
        lines = () if node is None else (node, *_series_ids(node))
        if lines == self._fitted_to:
            for axis, old in enumerate(before):
                self.chart.GetAxis(axis).SetBehavior(vtk.vtkAxis.FIXED)
                self.chart.GetAxis(axis).SetRange(old.GetMinimum(), old.GetMaximum())
        else:
            self._fitted_to = lines
            _fit_to_points(self.chart)

    def fit(self) -> None:
        """Let the axes hold all points, and tell the node so."""
        self._fitted_to = ()
        self.follow()
        if self.chart_node is not None:
            self.chart_node.SetXAxisRange(*_range_of(self.chart, 1))
            self.chart_node.SetYAxisRange(*_range_of(self.chart, 0))

    def _chart(self, chart_node: Any) -> Any:
        chart = vtk.vtkChartXY()
        chart.SetTitle(chart_node.GetTitle() or "")
        chart.GetAxis(0).SetTitle(chart_node.GetYAxisTitle() or "")
        chart.GetAxis(1).SetTitle(chart_node.GetXAxisTitle() or "")
        chart.SetShowLegend(bool(chart_node.GetLegendVisibility()))
        for index in range(chart_node.GetNumberOfPlotSeriesNodes()):
            self._add_series(chart, chart_node.GetNthPlotSeriesNode(index))
        return chart

    @staticmethod
    def _add_series(chart: Any, series: Any) -> None:
        table_node = series.GetTableNode()
        table = table_node.GetTable() if table_node is not None else None
        y_name = series.GetYColumnName()
        if table is None or table.GetColumnByName(y_name) is None:
            return
        kind = series.GetPlotType()
        bars = kind in (series.PlotTypeBar, series.PlotTypeScatterBar)
        # As qMRMLPlotView does: a line also where only markers are wanted. It complains of fewer than two points.
        plot = chart.AddPlot(vtk.vtkChart.BAR if bars else vtk.vtkChart.LINE)
        if not bars and series.GetLineStyle() == series.LineStyleNone:
            plot.GetPen().SetLineType(vtk.vtkPen.NO_PEN)
        x_name = series.GetXColumnName()
        plot.SetUseIndexForXSeries(not x_name or kind in (series.PlotTypeLine, series.PlotTypeBar))
        plot.SetInputData(table, x_name or y_name, y_name)
        plot.SetLabel(series.GetName() or "")
        plot.SetColor(*(round(255 * part) for part in series.GetColor()), 255)
        plot.SetWidth(series.GetLineWidth())


def _series_ids(chart_node: Any) -> tuple[str, ...]:
    count = chart_node.GetNumberOfPlotSeriesNodes()
    return tuple(chart_node.GetNthPlotSeriesNode(index).GetID() for index in range(count))


def _fit_to_points(chart: Any) -> None:
    # vtkChartXY.RecalculateBounds does it only for a chart that has been laid out.
    bounds = vtk.vtkBoundingBox()
    for index in range(chart.GetNumberOfPlots()):
        plot, of_plot = chart.GetPlot(index), [0.0] * 4
        plot.Update()
        plot.GetUnscaledInputBounds(of_plot)
        if of_plot[0] <= of_plot[1]:
            bounds.AddBounds([*of_plot, 0.0, 0.0])
    for axis, direction in ((1, 0), (0, 1)):
        if bounds.IsValid():
            chart.GetAxis(axis).SetRange(bounds.GetBound(2 * direction), bounds.GetBound(2 * direction + 1))


def _range_of(chart: Any, axis: int) -> tuple[float, float]:
    return chart.GetAxis(axis).GetMinimum(), chart.GetAxis(axis).GetMaximum()
