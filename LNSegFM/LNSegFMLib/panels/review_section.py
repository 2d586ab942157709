"""Look at the lymph nodes of a segmentation one by one, and tidy its segments up."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from LNSegFMLib.core.errors import UserError
from LNSegFMLib.core.measurement_table import MeasuredNode, as_text
from LNSegFMLib.core.nodes import LymphNode
from LNSegFMLib.panels.host import PanelHost, errors_shown
from LNSegFMLib.panels.node_table_view import NodeTableView
from LNSegFMLib.panels.overlay_controls import OverlayControls
from LNSegFMLib.panels.section import ParameterBinding, Section
from LNSegFMLib.panels.shortcuts import Shortcuts
from LNSegFMLib.scene.drafts import volume_of
from LNSegFMLib.scene.node_records import (
    NodeRecord,
    free_number,
    is_measured,
    records_of,
    set_reviewed,
    store_records,
)
from LNSegFMLib.scene.node_table import summary
from LNSegFMLib.scene.segment_edits import SegmentEdits
from LNSegFMLib.scene.segment_voxels import SegmentVoxels
from LNSegFMLib.scene.segmentations import segment_colours
from LNSegFMLib.scene.views import centre_on, highlight
from LNSegFMLib.scene.workbench import Workbench

MEASURE, SPLIT = "measure", "split"


class ReviewSection(Section, VTKObservationMixin):
    """The part of the panel with the lymph nodes.

    Args:
        host: The module's widget.
        ui_file: Path of ReviewSection.ui.
        bench: Does the work.
    """

    def __init__(self, host: PanelHost, ui_file: str, bench: Workbench) -> None:
        Section.__init__(self, host, ui_file)
        VTKObservationMixin.__init__(self)
        self._bench = bench
        self._edits = SegmentEdits()
        self._segmentation_node: Any = None
        self._edited = False  # since the measurement
        ui = self.ui
        self.binding = ParameterBinding(host, nodes={"Segmentation": ui.segmentationSelector})
        self._overlay = OverlayControls(host, ui, bench)
        self._view = NodeTableView(ui.nodeTable, self._on_node_chosen, self._on_reviewed)
        self._shortcuts = Shortcuts(
            {"n": self.on_next, "p": self.on_previous, "d": self.on_delete, "Space": self.on_toggle_reviewed},
            ui.nodeTable,
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

    # --- What the panel shows

    def enter(self) -> None:
        """Let the keys work, and the chosen lymph node stand out."""
        self._shortcuts.on()
        self._show_highlight()

    def exit(self) -> None:
        """Leave keys and views to other modules."""
        self._shortcuts.off()
        highlight(self._segmentation_node, ())

    def scene_closes(self) -> None:
        """Forget the segmentation and its edits."""
        self._edits.forget()
        self._overlay.forget()
        self._watch(None)
        self._show_table()

    def close(self) -> None:
        """Take the keys and observers away."""
        self._shortcuts.close()
        self.removeObservers()

    def update(self) -> None:
        """Show the segmentation that is chosen."""
        self.binding.show()
        chosen = self.ui.segmentationSelector.currentNode()
        if chosen is not self._segmentation_node:
            highlight(self._segmentation_node, ())
            self._watch(chosen)
            self._view.forget_choice()
        self._show_table()
        self._overlay.show(self._segmentation_node)

    def _watch(self, segmentation_node: Any | None) -> None:
        self.removeObservers()
        self._segmentation_node, self._edited = segmentation_node, False
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
        self._view.show(records_of(node), segment_colours(node), self.ui.filterSpinBox.value)
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
                text += " " + _("Edited since the measurement.")
        self.ui.summaryLabel.text = text

    def _update_buttons(self) -> None:
        ui, node, working = self.ui, self._segmentation_node, self.host.is_working
        chosen = self._view.chosen
        segments = {record.segment_id for record in chosen}
        idle = not working(MEASURE) and not working(SPLIT)
        ui.deleteButton.enabled = bool(chosen) and idle
        ui.mergeButton.enabled = len(segments) > 1 and idle
        ui.splitButton.enabled = len(segments) == 1 and idle
        ui.undoButton.enabled = self._edits.can_undo(node) and idle
        ui.measureButton.enabled = node is not None and self._volume_node() is not None and idle
        ui.copyButton.enabled = bool(self._view.rows)

    def _volume_node(self) -> Any | None:
        """Return the volume that the segmentation is measured on."""
        node = self.host.parameter_node
        return None if node is None else node.GetNodeReference("Volume")

    # --- Going through the lymph nodes

    def _on_segmentation_chosen(self, segmentation_node: Any) -> None:
        """Choose the volume that the segmentation was drawn on as well; they are measured and accepted together."""
        volume_node = volume_of(segmentation_node)
        if volume_node is not None and not self.binding.showing:
            self.host.choose_pair(volume_node, segmentation_node)

    def _on_node_chosen(self) -> None:
        record, volume_node = self._view.current, self._volume_node()
        if record is not None and volume_node is not None:
            centre_on(record.node.centroid_ras, volume_node)
        self._show_highlight()
        self._update_buttons()

    def _show_highlight(self, *_changed: Any) -> None:
        wanted = self.ui.highlightCheckBox.checked
        highlight(self._segmentation_node, {record.segment_id for record in self._view.chosen} if wanted else ())

    def on_next(self) -> None:
        """Go to the next row."""
        self._view.step(1)

    def on_previous(self) -> None:
        """Go to the row before."""
        self._view.step(-1)

    def _on_reviewed(self, record: NodeRecord, reviewed: bool) -> None:
        set_reviewed(self._segmentation_node, record, reviewed)
        self._show_table()

    def on_toggle_reviewed(self) -> None:
        """Tick the chosen lymph nodes off, or take their ticks away."""
        chosen = self._view.chosen
        reviewed = not all(record.reviewed for record in chosen)
        for record in chosen:
            set_reviewed(self._segmentation_node, record, reviewed)
        self._show_table()

    def on_copy(self) -> None:
        """Copy the listed lymph nodes to the clipboard."""
        segmentation = self._segmentation_node.GetSegmentation()
        rows = [
            MeasuredNode(record.node, segmentation.GetSegment(record.segment_id).GetName(), record.reviewed)
            for record in self._view.rows
        ]
        slicer.app.clipboard().setText(as_text(rows, separator="\t"))

    # --- Edits

    def on_delete(self) -> None:
        """Delete the chosen lymph nodes' segments, and go on to the next row."""
        chosen = self._view.chosen
        if not chosen or not self.ui.deleteButton.enabled:
            return
        with errors_shown(self.host):
            segments = {record.segment_id for record in chosen}
            numbers = {record.node.number for record in chosen}
            if any(each.segment_id in segments and each.node.number not in numbers for each in self._all_records()):
                raise UserError(
                    "The lymph node was not deleted.", "Its segment holds other lymph nodes as well.",
                    "Split the segment first.",
                )
            following = self._row_after(numbers)
            highlight(self._segmentation_node, ())
            self._edits.delete(self._segmentation_node, sorted(segments))
            self._after_edit(measure=False)
            if following is not None:
                self._view.choose(following)

    def _all_records(self) -> list[NodeRecord]:
        return records_of(self._segmentation_node)

    def _row_after(self, numbers: set[int]) -> int | None:
        listed = [record.node.number for record in self._view.rows]
        last = max(listed.index(number) for number in numbers)
        rest = [number for number in (*listed[last + 1:], *reversed(listed[:last])) if number not in numbers]
        return rest[0] if rest else None

    def on_merge(self) -> None:
        """Make one segment of the chosen rows'."""
        with errors_shown(self.host):
            # The lowest number stays.
            by_number = sorted(self._view.chosen, key=lambda record: record.node.number)
            self._edits.merge(self._segmentation_node, list(dict.fromkeys(each.segment_id for each in by_number)))
            self._after_edit(measure=True)

    def on_split(self) -> None:
        """Make a segment of each separate part of the chosen segment."""
        with errors_shown(self.host):
            node, segment_id = self._segmentation_node, self._view.chosen[0].segment_id

            def apply(islands: list[SegmentVoxels]) -> None:
                gone = node.GetScene() is None or node.GetSegmentation().GetSegment(segment_id) is None
                if len(islands) > 1 and not gone:
                    self._split(node, segment_id, islands)
                else:
                    self.ui.summaryLabel.text = _("The segment is in one piece.")
                self._update_buttons()

            self.host.start_work(SPLIT, self._bench.split(node, segment_id), apply)
            self._update_buttons()

    def _split(self, node: Any, segment_id: str, islands: list[SegmentVoxels]) -> None:
        # Both go by descending volume: what was listed as two lymph nodes of one segment keeps its two numbers.
        known = [record for record in records_of(node) if record.segment_id == segment_id]
        if len(known) != len(islands):
            first = free_number(node)
            self._edits.split(node, segment_id, islands, range(first, first + len(islands) - 1))
        else:
            made = self._edits.split(node, segment_id, islands, [record.node.number for record in known[1:]])
            parts = zip([segment_id, *made], known)
            store_records(node, {part: [record.node] for part, record in parts})
        self._after_edit(measure=True)

    def on_undo(self) -> None:
        """Take the last deletion, merge or split back."""
        with errors_shown(self.host):
            self._after_edit(measure=self._edits.undo())

    def _after_edit(self, *, measure: bool) -> None:
        self._show_table()
        if measure and self._volume_node() is not None:
            self.on_measure()
        elif not measure:
            # What is left was measured as it is.
            self._edited = False
            self._show_summary()

    def on_measure(self) -> None:
        """Measure the segmentation as it is now."""
        with errors_shown(self.host):
            node = self._segmentation_node
            work = self._bench.measure(node, self._volume_node())
            self._edited = False

            def show(nodes: dict[str, list[LymphNode]]) -> None:
                if node.GetScene() is not None:
                    store_records(node, nodes)
                self._show_table()

            self.host.start_work(MEASURE, work, show)
            self._show_summary()
            self._update_buttons()
