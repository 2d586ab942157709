"""Parameter nodes as typed objects, by Slicer's `parameterNodeWrapper`, also of scenes that hold anything."""

from __future__ import annotations

import typing
from typing import Any, TypeVar

T = TypeVar("T")
AFTER_PARAMETERS = -1.0
"""Priority of an observer of the node that reads typed parameters: they are read again by observers of their own."""


def typed_parameters(kind: type[T], node: Any) -> T:
    """Return a typed view of a parameter node; what cannot be read, or is empty, gets its default.

    Node references are not among the typed parameters: of a scene that was saved before, Slicer's wrapper would take
    one for missing and clear it, and a node that is removed would live on in its cache.

    Args:
        kind: Class made by `slicer.parameterNodeWrapper`; its attributes are texts and numbers.
        node: vtkMRMLScriptedModuleNode.
    """
    modifying = node.StartModify()
    try:
        for name, type_ in typing.get_type_hints(kind).items():
            if node.HasParameter(name) and not _is_readable(node.GetParameter(name), type_):
                node.UnsetParameter(name)
        return kind(node)  # type: ignore[call-arg]
    finally:
        node.EndModify(modifying)


def _is_readable(text: str, type_: type) -> bool:
    try:
        type_(text)
    except ValueError:
        return False
    return bool(text)
