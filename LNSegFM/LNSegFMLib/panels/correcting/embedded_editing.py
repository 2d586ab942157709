"""The embedded Segment Editor beside the table of lymph nodes: one choice, one undo, and a line that says which."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from LNSegFMLib.panels.correcting.editor_watch import EditorWatch
from LNSegFMLib.panels.correcting.segment_editor import EmbeddedSegmentEditor, editor_available
from LNSegFMLib.scene.editor_node import editor_node, existing_editor_node, selected_segment, set_lymph_node_defaults
from LNSegFMLib.scene.segments.new_segments import adopt_segments, is_empty
from LNSegFMLib.scene.soft_tissue import SoftTissueMask, is_soft_tissue_wanted, want_soft_tissue

_UNDO_LINK = "undo"


class Editing(VTKObservationMixin):
    """What the panel does with its Segment Editor.

    The chosen row of the table and the segment of the editor are one thing. Where no row is chosen, or rows of several
    segments, the editor has no segment, and effects that change one are off.

    Args:
        ui: The widgets of CorrectSection.ui.
        pair: Returns the volume node and the segmentation node that are chosen, or None.

    Attributes:
        on_segment: Called with the id of the segment that was chosen in the editor, or with an empty text.
        on_segments: Called when segments were added, removed or restored in the editor.
        undo_edit: Takes back the last edit of the table; returns whether there was one.
    """

    def __init__(self, ui: Any, pair: Callable[[], tuple[Any, Any]]) -> None:
        super().__init__()
        self.editor: EmbeddedSegmentEditor | None = None
        self.on_segment: Callable[[str], None] = lambda segment_id: None
        self.on_segments: Callable[[], None] = lambda: None
        self.undo_edit: Callable[[], bool] = lambda: False
        self._ui, self._pair = ui, pair
        self._watch = EditorWatch(self)
        self._mask = SoftTissueMask()
        self._segment_id = ""
        self._entered = self._changing = self._scene_changes = False
        self._loaded: tuple[Any, str] | None = None  # what a scene file had chosen
        self._with_voxels: set[str] = set()
        self._emptied = ""  # name of the segment
        has_editor = editor_available()
        ui.editButton.setVisible(not has_editor)
        ui.editorCollapsibleButton.setVisible(has_editor)
        ui.editorCollapsibleButton.connect("contentsCollapsed(bool)", self._on_collapsed)
        ui.softTissueButton.connect("toggled(bool)", self.on_soft_tissue)
        ui.editStateLabel.connect("linkActivated(QString)", self._on_link)
        scene = slicer.mrmlScene
        # Before the editor, which gives its effects Slicer's defaults; and after it, for it takes its nodes from boxes
        # that are empty after a scene was loaded.
        self.addObserver(scene, scene.EndCloseEvent, self._on_scene_closed, priority=1.0)
        self.addObserver(scene, scene.StartImportEvent, self._on_import_starts)
        self.addObserver(scene, scene.EndImportEvent, self._on_imported)
        self.addObserver(scene, scene.EndBatchProcessEvent, self._on_batch_end, priority=-1.0)

    @property
    def effect(self) -> str:
        """Name of the active effect, or an empty text."""
        return "" if self.editor is None else self.editor.effect

    # --- Called by the panel

    def show(self) -> None:
        """Edit the pair that is chosen."""
        if self.editor is None or slicer.mrmlScene.IsBatchProcessing():
            return
        volume_node, segmentation_node = self._pair()
        self._changing = True
        try:
            self.editor.show(volume_node, segmentation_node, self._segment_id)
        finally:
            self._changing = False
        self._watch.watch(segmentation_node)
        self.on_editor_changed()

    def select_segment(self, segment_id: str) -> None:
        """Let the editor paint a segment from now on; for an empty text none."""
        self._segment_id, self._emptied = segment_id, ""
        if self.editor is None or self._scene_changes:
            return
        self._changing = True
        try:
            self.editor.select_segment(segment_id)
        finally:
            self._changing = False
        self._note_voxels()
        self._show_state()

    def save_state(self) -> None:
        """Let undo come back to the segmentation as it is now: to be called before it is changed elsewhere."""
        if self.editor is not None:
            self.editor.save_state()

    def undo(self) -> None:
        """Take back the last stroke, or the last edit of the table."""
        if self.editor is None or not self.editor.undo():
            self.undo_edit()

    def redo(self) -> None:
        """Repeat the stroke that was taken back."""
        if self.editor is not None:
            self.editor.redo()

    def enter(self) -> None:
        """Let the editor work."""
        self._entered = True
        if self.editor is not None and not self._ui.editorCollapsibleButton.collapsed:
            self.editor.enter()

    def exit(self) -> None:
        """Stop editing."""
        self._entered = False
        if self.editor is not None:
            self.editor.exit()

    def forget(self) -> None:
        """Let go of the nodes of a scene that is about to go."""
        self._scene_changes = True
        self._segment_id, self._emptied, self._with_voxels = "", "", set()
        if self.editor is not None:
            self._watch.watch(None)
            self.editor.forget()
        self._show_state()

    def close(self) -> None:
        """Let go of views and scene for good."""
        self.exit()
        self._watch.stop()
        self.removeObservers()

    # --- The scene

    def _on_scene_closed(self, caller: Any, event: Any) -> None:
        node = existing_editor_node()
        if node is not None:
            set_lymph_node_defaults(node)

    def _on_import_starts(self, caller: Any, event: Any) -> None:
        self._scene_changes = True

    def _on_imported(self, caller: Any, event: Any) -> None:
        node = existing_editor_node()
        if node is None:
            return
        self._loaded = (node.GetSegmentationNode(), selected_segment(node))
        node.SetActiveEffectName("")  # a scene must not open with the brush in hand
        set_lymph_node_defaults(node)  # where it was saved before there were any

    def _on_batch_end(self, caller: Any, event: Any) -> None:
        if slicer.mrmlScene.IsBatchProcessing():
            return
        was_loaded, self._loaded, self._scene_changes = self._loaded, None, False
        if was_loaded is not None:
            if self.editor is not None:
                self._changing = True
                try:
                    self.editor.reread_node()
                finally:
                    self._changing = False
            segmentation_node, segment_id = was_loaded
            if segmentation_node is not None and segmentation_node is self._pair()[1]:
                self._segment_id = segment_id
                self.on_segment(segment_id)
        self.show()

    # --- What the user does in the editor

    def on_editor_changed(self) -> None:
        """Follow the editor: its segment to the table, its effect with the intensity mask."""
        if self._changing or self._scene_changes or self.editor is None or slicer.mrmlScene.IsBatchProcessing():
            return
        node = editor_node()
        self._changing = True
        try:
            self._mask.follow(node)
            if not selected_segment(node):
                self.editor.end_effect_without_segment()
        finally:
            self._changing = False
        if selected_segment(node) != self._segment_id:
            self._segment_id, self._emptied = selected_segment(node), ""
            self._note_voxels()
            self.on_segment(self._segment_id)
        self._show_state()

    def on_segments_edited(self, added: set[str]) -> None:
        """Make lymph nodes of new segments, and say when the edited one has become empty.

        Args:
            added: Ids of the new segments.
        """
        segmentation_node = self._pair()[1]
        if segmentation_node is None or self._scene_changes:
            return
        if self._entered and added:
            adopt_segments(segmentation_node, added)
        segment = segmentation_node.GetSegmentation().GetSegment(self._segment_id) if self._segment_id else None
        self._emptied = ""
        if segment is not None and self._segment_id in self._with_voxels and is_empty(segment):
            self._emptied = segment.GetName()
        else:
            self._note_voxels()
        self.on_segments()
        if self._segment_id in added:
            self.on_segment(self._segment_id)  # its row is there now
        self._show_state()

    def _note_voxels(self) -> None:
        segmentation_node = self._pair()[1]
        if self.editor is None or segmentation_node is None or not self._segment_id:
            return
        segment = segmentation_node.GetSegmentation().GetSegment(self._segment_id)
        if segment is not None and not is_empty(segment):
            self._with_voxels.add(self._segment_id)

    def _on_collapsed(self, collapsed: bool) -> None:
        # Made when it is opened for the first time: it takes long, and not everybody corrects.
        if not collapsed and self.editor is None:
            self._changing = True
            try:
                self.editor = EmbeddedSegmentEditor(self._ui.editorPlace.layout())
            finally:
                self._changing = False
        if self.editor is not None and self._entered:
            if collapsed:
                self.editor.exit()
            else:
                self.editor.enter()
        self.show()

    def on_soft_tissue(self, wanted: bool) -> None:
        """Paint and grow into soft tissue only, or everywhere."""
        want_soft_tissue(editor_node(), wanted)

    def _on_link(self, link: str) -> None:
        if link == _UNDO_LINK:
            self.undo()

    def _show_state(self) -> None:
        if self.editor is None:
            return
        # Without a signal, which would replace a range of the user's own.
        button = self._ui.softTissueButton
        blocked = button.blockSignals(True)
        button.checked = is_soft_tissue_wanted(editor_node())
        button.blockSignals(blocked)
        self._ui.editStateLabel.text = self._state()

    def _state(self) -> str:
        segmentation_node = self._pair()[1]
        if segmentation_node is None:
            return _("Select a volume and its segmentation to edit.")
        if self._emptied:
            return _('{name} is empty now. <a href="{link}">Undo</a> (Ctrl+Z)').format(
                name=escape(self._emptied), link=_UNDO_LINK
            )
        segment = segmentation_node.GetSegmentation().GetSegment(self._segment_id) if self._segment_id else None
        if segment is None:
            return _("Select one lymph node, in the table or below, to edit it.")
        return _("Editing: {name}").format(name=escape(segment.GetName()))
