"""The parameter node of the embedded Segment Editor, with defaults for the size of lymph nodes."""

from __future__ import annotations

from typing import Any

import slicer

_TAG = "LNSegFMSegmentEditor"
_CLASS = "vtkMRMLSegmentEditorNode"
_PREPARED = "LNSegFM.Defaults"
# Parameters of the effects, as attributes of the node. Slicer's own defaults are made for organs: a brush relative to
# the view, islands below 1000 voxels dropped, margins and kernels of 3 mm. A lymph node has 20 to 500 voxels.
_DEFAULTS = {
    "BrushSphere": "1",
    "BrushDiameterIsRelative": "0",
    "BrushAbsoluteDiameter": "5",
    "Islands.MinimumSize": "1",
    "Margin.MarginSizeMm": "1",
    "Hollow.ShellThicknessMm": "1",
    "Smoothing.KernelSizeMm": "2",
    "Smoothing.GaussianStandardDeviationMm": "1",
    "Smoothing.JointTaubinSmoothingFactor": "0.2",
    # Without it a seed grows into whatever soft tissue is like it, however far away.
    "Grow from seeds.SeedLocalityFactor": "5",
}


def editor_node() -> Any:
    """Return the vtkMRMLSegmentEditorNode of the embedded editor, made where there is none.

    It is a node of its own, so that the Segment Editor module keeps its choices.
    """
    node = existing_editor_node()
    if node is None:
        node = slicer.mrmlScene.CreateNodeByClass(_CLASS)
        node.UnRegister(None)  # the reference in Python keeps it
        node.SetSingletonTag(_TAG)
        node = slicer.mrmlScene.AddNode(node)
    set_lymph_node_defaults(node)
    return node


def existing_editor_node() -> Any | None:
    """Return the vtkMRMLSegmentEditorNode of the embedded editor, or None."""
    return slicer.mrmlScene.GetSingletonNode(_TAG, _CLASS)


def set_lymph_node_defaults(node: Any) -> None:
    """Give the effects defaults for lymph nodes; once only, then the parameters are the user's.

    Closing the scene takes all parameters away, and with them the note that they were set.
    """
    if node.GetAttribute(_PREPARED):
        return
    with slicer.util.NodeModify(node):
        for name, value in _DEFAULTS.items():
            node.SetAttribute(name, value)
        # A sphere reaches into slices that are not shown: it must not take voxels from a lymph node there.
        node.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteNone)
        node.SetAttribute(_PREPARED, "1")


def selected_segment(node: Any) -> str:
    """Return the id of the segment that is edited, or an empty text."""
    return node.GetSelectedSegmentID() or ""
