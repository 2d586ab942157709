"""`isinstance` and Qt's classes as in PythonQt, where they do not inherit from each other in Python's eyes."""

from __future__ import annotations

import sys
from typing import Any

from PySide6 import QtCore

from .callers import is_module_code


def install() -> None:
    """Let isinstance(label, qt.QWidget) be False for code of modules, for good.

    PythonQt's wrappers of C++ classes have one common Python base and no others: a QLabel is no QWidget. A Python
    subclass has the class it is derived from, and no C++ base of that.
    """
    metaclass: Any = type(QtCore.QObject)

    def is_instance(cls: type, instance: Any) -> bool:
        is_one = type.__instancecheck__(cls, instance)
        if not is_one or not is_module_code(sys._getframe(1)):
            return is_one
        return cls in _pythonqt_bases(type(instance))

    metaclass.__instancecheck__ = is_instance


def _pythonqt_bases(kind: type) -> list[type]:
    """Return the classes up to the first that stands for a C++ class."""
    bases = []
    for base in kind.__mro__:
        bases.append(base)
        if base.__module__.partition(".")[0] in ("PySide6", __name__.partition(".")[0]):
            break
    return bases
