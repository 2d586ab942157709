"""Puts the stand-in's modules where scripted modules look for Slicer's."""

from __future__ import annotations

import ctypes
import sys
import types
from pathlib import Path
from typing import Any

import slicer
import slicer.util

from . import ctk_module, parameter_node, qt_messages, qt_module, scripted_module, ui_loader
from .app import App
from .dialogs import DialogRecorder
from .failures import failures
from .messages import messages


def boot(offscreen: bool) -> App:
    """Start the application and install `qt`, `ctk` and the rest of `slicer`."""
    _keep_none_alive()
    failures.install()
    qt_messages.install()
    messages.install()
    qt_module.install_strictness()
    # These classes are defined on the changed Qt classes, so that they come after.
    from . import module_loader, mrml_widgets, plot_views, segment_editor, table_view, views
    from .application import qSlicerApplication

    slicer.mrmlScene = slicer.vtkMRMLScene()
    application = qSlicerApplication()
    slicer.app = application
    slicer.modules = application._modules
    sys.modules["qt"] = qt_module.build(Path(application.temporaryPath))
    sys.modules["ctk"] = ctk_module.build()
    widgets: dict[str, type] = {
        "qMRMLWidget": mrml_widgets.qMRMLWidget,
        "qMRMLNodeComboBox": mrml_widgets.qMRMLNodeComboBox,
        "qMRMLPlotView": plot_views.qMRMLPlotView,
        "qMRMLSegmentEditorWidget": segment_editor.qMRMLSegmentEditorWidget,
        "qMRMLPlotWidget": plot_views.PlotWidget,
        "qMRMLTableView": table_view.qMRMLTableView,
        "qMRMLSliceWidget": views.SliceWidget,
        "qMRMLThreeDWidget": views.ThreeDWidget,
        "qSlicerScriptedLoadableModule": module_loader.qSlicerScriptedLoadableModule,
        "qSlicerScriptedLoadableModuleWidget": module_loader.qSlicerScriptedLoadableModuleWidget,
    }
    for name, cls in widgets.items():
        setattr(slicer, name, cls)
    ui_loader.QUiLoader.custom = {
        **ctk_module.WIDGETS, **{name: cls for name, cls in widgets.items() if name.startswith("qMRML")}
    }  # fmt: skip
    sys.modules["qt"].QUiLoader = ui_loader.QUiLoader  # type: ignore[attr-defined]
    _install_submodules()
    dialogs = DialogRecorder()
    views.RenderedView.interactive = not offscreen
    if offscreen:
        dialogs.install(slicer.util)
    return App(application, dialogs)


def _keep_none_alive() -> None:
    """Give None the references that PySide6 takes away.

    PySide6 6.12 returns None without a new reference in every void function, which only Python 3.12 and later forgive:
    before, the interpreter aborts with "deallocating None" after some thousand calls.
    """
    if sys.version_info < (3, 12):
        ctypes.c_ssize_t.from_address(id(None)).value += 1 << 40


def _install_submodules() -> None:
    scripted: Any = scripted_module.build()
    slicer.ScriptedLoadableModule = scripted
    sys.modules["slicer.ScriptedLoadableModule"] = scripted
    i18n = types.ModuleType("slicer.i18n")
    i18n.tr = lambda text: text  # type: ignore[attr-defined]
    i18n.translate = lambda context, text: text  # type: ignore[attr-defined]
    slicer.i18n = i18n
    sys.modules["slicer.i18n"] = i18n
    parameter_node.install()
