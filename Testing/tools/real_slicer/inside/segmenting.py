"""Segmentations by the queue, and what becomes of them when their CT or the whole scene goes."""

from __future__ import annotations

from typing import Any

import slicer

from real_slicer.inside.self_tests import require_packages
from real_slicer.inside.steps import Steps, expect, expect_equal

_SIZE, _SPACING = (64, 64, 32), (3.0, 3.0, 4.0)
_STOP_S = 60.0


class Segmenting:
    """Drives the section that segments.

    Args:
        steps: Waits.
    """

    def __init__(self, steps: Steps) -> None:
        self._steps = steps

    @property
    def _widget(self) -> Any:
        return slicer.util.getModuleWidget("LNSegFM")

    def show_queued_result(self) -> None:
        """Segment two CTs by the queue while the first is chosen, then choose the second."""
        require_packages()
        slicer.util.selectModule("LNSegFM")
        ui = self._widget.ui
        first, second = (self._add_ct(name, seed) for seed, name in enumerate(("First", "Second")))
        self._choose(first)
        ui.addAllButton.click()
        self._steps.until(lambda: not self._widget.is_working("segment"), "the queue")
        expect_equal(self._shown(), ("First", ["First lymph nodes"]), "The views do not show what is chosen.")
        ui.volumeSelector.setCurrentNode(second)
        self._steps.pause(0.5)
        expect_equal(self._shown(), ("Second", ["Second lymph nodes"]), "The views do not show what is chosen.")

    def delete_ct(self) -> None:
        """Delete the CT that is being segmented."""
        require_packages()
        volume_node = self._start("Deleted")
        slicer.mrmlScene.RemoveNode(volume_node)
        self._expect_stop("its CT was deleted")

    def close_scene(self) -> None:
        """Close the scene while a CT in it is being segmented."""
        require_packages()
        self._start("Closed")
        slicer.mrmlScene.Clear(0)
        self._expect_stop("the scene was closed")

    def _start(self, name: str) -> Any:
        volume_node = self._add_ct(name, 5)
        self._choose(volume_node)
        self._widget.ui.segmentButton.click()
        self._steps.until(lambda: self._widget.is_working("segment"), "the segmentation to start")
        return volume_node

    def _expect_stop(self, what: str) -> None:
        widget = self._widget
        self._steps.until(lambda: not widget.is_working("segment"), f"the segmentation to stop after {what}", _STOP_S)
        self._steps.pause(0.5)
        ui = widget.ui
        expect(not ui.progressBar.visible, f"Expected no progress after {what}.")
        expect("Segmenting" not in ui.statusLabel.text, f"Expected no segmentation, but: {ui.statusLabel.text}")
        names = [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")]
        expect(not any(name.startswith(("Deleted", "Closed")) for name in names), f"Expected no result, but: {names}")

    def _choose(self, volume_node: Any) -> None:
        ui = self._widget.ui
        ui.volumeSelector.setCurrentNode(volume_node)
        ui.qualitySelector.setCurrentIndex(ui.qualitySelector.findData("fast"))
        slicer.app.processEvents()

    @staticmethod
    def _add_ct(name: str, seed: int) -> Any:
        from lnsegfm.phantom import make_case
        from LNSegFMLib.scene.volumes import add_volume

        volume_node = add_volume(make_case("source", seed, size=_SIZE, spacing=_SPACING).ct, name)
        slicer.app.processEvents()
        return volume_node

    @staticmethod
    def _shown() -> tuple[str, list[str]]:
        layer = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
        volume_node = slicer.mrmlScene.GetNodeByID(layer.GetBackgroundVolumeID() or "")
        nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        visible = [node.GetName() for node in nodes if node.GetDisplayVisibility()]
        return ("" if volume_node is None else volume_node.GetName()), visible
