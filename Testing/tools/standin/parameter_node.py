"""slicer.parameterNodeWrapper, which no wheel has: what the modules need of it, after Slicer's own.

With the environment variable `SLICER_SOURCE`, which names a folder with Slicer's sources, the real one is used.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import types
import typing
import weakref
from pathlib import Path
from typing import Any

import slicer
import vtk

_TAKEN = {str: (str,), int: (int,), float: (int, float)}
SOURCE_VARIABLE = "SLICER_SOURCE"


class _Parameter:
    """A value of the parameter node: written as text, read back at each change of the node."""

    def __init__(self, name: str, kind: type, default: Any, node: Any) -> None:
        self._name, self._kind, self._node = name, kind, node
        self._writing = False
        if not node.HasParameter(name):
            node.SetParameter(name, str(default))
        self._value = self._kind(node.GetParameter(name))
        reference = weakref.ref(self)

        def on_modified(_caller: Any, _event: str) -> None:
            parameter = reference()
            if parameter is not None:
                parameter._read(default)

        self._tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, on_modified)

    def __del__(self) -> None:
        if hasattr(self, "_tag"):
            self._node.RemoveObserver(self._tag)

    def _read(self, default: Any) -> None:
        if self._writing:
            return
        if not self._node.HasParameter(self._name):
            self._node.SetParameter(self._name, str(default))
        self._value = self._kind(self._node.GetParameter(self._name))

    @property
    def value(self) -> Any:
        return self._value

    @value.setter
    def value(self, value: Any) -> None:
        if value is None:
            raise ValueError("Value must not be None")
        if not isinstance(value, _TAKEN[self._kind]):
            raise TypeError(f"Expected {self._name} to be of type {self._kind}, not {type(value)}")
        self._writing = True
        try:
            with slicer.util.NodeModify(self._node):
                self._node.SetParameter(self._name, str(value))
                self._value = self._kind(self._node.GetParameter(self._name))
        finally:
            self._writing = False


def parameterNodeWrapper(cls: type) -> type:
    """Make a class of annotated attributes a typed view of a vtkMRMLScriptedModuleNode."""
    defaults: dict[str, tuple[type, Any]] = {}
    for name, kind in typing.get_type_hints(cls).items():
        if kind not in _TAKEN:
            raise NotImplementedError(f"The stand-in knows texts and numbers only, not {name}: {kind}")
        defaults[name] = (kind, getattr(cls, name, kind()))
        setattr(cls, name, _property(name))

    def initialize(self: Any, parameterNode: Any, prefix: str | None = None) -> None:
        self.parameterNode = parameterNode
        self._values = {
            name: _Parameter(f"{prefix or ''}{name}", kind, default, parameterNode)
            for name, (kind, default) in defaults.items()
        }

    members: dict[str, Any] = {
        "__init__": initialize,
        "allParameters": defaults,
        "getValue": lambda self, name: self._values[name].value,
        "setValue": lambda self, name, value: setattr(self._values[name], "value", value),
        "StartModify": lambda self: self.parameterNode.StartModify(),
        "EndModify": lambda self, wasModified: self.parameterNode.EndModify(wasModified),
    }
    for name, member in members.items():
        setattr(cls, name, member)
    return cls


def _property(name: str) -> property:
    return property(
        lambda self: self._values[name].value, lambda self, value: setattr(self._values[name], "value", value)
    )


def install() -> None:
    """Put the real or the imitated module where scripted modules look for it; after `qt` and `ctk`."""
    source = os.environ.get(SOURCE_VARIABLE)
    name = "slicer.parameterNodeWrapper"
    if source:
        folder = Path(source) / "Base" / "Python" / "slicer" / "parameterNodeWrapper"
        spec = importlib.util.spec_from_file_location(
            name, folder / "__init__.py", submodule_search_locations=[str(folder)]
        )
        if spec is None or spec.loader is None:
            raise ImportError(f"There is no {folder}")
        # Its bindings to widgets, which the modules do not use, name widgets that the stand-in does not have.
        for part in ("guiConnectors", "guiCreation"):
            stub: Any = types.ModuleType(f"{name}.{part}")
            stub.__all__ = []
            stub.GuiConnector = stub.createGuiConnector = stub._getPackNameToWidgetMap = object
            sys.modules[stub.__name__] = stub
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    else:
        module = types.ModuleType(name)
        module.parameterNodeWrapper = parameterNodeWrapper  # type: ignore[attr-defined]
        sys.modules[name] = module
    slicer.parameterNodeWrapper = module
