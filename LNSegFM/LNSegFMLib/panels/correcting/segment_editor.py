"""Slicer's Segment Editor inside the panel, with what lymph nodes need."""

from __future__ import annotations

import logging
from typing import Any

import slicer

from LNSegFMLib.scene.editor_node import editor_node, selected_segment

_EFFECTS = ("Paint", "Draw", "Erase", "Scissors", "Islands", "Margin", "Smoothing", "Grow from seeds")
_UNDO_STATES = 10
# Keys of the editor that mean something else in the panel: space ticks a lymph node off, and undo is the panel's own.
_KEYS_LEFT_OUT = ("Space", "Ctrl+Z", "Ctrl+Y", "Ctrl+Shift+Z")


def editor_available() -> bool:
    """Tell whether this Slicer has the widget."""
    return hasattr(slicer, "qMRMLSegmentEditorWidget")


class EmbeddedSegmentEditor:
    """A qMRMLSegmentEditorWidget with a parameter node of its own, see `editor_node`.

    Args:
        layout: Where it is put.
    """

    def __init__(self, layout: Any) -> None:
        widget = self.widget = slicer.qMRMLSegmentEditorWidget()
        widget.setMaximumNumberOfUndoStates(_UNDO_STATES)
        widget.setEffectNameOrder(_EFFECTS)
        widget.unorderedEffectsVisible = False
        widget.setSwitchToSegmentationsButtonVisible(False)
        widget.setSegmentationNodeSelectorVisible(False)
        widget.setSourceVolumeNodeSelectorVisible(False)
        # What the slice views show is the user's choice, also while a pair is chosen from elsewhere.
        widget.setAutoShowSourceVolumeNode(False)
        # Hidden they still choose: without an entry "None" a box takes whatever node there is.
        self._boxes = [_part(widget, name) for name in ("SegmentationNodeComboBox", "SourceVolumeNodeComboBox")]
        for box in self._boxes:
            if box is not None:
                box.noneEnabled = True
        # The node first, or the widget writes its own choices into none.
        widget.setMRMLSegmentEditorNode(editor_node())
        widget.setMRMLScene(slicer.mrmlScene)
        layout.addWidget(widget)

    @property
    def effect(self) -> str:
        """Name of the active effect, or an empty text."""
        effect = self.widget.activeEffect()
        return "" if effect is None else effect.name

    def show(self, volume_node: Any | None, segmentation_node: Any | None, segment_id: str) -> None:
        """Edit a segment of a segmentation; see `select_segment`.

        Args:
            volume_node: The volume that is painted on.
            segmentation_node: vtkMRMLSegmentationNode, or None for nothing to edit.
            segment_id: Id of the segment.
        """
        if slicer.mrmlScene.IsBatchProcessing():
            return  # the widget takes nothing before the end
        node, widget = editor_node(), self.widget
        if widget.mrmlSegmentEditorNode() is not node:
            widget.setMRMLSegmentEditorNode(node)
        if segmentation_node is None:
            self.forget()
            return
        widget.setSegmentationNode(segmentation_node)
        widget.setSourceVolumeNode(volume_node)
        if widget.segmentationNode() is not segmentation_node:
            widget.updateWidgetFromMRML()  # its hidden boxes have fallen behind the node
        # The widget has selected the first segment by itself.
        self.select_segment(segment_id)

    def reread_node(self) -> None:
        """Take the parameter node as a scene file has brought it."""
        node = editor_node()
        self.widget.setMRMLSegmentEditorNode(None)
        self.widget.setMRMLSegmentEditorNode(node)
        node.InvokeCustomModifiedEvent(slicer.vtkMRMLSegmentEditorNode.EffectParameterModified)

    def select_segment(self, segment_id: str) -> None:
        """Choose the segment that is painted; for an empty or unknown id none, and no effect that needs one."""
        node = editor_node()
        segmentation_node = node.GetSegmentationNode()
        known = segmentation_node is not None and segmentation_node.GetSegmentation().GetSegmentIndex(segment_id) >= 0
        wanted = segment_id if known else ""
        if not wanted:
            self.end_effect_without_segment()
        if selected_segment(node) != wanted:
            node.SetSelectedSegmentID(wanted)

    def end_effect_without_segment(self) -> None:
        """Put away an effect that needs a segment: a stroke into none is only an error in Slicer's log."""
        # By the node: the widget may hear of the effect later.
        effect = self.widget.effectByName(editor_node().GetActiveEffectName() or "")
        if effect is not None and effect.perSegment:
            self.widget.setActiveEffectByName("")

    def enter(self) -> None:
        """Let the editor's keys work while it is to be seen."""
        self.widget.updateWidgetFromMRML()
        self.widget.installKeyboardShortcuts(self.widget)
        for child in self.widget.children():
            if child.className() == "QShortcut" and child.key.toString() in _KEYS_LEFT_OUT:
                child.setEnabled(False)

    def exit(self) -> None:
        """Stop editing: a click in a view must not paint while another module is shown."""
        self.widget.uninstallKeyboardShortcuts()
        self.widget.setActiveEffectByName("")
        self.widget.removeViewObservations()

    def forget(self) -> None:
        """Let go of the nodes of a pair."""
        self.widget.setActiveEffectByName("")
        # The volume first: without a segmentation the widget takes and gives none.
        self.widget.setSourceVolumeNode(None)
        self.widget.setSegmentationNode(None)
        editor_node().SetAndObserveSourceVolumeNode(None)
        for box in self._boxes:
            if box is not None:
                box.setCurrentNode(None)

    # --- Undo

    def save_state(self) -> None:
        """Let undo come back to the segmentation as it is now."""
        if self.widget.segmentationNode() is not None:
            self.widget.saveStateForUndo()

    def undo(self) -> bool:
        """Take back the last edit; return whether there was one."""
        return self._press("UndoButton", self.widget.undo)

    def redo(self) -> bool:
        """Repeat the edit that was taken back; return whether there was one."""
        return self._press("RedoButton", self.widget.redo)

    def _press(self, button_name: str, slot: Any) -> bool:
        # Only the button knows whether there is a state to go to; without one the slot writes a warning.
        button = _part(self.widget, button_name)
        if button is None or not button.enabled:
            return False
        slot()
        return True


def _part(widget: Any, name: str) -> Any | None:
    """Return a widget inside of the editor."""
    found = slicer.util.findChildren(widget, name=name)
    if not found:
        logging.warning("The Segment Editor of this Slicer has no %s.", name)
        return None
    return found[0]
