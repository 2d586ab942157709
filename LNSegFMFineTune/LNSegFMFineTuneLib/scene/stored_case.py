"""Stored cases in the MRML scene."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import SimpleITK as sitk
import slicer
from slicer.i18n import tr as _

from lnsegfm.cases.case_info import CaseInfo
from LNSegFMLib.scene.segments.segmentations import Labelmap, add_segmentation, labelmap_of
from LNSegFMLib.scene.volumes import add_volume

CASE_ATTRIBUTE = "LNSegFMFineTune.Case"
VERSION_ATTRIBUTE = "LNSegFMFineTune.LabelVersion"


@dataclass(frozen=True)
class CaseContent:
    """The voxels of a case: its CT, and one label version on the same grid."""

    id: str
    version: int
    image: sitk.Image
    labels: Labelmap


def read_case(case: CaseInfo) -> CaseContent:
    """Read a case with its newest labels; takes seconds, and no scene is needed."""
    version = case.latest.number
    labels = sitk.ReadImage(str(case.label_path(version))) == 1
    return CaseContent(
        case.id, version, sitk.ReadImage(str(case.image_path)), labelmap_of(labels, segment_per_node=False)
    )


def show_case(content: CaseContent) -> tuple[Any, Any]:
    """Put a case into the scene and into the slice views.

    What is in the scene already is used again, so that a correction that was begun is not covered by a second copy.

    Returns:
        The volume node and the segmentation node.
    """
    volume = _find("vtkMRMLScalarVolumeNode", content.id, "")
    if volume is None:
        volume = add_volume(content.image, content.id)
        volume.SetAttribute(CASE_ATTRIBUTE, content.id)
    segmentation = _find("vtkMRMLSegmentationNode", content.id, str(content.version))
    if segmentation is None:
        segmentation = _add_segmentation(content, volume)
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    return volume, segmentation


def _add_segmentation(content: CaseContent, volume: Any) -> Any:
    name = _("{case} lymph nodes, version {version}").format(case=content.id, version=content.version)
    segmentation = add_segmentation(content.labels, volume, _segment_name, name)
    segmentation.SetAttribute(CASE_ATTRIBUTE, content.id)
    segmentation.SetAttribute(VERSION_ATTRIBUTE, str(content.version))
    return segmentation


def _segment_name(label: int) -> str:
    del label  # a stored case has no more than this one
    return _("Lymph nodes")


def _find(class_name: str, case: str, version: str) -> Any:
    for node in slicer.util.getNodesByClass(class_name):
        same = node.GetAttribute(CASE_ATTRIBUTE) == case
        if same and (node.GetAttribute(VERSION_ATTRIBUTE) or "") == version:
            return node
    return None
