"""Attributes of Qt objects as PythonQt answers them: connect, tuples, refusals, deleted objects, only Qt 5's names."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import shiboken6
from PySide6 import QtCore, QtGui, QtWidgets

from . import signals
from .callers import is_module_code
from .pythonqt_names import LISTS, TEXTS

_ITEMS = (QtWidgets.QTableWidgetItem, QtWidgets.QTreeWidgetItem, QtWidgets.QListWidgetItem, QtGui.QStandardItem)
_QT6_ONLY = Path(__file__).parent / "share" / "qt6_only.txt"


def install(classes: Iterable[type]) -> None:
    """Change attribute access of all QObject classes and of the value classes that modules meet, for good."""
    qt6_only = _read_qt6_only()
    natives = {cls: cls.__getattribute__ for cls in classes}
    signals.native_lookup = natives[QtCore.QObject]
    for cls, native in natives.items():
        names = frozenset(name for base in cls.__mro__ for name in qt6_only.get(base.__name__, ()))
        cls.__getattribute__ = _lookup(native, names)  # type: ignore[method-assign,assignment]
    _refuse_qt6_names_of_values(qt6_only)
    for item in _ITEMS:
        for name in ("data", "setText", "setToolTip"):
            method = vars(item).get(name)
            if method is not None:
                setattr(item, name, _adapted_method(name, method))
    for owner, name in ((QtCore.QModelIndex, "data"), (QtCore.QItemSelection, "indexes")):
        setattr(owner, name, _adapted_method(name, vars(owner)[name]))
    for name in ("__bytes__", "__len__"):
        setattr(QtCore.QByteArray, name, _refused(name))


def _lookup(native: Callable[..., Any], qt6_names: frozenset[str]) -> Callable[[Any, str], Any]:
    def lookup(self: Any, name: str) -> Any:
        if name in ("connect", "disconnect"):
            return signals.bound(self, name)
        if name in qt6_names and is_module_code(sys._getframe(1)):
            raise AttributeError(f"{type(self).__name__} has no attribute named {name!r}: Qt 5 does not know it")
        if name[:2] != "__" and not shiboken6.isValid(self) and _was_deleted(self):
            raise ValueError(f"Trying to access {name!r} of a destroyed {type(self).__name__} object")
        value = native(self, name)
        if name in LISTS or name in TEXTS:
            # A plain function is no override in PySide6's eyes, so that virtual functions stay native.
            return value if inspect.ismethod(value) or not callable(value) else _adapted(name, value)
        return value

    return lookup


def _adapted(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        if name in TEXTS and arguments and arguments[0] is None:
            raise ValueError(f"{name}(None) would show the text 'None' in Slicer")
        return as_pythonqt(function(*arguments, **options))

    return call


def _adapted_method(name: str, method: Any) -> Callable[..., Any]:
    def call(self: Any, *arguments: Any, **options: Any) -> Any:
        return _adapted(name, method.__get__(self, type(self)))(*arguments, **options)

    return call


def as_pythonqt(value: Any) -> Any:
    """Return a value that came out of Qt as PythonQt converts it: lists are tuples."""
    if type(value) is list:
        return tuple(map(as_pythonqt, value))
    return value


def _was_deleted(wrapper: Any) -> bool:
    """Tell a deleted object from one whose __init__ has not been called yet."""
    try:
        signals.native_lookup(wrapper, "signalsBlocked")()
    except RuntimeError as error:
        return "already deleted" in str(error)
    return False


def _refused(name: str) -> Callable[..., Any]:
    def refuse(self: Any) -> Any:
        raise TypeError(f"PythonQt's QByteArray has no {name}; use data()")

    return refuse


def _read_qt6_only() -> dict[str, tuple[str, ...]]:
    lines = (line.partition(":") for line in _QT6_ONLY.read_text(encoding="ascii").splitlines() if ":" in line)
    return {name: tuple(members.split()) for name, _, members in lines}


class _Qt6Name:
    """A member that code of modules cannot see."""

    def __init__(self, name: str, member: Any) -> None:
        self._name, self._member = name, member

    def __get__(self, instance: Any, owner: type) -> Any:
        if is_module_code(sys._getframe(1)):
            raise AttributeError(f"{owner.__name__} has no attribute named {self._name!r}: Qt 5 does not know it")
        return self._member.__get__(instance, owner)


def _refuse_qt6_names_of_values(qt6_only: dict[str, tuple[str, ...]]) -> None:
    for class_name, members in qt6_only.items():
        found = (getattr(module, class_name, None) for module in (QtCore, QtGui, QtWidgets))
        cls = next((each for each in found if each is not None), None)
        if cls is None or issubclass(cls, QtCore.QObject):
            continue
        for name in members:
            if name in vars(cls) and hasattr(vars(cls)[name], "__get__"):
                setattr(cls, name, _Qt6Name(name, vars(cls)[name]))
