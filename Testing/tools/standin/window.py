"""The main window: the module panel at the left, the views at the right."""

from __future__ import annotations

from typing import Any

import slicer
from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal

from .ctk_collapsible import ctkCollapsibleButton

PANEL_WIDTH = 420
_Policy = QtWidgets.QSizePolicy.Policy


class ModuleSelector(QtWidgets.QToolBar):
    """qSlicerModuleSelectorToolBar: chooses the module whose panel is shown."""

    moduleSelected = Signal(str)

    def __init__(self, modules: Any, show: Any) -> None:
        super().__init__("Modules")
        self._modules = modules
        self._show = show
        self._selected = ""
        self._module: Any = None
        slicer.app.moduleManager().moduleAboutToBeUnloaded.connect(self._forget)
        self._box = QtWidgets.QComboBox()
        self._box.setMinimumWidth(220)
        self.addWidget(QtWidgets.QLabel(" Modules: "))
        self.addWidget(self._box)
        self._box.activated.connect(lambda _: self.selectModule(self._box.currentText))

    selectedModule = Property(str, lambda self: self._selected)

    def _forget(self, name: str) -> None:
        if name == self._selected:
            self._selected, self._module = "", None

    def selectModule(self, name: str) -> None:
        """Show a module: exit() of the old one, enter() of the new one.

        Raises:
            RuntimeError: When there is no such module.
        """
        module = self._modules._by_name.get(name)
        if module is None:
            raise RuntimeError(f"There is no module {name!r}")
        if module is self._module:
            return
        # A test may load a module file again; the one that was there before is gone then.
        if self._module is not None and name != self._selected:
            self._module.exit()
        self._module = module
        self._selected = name
        if self._box.findText(name) < 0:
            self._box.addItem(name)
        self._box.setCurrentText(name)
        self._show(module.widgetRepresentation())
        module.enter()
        self.moduleSelected.emit(name)


class ModulePanel(QtWidgets.QWidget):
    """qSlicerModulePanel: a scroll area that scrolls vertically only, so that it is as wide as its contents want.

    Everything in it has the horizontal size policy Minimum: the size hint of the module's panel is its least width, and
    the dock, and with it the main window, grows to it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("ModulePanel")
        self.setSizePolicy(_Policy.Minimum, _Policy.Preferred)
        layout = QtWidgets.QGridLayout(self)
        layout.setSizeConstraint(QtWidgets.QLayout.SizeConstraint.SetMinimumSize)
        layout.setContentsMargins(0, 0, 0, 0)
        self._scroll_area = QtWidgets.QScrollArea()
        self._scroll_area.setSizePolicy(_Policy.Minimum, _Policy.Expanding)
        self._scroll_area.setFrameShape(QtWidgets.QFrame.Shape.NoFrame)
        self._scroll_area.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._scroll_area.setWidgetResizable(True)
        layout.addWidget(self._scroll_area, 0, 0)
        self._contents = QtWidgets.QWidget()
        self._contents.setSizePolicy(_Policy.Minimum, _Policy.Preferred)
        column = QtWidgets.QVBoxLayout(self._contents)
        column.setSizeConstraint(QtWidgets.QLayout.SizeConstraint.SetMinAndMaxSize)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._help())
        column.addItem(QtWidgets.QSpacerItem(0, 0, _Policy.Minimum, _Policy.MinimumExpanding))
        self._scroll_area.setWidget(self._contents)
        self._module: QtWidgets.QWidget | None = None

    def _help(self) -> QtWidgets.QWidget:
        button = ctkCollapsibleButton("Help && Acknowledgement")
        button.setObjectName("HelpCollapsibleButton")
        button.setCollapsed(True)
        button.setSizePolicy(_Policy.Ignored, _Policy.Fixed)
        QtWidgets.QVBoxLayout(button)
        return button

    def show_module(self, widget: QtWidgets.QWidget) -> None:
        """Replace the module's panel that is shown."""
        column = self._contents.layout()
        if self._module is not None:
            self._module.removeEventFilter(self)
            column.removeWidget(self._module)
            self._module.setVisible(False)
            self._module.setParent(None)
        self._module = widget
        widget.layout().setContentsMargins(0, 0, 0, 0)
        column.insertWidget(1, widget, 1)
        widget.setSizePolicy(_Policy.Minimum, QtWidgets.QWidget.sizePolicy(widget).verticalPolicy())
        widget.setVisible(True)
        widget.installEventFilter(self)
        self.updateGeometry()

    def eventFilter(self, watched: QtCore.QObject, event: QtCore.QEvent) -> bool:
        if event.type() == QtCore.QEvent.Type.Resize:
            self.updateGeometry()
        return False

    def minimumSizeHint(self) -> QtCore.QSize:
        contents = QtWidgets.QWidget.minimumSizeHint(self._contents)
        bar = QtWidgets.QWidget.sizeHint(self._scroll_area.horizontalScrollBar())
        return QtCore.QSize(contents.width() + bar.width(), QtWidgets.QWidget.minimumSizeHint(self).height())


class MainWindow(QtWidgets.QMainWindow):
    """qSlicerMainWindow."""

    def __init__(self, modules: Any, layout_manager: Any) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.setWindowTitle("3D Slicer (stand-in)")
        self._selector = ModuleSelector(modules, self._show_panel)
        self.addToolBar(self._selector)
        self._panel = ModulePanel()
        self.addDockWidget(QtCore.Qt.DockWidgetArea.LeftDockWidgetArea, self._dock())
        self.setCentralWidget(_views(layout_manager))
        self.statusBar()
        self.resize(1280, 860)
        self.set_panel_width(PANEL_WIDTH)

    def _dock(self) -> QtWidgets.QDockWidget:
        dock = QtWidgets.QDockWidget("Module Panel")
        dock.setObjectName("PanelDockWidget")
        contents = QtWidgets.QWidget()
        contents.setSizePolicy(_Policy.Minimum, _Policy.Preferred)
        layout = QtWidgets.QVBoxLayout(contents)
        layout.setSpacing(2)
        layout.setContentsMargins(0, 2, 0, 0)
        layout.addWidget(self._panel)
        dock.setWidget(contents)
        return dock

    def set_panel_width(self, width: int) -> None:
        """Drag the border between the module panel and the views; the panel becomes no narrower than it can be."""
        dock = self.findChild(QtWidgets.QDockWidget, "PanelDockWidget")
        self.resizeDocks([dock], [width], QtCore.Qt.Orientation.Horizontal)

    def moduleSelector(self) -> ModuleSelector:
        """Return the module selector."""
        return self._selector

    def _show_panel(self, widget: QtWidgets.QWidget) -> None:
        self._panel.show_module(widget)


def _views(layout_manager: Any) -> QtWidgets.QWidget:
    """Slicer's arrangement "four-up with plot": red, 3D / yellow, green / the plot below while there is a chart."""
    widget = QtWidgets.QWidget()
    grid = QtWidgets.QGridLayout(widget)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setSpacing(3)
    grid.addWidget(layout_manager.sliceWidget("Red"), 0, 0)
    grid.addWidget(layout_manager.threeDWidget(0), 0, 1)
    grid.addWidget(layout_manager.sliceWidget("Green"), 1, 0)
    grid.addWidget(layout_manager.sliceWidget("Yellow"), 1, 1)
    plot = layout_manager.plotWidget(0)
    grid.addWidget(plot, 2, 0, 1, 2)
    grid.setRowStretch(0, 3)
    grid.setRowStretch(1, 3)

    def show_plot(*_: Any) -> None:
        has_chart = plot.mrmlPlotViewNode().GetPlotChartNodeID() is not None
        plot.setVisible(has_chart)
        grid.setRowStretch(2, 2 if has_chart else 0)

    plot.mrmlPlotViewNode().AddObserver("ModifiedEvent", show_plot)
    show_plot()
    return widget
