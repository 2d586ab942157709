"""slicer.app: the QApplication with what Slicer adds to it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import slicer
from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Signal

from .module_registry import ModuleManager, Modules
from .scene_io import CoreIOManager


class CommandOptions:
    """slicer.app.commandOptions()."""

    def __init__(self) -> None:
        self.noMainWindow = False
        self.testingEnabled = False
        self.pythonScript = ""


class qSlicerApplication(QtWidgets.QApplication):
    """The application object that scripted modules see as slicer.app."""

    startupCompleted = Signal()
    mrmlSceneSignal = Signal(object)
    cpp_signals: ClassVar[dict[str, str]] = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneSignal"}

    def __init__(self) -> None:
        super().__init__(["Slicer"])
        self.setApplicationName("Slicer")
        self.setOrganizationName("NA-MIC")
        self.setApplicationVersion("5.13.0")
        self._folder = tempfile.TemporaryDirectory(prefix="standin-")
        self._testing = False
        self._modules = Modules()
        self._module_manager = ModuleManager(self._modules)
        self._io_manager = CoreIOManager()
        self._options = CommandOptions()
        self._application_logic: Any = None
        self._layout_manager: Any = None
        self._io_logics: tuple[Any, ...] = ()
        self._settings: QtCore.QSettings | None = None

    majorVersion = property(lambda self: 5)
    minorVersion = property(lambda self: 13)
    patchVersion = property(lambda self: 0)
    revision = property(lambda self: "standin")
    repositoryRevision = property(lambda self: "standin")
    slicerHome = property(lambda self: self._subfolder("home"))
    temporaryPath = property(lambda self: self._subfolder("tmp"))
    cachePath = property(lambda self: self._subfolder("cache"))
    slicerUserSettingsFilePath = property(lambda self: self.settings().fileName())
    documentationBaseUrl = property(lambda self: "https://slicer.readthedocs.io/en/latest/")

    def _subfolder(self, name: str) -> str:
        path = Path(self._folder.name) / name
        path.mkdir(exist_ok=True)
        return str(path)

    def applicationLogic(self) -> Any:
        """Return the vtkSlicerApplicationLogic."""
        return self._application_logic

    def mrmlScene(self) -> Any:
        """Return the scene."""
        return slicer.mrmlScene

    def layoutManager(self) -> Any:
        """Return the layout manager."""
        return self._layout_manager

    def moduleManager(self) -> ModuleManager:
        """Return the module manager."""
        return self._module_manager

    def coreIOManager(self) -> CoreIOManager:
        """Return the reader and writer of nodes."""
        return self._io_manager

    ioManager = coreIOManager

    def commandOptions(self) -> CommandOptions:
        """Return the options of the command line."""
        return self._options

    def settings(self) -> QtCore.QSettings:
        """Return the user's settings, which lie in a temporary file."""
        if self._settings is None:
            self._settings = QtCore.QSettings()
        return self._settings

    userSettings = revisionUserSettings = settings

    def testingEnabled(self) -> bool:
        """Return whether the application was started with --testing."""
        return self._testing

    def pauseRender(self) -> None:
        """Stop rendering until `resumeRender`; the views here render on demand only."""

    def resumeRender(self) -> None:
        """Go on rendering."""

    def startupEnvironment(self) -> dict[str, str]:
        """Return the environment without Slicer's own variables."""
        return dict(os.environ)

    def translate(self, context: str, text: str) -> str:
        """Return the text in the application's language, which is English."""
        return text

    def moduleDocumentationUrl(self, name: str) -> str:
        """Return the address of a module's page."""
        return f"{self.documentationBaseUrl}user_guide/modules/{name.lower()}.html"
