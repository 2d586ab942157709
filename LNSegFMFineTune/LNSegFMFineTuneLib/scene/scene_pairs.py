"""Segmentations of the scene that can be imported as cases, each with the CT it was drawn on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import SimpleITK as sitk
import slicer

from lnsegfm.base.errors import UserError
from lnsegfm.jobs.stored import ImportPair
from lnsegfm.lymph_nodes.instances import LymphNode
from LNSegFMLib.scene.drafts import draft_of, volume_of
from LNSegFMLib.scene.segments.lymph_node_records import records_of, segments_apart
from LNSegFMLib.scene.segments.segmentations import label_reader
from LNSegFMLib.scene.volumes import image_reader


@dataclass(frozen=True)
class ScenePair:
    """A segmentation node and the volume node of its reference geometry."""

    segmentation: Any
    volume: Any

    @property
    def name(self) -> str:
        """What the user calls it."""
        return str(self.segmentation.GetName())


def find_pairs() -> list[ScenePair]:
    """Return the segmentations with segments whose reference geometry is a scalar volume of the scene."""
    pairs = []
    for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode"):
        volume = volume_of(node)
        is_ct = volume is not None and volume.GetImageData() is not None
        if is_ct and node.GetSegmentation().GetNumberOfSegments():
            pairs.append(ScenePair(node, volume))
    return pairs


def import_pair(pair: ScenePair) -> ImportPair:
    """Take what is needed of a pair now, so that another thread can import it.

    What is wrong with it is raised there, by the functions that make its CT and labels.
    """
    model, model_sha256 = draft_of(pair.segmentation)
    without = segments_apart(pair.segmentation)
    try:
        read_image, read_label = image_reader(pair.volume), label_reader(pair.segmentation, pair.volume, without)
    except UserError as error:
        read_image = read_label = _refusal(error)
    return ImportPair(pair.name, read_image, read_label, model, model_sha256)


def left_out_of(pairs: Iterable[ScenePair]) -> list[LymphNode]:
    """Return what is not imported of pairs because it cannot be a lymph node."""
    found = []
    for pair in pairs:
        without = segments_apart(pair.segmentation)
        found += [record.node for record in records_of(pair.segmentation) if record.segment_id in without]
    return found


def _refusal(error: UserError) -> Callable[[], sitk.Image]:
    def refuse() -> sitk.Image:
        raise error

    return refuse
