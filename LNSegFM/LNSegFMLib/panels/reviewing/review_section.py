"""Look at the lymph nodes of a segmentation one by one, and tidy its segments up."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from lnsegfm.lymph_nodes.measurement_table import MeasuredNode, as_text
from LNSegFMLib.panels.common.panel_host import PanelHost
from LNSegFMLib.panels.common.section import ParameterBinding, Section
from LNSegFMLib.panels.correcting.embedded_editing import Editing
from LNSegFMLib.panels.reviewing.lymph_node_edits import MEASURE, NodeEdits
from LNSegFMLib.panels.reviewing.lymph_node_table import NodeTableView
from LNSegFMLib.panels.reviewing.overlay_controls import OverlayControls
from LNSegFMLib.panels.reviewing.shortcuts import Shortcuts
from LNSegFMLib.scene.drafts import volume_of
from LNSegFMLib.scene.segmentation_bench import Workbench
from LNSegFMLib.scene.segments.implausible_segments import (
    follow_plausibility,
    is_implausible_shown,
    show_implausible,
)
from LNSegFMLib.scene.segments.lymph_node_records import NodeRecord, is_measured, records_of, set_reviewed
from LNSegFMLib.scene.segments.segmentations import segment_colours
from LNSegFMLib.scene.shown_pair import bring_back
from LNSegFMLib.scene.views import Highlight, centre_on, shown_at_once
from LNSegFMLib.texts.lymph_node_columns import implausible_text, summary


class ReviewSection(Section, VTKObservationMixin):
    """The part of the panel with the lymph nodes.

    Args:
        host: The module's widget.
        ui_file: Path of ReviewSection.ui.
        bench: Does the work.
        editing: The embedded Segment Editor, which edits the segment of the chosen row.
    """

    def __init__(self, host: PanelHost, ui_file: str, bench: Workbench, editing: Editing) -> None:
        Section.__init__(self, host, ui_file)
        VTKObservationMixin.__init__(self)
        self._segmentation_node: Any = None
        self._edited = False  # since the measurement
        self._note = ""  # what the last edit has to say
        self._highlight = Highlight()
        self._editing = editing
        self._segment_id = ""  # of the chosen row, as the editor knows it
        ui = self.ui
        self.binding = ParameterBinding(host, {}, nodes={"Segmentation": ui.segmentationSelector})
        self._overlay = OverlayControls(host, ui, bench)
        self._view = NodeTableView(ui.nodeTable, self._on_node_chosen, self._on_reviewed)
        self._edits = NodeEdits(host, bench, self._view, before=editing.save_state,
                                on_change=self._on_changed, say=self._say)
        editing.on_segment, editing.on_segments, editing.undo_edit = self.choose_segment, self._show_table, self._undo
        self._shortcuts = Shortcuts(
            {"n": self.on_next, "p": self.on_previous, "d": self._on_key_d, "Space": self._on_key_space},
            ui.nodeTable, repeating=("n", "p"), deleting=("d",),
            window={"Ctrl+Z": editing.undo, "Ctrl+Y": editing.redo},
        )
        for button, slot in (
            (ui.deleteButton, self.on_delete),
            (ui.mergeButton, self.on_merge),
            (ui.splitButton, self.on_split),
            (ui.undoButton, self.on_undo),
            (ui.measureButton, self.on_measure),
            (ui.copyButton, self.on_copy),
        ):
            button.connect("clicked(bool)", slot)
        ui.segmentationSelector.connect("currentNodeChanged(vtkMRMLNode*)", self._on_segmentation_chosen)
        ui.filterSpinBox.connect("valueChanged(double)", self._show_table)
        ui.highlightCheckBox.connect("toggled(bool)", self._show_highlight)
        ui.implausibleCheckBox.connect("toggled(bool)", self._on_show_implausible)

    # --- What the panel shows

    def enter(self) -> None:
        """Let the keys work, and the chosen lymph node stand out."""
        self._shortcuts.on()
        self._show_highlight()

    def exit(self) -> None:
        """Leave keys and views to other modules."""
        self._shortcuts.off()
        self._highlight.show(self._segmentation_node, ())

    def scene_closes(self) -> None:
        """Forget the segmentation and its edits."""
        self._edits.forget()
        self._overlay.forget()
        self._watch(None)
        self.ui.implausibleCheckBox.checked = False
        self._show_table()

    def close(self) -> None:
        """Take the keys and observers away."""
        self._shortcuts.close()
        self._highlight.show(None, ())
        self.removeObservers()

    def update(self) -> None:
        """Show the segmentation that is chosen."""
        self.binding.show()
        chosen = self.ui.segmentationSelector.currentNode()
        if chosen is not self._segmentation_node:
            self._highlight.show(chosen, ())
            self._watch(chosen)
            self._view.forget_choice()
            self._tell_segment("")
            self._set_box(is_implausible_shown(chosen))
        self._show_table()
        self._overlay.show(self._segmentation_node)

    def _watch(self, segmentation_node: Any | None) -> None:
        self.removeObservers()
        self._segmentation_node, self._edited, self._note = segmentation_node, False, ""
        self._edits.watch(segmentation_node)
        if segmentation_node is not None:
            for event in (
                slicer.vtkSegmentation.SourceRepresentationModified,
                slicer.vtkSegmentation.SegmentAdded,
                slicer.vtkSegmentation.SegmentRemoved,
            ):
                self.addObserver(segmentation_node.GetSegmentation(), event, self._on_edited)

    def _on_edited(self, caller: Any, event: Any) -> None:
        if not self._edited:
            self._edited = True
            self._show_summary()

    def _show_table(self, *_changed: Any) -> None:
        node = self._segmentation_node
        records, box = records_of(node), self.ui.implausibleCheckBox
        box.setVisible(any(record.is_apart for record in records))
        self._view.show(
            records, segment_colours(node), self.ui.filterSpinBox.value, with_implausible=box.checked
        )
        # A segment without a row, as one that is filtered out or empty, stays in the editor.
        if self._view.chosen:
            self._tell_segment(self._segment_of_choice())
        self._show_summary()
        self._update_buttons()

    def _show_summary(self) -> None:
        node = self._segmentation_node
        if node is None:
            text = ""
        elif self.host.is_working(MEASURE):
            text = _("Measuring...")
        elif not is_measured(node):
            text = _("Not all segments are measured yet.")
        else:
            text = summary(records_of(node))
            if self._edited:
                text += " " + _("Edited since it was measured.")
        self.ui.summaryLabel.text = f"{text} {self._note}".strip()

    def _update_buttons(self) -> None:
        ui, chosen, idle = self.ui, self._view.chosen, not self._edits.working
        segments = {record.segment_id for record in chosen}
        ui.deleteButton.enabled = bool(chosen) and idle
        ui.mergeButton.enabled = len(segments) > 1 and idle
        ui.splitButton.enabled = len(segments) == 1 and idle
        ui.undoButton.enabled = self._edits.can_undo and idle
        ui.measureButton.enabled = (
            self._segmentation_node is not None and self._edits.volume_node() is not None and idle
        )
        ui.copyButton.enabled = bool(self._view.rows)

    def _set_box(self, checked: bool) -> None:
        """Let the box tell what the scene shows; only the user's own click changes that."""
        box = self.ui.implausibleCheckBox
        was_blocked = box.blockSignals(True)
        box.checked = checked
        box.blockSignals(was_blocked)

    def _on_show_implausible(self, wanted: bool) -> None:
        show_implausible(self._segmentation_node, visible=wanted)
        self._show_table()

    # --- Going through the lymph nodes

    def _on_segmentation_chosen(self, segmentation_node: Any) -> None:
        """Choose the volume that the segmentation was drawn on as well; they are measured and accepted together."""
        volume_node = volume_of(segmentation_node)
        if volume_node is not None and not self.binding.showing:
            self.host.choose_pair(volume_node, segmentation_node)

    def _on_node_chosen(self) -> None:
        self._note = ""
        record, volume_node = self._view.current, self._edits.volume_node()
        if record is not None and volume_node is not None and record.is_measured:
            bring_back(volume_node, self._segmentation_node)
            centre_on(record.node.centroid_ras, volume_node)
        if record is not None and record.node.implausible:
            self._note = implausible_text(record.node)
        self._tell_segment(self._segment_of_choice())
        self._show_highlight()
        self._show_summary()
        self._update_buttons()

    def choose_segment(self, segment_id: str) -> None:
        """Choose the row of the segment that was chosen in the editor; the views stay where they are.

        Args:
            segment_id: Id of the segment; without a row of it no row is chosen.
        """
        self._segment_id, self._note = segment_id, ""
        self._view.choose_segment(segment_id)
        self._show_highlight()
        self._show_summary()
        self._update_buttons()

    def _segment_of_choice(self) -> str:
        """Return the segment of the chosen rows, or an empty text where they are of none or of several."""
        segments = {record.segment_id for record in self._view.chosen}
        return segments.pop() if len(segments) == 1 else ""

    def _tell_segment(self, segment_id: str) -> None:
        if segment_id != self._segment_id:
            self._segment_id = segment_id
            self._editing.select_segment(segment_id)

    def _show_highlight(self, *_changed: Any) -> None:
        wanted = self.ui.highlightCheckBox.checked
        chosen = {record.segment_id for record in self._view.chosen} if wanted else ()
        self._highlight.show(self._segmentation_node, chosen)

    def on_next(self) -> None:
        """Go to the next row."""
        self._view.step(1)

    def on_previous(self) -> None:
        """Go to the row before."""
        self._view.step(-1)

    def _on_reviewed(self, record: NodeRecord, reviewed: bool) -> None:
        self._set_reviewed([record], reviewed)

    def _set_reviewed(self, records: list[NodeRecord], reviewed: bool) -> None:
        """Tick lymph nodes off; an implausible one counts as long as it is ticked off."""
        node = self._segmentation_node
        for record in records:
            set_reviewed(node, record, reviewed)
        if any(record.node.implausible for record in records):
            follow_plausibility(node)
            if not self.ui.implausibleCheckBox.checked:
                show_implausible(node, visible=False)
        self._show_table()

    def on_toggle_reviewed(self) -> None:
        """Tick the chosen lymph nodes off, or take their ticks away."""
        chosen = self._view.chosen
        self._set_reviewed(chosen, not all(record.reviewed for record in chosen))

    def on_copy(self) -> None:
        """Copy the listed lymph nodes to the clipboard."""
        segmentation = self._segmentation_node.GetSegmentation()
        rows = [
            MeasuredNode(record.node, segmentation.GetSegment(record.segment_id).GetName(), record.reviewed)
            for record in self._view.rows if record.is_measured
        ]
        listed = any(row.node.implausible for row in rows)
        slicer.app.clipboard().setText(as_text(rows, separator="\t", with_reasons=listed))

    # --- Edits

    def _on_key_d(self) -> None:
        if not self._is_key_off("d"):
            self.on_delete()

    def _on_key_space(self) -> None:
        if not self._is_key_off(_("space")):
            self.on_toggle_reviewed()

    def _is_key_off(self, key: str) -> bool:
        """Say that a key which changes something is off: with a brush in hand it may be pressed for something else."""
        effect = self._editing.effect
        if effect:
            text = _("Key {key} is disabled while {effect} is active; press Esc to end it.")
            self._say(text.format(key=key, effect=effect))
        return bool(effect)

    def on_delete(self) -> None:
        """Delete the chosen lymph nodes."""
        # What stands out goes from one row to the next without a picture of none.
        with shown_at_once(self._segmentation_node):
            self._edits.delete()

    def on_merge(self) -> None:
        """Make one segment of the chosen rows'."""
        self._edits.merge()

    def on_split(self) -> None:
        """Make a segment of each separate part of the chosen segment."""
        self._edits.split()
        self._update_buttons()

    def on_undo(self) -> None:
        """Take the last edit back."""
        self._edits.undo()

    def _undo(self) -> bool:
        can_undo = self._edits.can_undo and not self._edits.working
        if can_undo:
            self.on_undo()
        return can_undo

    def on_measure(self) -> None:
        """Measure the segmentation as it is now."""
        self._edits.measure()

    def _on_changed(self, up_to_date: bool) -> None:
        self._edited, self._note = not up_to_date, ""
        self._show_table()
        self._show_highlight()

    def _say(self, text: str) -> None:
        self._note = text
        self._show_summary()
