"""The sections of a module's panel, and their widgets that show the module's parameter node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import slicer

from LNSegFMLib.panels.common.panel_host import PanelHost


class Section:
    """A part of a panel with a Designer file of its own.

    Args:
        host: The module's widget.
        ui_file: Path of the .ui file.
    """

    def __init__(self, host: PanelHost, ui_file: str) -> None:
        self.host = host
        self.widget = slicer.util.loadUI(ui_file)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        self.widget.setMRMLScene(slicer.mrmlScene)

    def update(self) -> None:
        """Show what the scene and the parameter node say now."""

    def poll(self) -> None:
        """Show how far work is; called by the panel's timer while any goes on."""

    def enter(self) -> None:
        """The user has come to the module."""

    def exit(self) -> None:
        """The user has left the module."""

    def scene_closes(self) -> None:
        """Forget what belongs to the scene that is about to go."""

    def close(self) -> None:
        """The panel is about to go."""


class ParameterBinding:
    """Keeps widgets and values of the module's parameter node the same.

    Args:
        host: The module's widget.
        choices: Combo boxes with a value as data of each entry, by parameter name.
        numbers: Spin boxes, by parameter name.
        nodes: Node combo boxes, by role of the node reference.
    """

    def __init__(
        self,
        host: PanelHost,
        *,
        choices: Mapping[str, Any] | None = None,
        numbers: Mapping[str, Any] | None = None,
        nodes: Mapping[str, Any] | None = None,
    ) -> None:
        self._host = host
        self._choices, self._numbers, self._nodes = dict(choices or {}), dict(numbers or {}), dict(nodes or {})
        self.showing = False
        for box in self._choices.values():
            box.connect("currentIndexChanged(int)", self.store)
        for box in self._numbers.values():
            box.connect("valueChanged(double)", self.store)
        for box in self._nodes.values():
            box.connect("currentNodeChanged(vtkMRMLNode*)", self.store)
            box.connect("nodeAboutToBeRemoved(vtkMRMLNode*)", self._on_node_leaving)

    def _on_node_leaving(self, leaving: Any) -> None:
        # Else the box would go on with the row beside it, which nobody has chosen.
        for box in self._nodes.values():
            if box.noneEnabled and box.currentNode() is leaving:
                box.setCurrentNode(None)

    def show(self) -> None:
        """Let the widgets show what the parameter node says."""
        node = self._host.parameter_node
        if node is None or self.showing:
            return
        self.showing = True
        try:
            for name, box in self._choices.items():
                box.setCurrentIndex(box.findData(node.GetParameter(name)))
            for name, box in self._numbers.items():
                box.value = float(node.GetParameter(name) or 0.0)
            for role, box in self._nodes.items():
                box.setCurrentNode(node.GetNodeReference(role))
        finally:
            self.showing = False

    def store(self, *_changed: Any) -> None:
        """Write into the parameter node what the widgets show."""
        node = self._host.parameter_node
        if node is None or self.showing:
            return
        with slicer.util.NodeModify(node):
            for name, box in self._choices.items():
                node.SetParameter(name, box.itemData(box.currentIndex) or "")
            for name, box in self._numbers.items():
                node.SetParameter(name, repr(box.value))
            for role, box in self._nodes.items():
                node.SetNodeReferenceID(role, box.currentNodeID or None)
