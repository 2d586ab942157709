"""Lymph nodes of a segmentation node as labelmaps and measurements for other programs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lnsegfm.base.background import Task
from lnsegfm.formats.image_files import check_image_name, write_image
from lnsegfm.images.number_note import NUMBERED
from lnsegfm.lymph_nodes.instances import LymphNode
from lnsegfm.lymph_nodes.measurement_table import MeasuredNode
from lnsegfm.lymph_nodes.numbered_labels import number_image
from LNSegFMLib.scene.segments.lymph_node_records import is_apart, records_of
from LNSegFMLib.scene.segments.segmentations import label_reader, mask_reader
from LNSegFMLib.scene.volumes import geometry_of_volume

Measured = Mapping[str, Sequence[LymphNode]]
"""The lymph nodes of each segment by descending volume, by segment id, as `Workbench.measure` gives them."""


def write_union(segmentation_node: Any, volume_node: Any, path: Path, without: Collection[str] = ()) -> Task:
    """Write all lymph nodes with the value 1, on the CT's own grid; the value is 0.

    Args:
        segmentation_node: vtkMRMLSegmentationNode.
        volume_node: The CT.
        path: Name ending in .nii.gz, .nii, .nrrd or .mha.
        without: Ids of segments to leave out, such as those of `segments_apart`.

    Raises:
        UserError: Another ending, or the segments cannot be brought to the CT.
    """
    check_image_name(path)
    # What is exported lies where the scene shows it.
    read_labels = label_reader(segmentation_node, volume_node, without, placement="own", all_segments=True)

    def write() -> int:
        write_image(read_labels(), path)
        return 0

    return Task(write)


def write_numbers(
    segmentation_node: Any, volume_node: Any, path: Path, measured: Measured, left_out: Sequence[LymphNode] = ()
) -> Task:
    """Write every lymph node with its number as value, on the CT's own grid.

    Args:
        segmentation_node: vtkMRMLSegmentationNode, as it was measured.
        volume_node: The CT.
        path: As in `write_union`.
        measured: The measurements.
        left_out: Those of them that are not written, see `split_apart`.

    Returns:
        The task; its value is the number of voxels that lie in several segments, which keep the first one's number.

    Raises:
        UserError: As in `write_union`.
    """
    check_image_name(path)
    read_masks, grid = mask_reader(segmentation_node, volume_node), geometry_of_volume(volume_node)
    nothing = {node.number for node in left_out}
    numbers = {
        segment_id: [0 if node.number in nothing else node.number for node in nodes]
        for segment_id, nodes in measured.items()
    }

    def write() -> int:
        masks = read_masks()
        written = {segment_id: mask for segment_id, mask in masks.items() if any(numbers.get(segment_id, [1]))}
        image, shared = number_image(written, grid, numbers)
        write_image(image, path, notes=NUMBERED)
        return shared

    return Task(write)


def split_apart(segmentation_node: Any, measured: Measured) -> tuple[Measured, list[LymphNode]]:
    """Return the lymph nodes that count, by segment id, and those that are kept apart.

    Args:
        segmentation_node: vtkMRMLSegmentationNode, for what was reviewed.
        measured: The measurements.
    """
    apart = [node for segment_id, nodes in measured.items() for node in nodes
             if is_apart(segmentation_node, segment_id, node)]  # fmt: skip
    numbers = {node.number for node in apart}
    counted = {segment_id: [node for node in nodes if node.number not in numbers]
               for segment_id, nodes in measured.items()}  # fmt: skip
    return counted, apart


def table_rows(segmentation_node: Any, measured: Measured) -> list[MeasuredNode]:
    """Return the rows of the table of measurements.

    Args:
        segmentation_node: vtkMRMLSegmentationNode, for the names of its segments and what was reviewed.
        measured: The measurements.
    """
    segmentation = segmentation_node.GetSegmentation()
    known = {(record.segment_id, record.node.number): record for record in records_of(segmentation_node)}
    rows = []
    for segment_id, nodes in measured.items():
        segment = segmentation.GetSegment(segment_id)
        for node in nodes:
            record = known.get((segment_id, node.number))
            # The model's probability is not kept with the scene; what was measured with it still holds for this node.
            if record is not None and node.confidence is None and record.node.volume_mm3 == node.volume_mm3:
                node = replace(node, confidence=record.node.confidence)
            name = "" if segment is None else segment.GetName()
            rows.append(MeasuredNode(node, name, record is not None and record.reviewed))
    return rows
