"""Choose a model and volumes, and segment them one after the other while the user continues working."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from lnsegfm.base.errors import UserError
from lnsegfm.base.wording import duration
from lnsegfm.segmentation.segment_options import SegmentOptions
from lnsegfm.segmentation.segment_queue import CANCELLED, DONE, FAILED, RUNNING, WAITING
from lnsegfm.session.segmenting import SegmentChoices
from LNSegFMLib.panels.common.panel_host import PanelHost, errors_shown
from LNSegFMLib.panels.common.section import ParameterBinding, Section
from LNSegFMLib.panels.models.rejected_models import may_use
from LNSegFMLib.panels.segmenting.queue_runner import QueueRunner
from LNSegFMLib.panels.segmenting.queue_table import QueueTable
from LNSegFMLib.panels.segmenting.segment_choices import ROI, add_choices, explain_choices
from LNSegFMLib.panels.segmenting.transform_notice import TransformNotice
from LNSegFMLib.scene.drafts import drafts, segmentation_of, volume_of, warnings_of
from LNSegFMLib.scene.regions import box_of, place_in
from LNSegFMLib.scene.segmentation_bench import Finding, Workbench
from LNSegFMLib.scene.shown_pair import show_pair
from LNSegFMLib.scene.volumes import ct_volumes, geometry_of_volume
from LNSegFMLib.setup.packages import may_offer, missing_packages
from LNSegFMLib.texts.model_texts import listed_name

_WARM_UP = "warm-up"


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
        self._volume_node: Any = None
        self._chosen_id = ""
        self._listed_for: str | None = None  # the chosen model when the models were listed last
        self._said_of = ""  # id of the volume node that the status line speaks of
        self.runner = QueueRunner(
            host, bench, on_result=self._on_result, on_end=self._on_end, on_change=self.update
        )
        self._queue = self.runner.queue
        self._table = QueueTable(self.ui.queueTable, self._queue)
        self._notice = TransformNotice(host, self.ui, self._on_end)
        add_choices(self.ui)
        ui = self.ui
        self.binding = ParameterBinding(
            host,
            {
                "Model": ui.modelSelector, "Quality": ui.qualitySelector, "Region": ui.regionSelector,
                "Segments": ui.segmentsSelector, "Device": ui.deviceSelector, "Backend": ui.backendSelector,
                "MinimumShortAxis": ui.minimumSpinBox,
            },
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
        ui.queueTable.connect("cellClicked(int,int)", self.on_row_clicked)
        ui.volumeSelector.connect("currentNodeChanged(vtkMRMLNode*)", self.on_volume_chosen)

    def warm_up(self) -> None:
        """Let the worker load the chosen model in the background, where there are model and packages."""
        chosen = self.host.parameters
        if self.host.is_working(_WARM_UP) or chosen is None or not chosen.Model:
            return
        if not may_offer() or missing_packages():
            return
        choices = SegmentChoices(chosen.Model, chosen.Device, chosen.Quality, backend=chosen.Backend)
        self.host.start_work(_WARM_UP, self._bench.warm_up(choices), lambda _nothing: None, lambda _problem: None)

    # --- What the panel shows

    def refresh_models(self) -> None:
        """Show the models that are installed now; the chosen one stays chosen while it exists."""
        parameters, selector = self.host.parameters, self.ui.modelSelector
        there = self._bench.models.look()
        chosen = (parameters.Model if parameters is not None else "") or there.default
        self.binding.showing = True
        try:
            selector.clear()
            for model in there.models:
                selector.addItem(listed_name(model, "", there.rejected), model.id)
            index = selector.findData(chosen)
            selector.setCurrentIndex(index if index >= 0 else selector.findData(there.default))
        finally:
            self.binding.showing = False
        self._listed_for = selector.itemData(selector.currentIndex) or ""
        if parameters is not None:
            parameters.Model = self._listed_for
        self.update()

    def update(self) -> None:
        """Show the parameter node's choices and the queue."""
        self._follow_model()
        self.binding.show()
        ui, parameters = self.ui, self.host.parameters
        uses_roi = parameters is not None and parameters.Region == ROI
        ui.regionRoiLabel.setVisible(uses_roi)
        ui.regionRoiSelector.setVisible(uses_roi)
        explain_choices(ui)
        self._show_warnings()
        self._notice.follow(ui.volumeSelector.currentNode())
        self._show_scan_warnings()
        self.runner.follow_scene()
        self._forget_what_was_said()
        self._table.show()
        self._update_buttons()

    def _follow_model(self) -> None:
        # The fine-tuning module and scripts choose models that came after the list was filled; none is the default one.
        parameters, selector = self.host.parameters, self.ui.modelSelector
        model_id = "" if parameters is None else parameters.Model
        if parameters is not None and selector.findData(model_id) < 0 and model_id != self._listed_for:
            self.host.models_changed()

    def _show_warnings(self) -> None:
        label, model_id = self.ui.modelWarningLabel, self.ui.modelSelector.currentData or ""
        try:
            warnings = self._bench.models.warnings(model_id) if model_id else ()
        except UserError:  # removed a moment ago; the list follows
            warnings = ()
        label.text = " ".join(warnings)
        label.setVisible(bool(warnings))

    def _show_scan_warnings(self) -> None:
        """Show what is to be known of the chosen scan as long as its segmentation is there."""
        label, volume_node = self.ui.scanWarningLabel, self.ui.volumeSelector.currentNode()
        chosen = None if self.host.parameter_node is None else self.host.parameter_node.GetNodeReference("Segmentation")
        node = chosen if volume_of(chosen) is volume_node else segmentation_of(volume_node)
        warnings = () if volume_node is None else warnings_of(node)
        label.text = "\n".join(warnings)
        label.setVisible(bool(warnings))

    def poll(self) -> None:
        """Show how far the segmentation is."""
        progress, bar = self.runner.progress, self.ui.progressBar
        if progress is None:
            return
        known = progress.fraction is not None
        bar.setMaximum(100 if known else 0)
        fraction = progress.fraction or 0.0
        bar.setValue(round(100 * fraction))
        parts = [_("Cancelling") if self.runner.cancelling else progress.message]
        if progress.remaining_s is not None and 0 < fraction < 1:
            parts.append(_("about {time} left").format(time=duration(progress.remaining_s)))
        text = ", ".join(part for part in parts if part)
        self._say(text, self._queue.running.key if self._queue.running is not None else "")
        self._table.show_progress(text)
        self._show_queue_summary(progress.remaining_s)

    def _say(self, text: str, volume_id: str = "") -> None:
        """Show a sentence in the status line, which goes when the volume that it speaks of goes."""
        self.ui.statusLabel.text, self._said_of = text, volume_id

    def _forget_what_was_said(self) -> None:
        """Clear the status line when its volume is gone, or another one was chosen."""
        chosen_id = self.ui.volumeSelector.currentNodeID or ""
        is_new, self._chosen_id = chosen_id != self._chosen_id, chosen_id
        if not self._said_of or self._queue.running is not None:
            return
        if (is_new and self._said_of != chosen_id) or slicer.mrmlScene.GetNodeByID(self._said_of) is None:
            self._say("")

    def _show_queue_summary(self, running_s: float | None = None) -> None:
        queue = self._queue
        parts = [self.runner.note] if self.runner.note else []
        if len(queue.entries) > 1:
            text = _("{done} of {all} volumes done").format(done=queue.count(DONE), all=len(queue.entries))
            failed, rest = queue.count(FAILED), queue.remaining_s(running_s)
            if failed:
                text += ", " + _("{failed} failed").format(failed=failed)
            if queue.running is not None and rest is not None:
                text += ", " + _("about {time} left").format(time=duration(rest))
            parts.append(text)
        self.ui.queueLabel.text = "\n".join(parts)
        self.ui.queueLabel.setVisible(bool(parts))

    def _update_buttons(self) -> None:
        ui, queue = self.ui, self._queue
        model, volume = ui.modelSelector.currentIndex >= 0, ui.volumeSelector.currentNode()
        running = queue.running is not None
        pending = volume is not None and queue.is_pending(volume.GetID())
        ui.cancelButton.setVisible(running)
        ui.progressBar.setVisible(running)
        ui.cancelButton.enabled = running and not self.runner.cancelling
        ui.segmentButton.text = _("Add to the queue") if running else _("Segment")
        ui.segmentButton.enabled = bool(model and volume and not pending)
        ui.segmentButton.toolTip = (
            _("Install a model first.") if not model
            else _("Load and select a CT first.") if not volume
            else _("This CT is already in the queue.") if pending
            else _("Find the lymph nodes of the CT.")
        )
        chosen = self._table.chosen
        ui.addAllButton.enabled = bool(model and volume)
        ui.removeButton.enabled = chosen is not None
        ui.retryButton.enabled = (
            queue.count(FAILED, CANCELLED) > 0 if chosen is None else chosen.state in (FAILED, CANCELLED)
        )
        ui.stopButton.enabled = running
        for widget in (ui.queueTable, ui.removeButton, ui.retryButton, ui.stopButton):
            widget.setVisible(bool(queue.entries))
        self._show_queue_summary()

    # --- What the user does

    def on_volume_chosen(self, volume_node: Any) -> None:
        """Choose the volume's own segmentation as well: that of another must not be accepted with it."""
        # The box says so as well when only the row of the volume has moved.
        is_new = volume_node is not self._volume_node
        self._volume_node = volume_node
        if is_new and not self.binding.showing:
            self.host.choose_pair(volume_node, segmentation_of(volume_node))

    def on_segment(self) -> None:
        """Segment the chosen volume now, or after those that are in the queue already."""
        if self._may_use_model() and self.host.packages_ready():
            with errors_shown(self.host):
                self._add(self.ui.volumeSelector.currentNode())
                self.runner.go_on()

    def _may_use_model(self) -> bool:
        selector = self.ui.modelSelector
        return may_use(self._bench.models, selector.itemData(selector.currentIndex) or "")

    def on_add_all(self) -> None:
        """Put the volumes that have no segmentation of ours into the queue."""
        if not self._may_use_model() or not self.host.packages_ready():
            return
        with errors_shown(self.host):
            segmented = {volume_of(node) for node in drafts()}
            for volume_node in ct_volumes():
                if volume_node not in segmented:
                    self._add(volume_node)
            self.ui.queueCollapsibleButton.collapsed = False
            self.runner.go_on()

    def on_row_clicked(self, row: int, column: int) -> None:
        """Open the segmented volume of a row; rows of other volumes are only chosen for the buttons."""
        chosen = self._table.chosen
        volume_node = None if chosen is None else slicer.mrmlScene.GetNodeByID(chosen.key)
        segmentation_node = segmentation_of(volume_node)
        if chosen is not None and chosen.state == DONE and volume_node is not None:
            show_pair(volume_node, segmentation_node)  # also when it is chosen already, but the views show another
            self.host.choose_pair(volume_node, segmentation_node)

    def on_cancel(self) -> None:
        """Stop the segmentation that runs; those that wait go on."""
        self.runner.cancel()

    def on_stop(self) -> None:
        """Stop the segmentation that runs and all that wait."""
        self._queue.stop()
        self.runner.cancel()

    def on_retry(self) -> None:
        """Let the chosen volume wait again, or all that failed or were cancelled."""
        chosen = self._table.chosen
        self.runner.retry("" if chosen is None else chosen.key)

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

    def close(self) -> None:
        """Let go of the volume that is watched."""
        self._notice.follow(None)

    def scene_closes(self) -> None:
        """Forget the queue; what runs is dropped by the panel."""
        stopped = self._queue.count(RUNNING, WAITING)
        self.runner.forget()
        self._notice.follow(None)
        self._volume_node = None
        self._say(_("The scene was closed, and the segmentation was stopped.") if stopped else "")

    # --- Across a reload of the module

    def take_over(self, queue: str) -> None:
        """Go on with the queue of the panel that the module had before it was reloaded, see `QueueRunner.kept`."""
        self.runner.take_over(queue)
        if self.runner.note:
            self.ui.queueCollapsibleButton.collapsed = False
            # When the panel is complete.
            qt.QTimer.singleShot(0, self.runner.go_on)

    # --- The queue

    def _add(self, volume_node: Any) -> None:
        segment_per_node = self.host.parameters.Segments == "node"
        self.runner.add(volume_node, self._options(volume_node), segment_per_node=segment_per_node)

    def _options(self, volume_node: Any) -> SegmentOptions:
        """Return what is chosen now, for a volume."""
        chosen = self.host.parameters
        region: Any = chosen.Region
        if region == ROI:
            roi = self.ui.regionRoiSelector.currentNode()
            if roi is None:
                raise UserError(
                    "No region is chosen.", "A ROI is to be segmented, but none is chosen.",
                    "Choose or create a ROI in the options, or segment the whole CT.",
                )
            region = box_of(roi, volume_node).index_box(geometry_of_volume(volume_node))
        return SegmentOptions(
            chosen.Model, chosen.Device, chosen.Quality, region, chosen.MinimumShortAxis, probability=True,
            backend=chosen.Backend,
        )

    def _on_result(self, finding: Finding, volume_node: Any, segmentation_node: Any) -> None:
        result = finding.result
        selector = self.ui.modelSelector
        model = selector.itemText(selector.findData(result.model)) or result.model
        text = _("{volume}: {model} took {time} on {device}.").format(
            volume=volume_node.GetName(), model=model, time=duration(result.seconds),
            device=result.device_reason or result.device,
        )
        self._say(" ".join((text, *finding.warnings)), volume_node.GetID())
        if volume_node is self.ui.volumeSelector.currentNode():
            self.host.choose_pair(volume_node, segmentation_node)
        else:
            # Somebody looks at another volume, over which this one's lymph nodes would lie.
            segmentation_node.SetDisplayVisibility(False)

    def _on_end(self, text: str, volume_id: str) -> None:
        volume_node = slicer.mrmlScene.GetNodeByID(volume_id) if volume_id else None
        if volume_node is not None and volume_node is not self.ui.volumeSelector.currentNode():
            text = f"{volume_node.GetName()}: {text}"
        self._say(text, volume_id)
