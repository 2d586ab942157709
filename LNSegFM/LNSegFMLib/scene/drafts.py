"""What a segmentation node remembers of its making and of its correction; it is saved with the scene."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import slicer

_MODEL = "LNSegFM.DraftModel"
_SHA256 = "LNSegFM.DraftModelSha256"
_BENEFIT = "LNSegFM.ExpectedBenefit"
_CASE = "LNSegFM.AcceptedCase"
_WARNINGS = "LNSegFM.Warnings"


def set_draft(node: Any, model: str, model_sha256: str, expected_benefit: float) -> None:
    """Note on a segmentation node which model made it, and what its correction is expected to teach.

    Args:
        node: vtkMRMLSegmentationNode.
        model: Id of the model.
        model_sha256: Its SHA-256.
        expected_benefit: 0 to 1, see `lnsegfm.segmentation.uncertainty`.
    """
    node.SetAttribute(_MODEL, model)
    node.SetAttribute(_SHA256, model_sha256)
    node.SetAttribute(_BENEFIT, repr(expected_benefit))


def draft_of(node: Any | None) -> tuple[str, str]:
    """Return id and SHA-256 of the model that made a segmentation node; empty where none is known."""
    if node is None:
        return "", ""
    return node.GetAttribute(_MODEL) or "", node.GetAttribute(_SHA256) or ""


def expected_benefit_of(node: Any) -> float | None:
    """Return what the correction of a segmentation node is expected to teach, 0 to 1; None where it is not known."""
    try:
        return float(node.GetAttribute(_BENEFIT) or "")
    except ValueError:
        return None


def set_warnings(node: Any, warnings: Sequence[str]) -> None:
    """Note on a segmentation node what the user should know of its scan, a sentence each."""
    if warnings:
        node.SetAttribute(_WARNINGS, json.dumps(list(warnings)))


def warnings_of(node: Any | None) -> tuple[str, ...]:
    """Return what the user should know of the scan of a segmentation node."""
    if node is None:
        return ()
    try:
        return tuple(str(text) for text in json.loads(node.GetAttribute(_WARNINGS) or "[]"))
    except (ValueError, TypeError):
        return ()


def set_accepted(node: Any, case_id: str) -> None:
    """Note on a segmentation node as which case it was accepted."""
    node.SetAttribute(_CASE, case_id)


def accepted_case_of(node: Any) -> str:
    """Return the id of the case as which a segmentation node was accepted, or an empty text."""
    return node.GetAttribute(_CASE) or ""


def volume_of(node: Any | None) -> Any | None:
    """Return the scalar volume node that a segmentation node was drawn on."""
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    volume_node = None if node is None else node.GetNodeReference(role)
    if volume_node is None or volume_node.GetClassName() != "vtkMRMLScalarVolumeNode":
        return None
    return volume_node


def segmentation_of(volume_node: Any | None) -> Any | None:
    """Return the segmentation node that was drawn last on a volume node."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    return next((node for node in reversed(list(nodes)) if volume_node and volume_of(node) is volume_node), None)


def drafts() -> Iterator[Any]:
    """Yield the scene's segmentation nodes that a model made and whose volume is there."""
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        if draft_of(node)[0] and volume_of(node) is not None:
            yield node
