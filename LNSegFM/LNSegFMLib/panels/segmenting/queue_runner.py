"""Segments the volumes of a queue one after the other, and brings the results into the scene."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import slicer
from slicer.i18n import tr as _

from lnsegfm.base.background import Progress
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.images.hounsfield import NotHounsfield
from lnsegfm.segmentation.kept_queue import dump_queue, load_queue
from lnsegfm.segmentation.segment_options import SegmentOptions
from lnsegfm.segmentation.segment_queue import CANCELLED, DONE, FAILED, RUNNING, WAITING, Entry, SegmentQueue
from lnsegfm.segmentation.segment_run import SegmentRun
from LNSegFMLib.panels.common.input_questions import confirms
from LNSegFMLib.panels.common.panel_host import PanelHost
from LNSegFMLib.scene.segmentation_bench import Finding, Workbench
from LNSegFMLib.texts.lymph_node_columns import outcome

WORK = "segment"


class QueueRunner:
    """Does the work of a `SegmentQueue`.

    Args:
        host: Waits for the work.
        bench: Does it.
        on_result: Called with what was found, its volume node and the new segmentation node.
        on_end: Called with what there is to be said when the segmentation of a volume has ended otherwise, and the id
            of that volume's node.
        on_change: Called whenever the queue has changed.
    """

    def __init__(
        self,
        host: PanelHost,
        bench: Workbench,
        *,
        on_result: Callable[[Finding, Any, Any], None],
        on_end: Callable[[str, str], None],
        on_change: Callable[[], None],
    ) -> None:
        self.queue = SegmentQueue()
        self._host, self._bench = host, bench
        self._on_result, self._on_end, self._on_change = on_result, on_end, on_change
        self._run: SegmentRun | None = None
        self._doubted: dict[str, UserError] = {}
        self.note = ""
        """What became of volumes that the queue has no row for any more."""

    @property
    def progress(self) -> Progress | None:
        """How far the volume is that is being segmented."""
        return None if self._run is None or self.queue.running is None else self._run.progress

    @property
    def cancelling(self) -> bool:
        """Whether the volume that is being segmented was cancelled."""
        return self._run is not None and self._run.cancel_requested

    def add(self, volume_node: Any, options: SegmentOptions, *, segment_per_node: bool) -> None:
        """Put a volume at the end; `go_on` starts it."""
        self.note = ""
        self._doubted.pop(volume_node.GetID(), None)
        self.queue.add(volume_node.GetID(), volume_node.GetName(), (options, segment_per_node))

    def go_on(self) -> None:
        """Start the next volume that can be started."""
        while (entry := self.queue.start_next()) is not None:
            try:
                self._start(entry)
                break
            except UserError as error:
                self._fail(error)
        self._on_change()

    def retry(self, key: str = "") -> None:
        """Let a volume wait again, or all that failed or were cancelled.

        Of volumes whose values do not look like HU, the user is asked once whether they are; else they stay failed.
        """
        chosen = [
            entry for entry in self.queue.entries if entry.state in (FAILED, CANCELLED) and key in ("", entry.key)
        ]
        doubted = [entry for entry in chosen if entry.key in self._doubted]
        seen = {_name_of(entry, doubted): self._doubted[entry.key] for entry in doubted}
        if doubted and not confirms(seen, _("Segment nevertheless, and take the values as HU?")):
            chosen = [entry for entry in chosen if entry not in doubted]
            doubted = []
        for entry in doubted:
            options, segment_per_node = entry.job
            entry.job = (replace(options, assume_hu=True), segment_per_node)
            del self._doubted[entry.key]
        for entry in chosen:
            self.queue.retry(entry.key)
        if chosen:
            self.go_on()

    def cancel(self) -> None:
        """Stop the volume that is being segmented; those that wait go on."""
        if self._run is not None:
            self._run.cancel()
        self._on_change()

    def forget(self) -> None:
        """Forget the queue; what runs is dropped by the panel."""
        self.queue.clear()
        self._doubted.clear()
        self._run, self.note = None, ""
        self._on_change()

    def follow_scene(self) -> None:
        """Take volumes off that were removed from the scene; one that is being segmented is cancelled."""
        gone = [entry for entry in self.queue.entries if slicer.mrmlScene.GetNodeByID(entry.key) is None]
        waiting = [entry.name for entry in gone if entry.state == WAITING]
        for entry in gone:
            if entry.state != RUNNING:
                self.queue.remove(entry.key)
            elif self._run is not None and not self._run.cancel_requested:
                self._run.cancel()
                self.note = _('"{volume}" was removed from the scene; its segmentation is stopped.').format(
                    volume=entry.name
                )
        if waiting:
            self.note = _("Removed from the scene and from the queue: {volumes}.").format(
                volumes=", ".join(waiting)
            )

    # --- Across a reload of the module

    def kept(self) -> str:
        """Return the queue as text, for `take_over` of the next panel."""
        return dump_queue(self.queue.entries)

    def take_over(self, text: str) -> None:
        """Go on with the queue of a panel that is gone; `go_on` starts it."""
        for entry in load_queue(text):
            if slicer.mrmlScene.GetNodeByID(entry.key) is not None:
                self.queue.take_over(entry)
        pending = [entry.name for entry in self.queue.entries if entry.state == WAITING]
        if pending:
            self.note = _("The module was reloaded. Restarted from the beginning: {volumes}.").format(
                volumes=", ".join(pending)
            )
        self._on_change()

    def use_of(self, model_id: str) -> str:
        """Tell what a model is needed for at the moment; empty when for nothing."""
        needing = [
            entry.name for entry in self.queue.entries
            if self.queue.is_pending(entry.key) and entry.job[0].model == model_id
        ]
        return _("It is being used to segment {names}.").format(names=", ".join(needing)) if needing else ""

    def _start(self, entry: Entry) -> None:
        volume_node = slicer.mrmlScene.GetNodeByID(entry.key)
        if volume_node is None:
            raise UserError("The volume cannot be segmented.", "It was removed from the scene.", "Load it again.")
        options, segment_per_node = entry.job
        self._run = self._bench.segment(volume_node, options, segment_per_node=segment_per_node)
        self._host.start_work(WORK, self._run, self._on_segmented, self._on_problem)

    def _on_segmented(self, finding: Finding) -> None:
        entry, result = self.queue.running, finding.result
        if entry is None:
            return
        volume_node = slicer.mrmlScene.GetNodeByID(entry.key)
        if volume_node is None:
            self._on_problem(Cancelled())  # removed when the result was there already
            return
        try:
            segmentation_node = self._bench.add_result(finding, volume_node)
        except UserError as error:
            self._on_problem(error)
            return
        self.queue.end(DONE, outcome(result), result.seconds)
        self._on_result(finding, volume_node, segmentation_node)
        self.go_on()

    def _on_problem(self, problem: UserError | Cancelled) -> None:
        entry = self.queue.running
        if entry is None:
            return
        if slicer.mrmlScene.GetNodeByID(entry.key) is None:
            self.queue.end(CANCELLED)
            self.queue.remove(entry.key)
            self._on_end("", "")
        elif isinstance(problem, Cancelled):
            self.queue.end(CANCELLED)
            self._on_end(_("Cancelled."), entry.key)
        else:
            self._fail(problem)
        self.go_on()

    def _fail(self, error: UserError) -> None:
        entry = self.queue.end(FAILED, str(error))
        self._on_end(error.what, entry.key)
        if error.kind == NotHounsfield.kind:
            self._doubted[entry.key] = error
        if len(self.queue.entries) > 1:
            # In a queue the reasons stand in the table: thirty dialogs would have to be closed in the morning.
            return
        if error.kind == NotHounsfield.kind:
            self.retry(entry.key)
        else:
            self._host.show_error(error)


def _name_of(entry: Entry, among: Sequence[Entry]) -> str:
    """Return the name of a volume, of several of one name with the id of its node."""
    alone = [other.name for other in among].count(entry.name) == 1
    return entry.name if alone else f"{entry.name} ({entry.key})"
