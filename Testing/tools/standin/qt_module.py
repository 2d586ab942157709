"""The module `qt`: QtCore, QtGui, QtWidgets and QtPrintSupport in one, as PythonQt has them."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

from PySide6 import QtCore, QtGui, QtPrintSupport, QtWidgets

from . import access, enums, kinds, properties, truth

# Not in Slicer's `qt`, or not usable from its Python.
_ABSENT = {"QObjectCleanupHandler", "QtMsgType"}


def install_strictness() -> None:
    """Change the PySide6 classes for good, once per process: attributes, unknown names, truth and the rest."""
    classes = properties.qobject_classes()
    properties.make_properties_attributes(classes)
    properties.forbid_unknown_attributes(classes)
    access.install(classes)
    truth.install(classes)
    enums.install()
    kinds.install()
    for cls in (QtGui.QTextDocument, QtWidgets.QTextEdit, QtWidgets.QPlainTextEdit):
        cls.print = cls.print_  # type: ignore[attr-defined]
    for cls in (QtWidgets.QDialog, QtWidgets.QMenu, QtWidgets.QApplication, QtCore.QEventLoop):
        if not hasattr(cls, "exec_"):
            cls.exec_ = cls.exec  # type: ignore[attr-defined]


def build(settings_folder: Path) -> types.ModuleType:
    """Return the module `qt`; QSettings of the process go to the given folder."""
    QtCore.QSettings.setDefaultFormat(QtCore.QSettings.Format.IniFormat)
    for scope in (QtCore.QSettings.Scope.UserScope, QtCore.QSettings.Scope.SystemScope):
        QtCore.QSettings.setPath(QtCore.QSettings.Format.IniFormat, scope, str(settings_folder))
    module = types.ModuleType("qt", "Qt as PythonQt offers it")
    names: dict[str, Any] = {}
    for source in (QtCore, QtGui, QtWidgets, QtPrintSupport):
        names.update({name: getattr(source, name) for name in dir(source) if name[:1] in "Qq"})
    for name, value in names.items():
        if name not in _ABSENT:
            setattr(module, name, value)
    return module
