"""Deleting, merging, splitting and measuring the chosen lymph nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from slicer.i18n import tr as _

from lnsegfm.base.errors import UserError
from lnsegfm.lymph_nodes.instances import LymphNode
from LNSegFMLib.panels.common.panel_host import PanelHost, errors_shown
from LNSegFMLib.panels.reviewing.lymph_node_table import NodeTableView
from LNSegFMLib.scene.segmentation_bench import Workbench
from LNSegFMLib.scene.segments.implausible_segments import follow_plausibility
from LNSegFMLib.scene.segments.lymph_node_records import free_number, records_of, store_records
from LNSegFMLib.scene.segments.segment_edits import SegmentEdits
from LNSegFMLib.scene.segments.segment_voxels import SegmentVoxels

MEASURE, SPLIT = "measure", "split"


class NodeEdits:
    """What the buttons below the table do.

    Args:
        host: Waits for the work.
        bench: Does the work.
        view: Tells what is chosen.
        before: Called before the segmentation is changed.
        on_change: Called when the table is to be shown again; its argument tells whether what it shows is up to date.
        say: Shows a sentence below the table.
    """

    def __init__(
        self,
        host: PanelHost,
        bench: Workbench,
        view: NodeTableView,
        *,
        before: Callable[[], None],
        on_change: Callable[[bool], None],
        say: Callable[[str], None],
    ) -> None:
        self._host, self._bench, self._view = host, bench, view
        self._before, self._on_change, self._say = before, on_change, say
        self._edits = SegmentEdits()
        self._node: Any = None

    @property
    def working(self) -> bool:
        """Whether the segments are being measured or split."""
        return self._host.is_working(MEASURE) or self._host.is_working(SPLIT)

    @property
    def can_undo(self) -> bool:
        """Whether the last edit was of the segmentation that is shown."""
        return self._edits.can_undo(self._node)

    def watch(self, segmentation_node: Any | None) -> None:
        """Edit another segmentation."""
        self._node = segmentation_node

    def forget(self) -> None:
        """Forget all edits."""
        self._edits.forget()
        self._node = None

    def volume_node(self) -> Any | None:
        """Return the volume that the segmentation is measured on."""
        node = self._host.parameter_node
        return None if node is None else node.GetNodeReference("Volume")

    def delete(self) -> None:
        """Delete the chosen lymph nodes' segments, and go on to the next row."""
        chosen = self._view.chosen
        segments = {record.segment_id for record in chosen}
        numbers = {record.node.number for record in chosen}
        if not chosen or self.working:
            return
        with errors_shown(self._host):
            if any(each.segment_id in segments and each.node.number not in numbers for each in records_of(self._node)):
                raise UserError(
                    "The lymph node was not deleted.", "Its segment holds other lymph nodes as well.",
                    "Split the segment first.",
                )
            following = self._row_after(numbers)
            self._before()
            self._edits.delete(self._node, sorted(segments))
            self._on_change(True)  # what is left was measured as it is
            if following is not None:
                self._view.choose(following)

    def _row_after(self, numbers: set[int]) -> int | None:
        listed = [record.node.number for record in self._view.rows]
        last = max(listed.index(number) for number in numbers)
        rest = [number for number in (*listed[last + 1:], *reversed(listed[:last])) if number not in numbers]
        return rest[0] if rest else None

    def merge(self) -> None:
        """Make one segment of the chosen rows'."""
        with errors_shown(self._host):
            # The lowest number stays.
            by_number = sorted(self._view.chosen, key=lambda record: record.node.number)
            self._before()
            self._edits.merge(self._node, list(dict.fromkeys(each.segment_id for each in by_number)))
            self.measure()

    def split(self) -> None:
        """Make a segment of each separate part of the chosen segment."""
        with errors_shown(self._host):
            node, segment_id = self._node, self._view.chosen[0].segment_id

            def apply(islands: list[SegmentVoxels]) -> None:
                gone = node.GetScene() is None or node.GetSegmentation().GetSegment(segment_id) is None
                if len(islands) > 1 and not gone:
                    self._apply_split(node, segment_id, islands)
                else:
                    self._say(_("The segment has only one connected part."))

            self._host.start_work(SPLIT, self._bench.split(node, segment_id), apply)

    def _apply_split(self, node: Any, segment_id: str, islands: list[SegmentVoxels]) -> None:
        # Both go by descending volume: what was listed as two lymph nodes of one segment keeps its two numbers.
        self._before()
        known = [record for record in records_of(node) if record.segment_id == segment_id]
        if len(known) != len(islands):
            first = free_number(node)
            self._edits.split(node, segment_id, islands, range(first, first + len(islands) - 1))
        else:
            made = self._edits.split(node, segment_id, islands, [record.node.number for record in known[1:]])
            store_records(node, {part: [record.node] for part, record in zip([segment_id, *made], known)})
        self.measure()

    def undo(self) -> None:
        """Take the last deletion, merge or split back."""
        with errors_shown(self._host):
            self._before()
            if self._edits.undo():
                self.measure()
            else:
                self._on_change(True)

    def measure(self) -> None:
        """Measure the segmentation as it is now."""
        volume_node, node = self.volume_node(), self._node
        if volume_node is None or node is None or self._host.is_working(MEASURE):
            self._on_change(False)
            return
        with errors_shown(self._host):

            def store(nodes: dict[str, list[LymphNode]]) -> None:
                if node.GetScene() is not None:
                    store_records(node, nodes)
                    follow_plausibility(node)

            self._host.start_work(MEASURE, self._bench.measure(node, volume_node), store)
            self._on_change(True)
