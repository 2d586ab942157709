"""The qMRML base widget and the node combo box."""

from __future__ import annotations

from typing import Any, ClassVar

import slicer
import vtk
from PySide6 import QtWidgets
from PySide6.QtCore import Property, Signal

_SCENE_EVENTS = ("NodeAddedEvent", "NodeRemovedEvent", "EndCloseEvent", "EndBatchProcessEvent", "EndImportEvent")


class qMRMLWidget(QtWidgets.QWidget):
    """A widget that knows a MRML scene and passes it on to the widgets in it."""

    sceneSignal = Signal(object)
    cpp_signals: ClassVar[dict[str, str]] = {"mrmlSceneChanged(vtkMRMLScene*)": "sceneSignal"}
    cpp_slots: ClassVar[tuple[str, ...]] = ("setMRMLScene(vtkMRMLScene*)",)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene: Any = None

    def mrmlScene(self) -> Any:
        """Return the scene or None."""
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        """Use another scene and tell the connected widgets."""
        if scene is not self._scene:
            self._scene = scene
            self._scene_changed()
            self.sceneSignal.emit(scene)

    def _scene_changed(self) -> None:
        """React to a new scene; for subclasses."""


def _option(name: str, kind: Any) -> Any:
    """Return a Qt property that is kept in the combo box's options."""

    def read(box: qMRMLNodeComboBox) -> Any:
        return box._options[name]

    def write(box: qMRMLNodeComboBox, value: Any) -> None:
        box._options[name] = list(value) if kind == "QStringList" else value
        box._refresh()

    return Property(kind, read, write)


class qMRMLNodeComboBox(qMRMLWidget):
    """A combo box of the scene's nodes of some classes, which follows the scene."""

    nodeSignal = Signal(object)
    validSignal = Signal(bool)
    currentNodeIDChanged = Signal(str)
    activatedSignal = Signal(object)
    addedByUserSignal = Signal(object)
    leavingSignal = Signal(object)
    cpp_signals: ClassVar[dict[str, str]] = {
        **qMRMLWidget.cpp_signals,
        "currentNodeChanged(vtkMRMLNode*)": "nodeSignal",
        "currentNodeChanged(bool)": "validSignal",
        "nodeActivated(vtkMRMLNode*)": "activatedSignal",
        "nodeAddedByUser(vtkMRMLNode*)": "addedByUserSignal",
        "nodeAboutToBeRemoved(vtkMRMLNode*)": "leavingSignal",
    }
    cpp_slots = (*qMRMLWidget.cpp_slots, "setCurrentNode(vtkMRMLNode*)")

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._options: dict[str, Any] = {
            "nodeTypes": [], "noneEnabled": False, "noneDisplay": "None", "addEnabled": True, "removeEnabled": True,
            "renameEnabled": False, "editEnabled": False, "showHidden": False, "showChildNodeTypes": True,
            "selectNodeUponCreation": True, "baseName": "",
        }  # fmt: skip
        self._attributes: list[tuple[str, str, Any]] = []
        self._nodes: list[Any] = []
        self._current: Any = None
        self._observed: list[tuple[Any, int]] = []
        self._box = QtWidgets.QComboBox()
        # As in Slicer the box is as wide as the longest name of a node, unless its sizeAdjustPolicy is another.
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self._box.activated.connect(self._on_activated)
        self.setEnabled(False)  # as in Slicer: usable once it has a scene

    def currentNode(self) -> Any:
        """Return the chosen MRML node or None."""
        return self._current

    def setCurrentNode(self, node: Any) -> None:
        """Choose a node; a node that the box does not list means none."""
        self._select(node if node in self._nodes else None)

    def setCurrentNodeID(self, node_id: str | None) -> None:
        """Choose a node by its id; "" or None means none."""
        self.setCurrentNode(self._scene.GetNodeByID(node_id) if self._scene and node_id else None)

    def setCurrentNodeIndex(self, index: int) -> None:
        """Choose the index-th of the listed nodes."""
        self._select(self._nodes[index])

    def nodeCount(self) -> int:
        """Return how many nodes are listed."""
        return len(self._nodes)

    def nodeFromIndex(self, index: int) -> Any:
        """Return the index-th listed node or None."""
        return self._nodes[index] if 0 <= index < len(self._nodes) else None

    def addAttribute(self, node_type: str, name: str, value: Any = None) -> None:
        """List nodes of a class only when they have this attribute (with this value, if one is given)."""
        self._attributes.append((node_type, name, None if value is None else str(value)))
        self._refresh()

    def addNode(self, node_type: str = "") -> Any:
        """Create a node as the user does with "Create new ..."."""
        node_type = node_type or self._options["nodeTypes"][0]
        base = self._options["baseName"] or self._scene.GetTypeDisplayNameByClassName(node_type)
        node = self._scene.AddNewNodeByClass(node_type, self._scene.GenerateUniqueName(base))
        if self._options["selectNodeUponCreation"]:
            self.setCurrentNode(node)
        self.addedByUserSignal.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        """Remove the chosen node from the scene."""
        if self._current is not None:
            self._scene.RemoveNode(self._current)

    nodeTypes = _option("nodeTypes", "QStringList")
    noneEnabled = _option("noneEnabled", bool)
    noneDisplay = _option("noneDisplay", str)
    addEnabled = _option("addEnabled", bool)
    removeEnabled = _option("removeEnabled", bool)
    renameEnabled = _option("renameEnabled", bool)
    editEnabled = _option("editEnabled", bool)
    showHidden = _option("showHidden", bool)
    showChildNodeTypes = _option("showChildNodeTypes", bool)
    selectNodeUponCreation = _option("selectNodeUponCreation", bool)
    baseName = _option("baseName", str)
    sizeAdjustPolicy = Property(
        int,
        lambda self: self._box.sizeAdjustPolicy().value,
        lambda self, policy: self._box.setSizeAdjustPolicy(QtWidgets.QComboBox.SizeAdjustPolicy(policy)),
    )
    currentNodeID = Property(str, lambda self: self._current.GetID() if self._current else "", setCurrentNodeID)

    def _scene_changed(self) -> None:
        for subject, tag in self._observed:
            subject.RemoveObserver(tag)
        scene = self._scene
        self._observed = []
        if scene is not None:
            for event in _SCENE_EVENTS:
                self._observe(scene, getattr(slicer.vtkMRMLScene, event))

            @vtk.calldata_type(vtk.VTK_OBJECT)
            def leaving(caller: Any, event: str, node: Any) -> None:
                if node in self._nodes:
                    self.leavingSignal.emit(node)

            self._observed.append((scene, scene.AddObserver(slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, leaving)))
        self.setEnabled(scene is not None)
        self._refresh()

    def _observe(self, subject: Any, event: int | str) -> None:
        self._observed.append((subject, subject.AddObserver(event, lambda *_: self._refresh())))

    def _refresh(self) -> None:
        scene = self._scene
        if scene is not None and scene.IsBatchProcessing() and not scene.IsClosing():
            return
        nodes = (
            []
            if scene is None
            else [n for n in map(scene.GetNthNode, range(scene.GetNumberOfNodes())) if self._shows(n)]
        )
        known = {subject for subject, _ in self._observed}
        for node in nodes:
            if node not in known:
                self._observe(node, "ModifiedEvent")
        for entry in [e for e in self._observed if e[0] is not scene and e[0] not in nodes]:
            entry[0].RemoveObserver(entry[1])
            self._observed.remove(entry)
        before, self._nodes = self._nodes, nodes
        self._fill()
        if self._current in nodes:
            if self._current in before and before.index(self._current) != nodes.index(self._current):
                # Qt says that the current row changes, and Slicer's box passes that on.
                self.nodeSignal.emit(self._current)
            return
        if self._current in before and nodes:
            # Qt goes on with the row that takes the place of the one that went, or else with the last.
            self._select(nodes[min(before.index(self._current), len(nodes) - 1)])
            return
        # Without a "None" entry Slicer's box always shows a node when there is one.
        self._select(nodes[0] if nodes and not self._options["noneEnabled"] else None)

    def _shows(self, node: Any) -> bool:
        types = self._options["nodeTypes"]
        is_a = node.IsA if self._options["showChildNodeTypes"] else lambda name: node.GetClassName() == name
        if not any(is_a(name) for name in types) or (node.GetHideFromEditors() and not self._options["showHidden"]):
            return False
        return all(
            node.GetAttribute(name) is not None and value in (None, node.GetAttribute(name))
            for node_type, name, value in self._attributes
            if node.IsA(node_type)
        )

    def _entries(self) -> list[tuple[str, Any]]:
        entries: list[tuple[str, Any]] = [(node.GetName() or "", node) for node in self._nodes]
        if self._options["noneEnabled"]:
            entries.insert(0, (self._options["noneDisplay"], None))
        if self._scene is not None and self._options["addEnabled"]:
            for name in self._options["nodeTypes"]:
                label = self._scene.GetTypeDisplayNameByClassName(name)
                entries.append((f"Create new {label}", lambda name=name: self.addNode(name)))
        if self._current is not None and self._options["removeEnabled"]:
            entries.append(("Delete current", self.removeCurrentNode))
        return entries

    def _fill(self) -> None:
        self._box.blockSignals(True)
        entries = self._entries()
        texts = [text for text, _ in entries]
        if texts != [self._box.itemText(index) for index in range(self._box.count)]:
            self._box.clear()
            self._box.addItems(texts)
        targets = [target for _, target in entries]
        self._box.setCurrentIndex(targets.index(self._current) if self._current in targets else -1)
        self._box.blockSignals(False)

    def _select(self, node: Any) -> None:
        changed = node is not self._current
        self._current = node
        self._fill()
        if changed:
            self.nodeSignal.emit(node)
            self.validSignal.emit(node is not None)
            self.currentNodeIDChanged.emit(node.GetID() if node else "")

    def _on_activated(self, index: int) -> None:
        target = self._entries()[index][1]
        if callable(target) and not isinstance(target, slicer.vtkMRMLNode):
            target()
            self._fill()
            return
        self._select(target)
        self.activatedSignal.emit(target)
