"""Loads Qt Designer files with Slicer's custom widgets, and refuses what real Slicer would silently drop."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any, ClassVar

from PySide6 import QtCore, QtUiTools, QtWidgets

from . import properties, signals

# Properties that Designer writes though they are none of the meta-object's.
_DESIGNER_ONLY = {"buddy", "buttonGroupId", "margin"}


class UiFileError(RuntimeError):
    """The .ui file names a class, property, signal or slot that does not exist."""


class _Loader(QtUiTools.QUiLoader):
    def __init__(self, custom: dict[str, type]) -> None:
        super().__init__()
        self._custom = custom
        self._made: list[Any] = []  # keeps the Python halves alive while Qt builds the tree

    def createWidget(self, class_name: str, parent: Any = None, name: str = "") -> Any:
        if class_name not in self._custom:
            return super().createWidget(class_name, parent, name)
        widget = self._custom[class_name](parent)
        widget.setObjectName(name)
        self._made.append(widget)
        return widget


class QUiLoader:
    """qt.QUiLoader, as slicer.util.loadUI uses it; knows the widgets of CTK and Slicer as Designer plugins do."""

    custom: ClassVar[dict[str, type]] = {}

    def load(self, device: QtCore.QFile, parent: Any = None) -> Any:
        """Build the widgets of a .ui file, see `load`."""
        device.close()
        widget = load(device.fileName(), self.custom)
        if parent is not None:
            widget.setParent(parent)
        return widget


def load(path: str | Path, custom: dict[str, type]) -> Any:
    """Build the widgets of a .ui file.

    Args:
        path: The .ui file.
        custom: Class name -> Python class, for the widgets that are not Qt's.

    Returns:
        The top widget, without a parent.

    Raises:
        UiFileError: When it uses what does not exist.
    """
    root = ET.parse(path).getroot()
    _check_widgets(root, custom)
    connections = _take(root, "connections")
    deferred = _take_symbolic_properties(root, custom)
    loader = _Loader(custom)
    buffer = QtCore.QBuffer()
    buffer.setData(ET.tostring(root))
    buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
    with properties.unknown_attributes_ignored():
        widget = loader.load(buffer)
    if widget is None:
        raise UiFileError(f"Could not load UI file {path}: {loader.errorString()}")
    for name, prop, value in deferred:
        setattr(_find(widget, name), prop, value)
    for connection in connections:
        _connect(widget, {child.tag: child.text or "" for child in connection})
    return widget


def _take(root: ET.Element, tag: str) -> list[ET.Element]:
    element = root.find(tag)
    if element is None:
        return []
    root.remove(element)
    return list(element)


def _check_widgets(root: ET.Element, custom: dict[str, type]) -> None:
    names = {element.get("name") for element in root.iter("widget")}
    for prop in root.iter("property"):
        if prop.get("name") == "buddy" and prop.findtext("cstring") not in names:
            raise UiFileError(f"A label's buddy {prop.findtext('cstring')!r} is no widget of the file")
    for element in root.iter("widget"):
        class_name, name = element.get("class", ""), element.get("name", "")
        cls = custom.get(class_name) or getattr(QtWidgets, class_name, None)
        if cls is None and class_name != "Line":
            raise UiFileError(f"Widget {name!r}: there is no class {class_name!r}")
        meta = (cls or QtWidgets.QFrame).staticMetaObject
        for prop in element.findall("property"):
            known = meta.indexOfProperty(prop.get("name", "")) >= 0 or prop.get("stdset") == "0"
            if not known and prop.get("name") not in _DESIGNER_ONLY | (
                {"orientation"} if class_name == "Line" else set()
            ):
                raise UiFileError(f"Widget {name!r}: {class_name} has no property {prop.get('name')!r}")


def _take_symbolic_properties(root: ET.Element, custom: dict[str, type]) -> list[tuple[str, str, int]]:
    """Enumerations of Python classes: QUiLoader cannot look them up, so they are set afterwards."""
    deferred = []
    for element in root.iter("widget"):
        cls = custom.get(element.get("class", ""))
        for prop in list(element.findall("property")) if cls else []:
            symbols = prop.findtext("set") or prop.findtext("enum") or ""
            owner = _owner_of(symbols, element.get("class", ""), cls)
            if owner is None:
                continue
            value = 0
            for symbol in symbols.split("|"):
                value |= int(getattr(owner, symbol.rpartition("::")[2]))
            deferred.append((element.get("name", ""), prop.get("name", ""), value))
            element.remove(prop)
    return deferred


def _owner_of(symbols: str, class_name: str, cls: type | None) -> Any:
    """Return where the symbols of a property are looked up, or None where QUiLoader can do it."""
    scope = symbols.partition("::")[0]
    if scope == class_name:
        return cls
    # The wrapper of a combo box has properties of the combo box in it.
    return QtWidgets.QComboBox if scope == "QComboBox" else None


def _find(root: Any, name: str) -> Any:
    found = root if root.objectName == name else root.findChild(QtCore.QObject, name)
    if found is None:
        raise UiFileError(f"A connection names {name!r}, which is no widget of the file")
    return found


def _connect(root: Any, parts: dict[str, str]) -> None:
    sender, receiver = _find(root, parts["sender"]), _find(root, parts["receiver"])
    try:
        signals.connect(sender, parts["signal"], receiver, parts["slot"])
    except signals.UnknownSignal as error:
        raise UiFileError(f"Connection {parts['sender']} -> {parts['receiver']}: {error}") from error
