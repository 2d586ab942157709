"""The stand-in as a test sees it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtCore, QtWidgets

from . import actions, module_loader, scene_io
from .application import qSlicerApplication
from .dialogs import DialogRecorder
from .failures import failures
from .layout_manager import LayoutManager
from .messages import messages
from .module_registry import register_core_modules
from .views import RenderedView
from .window import MainWindow


class App:
    """The running application, and what a user can do with it.

    Attributes:
        application: slicer.app.
        window: The main window.
    """

    def __init__(self, application: qSlicerApplication, dialogs: DialogRecorder) -> None:
        self.application = application
        self._dialogs = dialogs
        scene = slicer.mrmlScene
        logic = slicer.vtkSlicerApplicationLogic()
        _prepare_scene(scene, logic, application)
        application._application_logic = logic
        register_core_modules(application._modules, logic, scene)
        application._layout_manager = LayoutManager(logic, scene)
        self.window = MainWindow(application._modules, application._layout_manager)
        self.window.show()
        application.startupCompleted.emit()

    @property
    def dialogs(self) -> list[tuple[str, str]]:
        """(kind, text) of the dialogs shown so far; clear it when you like."""
        return self._dialogs.shown

    @property
    def answers(self) -> Any:
        """Queue (deque) of what the user answers to the next questions."""
        return self._dialogs.answers

    def check(self) -> None:
        """Raise what escaped from slots, timers and observers, and what was logged as an error (CallbackFailed)."""
        failures.check()

    def expected_message(self, pattern: str) -> AbstractContextManager[list[str]]:
        """Expect errors or warnings in the log that match a regular expression; any other fails the next `check`.

        AssertionError at the end when none came.
        """
        return messages.expected(pattern)

    def process_events(self, seconds: float = 0.0) -> None:
        """Run the event loop once, or for a while, then `check`."""
        if seconds:
            end = QtCore.QElapsedTimer()
            end.start()
            self.wait_until(lambda: end.elapsed() >= 1000 * seconds, seconds + 10, "the time to pass")
            return
        QtWidgets.QApplication.processEvents()
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete.value)
        self.check()

    def wait_until(self, condition: Callable[[], Any], timeout_s: float, what: str) -> None:
        """Run the event loop until the condition holds; TimeoutError after timeout_s seconds."""
        actions.wait_until(condition, timeout_s, what, self.check)

    def load_module(self, path: str | Path) -> Any:
        """Load a module file, show its panel and return its Python widget."""
        module = module_loader.load(path, self.application._modules)
        self.select_module(module.name)
        return module.widgetRepresentation().self()

    def select_module(self, name: str) -> None:
        """Switch to a module, as with the module selector."""
        slicer.util.selectModule(name)
        self.process_events()

    def reload_module(self, name: str) -> Any:
        """Press the module's Reload button; return the new Python widget."""
        slicer.util.getModuleWidget(name).onReload()
        self.process_events()
        return slicer.util.getModuleWidget(name)

    def unload_module(self, name: str) -> None:
        """End a module as the application does when it quits: cleanup() is called, and the module is gone."""
        self.application.moduleManager().moduleAboutToBeUnloaded.emit(name)
        self.process_events()
        self.application._modules._forget(name)

    def run_self_test(self, name: str) -> None:
        """Run the module's Test class, as Slicer does with --testing."""
        self.application._testing = True
        try:
            slicer.selfTests[name](msec=0)
        finally:
            self.application._testing = False
        self.check()

    def close_scene(self) -> None:
        """File > Close scene: everything but the singletons goes."""
        slicer.mrmlScene.Clear(0)
        self.process_events()

    def save_scene(self, path: str | Path) -> None:
        """Save the scene (.mrb, .mrml or a folder); RuntimeError when Slicer's writer fails."""
        if not scene_io.save_scene(path):
            raise RuntimeError(f"The scene could not be saved to {path}")

    def load_scene(self, path: str | Path, *, clear: bool = False) -> None:
        """Add a saved scene, or replace the scene by it; RuntimeError when Slicer's reader fails."""
        if not scene_io.load_scene(path, clear=clear):
            raise RuntimeError(f"The scene could not be loaded from {path}")
        self.process_events()

    def click(self, widget: Any) -> None:
        """Click a button, then run the event loop; NotPossible when a user could not."""
        actions.click(widget)
        self.process_events()

    def type_text(self, widget: Any, text: str) -> None:
        """Replace the text of an editor or spin box by typing."""
        actions.type_text(widget, text)
        self.process_events()

    def select_row(self, table: Any, row: int, column: int = 0) -> None:
        """Click a cell of a table."""
        actions.select_row(table, row, column)
        self.process_events()

    def choose(self, box: Any, text: str) -> None:
        """Choose an entry of a combo box by its text."""
        actions.choose(box, text)
        self.process_events()

    def screenshot(self, path: str | Path, widget: Any = None) -> None:
        """Save a picture of the main window (default) or of one widget; the views are rendered first."""
        self.process_events()
        target = widget if widget is not None else self.window
        views = target.findChildren(QtWidgets.QWidget)
        for view in [target, *views]:
            if isinstance(view, RenderedView) and view.isVisible():
                view.draw()
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if not target.grab().save(str(path)):
            raise RuntimeError(f"The picture could not be written to {path}")
        self.check()


def _prepare_scene(scene: Any, logic: Any, application: qSlicerApplication) -> None:
    """Put into the scene what Slicer's application puts there at start."""
    crosshair = slicer.vtkMRMLCrosshairNode()
    crosshair.SetCrosshairName("default")
    scene.AddNode(crosshair)
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
    logic.SetTemporaryPath(application.temporaryPath)
    # The wheel has none of Slicer's resource files; a few small ones are here.
    logic.SetHomeDirectory(str(Path(__file__).parent))
    logic.SetShareDirectory("share")
    logic.SetMRMLScene(scene)
    logic.GetColorLogic().SetMRMLScene(scene)
    # Reading of bundles goes through the cache.
    remote = slicer.vtkMRMLRemoteIOLogic()
    remote.SetMRMLScene(scene)
    remote.SetMRMLApplicationLogic(logic)
    remote.GetCacheManager().SetRemoteCacheDirectory(application.cachePath)
    data_io = slicer.vtkDataIOManagerLogic()
    data_io.SetMRMLScene(scene)
    data_io.SetMRMLApplicationLogic(logic)
    data_io.SetAndObserveDataIOManager(remote.GetDataIOManager())
    remote.AddDataIOToScene()
    application._io_logics = (remote, data_io)
