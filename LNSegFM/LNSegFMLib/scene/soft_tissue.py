"""Soft tissue only: an intensity mask that holds for painting and growing, never for removing."""

from __future__ import annotations

from typing import Any

import slicer

# HU of soft tissue with and without contrast; fat, air and most bone lie outside.
SOFT_TISSUE_HU = (-100.0, 300.0)
_WANTED = "LNSegFM.SoftTissueOnly"
_ADDING = ("Paint", "Draw", "Level tracing", "Grow from seeds", "Fill between slices", "Threshold")


def is_soft_tissue_wanted(node: Any) -> bool:
    """Tell whether the user wants to paint soft tissue only.

    Args:
        node: vtkMRMLSegmentEditorNode.
    """
    return node.GetAttribute(_WANTED) == "1"


def want_soft_tissue(node: Any, wanted: bool) -> None:
    """Let painting and growing change only voxels of `SOFT_TISSUE_HU`, or all again."""
    with slicer.util.NodeModify(node):
        node.SetAttribute(_WANTED, "1" if wanted else "0")
        if wanted:
            node.SetSourceVolumeIntensityMaskRange(*SOFT_TISSUE_HU)
        node.SetSourceVolumeIntensityMask(wanted and not removes(node))


class SoftTissueMask:
    """Keeps the intensity mask on for effects that add voxels and off for those that remove them."""

    def __init__(self) -> None:
        self._last: tuple[str, bool] | None = None

    def follow(self, node: Any) -> None:
        """Adapt the mask after any change of the vtkMRMLSegmentEditorNode.

        A mask or range that the user sets in the editor's own widgets ends *Soft tissue only*.
        """
        removing = removes(node)
        now = (node.GetActiveEffectName() or "", removing)
        changed, self._last = now != self._last, now
        if not is_soft_tissue_wanted(node):
            return
        if tuple(node.GetSourceVolumeIntensityMaskRange()) != SOFT_TISSUE_HU:
            node.SetAttribute(_WANTED, "0")
        elif changed:
            node.SetSourceVolumeIntensityMask(not removing)
        elif not removing and not node.GetSourceVolumeIntensityMask():
            node.SetAttribute(_WANTED, "0")


def removes(node: Any) -> bool:
    """Tell whether the active effect may take voxels away, as it is set now.

    Args:
        node: vtkMRMLSegmentEditorNode.
    """
    effect = node.GetActiveEffectName() or ""
    if not effect or effect in _ADDING:
        return False
    if effect == "Scissors":
        return not _parameter(node, "Scissors.Operation").startswith("Fill")
    if effect == "Islands":
        return _parameter(node, "Islands.Operation") != "ADD_SELECTED_ISLAND"
    if effect == "Margin":
        return float(_parameter(node, "Margin.MarginSizeMm") or 0) < 0
    return True  # Erase, Hollow, Smoothing, Logical operators


def _parameter(node: Any, name: str) -> str:
    return node.GetAttribute(name) or ""
