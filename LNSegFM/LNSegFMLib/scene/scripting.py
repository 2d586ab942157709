"""What scripts and Slicer's Python console can ask of the module LN-Seg-FM, as steps of `SceneWork`; no panel."""

from __future__ import annotations

import logging
from collections.abc import Generator
from dataclasses import replace
from typing import Any

from lnsegfm.base.background import Pending, Task
from lnsegfm.base.errors import UserError
from lnsegfm.cases.case_info import CaseInfo
from lnsegfm.images.boxes import Region
from lnsegfm.images.input_options import InputOptions, Notes
from lnsegfm.lymph_nodes.instances import LymphNode
from lnsegfm.lymph_nodes.plausibility import told_left_out
from lnsegfm.segmentation.segment_options import SegmentOptions
from lnsegfm.session.segmenting import SegmentChoices
from LNSegFMLib.scene.drafts import set_accepted
from LNSegFMLib.scene.regions import box_of
from LNSegFMLib.scene.segmentation_bench import Workbench
from LNSegFMLib.scene.segments.implausible_segments import follow_plausibility
from LNSegFMLib.scene.segments.lymph_node_records import records_of, segments_apart, store_records
from LNSegFMLib.scene.segments.segmentations import other_segments
from LNSegFMLib.scene.volumes import geometry_of_volume


def segment_steps(
    bench: Workbench, volume_node: Any, choices: SegmentChoices, roi_node: Any | None, *, segment_per_node: bool
) -> Generator[Pending, Any, Any]:
    """Segment a volume node and add the segmentation node, which is returned."""
    _refuse_missing(volume_node, "vtkMRMLScalarVolumeNode", "CT volume")
    region: Region = choices.region
    if roi_node is not None:
        region = box_of(roi_node, volume_node).index_box(geometry_of_volume(volume_node))
    options = SegmentOptions(
        choices.model, choices.device, choices.quality, region, choices.minimum_short_axis_mm, probability=True,
        assume_hu=choices.assume_hu, keep_implausible=choices.keep_implausible,
        backend=choices.backend, precision=choices.precision,
    )
    # The demonstration model is installed by the first call.
    rule = bench.models.for_segmentation
    model, warnings = yield Task(lambda: rule(choices.model, rejected_too=choices.rejected_too))
    for warning in warnings:
        logging.warning(warning)
    finding = yield bench.segment(volume_node, replace(options, model=model.id), segment_per_node=segment_per_node)
    for warning in finding.result.warnings:
        logging.warning(warning)
    if finding.result.implausible:
        logging.warning(f"{told_left_out(finding.result.implausible)}.")
    return bench.add_result(finding, volume_node)


def measure_steps(
    bench: Workbench, segmentation_node: Any, volume_node: Any
) -> Generator[Pending, Any, dict[str, list[LymphNode]]]:
    """Measure the segments as they are now, keep that with the segmentation node, and return it by segment id."""
    _refuse_missing(segmentation_node, "vtkMRMLSegmentationNode", "segmentation")
    _refuse_missing(volume_node, "vtkMRMLScalarVolumeNode", "CT volume")
    measured: dict[str, list[LymphNode]] = yield bench.measure(segmentation_node, volume_node)
    if segmentation_node.GetScene() is not None:
        store_records(segmentation_node, measured)
        follow_plausibility(segmentation_node)
    return measured


def accept_steps(
    bench: Workbench, segmentation_node: Any | None, volume_node: Any, *, no_nodes: bool, reviewed_roi: Any | None,
    keep_implausible: bool = False, options: InputOptions = InputOptions(),
) -> Generator[Pending, Any, CaseInfo]:
    """Store a volume and its corrected segmentation as a case, which is returned."""
    _refuse_missing(volume_node, "vtkMRMLScalarVolumeNode", "CT volume")
    if segmentation_node is not None or not no_nodes:
        _refuse_missing(segmentation_node, "vtkMRMLSegmentationNode", "segmentation")
    others = [] if segmentation_node is None else other_segments(segmentation_node)
    if others:
        logging.warning("Left out, as no lymph nodes by their names: %s", ", ".join(name for _id, name in others))
    without = [] if keep_implausible else segments_apart(segmentation_node)
    left_out = [record.node for record in records_of(segmentation_node) if record.segment_id in without]
    if left_out:
        logging.warning(f"{told_left_out(left_out)}.")
    notes: Notes = []
    case: CaseInfo = yield bench.accept(
        segmentation_node, volume_node, no_nodes=no_nodes, checked_roi=reviewed_roi, without=without, options=options,
        notes=notes,
    )
    for note in notes:
        logging.warning(note)
    if segmentation_node is not None and segmentation_node.GetScene() is not None:
        set_accepted(segmentation_node, case.id)
    return case


def _refuse_missing(node: Any, class_name: str, what: str) -> None:
    if node is None or not getattr(node, "IsA", lambda name: False)(class_name):
        raise UserError(
            f"There is no {what} to work on.", f"A {class_name} is needed, but this is {node!r:.80}.",
            "Give the node itself, for example by slicer.util.getNode.",
        )
