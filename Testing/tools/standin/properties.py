"""Makes PySide6 classes behave as PythonQt's: properties are attributes and unknown attributes are errors."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import shiboken6
from PySide6 import QtCore, QtGui, QtWidgets

_MODULES = (QtCore, QtGui, QtWidgets)
_OWN_PACKAGE = __name__.partition(".")[0]
# These are no QObjects, yet modules handle them as often as widgets.
_ITEM_CLASSES = (QtWidgets.QTableWidgetItem, QtWidgets.QTreeWidgetItem, QtWidgets.QListWidgetItem)

_ignoring: list[bool] = []


@contextmanager
def unknown_attributes_ignored() -> Iterator[None]:
    """PySide6's loader hangs the children on the top widget; PythonQt's does not, so they are dropped meanwhile."""
    _ignoring.append(True)
    try:
        yield
    finally:
        _ignoring.pop()


class QtProperty:
    """A Q_PROPERTY as an attribute; access through the class still gives the method of the same name."""

    def __init__(self, name: str, method: Any, writable: bool, type_name: str = "") -> None:
        self.name = name
        self.type_name = type_name
        self.method = method
        self.writable = writable
        self._reading: set[int] = set()

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            if self.method is None:
                raise AttributeError(f"{owner} has no static attribute {self.name!r}")
            return self.method.__get__(None, owner)
        if id(instance) in self._reading:
            # While a virtual getter (sizeHint) runs, Qt asks for a Python override of it: show it the native one.
            return self.method.__get__(instance, owner)
        self._reading.add(id(instance))
        try:
            value = self._read(instance)
        finally:
            self._reading.discard(id(instance))
        return tuple(value) if isinstance(value, list) else value

    def _read(self, instance: Any) -> Any:
        if inspect.ismethoddescriptor(self.method) and not isinstance(self.method, staticmethod):
            return self.method(instance)
        return instance.property(self.name)

    def __set__(self, instance: Any, value: Any) -> None:
        if not self.writable:
            raise AttributeError(f"Property {self.name!r} of {type(instance).__name__} is read-only")
        refusal = f"Property {self.name!r} of {type(instance).__name__} does not accept {value!r}"
        value = self._converted(value, refusal)
        if instance.setProperty(self.name, value):
            return
        # Some types (enumerations, objects) only fit the setter.
        setter = getattr(instance, f"set{self.name[0].upper()}{self.name[1:]}", None)
        if setter is None or value is None:
            raise AttributeError(refusal)
        try:
            setter(value)
        except TypeError as error:
            raise AttributeError(refusal) from error

    def _converted(self, value: Any, refusal: str) -> Any:
        """Return a value as PythonQt converts it for a property of this type.

        Raises:
            AttributeError: When PythonQt refuses it, or takes it for something that is hardly meant.
        """
        kind = self.type_name
        if type(value).__module__ == "numpy" and hasattr(value, "item"):
            value = value.item()
        if kind == "QString":
            if value is None:
                raise AttributeError(f"{refusal}: Slicer would show the text 'None'")
            return str(value)
        if kind in ("int", "uint", "double", "float", "qlonglong"):
            if not isinstance(value, int | float) and not hasattr(value, "__index__"):
                raise AttributeError(refusal)
            return int(value) if "int" in kind or "long" in kind else float(value)
        if kind == "bool" and not isinstance(value, bool | int | float | None):
            raise AttributeError(f"{refusal}: Slicer would take its truth")
        return bool(value) if kind == "bool" else value


def qobject_classes() -> list[type]:
    """Return the QObject classes of QtCore, QtGui and QtWidgets, base classes first."""
    found = {
        value
        for module in _MODULES
        for value in (getattr(module, name) for name in dir(module))  # loaded on access
        if isinstance(value, type) and issubclass(value, QtCore.QObject)
    }
    return sorted(found, key=lambda cls: (len(cls.__mro__), cls.__name__))


def make_properties_attributes(classes: Iterable[type]) -> None:
    """Replace every getter of a Q_PROPERTY by a `QtProperty`, from the classes' meta-objects."""
    for cls in classes:
        meta = cls.staticMetaObject  # type: ignore[attr-defined]
        for index in range(meta.propertyCount()):
            meta_property = meta.property(index)
            name = meta_property.name()
            own = cls.__dict__.get(name)
            if isinstance(own, QtProperty) or (own is None and index < meta.propertyOffset()):
                continue
            if own is None:
                # A getter that a base class declares without the property (QSpinBox.value has none, QAction.text has).
                own = inspect.getattr_static(cls, name, None)
                own = None if isinstance(own, QtProperty) else own
            setattr(cls, name, QtProperty(name, own, meta_property.isWritable(), meta_property.typeName()))
    # PythonQt offers the object name under this short name as well.
    QtCore.QObject.name = property(  # type: ignore[attr-defined]
        lambda self: self.objectName, lambda self, value: self.setObjectName(value)
    )
    QtCore.QObject.className = lambda self: self.metaObject().className()  # type: ignore[attr-defined]


def forbid_unknown_attributes(classes: Iterable[type]) -> None:
    """Make the assignment of an attribute that is no property an AttributeError, for objects of C++ classes.

    Python subclasses may have attributes of their own, as in PythonQt. The stand-in's widgets play C++ classes: only
    names with a leading underscore are theirs.
    """
    natives = {*classes, *_ITEM_CLASSES}

    def strict(self: Any, name: str, value: Any) -> None:
        kind = type(self)
        plays_cpp = kind.__module__.partition(".")[0] in ("PySide6", _OWN_PACKAGE)
        known = inspect.getattr_static(kind, name, None)
        if isinstance(known, QtCore.Property) and known.fset is not None:
            known.fset(self, value)
            return
        own_name = name.startswith("_") and kind not in natives
        # PySide6 itself keeps the bound signal on the object when it is first used.
        allowed = own_name or isinstance(value, QtCore.SignalInstance) or hasattr(type(known), "__set__")
        if plays_cpp and not allowed:
            if _ignoring:
                return
            raise AttributeError(
                f"{name!r} is no property of {kind.__name__}, and new attributes cannot be added to C++ objects"
            )
        # Python refuses to call the classes' own setters from here, as they are replaced; their common base's works.
        shiboken6.Object.__setattr__(self, name, value)

    for cls in natives:
        cls.__setattr__ = strict  # type: ignore[method-assign,assignment]
