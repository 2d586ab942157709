"""slicer.app.layoutManager(): the views of the standard layout."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from PySide6 import QtCore
from PySide6.QtCore import Property, Signal

from .plot_views import PlotWidget, TableWidget
from .views import SliceWidget, ThreeDWidget

# name -> orientation and the colour of its bar in Slicer
SLICE_VIEWS = {
    "Red": ("Axial", (0.953, 0.290, 0.200)),
    "Yellow": ("Sagittal", (0.929, 0.835, 0.298)),
    "Green": ("Coronal", (0.431, 0.690, 0.294)),
}


class LayoutManager(QtCore.QObject):
    """Three slice views, one 3D view, one plot and one table view; all exist in every layout."""

    layoutChanged = Signal(int)

    def __init__(self, application_logic: Any, scene: Any) -> None:
        super().__init__()
        self._application_logic = application_logic
        application_logic.SetSliceLogics(vtk.vtkCollection())
        application_logic.SetViewLogics(vtk.vtkCollection())
        self._slices = {
            name: SliceWidget(name, orientation, colour, application_logic, scene)
            for name, (orientation, colour) in SLICE_VIEWS.items()
        }
        self._three_d = ThreeDWidget("1", application_logic, scene)
        self._plot = PlotWidget.for_layout(scene)
        self._table = TableWidget(scene)
        # After the views: it takes the view nodes that are there, while the view logics insist on adding their own.
        self._layout_logic = slicer.vtkMRMLLayoutLogic()
        self._layout_logic.SetMRMLScene(scene)

    threeDViewCount = Property(int, lambda self: 1)
    plotViewCount = Property(int, lambda self: 1)
    tableViewCount = Property(int, lambda self: 1)

    def sliceViewNames(self) -> tuple[str, ...]:
        """Return the names of the slice views."""
        return tuple(self._slices)

    def sliceWidget(self, name: str) -> SliceWidget | None:
        """Return a slice view with its controller, or None."""
        return self._slices.get(name)

    def threeDWidget(self, index: int) -> ThreeDWidget | None:
        """Return a 3D view, or None."""
        return self._three_d if index == 0 else None

    def plotWidget(self, index: int) -> PlotWidget | None:
        """Return a plot view, or None."""
        return self._plot if index == 0 else None

    def tableWidget(self, index: int) -> TableWidget | None:
        """Return a table view, or None."""
        return self._table if index == 0 else None

    def mrmlSliceLogics(self) -> Any:
        """Return the vtkCollection of slice logics."""
        return self._application_logic.GetSliceLogics()

    def layoutLogic(self) -> Any:
        """Return the vtkMRMLLayoutLogic."""
        return self._layout_logic

    def setLayout(self, layout: int) -> None:
        """Choose a view arrangement (vtkMRMLLayoutNode.SlicerLayout...View)."""
        self._layout_logic.GetLayoutNode().SetViewArrangement(layout)
        self.layoutChanged.emit(layout)

    layout = Property(int, lambda self: self._layout_logic.GetLayoutNode().GetViewArrangement(), setLayout)

    def resetSliceViews(self) -> None:
        """Fit all slice views to their background."""
        for widget in self._slices.values():
            widget.sliceLogic().FitSliceToBackground()

    def resetThreeDViews(self) -> None:
        """Centre the 3D view on its contents."""
        self._three_d.threeDView().resetFocalPoint()
