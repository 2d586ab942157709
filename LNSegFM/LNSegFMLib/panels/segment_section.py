"""Choose a model and volumes, and segment them one after the other while the user goes on working."""

from __future__ import annotations

from typing import Any

import slicer
from slicer.i18n import tr as _

from LNSegFMLib.core.errors import Cancelled, UserError
from LNSegFMLib.core.segment_options import BODY, WHOLE, SegmentOptions
from LNSegFMLib.core.segment_queue import CANCELLED, DONE, FAILED, RUNNING, Entry, SegmentQueue
from LNSegFMLib.core.wording import duration
from LNSegFMLib.panels.host import PanelHost, errors_shown
from LNSegFMLib.panels.queue_table import QueueTable
from LNSegFMLib.panels.section import ParameterBinding, Section
from LNSegFMLib.scene.drafts import drafts, segmentation_of, volume_of
from LNSegFMLib.scene.regions import box_of, place_in
from LNSegFMLib.scene.volumes import ct_volumes, geometry_of_volume
from LNSegFMLib.scene.workbench import Finding, Workbench

WORK = "segment"
_TOOLTIP_ROLE = 3  # Qt::ToolTipRole; combo boxes of PythonQt want the number
_ROI = "roi"


class SegmentSection(Section):
    """The part of the panel that segments.

    Args:
        host: The module's widget.
        ui_file: Path of SegmentSection.ui.
        bench: Does the work.
    """

    def __init__(self, host: PanelHost, ui_file: str, bench: Workbench) -> None:
        super().__init__(host, ui_file)
        self._bench = bench
        self._queue = SegmentQueue()
        self._run: Any = None
        self._table = QueueTable(self.ui.queueTable, self._queue)
        self._add_choices()
        ui = self.ui
        self.binding = ParameterBinding(
            host,
            choices={
                "Model": ui.modelSelector, "Quality": ui.qualitySelector, "Region": ui.regionSelector,
                "Segments": ui.segmentsSelector, "Device": ui.deviceSelector,
            },
            numbers={"MinimumShortAxis": ui.minimumSpinBox},
            nodes={"Volume": ui.volumeSelector, "RegionRoi": ui.regionRoiSelector},
        )
        for button, slot in (
            (ui.segmentButton, self.on_segment),
            (ui.cancelButton, self.on_cancel),
            (ui.addAllButton, self.on_add_all),
            (ui.retryButton, self.on_retry),
            (ui.removeButton, self.on_remove),
            (ui.stopButton, self.on_stop),
        ):
            button.connect("clicked(bool)", slot)
        ui.regionRoiSelector.connect("nodeAddedByUser(vtkMRMLNode*)", self.on_roi_added)
        ui.queueTable.connect("itemSelectionChanged()", self._update_buttons)
        ui.volumeSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.on_volume_chosen)

    def _add_choices(self) -> None:
        # Each with its value in the parameter node, its text, and what it means.
        for box, choices in (
            (self.ui.qualitySelector, (
                ("fast", _("Fast"), _("One pass instead of eight mirrored ones, wider tiles: for a first look.")),
                ("standard", _("Standard"), _("As nnU-Net by itself: mirrored passes, tiles that overlap by half.")),
                ("best", _("Best"), _("Mirrored passes and tiles that overlap by two thirds: slowest.")),
            )),
            (self.ui.regionSelector, (
                (WHOLE, _("The whole CT"), _("Everything is segmented.")),
                (BODY, _("The body"), _("The box around the patient; the air and the table around it are left out.")),
                (_ROI, _("A ROI"), _("The box of voxels around a ROI.")),
            )),
            (self.ui.segmentsSelector, (
                ("node", _("One for each lymph node"), _("Each can be reviewed, deleted and corrected by itself.")),
                ("all", _("One for all lymph nodes"), _("As training data and some other software want it.")),
            )),
            (self.ui.deviceSelector, (
                ("auto", _("Automatic"), _("The GPU where there is one.")),
                ("cuda", _("NVIDIA GPU (CUDA)"), _("Fails where there is none; nothing is taken silently instead.")),
                ("mps", _("Apple GPU (MPS)"), _("Fails where there is none; nothing is taken silently instead.")),
                ("cpu", _("CPU"), _("Slower, but works everywhere.")),
            )),
        ):
            for value, text, tip in choices:
                box.addItem(text, value)
                box.setItemData(box.count - 1, tip, _TOOLTIP_ROLE)

    # --- What the panel shows

    def refresh_models(self) -> None:
        """Show the models that are installed now; the chosen one stays chosen while it exists."""
        node, selector = self.host.parameter_node, self.ui.modelSelector
        store = self._bench.models
        models, chosen = store.list(), (node.GetParameter("Model") if node else "") or store.default_id
        self.binding.showing = True
        try:
            selector.clear()
            for model in models:
                selector.addItem(model.name, model.id)
            selector.setCurrentIndex(max(selector.findData(chosen), 0 if models else -1))
        finally:
            self.binding.showing = False
        if node is not None:
            node.SetParameter("Model", selector.itemData(selector.currentIndex) or "")
        self.update()

    def update(self) -> None:
        """Show the parameter node's choices and the queue."""
        self.binding.show()
        ui, node = self.ui, self.host.parameter_node
        uses_roi = node is not None and node.GetParameter("Region") == _ROI
        ui.regionRoiLabel.setVisible(uses_roi)
        ui.regionRoiSelector.setVisible(uses_roi)
        for box in (ui.qualitySelector, ui.regionSelector):
            tip = box.itemData(box.currentIndex, _TOOLTIP_ROLE) if box.currentIndex >= 0 else ""
            box.toolTip = tip or ""
        self._table.show()
        self._update_buttons()

    def poll(self) -> None:
        """Show how far the segmentation is."""
        if self._run is None or self._queue.running is None:
            return
        progress, bar = self._run.progress, self.ui.progressBar
        known = progress.fraction is not None
        bar.setMaximum(100 if known else 0)
        bar.setValue(round(100 * progress.fraction) if known else 0)
        parts = [_("Cancelling") if self._run.cancel_requested else progress.message]
        if progress.remaining_s is not None and 0 < progress.fraction < 1:
            parts.append(_("about {time} left").format(time=duration(progress.remaining_s)))
        text = ", ".join(part for part in parts if part)
        self.ui.statusLabel.text = text
        self._table.show_progress(text)
        self._show_queue_summary(progress.remaining_s)

    def _show_queue_summary(self, running_s: float | None = None) -> None:
        queue = self._queue
        text = ""
        if len(queue.entries) > 1:
            text = _("{done} of {all} volumes done").format(done=queue.count(DONE), all=len(queue.entries))
            failed, rest = queue.count(FAILED), queue.remaining_s(running_s)
            if failed:
                text += ", " + _("{failed} failed").format(failed=failed)
            if queue.running is not None and rest is not None:
                text += ", " + _("about {time} left").format(time=duration(rest))
        self.ui.queueLabel.text = text

    def _update_buttons(self) -> None:
        ui, queue = self.ui, self._queue
        model, volume = ui.modelSelector.currentIndex >= 0, ui.volumeSelector.currentNode()
        running = queue.running is not None
        pending = volume is not None and queue.is_pending(volume.GetID())
        ui.cancelButton.setVisible(running)
        ui.progressBar.setVisible(running)
        ui.cancelButton.enabled = running and self._run is not None and not self._run.cancel_requested
        ui.segmentButton.text = _("Add to the queue") if running else _("Segment")
        ui.segmentButton.enabled = bool(model and volume and not pending)
        ui.segmentButton.toolTip = (
            _("Install a model first.") if not model
            else _("Load a CT and choose it first.") if not volume
            else _("This CT is in the queue already.") if pending
            else _("Find the lymph nodes of the CT.")
        )
        chosen = self._table.chosen
        ui.addAllButton.enabled = bool(model and volume)
        ui.removeButton.enabled = chosen is not None
        ui.retryButton.enabled = (
            queue.count(FAILED, CANCELLED) > 0 if chosen is None else chosen.state in (FAILED, CANCELLED)
        )
        ui.stopButton.enabled = running
        self._show_queue_summary()

    def use_of(self, model_id: str) -> str:
        """Tell what a model is needed for at the moment; empty when for nothing."""
        needing = [
            entry.name for entry in self._queue.entries
            if self._queue.is_pending(entry.key) and entry.job[0].model == model_id
        ]
        return _("It segments {names}.").format(names=", ".join(needing)) if needing else ""

    # --- What the user does

    def on_volume_chosen(self, volume_node: Any) -> None:
        """Choose the volume's own segmentation as well: that of another must not be accepted with it."""
        if not self.binding.showing:
            self.host.choose_pair(volume_node, segmentation_of(volume_node))

    def on_segment(self) -> None:
        """Segment the chosen volume now, or after those that are in the queue already."""
        if self.host.packages_ready():
            with errors_shown(self.host):
                self._add(self.ui.volumeSelector.currentNode())
                self._go_on()

    def on_add_all(self) -> None:
        """Put the volumes that have no segmentation of ours into the queue."""
        if not self.host.packages_ready():
            return
        with errors_shown(self.host):
            segmented = {volume_of(node) for node in drafts()}
            for volume_node in ct_volumes():
                if volume_node not in segmented:
                    self._add(volume_node)
            self.ui.queueCollapsibleButton.collapsed = False
            self._go_on()

    def on_cancel(self) -> None:
        """Stop the segmentation that runs; those that wait go on."""
        if self._run is not None:
            self._run.cancel()
        self._update_buttons()

    def on_stop(self) -> None:
        """Stop the segmentation that runs and all that wait."""
        self._queue.stop()
        self.on_cancel()
        self.update()

    def on_retry(self) -> None:
        """Let the chosen volume wait again, or all that failed or were cancelled."""
        chosen = self._table.chosen
        if self._queue.retry("" if chosen is None else chosen.key):
            self._go_on()

    def on_remove(self) -> None:
        """Take the chosen volume off the queue; one that is being segmented is cancelled first."""
        chosen = self._table.chosen
        if chosen is not None and chosen.state == RUNNING:
            self.on_cancel()
        elif chosen is not None:
            self._queue.remove(chosen.key)
            self.update()

    def on_roi_added(self, roi_node: Any) -> None:
        """Put a new ROI where it can be seen."""
        if self.ui.volumeSelector.currentNode() is not None:
            place_in(roi_node, self.ui.volumeSelector.currentNode())

    def scene_closes(self) -> None:
        """Forget the queue; what runs is dropped by the panel."""
        self._queue.clear()
        self._run = None
        self._update_buttons()

    # --- The queue

    def _add(self, volume_node: Any) -> None:
        self._queue.add(volume_node.GetID(), volume_node.GetName(), self._options(volume_node))

    def _options(self, volume_node: Any) -> tuple[SegmentOptions, bool]:
        """Return what is chosen now, for a volume, and whether each lymph node gets a segment."""
        node = self.host.parameter_node
        region: Any = node.GetParameter("Region")
        if region == _ROI:
            roi = self.ui.regionRoiSelector.currentNode()
            if roi is None:
                raise UserError(
                    "No region is chosen.", "A ROI is to be segmented, but none is chosen.",
                    "Choose or create a ROI in the options, or segment the whole CT.",
                )
            region = box_of(roi, volume_node).index_box(geometry_of_volume(volume_node))
        options = SegmentOptions(
            node.GetParameter("Model"), node.GetParameter("Device"), node.GetParameter("Quality"), region,
            self.ui.minimumSpinBox.value, probability=True,
        )
        return options, node.GetParameter("Segments") == "node"

    def _go_on(self) -> None:
        """Start the next volume that can be started."""
        while (entry := self._queue.start_next()) is not None:
            try:
                self._start(entry)
                break
            except UserError as error:
                self._fail(entry, error)
        self.update()

    def _start(self, entry: Entry) -> None:
        volume_node = slicer.mrmlScene.GetNodeByID(entry.key)
        if volume_node is None:
            raise UserError("The volume cannot be segmented.", "It was removed from the scene.", "Load it again.")
        options, segment_per_node = entry.job
        self._run = self._bench.segment(volume_node, options, segment_per_node=segment_per_node)
        self.host.start_work(WORK, self._run, self._on_segmented, self._on_problem)

    def _on_segmented(self, finding: Finding) -> None:
        entry, result = self._queue.running, finding.result
        if entry is None:
            return
        volume_node = slicer.mrmlScene.GetNodeByID(entry.key)
        try:
            segmentation_node = self._bench.add_result(finding, volume_node)
        except UserError as error:
            self._on_problem(error)
            return
        self._queue.end(DONE, _("{count} lymph nodes").format(count=len(result.nodes)), result.seconds)
        selector = self.ui.modelSelector
        model = selector.itemText(selector.findData(result.model)) or result.model
        self.ui.statusLabel.text = _("{model} took {time} on {device}.").format(
            model=model, time=duration(result.seconds), device=result.device_reason or result.device
        )
        if volume_node is self.ui.volumeSelector.currentNode():
            self.host.choose_pair(volume_node, segmentation_node)
        else:
            # Somebody looks at another volume, over which this one's lymph nodes would lie.
            segmentation_node.SetDisplayVisibility(False)
        self._go_on()
        self.host.update()

    def _on_problem(self, problem: UserError | Cancelled) -> None:
        entry = self._queue.running
        if entry is None:
            return
        if isinstance(problem, Cancelled):
            self._queue.end(CANCELLED)
            self.ui.statusLabel.text = _("Cancelled.")
        else:
            self._fail(entry, problem)
        self._go_on()

    def _fail(self, entry: Entry, error: UserError) -> None:
        self._queue.end(FAILED, str(error))
        self.ui.statusLabel.text = error.what
        if len(self._queue.entries) == 1:
            # In a queue the reasons stand in the table: nobody wants to close thirty dialogs in the morning.
            self.host.show_error(error)
