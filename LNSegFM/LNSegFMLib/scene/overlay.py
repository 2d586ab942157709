"""The model's probability as a layer over the CT."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer

from lnsegfm.images.probabilities import CERTAIN
from LNSegFMLib.scene.drafts import volume_of
from LNSegFMLib.scene.volumes import OVERLAY, add_volume

_ROLE = "LNSegFM.Probability"
# The first one there is; Slicer has the perceptually uniform one, the other is built into its libraries.
_COLOURS = ("vtkMRMLColorTableNodeFileInferno.txt", "vtkMRMLColorTableNodeWarm1")


def in_percent(probability: sitk.Image) -> sitk.Image:
    """Return a probability image of 0 to `CERTAIN` in percent, uint8; slow for large ones."""
    table = np.rint(np.arange(CERTAIN + 1) * (100 / CERTAIN)).astype(np.uint8)
    result = sitk.GetImageFromArray(table[sitk.GetArrayViewFromImage(probability)])
    result.CopyInformation(probability)
    return result


def overlay_of(segmentation_node: Any | None) -> Any | None:
    """Return the volume node with the probability of a segmentation node, where it was made already."""
    return None if segmentation_node is None else segmentation_node.GetNodeReference(_ROLE)


def add_overlay(percent: sitk.Image, segmentation_node: Any, volume_node: Any, name: str) -> Any:
    """Add the probability of a segmentation node to the scene, under the transform of its volume.

    Args:
        percent: Probability in percent, on the volume's grid.
        segmentation_node: It refers to the new node from now on.
        volume_node: The CT.
        name: Name of the node.
    """
    node = add_volume(percent, name)
    node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
    node.SetAttribute(OVERLAY, "probability")
    display = node.GetDisplayNode()
    colours = (slicer.mrmlScene.GetNodeByID(name) for name in _COLOURS)
    display.SetAndObserveColorNodeID(next((each.GetID() for each in colours if each is not None), None))
    display.SetWindowLevelMinMax(0, 100)
    display.SetInterpolate(False)
    segmentation_node.SetNodeReferenceID(_ROLE, node.GetID())
    return node


def orphaned_overlays() -> list[Any]:
    """Return the overlays whose segmentation or CT is gone; each would be taken for a CT, as any volume node."""
    wanted = {
        node.GetNodeReferenceID(_ROLE) for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
        if volume_of(node) is not None
    }
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    return [node for node in volumes if node.GetAttribute(OVERLAY) is not None and node.GetID() not in wanted]


def remove_orphaned_overlays() -> None:
    """Remove the overlays whose segmentation or CT is gone; not while a scene is being loaded or closed."""
    if not slicer.mrmlScene.IsBatchProcessing():
        for node in orphaned_overlays():
            slicer.mrmlScene.RemoveNode(node)


class OverlayView:
    """Shows one overlay at a time in the slice views' foreground, and gives the foreground back afterwards."""

    def __init__(self) -> None:
        self._node_id = ""
        self._before: dict[str, tuple[str | None, float]] = {}

    @property
    def lost(self) -> bool:
        """Whether the overlay that is shown was removed from the scene."""
        return bool(self._node_id) and slicer.mrmlScene.GetNodeByID(self._node_id) is None

    def adopt(self, node: Any | None) -> bool:
        """Take over an overlay that slice views show already, as in a scene that was loaded; return whether any does.

        Args:
            node: See `add_overlay`.
        """
        views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
        if node is None or all(layers.GetForegroundVolumeID() != node.GetID() for layers in views):
            return False
        self._node_id, self._before = node.GetID(), {}
        return True

    def show(self, node: Any, threshold_percent: float, opacity: float) -> None:
        """Show an overlay, or change how it is shown.

        Args:
            node: See `add_overlay`.
            threshold_percent: Lower probabilities are not drawn.
            opacity: 0 to 1.
        """
        display = node.GetDisplayNode()
        # At 0 all voxels would be drawn, the certain background over the whole CT as well.
        display.SetThreshold(max(1.0, threshold_percent), 100)
        display.SetApplyThreshold(True)
        for layers in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            shown = layers.GetForegroundVolumeID()
            if shown != self._node_id:
                self._before[layers.GetID()] = (shown, layers.GetForegroundOpacity())
            layers.SetForegroundVolumeID(node.GetID())
            layers.SetForegroundOpacity(opacity)
        self._node_id = node.GetID()

    def hide(self) -> None:
        """Show in the foreground again what was there before."""
        for layers in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            if self._node_id and layers.GetForegroundVolumeID() == self._node_id:
                volume_id, opacity = self._before.get(layers.GetID(), (None, 0.0))
                layers.SetForegroundVolumeID(volume_id)
                layers.SetForegroundOpacity(opacity)
        self._node_id, self._before = "", {}
