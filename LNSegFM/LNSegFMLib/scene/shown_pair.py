"""The volume and the segmentation that are chosen are those that the views show."""

from __future__ import annotations

from typing import Any

import slicer

from LNSegFMLib.scene.drafts import draft_of, segmentation_of, volume_of
from LNSegFMLib.scene.overlay import overlay_of
from LNSegFMLib.scene.volumes import OVERLAY, ct_volumes


class ShownPair:
    """Shows what is chosen when the choice changes; what the user shows or hides afterwards stays as it is."""

    def __init__(self) -> None:
        self._chosen: tuple[str, str] = ("", "")
        # The segmentation that was chosen last, and whether it was visible before.
        self._segmentation_id, self._was_visible = "", True

    def follow(self, volume_node: Any | None, segmentation_node: Any | None) -> None:
        """Show a pair if it is another one than before.

        Args:
            volume_node: The volume node that is chosen.
            segmentation_node: The vtkMRMLSegmentationNode that is chosen.
        """
        chosen = (_id(volume_node), _id(segmentation_node))
        if chosen == self._chosen or (volume_node is not None and volume_node.GetImageData() is None):
            return  # a volume without voxels is shown when it has them
        self._chosen = chosen
        if chosen == ("", ""):
            return
        before = slicer.mrmlScene.GetNodeByID(self._segmentation_id) if self._segmentation_id else None
        if before is not None and before is not segmentation_node:
            self._take_back(before, volume_node)
        self._segmentation_id = _id(segmentation_node)
        self._was_visible = segmentation_node is not None and bool(segmentation_node.GetDisplayVisibility())
        show_pair(volume_node, segmentation_node)

    def forget(self) -> None:
        """Forget the scene; the next choice is shown in any case."""
        self._chosen, self._segmentation_id = ("", ""), ""

    def _take_back(self, segmentation_node: Any, volume_node: Any | None) -> None:
        """Hide a segmentation that is chosen no longer, unless the user had it visible over the same volume before."""
        own_volume = volume_of(segmentation_node)
        elsewhere = own_volume is not None and own_volume is not volume_node
        if elsewhere or not self._was_visible:
            segmentation_node.SetDisplayVisibility(False)


def show_pair(volume_node: Any | None, segmentation_node: Any | None) -> None:
    """Show a volume in all slice views, its segmentation, and no other segmentation that a model made.

    Segmentations of other origin stay visible or hidden as they are. The views keep their position when they show the
    volume already.

    Args:
        volume_node: The volume node; None leaves the views as they are.
        segmentation_node: The vtkMRMLSegmentationNode; None hides those that a model made.
    """
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        if node is not segmentation_node and draft_of(node)[0] and node.GetDisplayVisibility():
            node.SetDisplayVisibility(False)
    if segmentation_node is not None:
        segmentation_node.CreateDefaultDisplayNodes()
        segmentation_node.SetDisplayVisibility(True)
    if volume_node is not None and not is_shown(volume_node, segmentation_node):
        for layers in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            if _hides(layers, segmentation_node):
                layers.SetForegroundVolumeID(None)
        slicer.util.setSliceViewerLayers(background=volume_node, fit=True)


def bring_back(volume_node: Any, segmentation_node: Any | None) -> None:
    """Show a pair again if the user has put another volume into the slice views since it was chosen."""
    if not is_shown(volume_node, segmentation_node):
        show_pair(volume_node, segmentation_node)


def is_shown(volume_node: Any, segmentation_node: Any | None = None) -> bool:
    """Tell whether all slice views show a volume, in the background or in the foreground.

    Args:
        volume_node: The volume node.
        segmentation_node: The segmentation whose probability may lie over the volume.
    """
    volume_id = volume_node.GetID()
    return all(
        (layers.GetForegroundVolumeID() == volume_id and layers.GetForegroundOpacity() > 0)
        or (layers.GetBackgroundVolumeID() == volume_id and not _hides(layers, segmentation_node))
        for layers in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    )


def first_pair(other_volume: Any | None) -> tuple[Any | None, Any | None]:
    """Return the volume node that all slice views show, and the segmentation drawn on it last.

    Args:
        other_volume: What to take where the views show no CT, or several.
    """
    shown = {layers.GetBackgroundVolumeID() for layers in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}
    found = [node for node in ct_volumes() if {node.GetID()} == shown]
    volume_node = found[0] if found else other_volume
    return volume_node, segmentation_of(volume_node)


def _hides(layers: Any, segmentation_node: Any | None) -> bool:
    """Tell whether the foreground of a slice view must not lie over a volume that is chosen.

    A foreground that the user mixes in, such as a PET, may; an opaque one, another segmentation's probability and
    another segmented CT may not.
    """
    foreground_id, opacity = layers.GetForegroundVolumeID(), layers.GetForegroundOpacity()
    foreground = None if not foreground_id or opacity <= 0 else slicer.mrmlScene.GetNodeByID(foreground_id)
    if foreground is None:
        return False
    if foreground.GetAttribute(OVERLAY) is not None:
        return foreground is not overlay_of(segmentation_node)
    segmented = {
        _id(volume_of(node)) for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode") if draft_of(node)[0]
    }
    return opacity >= 1 or foreground_id in segmented


def _id(node: Any | None) -> str:
    return "" if node is None else node.GetID()
