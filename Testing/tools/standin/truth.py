"""The truth of Qt objects as PythonQt has it: null, empty and deleted objects are False.

PythonQt's generator gives a class `__nonzero__` that asks the first it has of isEmpty(), isValid() and isNull().
PySide6 does so for a few classes only, and for some of them by isNull() where PythonQt asks isEmpty().
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import shiboken6
from PySide6 import QtCore, QtGui, QtWidgets

from .callers import is_module_code
from .failures import failures
from .pythonqt_names import FALSE_WHEN_EMPTY, FALSE_WHEN_INVALID, FALSE_WHEN_NULL


class AmbiguousTruth(AssertionError):
    """Code of a module asked whether a Qt object is true, where this does not say whether there is one."""


def install(classes: Iterable[type]) -> None:
    """Give the QObject classes and the value classes PythonQt's `__bool__`, for good.

    Args:
        classes: The QObject classes.
    """
    for cls in classes:
        if "__bool__" in vars(cls):
            del cls.__bool__  # type: ignore[attr-defined]
    # A wrapper whose C++ object has been deleted is False.
    QtCore.QObject.__bool__ = lambda self: shiboken6.isValid(self)  # type: ignore[attr-defined]
    for names, method, expected in (
        (FALSE_WHEN_EMPTY, "isEmpty", False),
        (FALSE_WHEN_NULL, "isNull", False),
        (FALSE_WHEN_INVALID, "isValid", True),
    ):
        for name in names:
            for module in (QtCore, QtGui, QtWidgets):
                if hasattr(module, name):
                    getattr(module, name).__bool__ = _asks(method, expected)


def _asks(method: str, expected: bool) -> Any:
    def truth(self: Any) -> bool:
        caller = sys._getframe(1)
        if is_module_code(caller):
            place = f"{caller.f_globals.get('__name__')}, line {caller.f_lineno}"
            text = f"The truth of a {type(self).__name__} is the answer of {method}(), see {place}"
            failures.record(AmbiguousTruth(f"{text}: write `is not None` or call {method}()"))
        return shiboken6.isValid(self) and bool(getattr(self, method)()) is expected

    return truth
