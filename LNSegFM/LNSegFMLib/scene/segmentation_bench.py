"""What the module LN-Seg-FM does with the nodes of the scene, without its panel."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import SimpleITK as sitk
from slicer.i18n import tr as _

from lnsegfm.base.background import Task
from lnsegfm.base.errors import UserError
from lnsegfm.cases.case_info import IGNORE, CaseInfo
from lnsegfm.images.body import Body, find_body_in
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.input_options import InputOptions, Notes
from lnsegfm.images.oriented_box import OrientedBox
from lnsegfm.images.packed_image import PackedImage
from lnsegfm.lymph_nodes.instances import LymphNode
from lnsegfm.lymph_nodes.segment_measures import measure_segments
from lnsegfm.segmentation.segment_options import SegmentOptions
from lnsegfm.segmentation.segment_run import SegmentResult, SegmentRun
from lnsegfm.segmentation.worker_client import WorkerRequest
from lnsegfm.session import Session
from lnsegfm.session.cases_part import CasesPart
from lnsegfm.session.models_part import ModelsPart
from lnsegfm.session.segmenting import SegmentChoices
from LNSegFMLib.scene.drafts import draft_of, set_draft, set_warnings
from LNSegFMLib.scene.overlay import in_percent, overlay_of
from LNSegFMLib.scene.regions import box_of
from LNSegFMLib.scene.segments.implausible_segments import (
    follow_plausibility,
    implausible_name,
    show_implausible,
)
from LNSegFMLib.scene.segments.lymph_node_records import (
    free_number,
    let_all_count,
    numbered,
    records_of,
    store_records,
)
from LNSegFMLib.scene.segments.new_segments import lymph_node_name
from LNSegFMLib.scene.segments.segment_voxels import SegmentVoxels
from LNSegFMLib.scene.segments.segmentations import (
    Labelmap,
    add_segmentation,
    image_in,
    label_reader,
    labelmap_of,
    mask_reader,
    other_segments,
)
from LNSegFMLib.scene.volumes import geometry_of_volume, image_reader, voxels_of_volume


@dataclass(frozen=True, eq=False)
class Finding:
    """What came out of segmenting a volume.

    Args:
        result: The result, without its probability.
        labelmap: Its labels, ready for the scene.
        probability: Its probability, packed; None where it was not asked for.
        warnings: What the user should know of the model, a sentence each.
    """

    result: SegmentResult
    labelmap: Labelmap
    probability: PackedImage | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Kept:
    """What is kept of a result beside its node, while the session lasts; small, since there may be many."""

    labelmap: Labelmap
    grid: Geometry
    probability: PackedImage | None

    def draft(self) -> sitk.Image:
        """Return the labels as the model drew them, without implausible ones, on a part of the CT's grid."""
        array = self.labelmap.array if self.labelmap.labels else np.zeros((1, 1, 1), np.uint8)
        if self.labelmap.implausible:
            array = np.where(np.isin(array, list(self.labelmap.implausible)), np.uint8(0), array)
        return image_in(self.grid, array, self.labelmap.first)


class Workbench:
    """Starts the module's work; slow work comes back as something to ask from a timer.

    What is stored, and which model may be used, is the session's; it works on the home folder as it is set at the
    moment of a call.

    Args:
        worker_command: Command line of the segmentation worker, where it is not the default one.
    """

    def __init__(self, worker_command: Sequence[str] | None = None) -> None:
        self.session = Session(worker_command=worker_command)
        self._kept: dict[str, _Kept] = {}  # by id of the segmentation node
        self._body: tuple[object, Body | None] = (None, None)  # of the CT that was measured last

    @property
    def worker_command(self) -> Sequence[str] | None:
        """Command line of the segmentation worker; None for the default one."""
        return self.session.worker_command

    @worker_command.setter
    def worker_command(self, command: Sequence[str] | None) -> None:
        self.session.worker_command = command

    @property
    def models(self) -> ModelsPart:
        """The installed models."""
        return self.session.models

    @property
    def cases(self) -> CasesPart:
        """The corrected cases."""
        return self.session.cases

    @property
    def busy(self) -> bool:
        """Whether the worker process is at work, be it on something that was cancelled."""
        return self.session.worker_busy

    def close(self) -> None:
        """End the worker process; the next request starts another."""
        self.session.close()

    def install_bundled(self) -> Task:
        """Install the models that come with the extension; the value is what went wrong, or an empty text."""

        def install() -> str:
            try:
                self.models.install_bundled()
            except UserError as error:
                return str(error)
            return ""

        return Task(install)

    def install(self, source: str) -> WorkerRequest:
        """Install a model from a file or folder; the value has its id as ``model``."""
        return self.session.worker.request("install", source=source, name="")

    def warm_up(self, choices: SegmentChoices) -> Task:
        """Let the worker load the model, see `lnsegfm.session.Session.warm_up`."""
        assert self.session.worker is not None  # made in this thread: two would make one each
        return Task(lambda: self.session.warm_up(choices))

    def segment(self, volume_node: Any, options: SegmentOptions, *, segment_per_node: bool) -> SegmentRun:
        """Segment a volume node; the value is what `add_result` takes.

        A rejected model is used; whoever asks for it has asked the user.

        Raises:
            UserError: The model is not installed, the volume node has no voxels that could be segmented, its transform
                has to be hardened first, or it or the region is too thin or too large for the model.
        """
        model, warnings = self.models.for_segmentation(options.model, rejected_too=True)
        options = replace(options, model=model.id)
        read_image = image_reader(volume_node)
        self.models.check_region(model.id, geometry_of_volume(volume_node), options.region)

        def finish(result: SegmentResult) -> Finding:
            probability = None if result.probability is None else PackedImage.of(result.probability)
            # Those that are kept, on the user's wish, are segments like all others.
            labelmap = labelmap_of(
                result.instances, segment_per_node=segment_per_node, plausible=len(result.nodes)
            )
            return Finding(replace(result, probability=None), labelmap, probability, tuple(warnings))

        return SegmentRun(self.session.worker, read_image, options, finish)

    def add_result(self, finding: Finding, volume_node: Any) -> Any:
        """Add the segmentation node of a result, with its measurements; on an error nothing is left in the scene.

        Returns:
            The vtkMRMLSegmentationNode, named after the volume.

        Raises:
            UserError: The volume has been removed, or given another grid, since it was taken.
        """
        result, labelmap = finding.result, finding.labelmap
        if volume_node is None or volume_node.GetScene() is None or volume_node.GetImageData() is None:
            raise UserError("The result was dropped.", "Its CT volume was removed from the scene meanwhile.")
        if not geometry_of_volume(volume_node).matches(Geometry.of(result.instances)):
            raise UserError(
                "The result was dropped.", f'The grid of "{volume_node.GetName()}" was changed meanwhile.',
                "Segment the volume again.",
            )
        node = add_segmentation(
            labelmap, volume_node, lambda label: _segment_name(labelmap, label),
            _("{volume} lymph nodes").format(volume=volume_node.GetName()),
        )
        set_draft(node, result.model, result.model_sha256, result.expected_benefit)
        set_warnings(node, result.warnings)
        segmentation = node.GetSegmentation()
        labels = {each: segmentation.GetSegment(each).GetLabelValue() for each in segmentation.GetSegmentIDs()}
        members = {segment_id: labelmap.members.get(label, (label, label)) for segment_id, label in labels.items()}
        store_records(node, {
            segment_id: [each for each in (*result.nodes, *result.implausible) if low <= each.number <= high]
            for segment_id, (low, high) in members.items()
        })
        if any(each.implausible for each in result.nodes):
            let_all_count(node)
        follow_plausibility(node)
        show_implausible(node, visible=False)
        self._kept[node.GetID()] = _Kept(labelmap, Geometry.of(result.instances), finding.probability)
        return node

    def forget_results(self) -> None:
        """Forget what is kept of results beside their nodes, as when the scene is closed."""
        self._kept.clear()

    def has_probability(self, segmentation_node: Any) -> bool:
        """Tell whether there is a probability of a segmentation node, in the scene or of this session."""
        kept = self._kept.get(segmentation_node.GetID())
        return overlay_of(segmentation_node) is not None or (kept is not None and kept.probability is not None)

    def probability_percent(self, segmentation_node: Any) -> Task | None:
        """Unpack the probability of a result of this session, in percent; None where it is not known."""
        kept = self._kept.get(segmentation_node.GetID())
        if kept is None or kept.probability is None:
            return None
        packed = kept.probability
        return Task(lambda: in_percent(packed.image()))

    def measure(self, segmentation_node: Any, volume_node: Any) -> Task:
        """Measure the segments as they are now; the value is for `store_records`.

        Raises:
            UserError: The segments cannot be brought to the volume.
        """
        read_masks = mask_reader(segmentation_node, volume_node)
        ct, grid = voxels_of_volume(volume_node), geometry_of_volume(volume_node)
        state = (volume_node.GetID(), volume_node.GetImageData().GetMTime(), grid)
        segment_ids = list(segmentation_node.GetSegmentation().GetSegmentIDs())
        known, first_free = records_of(segmentation_node), free_number(segmentation_node)
        kept = self._kept.get(segmentation_node.GetID())
        packed = None if kept is None else kept.probability

        def work() -> dict[str, list[LymphNode]]:
            probability = None if packed is None else packed.array()
            body = self._body_in(ct, grid, state)
            measured = numbered(measure_segments(read_masks(), ct, grid, probability, body), known, first_free)
            return {segment_id: measured.get(segment_id, []) for segment_id in segment_ids}

        return Task(work)

    def _body_in(self, ct: np.ndarray, grid: Geometry, state: object) -> Body | None:
        # It takes longer than to measure a handful of lymph nodes, and is the same after each edit.
        known, body = self._body
        if known != state:
            body = find_body_in(ct, grid)
            self._body = (state, body)
        return body

    def split(self, segmentation_node: Any, segment_id: str) -> Task:
        """Find the separate parts of a segment; the value is for `SegmentEdits.split`."""
        return Task(SegmentVoxels.of(segmentation_node.GetSegmentation().GetSegment(segment_id)).islands)

    def accept(
        self, segmentation_node: Any | None, volume_node: Any, *, no_nodes: bool, checked_roi: Any | None = None,
        without: Collection[str] = (), options: InputOptions = InputOptions(), notes: Notes | None = None,
    ) -> Task:
        """Store a volume and its corrected segmentation; the value is the `CaseInfo`.

        Args:
            segmentation_node: vtkMRMLSegmentationNode; None only with ``no_nodes``.
            volume_node: The CT.
            no_nodes: The user states that the CT shows no lymph nodes.
            checked_roi: vtkMRMLMarkupsROINode around what the user has looked at; None for the whole CT.
            without: Ids of segments that are not stored, see `segments_apart`.
            options: What the user says of a CT and labels that are not certain.
            notes: Gets what is to be said of them, a sentence each, before the work ends.

        Raises:
            UserError: The nodes cannot be used.
        """
        if segmentation_node is not None and not no_nodes:
            _refuse_others_alone(segmentation_node)
        read_image, read_labels = image_reader(volume_node), label_reader(
            segmentation_node, volume_node, without, placement=options.placement
        )
        checked = None if checked_roi is None else box_of(checked_roi, volume_node)
        model, model_sha256 = draft_of(segmentation_node)
        kept = None if segmentation_node is None else self._kept.get(segmentation_node.GetID())
        cases = self.cases

        def work() -> CaseInfo:
            labels = read_labels()
            if checked is not None:
                labels = _ignored_outside(labels, checked)
            return cases.accept(
                read_image(), labels, draft_model=model, draft_model_sha256=model_sha256, no_nodes=no_nodes,
                input_options=options, notes=notes,
                ignore=None if checked is None else IGNORE, draft_label=None if kept is None else kept.draft(),
            )

        return Task(work)


def _segment_name(labelmap: Labelmap, label: int) -> str:
    first, last = labelmap.members.get(label, (label, label))
    if label in labelmap.implausible:
        return _("Implausible") if first < last else implausible_name(first)
    return _("Lymph nodes") if first < last else lymph_node_name(first)


def _refuse_others_alone(segmentation_node: Any) -> None:
    others = other_segments(segmentation_node)
    if others and len(others) == segmentation_node.GetSegmentation().GetNumberOfSegments():
        raise UserError(
            "The case was not stored.",
            f"None of the segments is called a lymph node: {', '.join(name for _id, name in others)}.",
            "Rename those that are lymph nodes, for example to 'Lymph node 1'.",
        )


def _ignored_outside(labels: sitk.Image, checked: OrientedBox) -> sitk.Image:
    array, grid = sitk.GetArrayFromImage(labels), Geometry.of(labels)
    array[~checked.mask(grid)] = IGNORE
    return grid.put_on(sitk.GetImageFromArray(array))
