"""qMRMLSegmentEditorWidget on Slicer's own vtkSlicerSegmentEditorLogic: selections, effects, masks, undo and keys.

Written beside qMRMLSegmentEditorWidget.cxx, so that it selects, forgets and complains where the real one does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import shiboken6
import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Signal

from . import segment_editor_keys
from .mrml_widgets import qMRMLNodeComboBox, qMRMLWidget
from .segment_effects import EFFECTS, Effect
from .segments_table import SegmentsTableView


class qMRMLSegmentEditorWidget(qMRMLWidget):
    """Slicer's Segment Editor as a widget."""

    currentSegmentIDChanged = Signal(str)
    volumeSignal = Signal(object)
    segmentationSignal = Signal(object)
    cpp_signals: ClassVar[dict[str, str]] = {
        **qMRMLWidget.cpp_signals,
        "sourceVolumeNodeChanged(vtkMRMLVolumeNode*)": "volumeSignal",
        "segmentationNodeChanged(vtkMRMLSegmentationNode*)": "segmentationSignal",
    }

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._node_ref, self._segmentation_ref, self._volume_ref = (vtk.vtkWeakReference() for _ in range(3))
        self._logic = slicer.vtkSlicerSegmentEditorLogic()
        self._logic.AddObserver(
            slicer.vtkSlicerSegmentEditorLogic.SegmentationHistoryChangedEvent, self._guarded(self._update_undo)
        )
        self._observed: dict[str, list[tuple[Any, int]]] = {}
        self._effects = [Effect(name, self._logic) for name in EFFECTS]
        self._active: Effect | None = None
        self._last_active: Effect | None = None
        self._order: list[str] = list(EFFECTS)
        self._unordered = self._auto_show = True
        self._views_observed = False
        self._shortcuts: list[QtGui.QShortcut] = []
        self._build()
        self._order_effects()

    def _build(self) -> None:
        self._segmentation_box = qMRMLNodeComboBox()
        self._segmentation_box.setObjectName("SegmentationNodeComboBox")
        self._segmentation_box.nodeTypes = ["vtkMRMLSegmentationNode"]
        self._volume_box = qMRMLNodeComboBox()
        self._volume_box.setObjectName("SourceVolumeNodeComboBox")
        self._volume_box.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        self._volume_box.noneEnabled = True
        self._segmentation_box.connect("currentNodeChanged(vtkMRMLNode*)", self._on_segmentation_chosen)
        self._volume_box.connect("currentNodeChanged(vtkMRMLNode*)", self._on_volume_chosen)
        self._table = SegmentsTableView(self._on_segment_selected)
        self._table.setObjectName("SegmentsTableView")
        self._add = self._button("AddSegmentButton", "Add", self._on_add)
        self._remove = self._button("RemoveSegmentButton", "Remove", self._on_remove)
        self._undo_button = self._button("UndoButton", "Undo", self.undo)
        self._redo_button = self._button("RedoButton", "Redo", self.redo)
        self._group = QtWidgets.QFrame()
        self._group.setObjectName("EffectsGroupBox")
        self._group.setLayout(QtWidgets.QGridLayout())
        self._effect_buttons = {"": self._effect_button("")}
        self._effect_buttons.update({name: self._effect_button(name) for name in EFFECTS})
        layout = QtWidgets.QGridLayout(self)
        for row, parts in enumerate((
            (self._segmentation_box, self._volume_box), (self._add, self._remove), (self._table,), (self._group,),
            (self._undo_button, self._redo_button),
        )):
            for column, part in enumerate(parts):
                layout.addWidget(part, row, column, 1, 2 if len(parts) == 1 else 1)
        self._group.setEnabled(False)

    def _button(self, name: str, text: str, slot: Callable[[], None]) -> QtWidgets.QToolButton:
        button = QtWidgets.QToolButton()
        button.setObjectName(name)
        button.setText(text)
        button.setEnabled(False)
        button.clicked.connect(lambda *_: slot())
        return button

    def _effect_button(self, name: str) -> QtWidgets.QToolButton:
        button = QtWidgets.QToolButton(self._group)
        button.setObjectName(name or "NULL")
        button.setText(name or "None")
        button.setCheckable(True)
        button.clicked.connect(lambda *_: self.setActiveEffectByName(name))
        return button

    # --- Observers, as qvtkConnect and qvtkReconnect

    def _guarded(self, slot: Callable[[], None]) -> Callable[..., None]:
        return lambda *_: slot() if shiboken6.isValid(self) else None

    def _reconnect(self, key: str, subject: Any, events: Sequence[Any], slot: Callable[[], None]) -> None:
        for old, tag in self._observed.pop(key, []):
            old.RemoveObserver(tag)
        if subject is not None:
            self._observed[key] = [(subject, subject.AddObserver(event, self._guarded(slot))) for event in events]

    # --- Nodes

    def mrmlSegmentEditorNode(self) -> Any:
        """Return the parameter node; None when it was deleted."""
        return self._node_ref.Get()

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        """Use another parameter node."""
        if self.mrmlSegmentEditorNode() is node:
            return
        self._reconnect("node", node, ["ModifiedEvent"], self.updateWidgetFromMRML)
        self._node_ref.Set(node)
        self._logic.SetSegmentEditorNode(node)
        if node is not None:
            self._initialize_node()
            self.updateWidgetFromMRML()

    def _initialize_node(self) -> None:
        node = self.mrmlSegmentEditorNode()
        if node is None:
            return
        before = node.StartModify()
        for effect in self._effects:
            effect._node = self._node_ref
            effect.setMRMLDefaults()
        node.EndModify(before)

    def setMRMLScene(self, scene: Any) -> None:
        """Use another scene; the boxes do not write what they choose then."""
        if scene is self.mrmlScene():
            return
        super().setMRMLScene(scene)
        for box in (self._segmentation_box, self._volume_box):
            blocked = box.blockSignals(True)
            box.setMRMLScene(scene)
            box.blockSignals(blocked)
        self._logic.SetMRMLApplicationLogic(slicer.app.applicationLogic())
        self._logic.SetMRMLScene(scene)
        self._logic.SetVerbose(True)
        self.updateWidgetFromMRML()
        kind = slicer.vtkMRMLScene
        self._reconnect("close", scene, [kind.EndCloseEvent], self._on_closed)
        self._reconnect("batch", scene, [kind.EndBatchProcessEvent], self._on_batch_end)

    def _on_closed(self) -> None:
        self._initialize_node()
        self.updateWidgetFromMRML()

    def _on_batch_end(self) -> None:
        node = self.mrmlSegmentEditorNode()
        if node is not None:
            # The boxes win over the node: a scene that was loaded loses its segmentation here.
            if node.GetSegmentationNode() is not self._segmentation_box.currentNode():
                self.setSegmentationNode(self._segmentation_box.currentNode())
            if node.GetSourceVolumeNode() is not self._volume_box.currentNode():
                self.setSourceVolumeNode(self._volume_box.currentNode())
        self.updateWidgetFromMRML()

    def segmentationNode(self) -> Any:
        """Return what the box shows, which need not be the node's segmentation."""
        return self._segmentation_box.currentNode()

    def setSegmentationNode(self, node: Any) -> None:
        """Edit another segmentation node."""
        if self._logic.GetSegmentationNode() is node:
            return
        self._logic.SetSegmentationNode(node)
        self.setActiveEffect(None)

    def sourceVolumeNode(self) -> Any:
        """Return the source volume node."""
        return self._logic.GetSourceVolumeNode()

    def setSourceVolumeNode(self, node: Any) -> None:
        """Paint on another volume; an error without a segmentation."""
        self._logic.SetSourceVolumeNode(node)

    def _on_segmentation_chosen(self, node: Any) -> None:
        if self.mrmlScene() is not None and not self.mrmlScene().IsBatchProcessing():
            self.setSegmentationNode(node)

    def _on_volume_chosen(self, node: Any) -> None:
        if self.mrmlScene() is not None and not self.mrmlScene().IsBatchProcessing():
            self.setSourceVolumeNode(node)

    # --- From the parameter node to the widgets

    def updateWidgetFromMRML(self) -> None:
        """Show what the parameter node says."""
        scene, node = self.mrmlScene(), self.mrmlSegmentEditorNode()
        if scene is None or scene.IsClosing() or scene.IsBatchProcessing():
            return
        if node is None:
            self._group.setEnabled(False)
            return
        before = node.StartModify()
        self._show_segmentation()
        self._show_volume()
        segmentation_node = self._segmentation_ref.Get()
        selected = node.GetSelectedSegmentID() or ""
        if segmentation_node is None or segmentation_node.GetSegmentation().GetSegmentIndex(selected) < 0:
            selected = ""
        self._add.setEnabled(segmentation_node is not None and self._logic.CanAddSegments())
        self._remove.setEnabled(bool(selected))
        if selected:
            self._table.setSelectedSegmentIDs([selected])
        else:
            self._table.clearSelection()
        self._show_effects()
        self._update_undo()
        node.EndModify(before)

    def _show_segmentation(self) -> None:
        node = self._logic.GetSegmentationNode()
        _set_silently(self._segmentation_box, node)
        if node is self._segmentation_ref.Get():
            return
        self._reconnect("segmentation", node, ["ModifiedEvent"], self.updateWidgetFromMRML)
        self._segmentation_ref.Set(node)
        blocked = self._table.blockSignals(True)
        self._table.setSegmentationNode(node)
        self._table.blockSignals(blocked)
        if node is not None:
            role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
            self._volume_box.setCurrentNode(node.GetNodeReference(role))
            node.CreateDefaultDisplayNodes()
            if self._table.segmentIDs():
                # The real one does so whatever segment the parameter node names.
                self._table.setSelectedSegmentIDs(self._table.segmentIDs()[:1])
        self.segmentationSignal.emit(node)

    def _show_volume(self) -> None:
        node = self._logic.GetSourceVolumeNode()
        if self._logic.GetSegmentationNode() is None or node is self._volume_ref.Get():
            return
        self._volume_ref.Set(node)
        _set_silently(self._volume_box, node)
        if node is not None and self._auto_show:
            slicer.util.setSliceViewerLayers(background=node)
        self.volumeSignal.emit(node)

    def _show_effects(self) -> None:
        node = self.mrmlSegmentEditorNode()
        enabled, selected = node.GetSourceVolumeNode() is not None, bool(node.GetSelectedSegmentID())
        self._group.setEnabled(enabled)
        for effect in self._effects if enabled else ():
            usable = bool(self._table.segmentIDs()) and (selected or not effect.perSegment)
            self._effect_buttons[effect.name].setEnabled(usable)
        active = self.effectByName(node.GetActiveEffectName() or "")
        if active is self._active:
            return
        if active is not None and not self._logic.TrivialSetSourceRepresentationToBinaryLabelmap():
            active = None
        if active is not None:
            self.setupViewObservations()
        else:
            self.removeViewObservations()
        for name, button in self._effect_buttons.items():
            button.setChecked(name == ("" if active is None else active.name))
        self._last_active, self._active = self._active, active

    # --- Segments

    def _on_segment_selected(self) -> None:
        node = self.mrmlSegmentEditorNode()
        if node is None:
            QtCore.qCritical("onSegmentSelectionChanged: Invalid segment editor parameter set node")
            return
        selected = next(iter(self._table.selectedSegmentIDs()), "")
        if selected == (node.GetSelectedSegmentID() or ""):
            return
        if selected:
            node.SetSelectedSegmentID(selected)
        else:
            node.SetSelectedSegmentID(None)
            if self._active is not None and self._active.perSegment:
                self.setActiveEffect(None)
        self.updateWidgetFromMRML()
        self.currentSegmentIDChanged.emit(selected)

    def currentSegmentID(self) -> str:
        """Return the id of the segment that is edited, or an empty text."""
        return self._logic.GetCurrentSegmentID()

    def setCurrentSegmentID(self, segment_id: str) -> None:
        """Edit another segment."""
        node = self.mrmlSegmentEditorNode()
        if node is not None:
            node.SetSelectedSegmentID(segment_id)

    def _on_add(self) -> None:
        self._logic.AddEmptySegment("", 0)

    def _on_remove(self) -> None:
        following = self._logic.RemoveSelectedSegment()
        if following:
            self._table.setSelectedSegmentIDs([following])

    def selectPreviousSegment(self) -> None:
        """Edit the segment above."""
        self._logic.SelectPreviousSegment(True)

    def selectNextSegment(self) -> None:
        """Edit the segment below."""
        self._logic.SelectNextSegment(True)

    # --- Effects

    def effectByName(self, name: str) -> Effect | None:
        """Return an effect or None."""
        return next((effect for effect in self._effects if effect.name == name), None)

    def activeEffect(self) -> Effect | None:
        """Return the effect in hand or None."""
        return self._active

    def setActiveEffect(self, effect: Effect | None) -> None:
        """Take an effect in hand, or none."""
        node = self.mrmlSegmentEditorNode()
        if node is not None:
            node.SetActiveEffectName("" if effect is None else effect.name)
        elif effect is not None:
            QtCore.qCritical("setActiveEffect: Invalid segment editor parameter set node")

    def setActiveEffectByName(self, name: str) -> None:
        """Take an effect in hand, or none."""
        self.setActiveEffect(self.effectByName(name))

    def setEffectNameOrder(self, names: Sequence[str]) -> None:
        """Show these effects first."""
        self._order = list(names)
        self._order_effects()

    def _set_unordered(self, visible: bool) -> None:
        self._unordered = visible
        self._order_effects()

    unorderedEffectsVisible = Property(bool, lambda self: self._unordered, _set_unordered)

    def availableEffectNames(self) -> tuple[str, ...]:
        """Return the names of all effects."""
        return tuple(effect.name for effect in self._effects)

    def _shown_effects(self) -> list[str]:
        listed = [name for name in self._order if name in EFFECTS]
        return ["", *listed, *(name for name in EFFECTS if self._unordered and name not in listed)]

    def _order_effects(self) -> None:
        shown = self._shown_effects()
        for name, button in self._effect_buttons.items():
            button.setVisible(name in shown)
        for place, name in enumerate(shown):
            self._group.layout().addWidget(self._effect_buttons[name], place // 2, place % 2)

    def setupViewObservations(self) -> None:
        """Let the effects get the mouse in the views."""
        self._views_observed = True

    def removeViewObservations(self) -> None:
        """Leave the mouse to the views."""
        self._views_observed = False

    # --- Undo

    def setMaximumNumberOfUndoStates(self, count: int) -> None:
        """Keep so many states."""
        self._logic.SetMaximumNumberOfUndoStates(count)

    def saveStateForUndo(self) -> None:
        """Keep the segmentation as it is now."""
        self._logic.SaveStateForUndo()

    def undo(self) -> None:
        """Go back to the state before."""
        self._logic.Undo()

    def redo(self) -> None:
        """Undo the undoing."""
        self._logic.Redo()

    def _update_undo(self) -> None:
        self._undo_button.setEnabled(self._logic.CanUndo())
        self._redo_button.setEnabled(self._logic.CanRedo())

    # --- Keys

    def installKeyboardShortcuts(self, parent: QtWidgets.QWidget | None = None) -> None:
        """Take the Segment Editor's keys in the window of a widget, by default the main window."""
        self.uninstallKeyboardShortcuts()
        self._shortcuts = segment_editor_keys.install(self, parent or slicer.util.mainWindow())

    def uninstallKeyboardShortcuts(self) -> None:
        """Give the keys back."""
        for shortcut in self._shortcuts:
            if shiboken6.isValid(shortcut):
                shiboken6.delete(shortcut)
        self._shortcuts = []

    def _take_last_effect(self) -> None:
        self.setActiveEffect(self._last_active)

    def _toggle_effect(self, place: int) -> None:
        shown = self._shown_effects()
        effect = self.effectByName(shown[place]) if place < len(shown) else None
        self.setActiveEffect(None if effect is self._active else effect)

    # --- What is shown

    def setAutoShowSourceVolumeNode(self, wanted: bool) -> None:
        """Show the source volume in the slice views, or not."""
        self._auto_show = wanted

    def setSegmentationNodeSelectorVisible(self, visible: bool) -> None:
        """Show the box of segmentation nodes, or not; hidden it still chooses."""
        self._segmentation_box.setVisible(visible)

    def setSourceVolumeNodeSelectorVisible(self, visible: bool) -> None:
        """Show the box of volume nodes, or not; hidden it still chooses."""
        self._volume_box.setVisible(visible)

    def setSwitchToSegmentationsButtonVisible(self, visible: bool) -> None:
        """Show the button to the module Segmentations, which is missing here."""


def _set_silently(box: qMRMLNodeComboBox, node: Any) -> None:
    if box.currentNode() is not node:
        blocked = box.blockSignals(True)
        box.setCurrentNode(node)
        box.blockSignals(blocked)
