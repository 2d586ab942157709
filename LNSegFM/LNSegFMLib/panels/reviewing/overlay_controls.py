"""The controls of the probability that is drawn over the CT."""

from __future__ import annotations

from typing import Any

import qt
import SimpleITK as sitk
from slicer.i18n import tr as _

from LNSegFMLib.panels.common.panel_host import PanelHost, errors_shown
from LNSegFMLib.scene.drafts import volume_of
from LNSegFMLib.scene.overlay import OverlayView, add_overlay, orphaned_overlays, overlay_of, remove_orphaned_overlays
from LNSegFMLib.scene.segmentation_bench import Workbench

WORK = "overlay"


class OverlayControls:
    """A check box, a threshold and an opacity.

    Args:
        host: The module's widget.
        ui: Holds overlayCheckBox, thresholdSlider and opacitySlider.
        bench: Has the probability.
    """

    def __init__(self, host: PanelHost, ui: Any, bench: Workbench) -> None:
        self._host, self._ui, self._bench = host, ui, bench
        self._view = OverlayView()
        self._segmentation_node: Any = None
        ui.overlayCheckBox.connect("toggled(bool)", self._on_changed)
        ui.thresholdSlider.connect("valueChanged(double)", self._on_changed)
        ui.opacitySlider.connect("valueChanged(int)", self._on_changed)

    def show(self, segmentation_node: Any | None) -> None:
        """Offer the probability of another segmentation node; what is left of removed nodes goes."""
        if volume_of(segmentation_node) is None:
            segmentation_node = None  # there is nothing left to lay it over
        ui, known = self._ui, segmentation_node is not None and self._bench.has_probability(segmentation_node)
        for widget in (ui.overlayCheckBox, ui.thresholdSlider, ui.opacitySlider):
            widget.enabled = known
        if segmentation_node is not self._segmentation_node:
            self._view.hide()
            self._segmentation_node = segmentation_node
            if not ui.overlayCheckBox.checked:
                # A scene may have been saved while it was shown.
                ui.overlayCheckBox.checked = self._view.adopt(overlay_of(segmentation_node))
            else:
                self._on_changed()
        elif self._view.lost and not self._host.is_working(WORK):
            ui.overlayCheckBox.checked = False  # the user has removed it
        if orphaned_overlays():
            # Not while Slicer is removing another node.
            qt.QTimer.singleShot(0, remove_orphaned_overlays)

    def forget(self) -> None:
        """Forget the scene."""
        self._view.hide()
        self._segmentation_node = None
        self._ui.overlayCheckBox.checked = False

    def _on_changed(self, *_changed: Any) -> None:
        node, ui = self._segmentation_node, self._ui
        if not ui.overlayCheckBox.checked or node is None:
            self._view.hide()
            return
        overlay = overlay_of(node)
        if overlay is not None:
            self._view.show(overlay, ui.thresholdSlider.value, ui.opacitySlider.value / 100)
        elif not self._host.is_working(WORK):
            with errors_shown(self._host):
                self._unpack(node)

    def _unpack(self, node: Any) -> None:
        work = self._bench.probability_percent(node)
        if work is None:
            return

        def add(percent: sitk.Image) -> None:
            volume_node = volume_of(node)
            if node.GetScene() is not None and volume_node is not None:
                name = _("{volume} probability").format(volume=volume_node.GetName())
                add_overlay(percent, node, volume_node, name)
                self._on_changed()

        self._host.start_work(WORK, work, add)
