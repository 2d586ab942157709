"""The main window: the module panel at the left, the views at the right."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal

PANEL_WIDTH = 420


class ModuleSelector(QtWidgets.QToolBar):
    """qSlicerModuleSelectorToolBar: chooses the module whose panel is shown."""

    moduleSelected = Signal(str)

    def __init__(self, modules: Any, show: Any) -> None:
        super().__init__("Modules")
        self._modules = modules
        self._show = show
        self._selected = ""
        self._box = QtWidgets.QComboBox()
        self._box.setMinimumWidth(220)
        self.addWidget(QtWidgets.QLabel(" Modules: "))
        self.addWidget(self._box)
        self._box.activated.connect(lambda _: self.selectModule(self._box.currentText))

    selectedModule = Property(str, lambda self: self._selected)

    def selectModule(self, name: str) -> None:
        """Show a module: exit() of the old one, enter() of the new one.

        Raises:
            RuntimeError: When there is no such module.
        """
        module = self._modules._by_name.get(name)
        if module is None:
            raise RuntimeError(f"There is no module {name!r}")
        if name == self._selected:
            return
        if self._selected:
            self._modules._by_name[self._selected].exit()
        self._selected = name
        if self._box.findText(name) < 0:
            self._box.addItem(name)
        self._box.setCurrentText(name)
        self._show(module.widgetRepresentation())
        module.enter()
        self.moduleSelected.emit(name)


class MainWindow(QtWidgets.QMainWindow):
    """qSlicerMainWindow."""

    def __init__(self, modules: Any, layout_manager: Any) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.setWindowTitle("3D Slicer (stand-in)")
        self._selector = ModuleSelector(modules, self._show_panel)
        self.addToolBar(self._selector)
        self._panel = QtWidgets.QScrollArea()
        self._panel.setWidgetResizable(True)
        self.set_panel_width(PANEL_WIDTH)
        self._panel.setHorizontalScrollBarPolicy(QtCore.Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._stack = QtWidgets.QStackedWidget()
        self._panel.setWidget(self._stack)
        centre = QtWidgets.QWidget()
        layout = QtWidgets.QHBoxLayout(centre)
        layout.setContentsMargins(2, 2, 2, 2)
        layout.addWidget(self._panel)
        layout.addWidget(_views(layout_manager), 1)
        self.setCentralWidget(centre)
        self.statusBar()
        self.resize(1280, 860)

    def set_panel_width(self, width: int) -> None:
        """Drag the border between the module panel and the views; the panel becomes no narrower than it can be."""
        self._panel.setFixedWidth(width)

    def moduleSelector(self) -> ModuleSelector:
        """Return the module selector."""
        return self._selector

    def _show_panel(self, widget: QtWidgets.QWidget) -> None:
        if self._stack.indexOf(widget) < 0:
            self._stack.addWidget(widget)
        self._stack.setCurrentWidget(widget)


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
