"""The view layout while a curve is looked at, and the one from before afterwards."""

from __future__ import annotations

from typing import Any

import slicer
import vtk


class PlotLayout:
    """Changes to a layout with a plot view, and back.

    Slicer's layouts with a plot may have no 3D view, which the review of a segmentation needs. A layout that the user
    chooses himself meanwhile stays.
    """

    def __init__(self) -> None:
        self._before: int | None = None
        self._ours = 0
        self._observed: tuple[Any, int] | None = None

    def show(self, chart: Any) -> None:
        """Show a plot chart MRML node in a layout that has a plot view."""
        layout_node = self._layout_node()
        before = None if layout_node is None else layout_node.GetViewArrangement()
        slicer.modules.plots.logic().ShowChartInLayout(chart)
        if layout_node is None or layout_node.GetViewArrangement() == before:
            return
        self._forget()
        self._before, self._ours = before, layout_node.GetViewArrangement()
        tag = layout_node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._on_layout_modified)
        self._observed = layout_node, tag

    def restore(self) -> None:
        """Go back to the layout from before `show`, unless the user has chosen another one since."""
        before, layout_node = self._before, self._layout_node()
        self._forget()
        if before is not None and layout_node is not None:
            layout_node.SetViewArrangement(before)

    def _on_layout_modified(self, layout_node: Any, _event: str) -> None:
        if layout_node.GetViewArrangement() != self._ours:
            self._forget()

    def _forget(self) -> None:
        if self._observed is not None:
            layout_node, tag = self._observed
            layout_node.RemoveObserver(tag)
        self._before = self._observed = None

    @staticmethod
    def _layout_node() -> Any:
        # There is neither without a main window.
        manager = slicer.app.layoutManager()
        logic = manager.layoutLogic() if manager is not None else None
        return logic.GetLayoutNode() if logic is not None else None
