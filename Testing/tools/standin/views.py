"""The view widgets: MRML view nodes and logics, drawn by VTK without a window when a picture is wanted."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtCore, QtGui, QtWidgets

from .mrml_widgets import qMRMLWidget
from .renderers import SliceRenderer, ThreeDRenderer


class RenderedView(QtWidgets.QWidget):
    """A widget that shows the last rendered picture; renders when asked, and in interactive use when it is painted."""

    interactive = False

    def __init__(self, make_renderer: Any) -> None:
        super().__init__()
        self._make_renderer = make_renderer
        self._renderer: Any = None
        self._image = QtGui.QImage()
        self._outdated = True
        self.setMinimumSize(160, 120)

    def renderer_pipeline(self) -> Any:
        """Return the VTK side, created on first use since that takes graphics memory and time."""
        if self._renderer is None:
            self._renderer = self._make_renderer(self.scheduleRender)
        return self._renderer

    def renderWindow(self) -> Any:
        """Return the vtkRenderWindow."""
        return self.renderer_pipeline().window

    def scheduleRender(self) -> None:
        """Render before the next picture."""
        self._outdated = True
        self.update()

    forceRender = scheduleRender  # the picture is made when somebody looks

    def draw(self) -> None:
        """Render now."""
        self._image = self.renderer_pipeline().render(self.width, self.height)
        self._outdated = False
        self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        if self._outdated and type(self).interactive:
            self.draw()
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect, QtGui.QColor(0, 0, 0))
        if not self._image.isNull():
            painter.drawImage(self.rect, self._image)


class SliceView(RenderedView):
    """qMRMLSliceView."""

    def __init__(self, logic: Any, application_logic: Any) -> None:
        super().__init__(lambda changed: SliceRenderer(logic, application_logic, changed))
        self._logic = logic

    def mrmlSliceNode(self) -> Any:
        """Return the slice node."""
        return self._logic.GetSliceNode()

    def resizeEvent(self, event: QtGui.QResizeEvent) -> None:
        self._logic.ResizeSliceNode(self.width, self.height)
        self.scheduleRender()

    def wheelEvent(self, event: QtGui.QWheelEvent) -> None:
        step = self._logic.GetLowestVolumeSliceSpacing()[2]
        self._logic.SetSliceOffset(self._logic.GetSliceOffset() + (step if event.angleDelta().y() > 0 else -step))
        self.scheduleRender()


class SliceWidget(qMRMLWidget):
    """qMRMLSliceWidget: a coloured bar with the view's name over the slice view."""

    def __init__(
        self, name: str, orientation: str, colour: tuple[float, float, float], application_logic: Any, scene: Any
    ) -> None:
        super().__init__()
        self._slice_logic = slicer.vtkMRMLSliceLogic()
        self._slice_logic.SetMRMLApplicationLogic(application_logic)
        self._slice_logic.SetMRMLScene(scene)
        node = self._slice_logic.AddSliceNode(name)
        node.SetOrientation(orientation)
        node.SetLayoutColor(*colour)
        application_logic.GetSliceLogics().AddItem(self._slice_logic)
        self._view = SliceView(self._slice_logic, application_logic)
        self.setMRMLScene(scene)
        stack_under_bar(self, f"{name[0]}  {orientation}", self._view, QtGui.QColor.fromRgbF(*colour).name())

    def sliceLogic(self) -> Any:
        """Return the vtkMRMLSliceLogic."""
        return self._slice_logic

    def mrmlSliceNode(self) -> Any:
        """Return the slice node."""
        return self._slice_logic.GetSliceNode()

    def mrmlSliceCompositeNode(self) -> Any:
        """Return the node that says which volumes are shown."""
        return self._slice_logic.GetSliceCompositeNode()

    def sliceView(self) -> SliceView:
        """Return the view itself."""
        return self._view

    def fitSliceToBackground(self) -> None:
        """Show the whole background volume."""
        self._slice_logic.FitSliceToBackground()


class ThreeDView(RenderedView):
    """qMRMLThreeDView."""

    def __init__(self, logic: Any, node: Any, application_logic: Any) -> None:
        super().__init__(lambda changed: ThreeDRenderer(node, application_logic, changed))
        self._logic = logic
        self._node = node
        self._reset_wanted = True
        self._drag: QtCore.QPointF | None = None

    def mrmlViewNode(self) -> Any:
        """Return the view node."""
        return self._node

    def resetFocalPoint(self) -> None:
        """Centre the view on its contents, at the next rendering."""
        self._reset_wanted = True
        self.scheduleRender()

    resetCamera = resetFocalPoint

    def cameraNode(self) -> Any:
        """Return the camera's MRML node."""
        return self.renderer_pipeline().camera_node()

    def draw(self) -> None:
        if self._reset_wanted:
            # An empty view is centred when it gets its first contents.
            self._reset_wanted = not self.renderer_pipeline().look_at_contents()
        super().draw()

    def mouseMoveEvent(self, event: QtGui.QMouseEvent) -> None:
        if self._drag is not None:
            moved = event.position() - self._drag
            self.renderer_pipeline().turn(moved.x(), moved.y())
            self.scheduleRender()
        self._drag = event.position()

    def mouseReleaseEvent(self, event: QtGui.QMouseEvent) -> None:
        self._drag = None


class ThreeDWidget(qMRMLWidget):
    """qMRMLThreeDWidget."""

    def __init__(self, name: str, application_logic: Any, scene: Any) -> None:
        super().__init__()
        self._view_logic = slicer.vtkMRMLViewLogic()
        self._view_logic.SetMRMLApplicationLogic(application_logic)
        self._view_logic.SetMRMLScene(scene)
        node = self._view_logic.AddViewNode(name)
        application_logic.GetViewLogics().AddItem(self._view_logic)
        self._view = ThreeDView(self._view_logic, node, application_logic)
        self.setMRMLScene(scene)
        stack_under_bar(self, "3D", self._view, "#7483c4")

    def threeDView(self) -> ThreeDView:
        """Return the view itself."""
        return self._view

    def mrmlViewNode(self) -> Any:
        """Return the view node."""
        return self._view.mrmlViewNode()

    def viewLogic(self) -> Any:
        """Return the vtkMRMLViewLogic."""
        return self._view_logic


def stack_under_bar(widget: QtWidgets.QWidget, title: str, view: QtWidgets.QWidget, colour: str) -> None:
    """Lay a view out under a coloured bar with its title."""
    layout = QtWidgets.QVBoxLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(0)
    bar = QtWidgets.QLabel(title)
    bar.setStyleSheet(f"background: {colour}; color: white; padding: 2px 6px;")
    layout.addWidget(bar)
    layout.addWidget(view, 1)
