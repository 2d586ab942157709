"""Slicer's Segment Editor inside the panel, with what lymph nodes need."""

from __future__ import annotations

import logging
from typing import Any

import slicer

_TAG = "LNSegFMSegmentEditor"
_EFFECTS = ("Paint", "Erase", "Scissors", "Islands", "Grow from seeds")
_UNDO_STATES = 10
# HU of soft tissue with and without contrast; fat, air and most bone lie outside.
SOFT_TISSUE_HU = (-100.0, 300.0)


def editor_available() -> bool:
    """Tell whether this Slicer has the widget."""
    return hasattr(slicer, "qMRMLSegmentEditorWidget")


class EmbeddedSegmentEditor:
    """A qMRMLSegmentEditorWidget with a parameter node of its own, so that the Segment Editor module keeps its choices.

    Args:
        layout: Where it is put.
    """

    def __init__(self, layout: Any) -> None:
        widget = self.widget = slicer.qMRMLSegmentEditorWidget()
        widget.setMaximumNumberOfUndoStates(_UNDO_STATES)
        widget.setEffectNameOrder(_EFFECTS)
        widget.unorderedEffectsVisible = False
        widget.setSwitchToSegmentationsButtonVisible(False)
        widget.setSegmentationNodeSelectorVisible(False)
        widget.setSourceVolumeNodeSelectorVisible(False)
        # What the slice views show is the user's choice, also while a pair is chosen from elsewhere.
        widget.setAutoShowSourceVolumeNode(False)
        # The node first, or the widget writes its own choices into none.
        widget.setMRMLSegmentEditorNode(editor_node())
        widget.setMRMLScene(slicer.mrmlScene)
        layout.addWidget(widget)
        self._sphere_set = False

    def show(self, volume_node: Any | None, segmentation_node: Any | None) -> None:
        """Edit another segmentation."""
        node = editor_node()
        if self.widget.mrmlSegmentEditorNode() is not node:  # closing the scene takes the node away
            self.widget.setMRMLSegmentEditorNode(node)
        if self.widget.segmentationNode() is not segmentation_node:
            self.widget.setSegmentationNode(segmentation_node)
        if self.widget.sourceVolumeNode() is not volume_node:
            self.widget.setSourceVolumeNode(volume_node)
        self._set_sphere_brush()

    def select_segment(self, segment_id: str) -> None:
        """Choose the segment that is painted."""
        editor_node().SetSelectedSegmentID(segment_id)

    def enter(self) -> None:
        """Let the effects work in the views."""
        self.widget.setupViewObservations()

    def exit(self) -> None:
        """Stop editing: a click in a view must not paint while another module is shown."""
        self.widget.setActiveEffectByName("")
        self.widget.removeViewObservations()

    def forget(self) -> None:
        """Let go of the scene's nodes."""
        self.widget.setSegmentationNode(None)
        self.widget.setSourceVolumeNode(None)
        # Closing the scene resets the editor's choices.
        self._sphere_set = False

    def _set_sphere_brush(self) -> None:
        # A common parameter of Paint and Erase. Once only: then it is the user's.
        if self._sphere_set:
            return
        effect = self.widget.effectByName("Paint")
        if effect is None:
            logging.info("The Segment Editor has no effect Paint yet.")
            return
        effect.setCommonParameter("BrushSphere", 1)
        self._sphere_set = True


def editor_node() -> Any:
    """Return the parameter node of the embedded editor, made where there is none."""
    class_name = "vtkMRMLSegmentEditorNode"
    node = slicer.mrmlScene.GetSingletonNode(_TAG, class_name)
    if node is None:
        node = slicer.mrmlScene.CreateNodeByClass(class_name)
        node.UnRegister(None)  # the reference in Python keeps it
        node.SetSingletonTag(_TAG)
        node = slicer.mrmlScene.AddNode(node)
    return node


def restrict_to_soft_tissue(wanted: bool) -> None:
    """Let the embedded editor change only voxels of `SOFT_TISSUE_HU`, or all again."""
    node = editor_node()
    if wanted:
        node.SetSourceVolumeIntensityMaskRange(*SOFT_TISSUE_HU)
    node.SetSourceVolumeIntensityMask(wanted)


def is_restricted() -> bool:
    """Tell whether the embedded editor changes only voxels of `SOFT_TISSUE_HU`."""
    node = editor_node()
    return bool(node.GetSourceVolumeIntensityMask()) and (
        tuple(node.GetSourceVolumeIntensityMaskRange()) == SOFT_TISSUE_HU
    )
