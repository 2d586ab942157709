"""Enumerations as PythonQt has them: integers."""

from __future__ import annotations

import enum
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets


def install() -> None:
    """Make every enumeration of Qt compare, hash, test and convert as the integer it stands for, for good.

    What this cannot imitate: in PythonQt a value read from Qt is not the same object (`is`) as the constant.
    """
    for module in (QtCore, QtGui, QtWidgets):
        for name in dir(module):
            cls = getattr(module, name)
            if isinstance(cls, type) and name.startswith("Q"):
                for member in tuple(vars(cls)):
                    kind = getattr(cls, member, None)
                    if isinstance(kind, enum.EnumMeta) and not issubclass(kind, int):
                        _make_integer(kind)


def _make_integer(kind: Any) -> None:
    kind.__eq__ = lambda self, other: self.value == (other.value if isinstance(other, enum.Enum) else other)
    kind.__ne__ = lambda self, other: self.value != (other.value if isinstance(other, enum.Enum) else other)
    kind.__hash__ = lambda self: hash(self.value)
    kind.__bool__ = lambda self: bool(self.value)
    kind.__int__ = kind.__index__ = lambda self: self.value
    kind.__str__ = lambda self: str(self.value)
