"""The effects of the Segment Editor: their parameters with Slicer's defaults, and what a user does with some."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer
from PySide6 import QtCore
from vtk.util import numpy_support

from .actions import NotPossible

_BRUSH = {
    "BrushMinimumAbsoluteDiameter": 0.01, "BrushMaximumAbsoluteDiameter": 100.0, "BrushAbsoluteDiameter": 5.0,
    "BrushRelativeDiameter": 3.0, "BrushDiameterIsRelative": 1, "BrushSphere": 0, "EditIn3DViews": 0,
    "BrushPixelMode": 0,
}  # fmt: skip
# name -> (common parameters, own parameters, acts on the selected segment only), from the effects' setMRMLDefaults.
EFFECTS: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {
    "Threshold": ({}, {"MinimumThreshold": 0.0, "MaximumThreshold": 0}, True),
    "Paint": (_BRUSH, {"ColorSmudge": 0, "EraseAllSegments": 0}, True),
    "Draw": ({}, {}, True),
    "Erase": (_BRUSH, {"ColorSmudge": 0, "EraseAllSegments": 0}, True),
    "Level tracing": ({}, {}, True),
    "Grow from seeds": ({}, {"AutoUpdate": 1, "SeedLocalityFactor": 0.0}, False),
    "Fill between slices": ({}, {"AutoUpdate": 1}, False),
    "Margin": ({}, {"ApplyToAllVisibleSegments": 0, "MarginSizeMm": 3}, True),
    "Hollow": ({}, {"ApplyToAllVisibleSegments": 0, "ShellMode": "INSIDE_SURFACE", "ShellThicknessMm": 3.0}, True),
    "Smoothing": (
        {},
        {"ApplyToAllVisibleSegments": 0, "GaussianStandardDeviationMm": 3, "JointTaubinSmoothingFactor": 0.5,
         "KernelSizeMm": 3, "SmoothingMethod": "MEDIAN"},
        True,
    ),
    "Scissors": (
        {},
        {"ApplyToAllVisibleSegments": 0, "Operation": "EraseInside", "Shape": "FreeForm",
         "SliceCutMode": "Unlimited", "SliceCutDepthMm": 0, "ShapeDrawCentered": 0},
        True,
    ),
    "Islands": ({}, {"Operation": "KEEP_LARGEST_ISLAND", "MinimumSize": 1000}, True),
    "Logical operators": ({}, {"Operation": "COPY", "ModifierSegmentID": "", "BypassMasking": 1}, True),
    "Mask volume": ({}, {"FillValue": "0", "SoftEdgeMm": "0", "Operation": "FILL_OUTSIDE"}, True),
}  # fmt: skip


class Effect(QtCore.QObject):
    """qSlicerSegmentEditorAbstractEffect: its parameters are attributes of the editor's parameter node."""

    def __init__(self, name: str, logic: Any) -> None:
        super().__init__()
        self._name, self._logic = name, logic
        self._common, self._own, self._per_segment = EFFECTS[name]
        self._node: Any = None  # a vtkWeakReference

    name = property(lambda self: self._name)  # type: ignore[assignment]
    title = property(lambda self: self._name)
    perSegment = property(lambda self: self._per_segment)
    requireSegments = property(lambda self: True)

    def parameterSetNode(self) -> Any:
        """Return the editor's parameter node or None."""
        return None if self._node is None else self._node.Get()

    def setMRMLDefaults(self) -> None:
        """Give values to the parameters that have none."""
        for name, value in self._common.items():
            self.setCommonParameterDefault(name, value)
        for name, value in self._own.items():
            self.setParameterDefault(name, value)

    def parameter(self, name: str) -> str:
        """Return a parameter of the effect, or else the common one of this name."""
        node = self.parameterSetNode()
        if node is None:
            return ""
        value = node.GetAttribute(f"{self._name}.{name}")
        value = node.GetAttribute(name) if value is None else value
        if value is None:
            QtCore.qCritical(f"Parameter named {name} cannot be found for effect {self._name}")
        return value or ""

    def integerParameter(self, name: str) -> int:
        """Return a parameter as a number."""
        return int(self.parameter(name))

    def doubleParameter(self, name: str) -> float:
        """Return a parameter as a number."""
        return float(self.parameter(name))

    def parameterDefined(self, name: str) -> bool:
        """Tell whether the effect has a parameter of its own of this name."""
        return self.commonParameterDefined(f"{self._name}.{name}")

    def commonParameterDefined(self, name: str) -> bool:
        """Tell whether a common parameter has a value."""
        node = self.parameterSetNode()
        return node is not None and bool(node.GetAttribute(name))

    def setParameter(self, name: str, value: Any) -> None:
        """Set a parameter of the effect."""
        self.setCommonParameter(f"{self._name}.{name}", value)

    def setParameterDefault(self, name: str, value: Any) -> None:
        """Set a parameter of the effect that has no value."""
        if not self.parameterDefined(name):
            self.setParameter(name, value)

    def setCommonParameter(self, name: str, value: Any) -> None:
        """Set a parameter that several effects share; only EffectParameterModified tells of it."""
        node = self.parameterSetNode()
        if node is None:
            QtCore.qCritical(f"Invalid segment editor parameter set node set to effect {self._name}")
            return
        text = f"{value:g}" if isinstance(value, float) else str(value)
        if (node.GetAttribute(name) or "") == text:
            return
        before = node.GetDisableModifiedEvent()
        node.SetDisableModifiedEvent(1)
        node.SetAttribute(name, text)
        node.SetDisableModifiedEvent(before)
        node.InvokeCustomModifiedEvent(slicer.vtkMRMLSegmentEditorNode.EffectParameterModified)

    def setCommonParameterDefault(self, name: str, value: Any) -> None:
        """Set a common parameter that has no value."""
        if not self.commonParameterDefined(name):
            self.setCommonParameter(name, value)

    def self(self) -> Effect:
        """Return the Python half of an effect that is written in Python."""
        return self

    def onApply(self) -> None:
        """Press Apply: of Islands with the operation "Keep largest island", or of Margin.

        Raises:
            NotPossible: For other effects, which are not imitated.
        """
        self._logic.SaveStateForUndo()
        self._logic.UpdateSelectedSegmentLabelmap()
        image = slicer.vtkOrientedImageData()
        image.DeepCopy(self._logic.GetSelectedSegmentLabelmap())
        scalars = image.GetPointData().GetScalars()
        array = numpy_support.vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1])
        labels = sitk.GetImageFromArray((array != 0).astype(np.uint8))
        labels.SetSpacing(image.GetSpacing())
        if self._name == "Islands" and self.parameter("Operation") == "KEEP_LARGEST_ISLAND":
            # Islands below the minimum are dropped before the largest is looked for.
            parts = sitk.ConnectedComponent(labels, False)
            ordered = sitk.RelabelComponent(parts, self.integerParameter("MinimumSize"))
            array[...] = sitk.GetArrayFromImage(ordered) == 1
        elif self._name == "Margin":
            distance = sitk.SignedMaurerDistanceMap(labels, squaredDistance=False, useImageSpacing=True)
            array[...] = sitk.GetArrayFromImage(distance) <= self.doubleParameter("MarginSizeMm")
        else:
            raise NotPossible(f"Apply of {self._name} is not imitated")
        scalars.Modified()
        with slicer.util.NodeModify(self._logic.GetSegmentationNode()):
            self._modify(image, self._logic.ModificationModeSet, [0, -1, 0, -1, 0, -1])

    def _modify(self, modifier: Any, mode: int, extent: list[int]) -> None:
        node = self.parameterSetNode()
        _add_to_subject_hierarchy(node.GetSegmentationNode())
        _add_to_subject_hierarchy(node.GetSourceVolumeNode())
        self._logic.ModifySegmentByLabelmap(
            node.GetSegmentationNode(), node.GetSelectedSegmentID() or "", modifier, mode, extent, self._per_segment,
            False,
        )  # fmt: skip


def stroke(widget: Any, voxels: np.ndarray) -> None:
    """Paint or erase as a user does with the mouse.

    Args:
        widget: A qMRMLSegmentEditorWidget with Paint or Erase active.
        voxels: The voxels under the brush: bool, shape (z, y, x) of the source volume.

    Raises:
        NotPossible: When no such effect is active, or the views do not listen to the editor.
    """
    effect = widget.activeEffect()
    if effect is None or effect.name not in ("Paint", "Erase"):
        raise NotPossible("Neither Paint nor Erase is active")
    if not widget._views_observed:
        raise NotPossible("The editor does not listen to the views")
    logic = widget._logic
    mode = logic.ModificationModeAdd
    if effect.name == "Erase":
        everything = effect.integerParameter("EraseAllSegments")
        mode = logic.ModificationModeRemoveAll if everything else logic.ModificationModeRemove
    logic.ResetModifierLabelmapToDefault()
    modifier = logic.GetModifierLabelmap()
    widget.saveStateForUndo()
    array = numpy_support.vtk_to_numpy(modifier.GetPointData().GetScalars()).reshape(modifier.GetDimensions()[::-1])
    # The modifier has the reference geometry, which is the volume's unless segments lie outside of it.
    offset = np.array(modifier.GetExtent()[::2])[::-1]
    where = np.argwhere(voxels) - offset
    array[tuple(where.T)] = 1
    modifier.Modified()
    low, high = (where.min(axis=0) + offset)[::-1], (where.max(axis=0) + offset)[::-1]
    extent = [int(end) for pair in zip(low, high, strict=True) for end in pair]
    effect._modify(modifier, mode, extent)


def _add_to_subject_hierarchy(node: Any) -> None:
    """Do what Slicer's plugin logic of the subject hierarchy does as soon as a node is added."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    if hierarchy.GetItemByDataNode(node) == hierarchy.GetInvalidItemID():
        hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
