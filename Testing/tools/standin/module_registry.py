"""slicer.modules: the application's own modules with their real logics, and the module manager."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import slicer
from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Signal

# module name -> logic class of the wheel
_CORE_LOGICS = {
    "Colors": "vtkSlicerColorLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Models": "vtkSlicerModelsLogic",
    "Plots": "vtkSlicerPlotsLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "Units": "vtkSlicerUnitsLogic",
    "Volumes": "vtkSlicerVolumesLogic",
}
_SHARE = Path(__file__).parent / "share"
_WITHOUT_LOGIC = ("Data", "SegmentEditor", "Welcome")


class CoreModule:
    """One of the application's own modules: a name and a logic, with an empty panel."""

    def __init__(self, name: str, logic: Any) -> None:
        self.name = self.title = name
        self.path = ""
        self._logic = logic
        self._widget: QtWidgets.QWidget | None = None

    def logic(self) -> Any:
        """Return the module's VTK logic or None."""
        return self._logic

    def widgetRepresentation(self) -> QtWidgets.QWidget:
        """Return the module's panel."""
        if self._widget is None:
            self._widget = QtWidgets.QWidget()
            QtWidgets.QVBoxLayout(self._widget).addWidget(QtWidgets.QLabel(f"{self.name} (part of 3D Slicer)"))
        return self._widget

    def enter(self) -> None:
        """Nothing happens when a module of the application is shown."""

    def exit(self) -> None:
        """Nothing happens when a module of the application is left."""


class Modules:
    """The object behind `slicer.modules`: attributes with the modules' names in lower case."""

    def __init__(self) -> None:
        self._by_name: dict[str, Any] = {}

    def _register(self, name: str, module: Any) -> None:
        self._by_name[name] = module
        setattr(self, name.lower(), module)

    def _forget(self, name: str) -> None:
        self._by_name.pop(name, None)
        vars(self).pop(name.lower(), None)


class ModuleManager(QtCore.QObject):
    """slicer.app.moduleManager()."""

    moduleLoaded = Signal(str)
    moduleAboutToBeUnloaded = Signal(str)
    cpp_signals: ClassVar[dict[str, str]] = {
        "moduleLoaded(QString)": "moduleLoaded",
        "moduleAboutToBeUnloaded(QString)": "moduleAboutToBeUnloaded",
    }

    def __init__(self, modules: Modules) -> None:
        super().__init__()
        self._modules = modules

    def module(self, name: str) -> Any:
        """Return a module or None."""
        return self._modules._by_name.get(name)

    def modulesNames(self) -> tuple[str, ...]:
        """Return the names of all modules."""
        return tuple(self._modules._by_name)


def register_core_modules(modules: Modules, application_logic: Any, scene: Any) -> None:
    """Create the real logics and put them under slicer.modules."""
    for name, class_name in _CORE_LOGICS.items():
        logic = getattr(slicer, class_name)()
        if isinstance(logic, slicer.vtkSlicerModuleLogic):
            logic.SetModuleShareDirectory(str(_SHARE))
        logic.SetMRMLApplicationLogic(application_logic)
        logic.SetMRMLScene(scene)
        application_logic.SetModuleLogic(name, logic)
        modules._register(name, CoreModule(name, logic))
    for name in _WITHOUT_LOGIC:
        modules._register(name, CoreModule(name, None))
