"""Loads scripted modules the way Slicer's module factory does."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtGui, QtWidgets

from .mrml_widgets import qMRMLWidget

_MODULE_PROPERTIES = (
    "title", "categories", "dependencies", "contributors", "helpText", "acknowledgementText", "icon", "hidden", "index",
    "associatedNodeTypes", "widgetRepresentationCreationEnabled",
)  # fmt: skip


class qSlicerScriptedLoadableModule:
    """The `parent` that a module class gets; has the C++ class's properties and no others."""

    __slots__ = (*_MODULE_PROPERTIES, "_logic", "_name", "_path", "_widget")

    def __init__(self, name: str, path: str) -> None:
        self._name = name
        self._path = path
        self._logic: Any = None
        self._widget: qSlicerScriptedLoadableModuleWidget | None = None
        self.title = name
        self.categories: list[str] = []
        self.dependencies: list[str] = []
        self.contributors: list[str] = []
        self.associatedNodeTypes: list[str] = []
        self.helpText = self.acknowledgementText = ""
        self.icon = QtGui.QIcon()
        self.hidden = False
        self.index = -1
        self.widgetRepresentationCreationEnabled = True

    @property
    def name(self) -> str:
        """The module's name."""
        return self._name

    @property
    def path(self) -> str:
        """The path of the module file."""
        return self._path

    def logic(self) -> Any:
        """Return the C++ logic of a scripted module."""
        if self._logic is None:
            self._logic = slicer.vtkSlicerScriptedLoadableModuleLogic()
            self._logic.SetMRMLScene(slicer.mrmlScene)
        return self._logic

    def widgetRepresentation(self) -> qSlicerScriptedLoadableModuleWidget:
        """Return the module's panel, built on the first call."""
        if self._widget is None:
            self._widget = qSlicerScriptedLoadableModuleWidget(self._name)
            self._widget.reload()
        return self._widget

    def createNewWidgetRepresentation(self) -> qSlicerScriptedLoadableModuleWidget:
        """Return another panel of the module, which the caller shows and deletes."""
        widget = qSlicerScriptedLoadableModuleWidget(self._name)
        widget.reload()
        return widget

    def enter(self) -> None:
        """The user has chosen the module."""
        self.widgetRepresentation()._call("enter")

    def exit(self) -> None:
        """The user has left the module."""
        if self._widget is not None:
            self._widget._call("exit")


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """The C++ half of a module's panel; `self()` is the Python half."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(f"{name}Widget")
        self._module_name = name
        self._python: Any = None
        QtWidgets.QVBoxLayout(self)
        self.setMRMLScene(slicer.mrmlScene)

    def self(self) -> Any:
        """Return the module's Python widget."""
        return self._python

    def reload(self) -> None:
        """Make a new Python widget from the module file as it is loaded now, and call its setup()."""
        widget_class = getattr(sys.modules[self._module_name], f"{self._module_name}Widget")
        self._python = widget_class(self)
        setattr(slicer.modules, f"{self._module_name}Widget", self._python)
        self._python.setup()

    def _call(self, name: str) -> None:
        method = getattr(self._python, name, None)
        if method is not None:
            method()


def load(path: str | Path, modules: Any) -> qSlicerScriptedLoadableModule:
    """Load a module file, its folder on sys.path as with --additional-module-paths.

    Raises:
        FileNotFoundError: When there is no such file.
        AttributeError: When the file has no class of its own name.
    """
    file = Path(path).resolve()
    if not file.is_file():
        raise FileNotFoundError(f"There is no module file {file}")
    if str(file.parent) not in sys.path:
        sys.path.insert(0, str(file.parent))
    name = file.stem
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    python_module = importlib.util.module_from_spec(spec)
    sys.modules[name] = python_module
    spec.loader.exec_module(python_module)
    module = qSlicerScriptedLoadableModule(name, str(file))
    setattr(slicer.modules, f"{name}Instance", getattr(python_module, name)(module))
    modules._register(name, module)
    slicer.app.moduleManager().moduleLoaded.emit(name)
    return module
