"""Segmentations of the scene that can be imported as cases, each with the CT it was drawn on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import SimpleITK as sitk
import slicer

from lnsegfm.base.errors import UserError
from lnsegfm.images.input_options import Placement
from lnsegfm.jobs.stored import ImportPair
from lnsegfm.lymph_nodes.plausibility import told_left_out
from LNSegFMLib.scene.drafts import draft_of, volume_of
from LNSegFMLib.scene.segments.lymph_node_records import records_of, segments_apart
from LNSegFMLib.scene.segments.segmentations import label_reader, other_segments
from LNSegFMLib.scene.volumes import image_reader


@dataclass(frozen=True)
class ScenePair:
    """A segmentation node and the volume node of its reference geometry.

    Args:
        segmentation: vtkMRMLSegmentationNode.
        volume: vtkMRMLScalarVolumeNode.
        name: What the user calls it; of several of one name, with what tells them apart.
    """

    segmentation: Any
    volume: Any
    name: str


def find_pairs() -> list[ScenePair]:
    """Return the segmentations with segments whose reference geometry is a scalar volume of the scene."""
    found = []
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        volume = volume_of(node)
        is_ct = volume is not None and volume.GetImageData() is not None
        if is_ct and node.GetSegmentation().GetNumberOfSegments():
            found.append((node, volume))
    names = Counter(node.GetName() for node, _volume in found)
    return [ScenePair(node, volume, _name_of(node, names)) for node, volume in found]


def _name_of(node: Any, names: Counter[str]) -> str:
    name = str(node.GetName())
    return name if names[name] == 1 else f"{name} ({node.GetID()})"


def import_pair(pair: ScenePair, placement: Placement = "certain") -> ImportPair:
    """Take what is needed of a pair now, so that another thread can import it.

    What is wrong with it is raised there, by the functions that make its CT and labels.

    Args:
        pair: The nodes.
        placement: What the user says of segments on another grid.
    """
    model, model_sha256 = draft_of(pair.segmentation)
    without = segments_apart(pair.segmentation)
    try:
        read_image = image_reader(pair.volume)
        read_label = label_reader(pair.segmentation, pair.volume, without, placement=placement)
    except UserError as error:
        read_image = read_label = _refusal(error)
    others = ", ".join(f"'{name}'" for _segment_id, name in other_segments(pair.segmentation))
    implausible = told_left_out(rec.node for rec in records_of(pair.segmentation) if rec.segment_id in without)
    notes = [f"{text}." for text in (f"Left out: {others}" if others else "", implausible) if text]
    return ImportPair(pair.name, read_image, read_label, model, model_sha256, tuple(notes))


def _refusal(error: UserError) -> Callable[[], sitk.Image]:
    def refuse() -> sitk.Image:
        raise error

    return refuse
