"""The sections of a module's panel, and their widgets that show the module's parameter node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import slicer

from LNSegFMLib.panels.common.panel_host import PanelHost
from LNSegFMLib.panels.common.widgets import connect_edited, set_widget_value, widget_value


class Section:
    """A part of a panel with a Designer file of its own.

    Args:
        host: The module's widget.
        ui_file: Path of the .ui file.
        frame: Widgets of the panel around it that the section works with as well.
    """

    def __init__(self, host: PanelHost, ui_file: str, *, frame: Any = None) -> None:
        self.host = host
        self.widget = slicer.util.loadUI(ui_file)
        self.ui = slicer.util.childWidgetVariables(self.widget)
        for name, widget in vars(frame).items() if frame is not None else ():
            vars(self.ui).setdefault(name, widget)
        self.widget.setMRMLScene(slicer.mrmlScene)

    def update(self) -> None:
        """Show what the scene and the parameter node say now."""

    def poll(self) -> None:
        """Show how far work is; called by the panel's timer while any is running."""

    def enter(self) -> None:
        """The user has come to the module."""

    def exit(self) -> None:
        """The user has left the module."""

    def scene_closes(self) -> None:
        """Forget what belongs to the scene that is about to go."""

    def close(self) -> None:
        """The panel is about to go."""


class ParameterBinding:
    """Keeps widgets and the values of the module's parameter node the same.

    Args:
        host: The module's widget.
        widgets: Combo boxes with a value as data of each entry, spin boxes and line edits, by parameter.
        nodes: Node combo boxes, by role of the node reference.
        before_store: Called with the parameter whose widget was edited, before all are stored; it may `set` others.
    """

    def __init__(
        self,
        host: PanelHost,
        widgets: Mapping[str, Any],
        *,
        nodes: Mapping[str, Any] | None = None,
        before_store: Callable[[str], object] = bool,
    ) -> None:
        self._host, self._before_store = host, before_store
        self._widgets, self._nodes = dict(widgets), dict(nodes or {})
        self.showing = False
        for name, widget in self._widgets.items():
            connect_edited(widget, self._slot(name))
        for box in self._nodes.values():
            box.connect("currentNodeChanged(vtkMRMLNode*)", self.store)
            box.connect("nodeAboutToBeRemoved(vtkMRMLNode*)", self._on_node_leaving)

    @property
    def values(self) -> dict[str, Any]:
        """What the widgets show, by parameter."""
        return {name: widget_value(widget) for name, widget in self._widgets.items()}

    def set(self, values: Mapping[str, Any]) -> None:
        """Let widgets show values; they are not stored. Parameters without a widget are passed over."""
        showing, self.showing = self.showing, True
        try:
            for name, value in values.items():
                if name in self._widgets:
                    set_widget_value(self._widgets[name], value)
        finally:
            self.showing = showing

    def show(self) -> None:
        """Let the widgets show what the parameter node says; a choice that a combo box does not have is passed over."""
        parameters = self._host.parameters
        if parameters is None or self.showing:
            return
        self.set({name: getattr(parameters, name) for name in self._widgets})
        self.showing = True
        try:
            for role, box in self._nodes.items():
                box.setCurrentNode(self._host.parameter_node.GetNodeReference(role))
        finally:
            self.showing = False

    def store(self, *_changed: Any) -> None:
        """Write into the parameter node what the widgets show."""
        parameters, node = self._host.parameters, self._host.parameter_node
        if parameters is None or self.showing:
            return
        with slicer.util.NodeModify(node):
            for name, value in self.values.items():
                setattr(parameters, name, "" if value is None else value)
            for role, box in self._nodes.items():
                node.SetNodeReferenceID(role, box.currentNodeID or None)

    def _slot(self, name: str) -> Callable[..., None]:
        def on_edited(*_value: Any) -> None:
            if self._host.parameters is not None and not self.showing:
                self._before_store(name)
                self.store()

        return on_edited

    def _on_node_leaving(self, leaving: Any) -> None:
        # Else the box would go on with the row beside it, which was not chosen.
        for box in self._nodes.values():
            if box.noneEnabled and box.currentNode() is leaving:
                box.setCurrentNode(None)
