"""What the module LN-Seg-FM does with the nodes of the scene, without its panel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from slicer.i18n import tr as _

from LNSegFMLib.core.background import Task
from LNSegFMLib.core.case_info import CaseInfo
from LNSegFMLib.core.cases import CaseStore
from LNSegFMLib.core.catalogue import install_bundled
from LNSegFMLib.core.errors import UserError
from LNSegFMLib.core.home import Home
from LNSegFMLib.core.images import Geometry
from LNSegFMLib.core.models import ModelStore
from LNSegFMLib.core.nodes import LymphNode, measure
from LNSegFMLib.core.processes import child_environment
from LNSegFMLib.core.segment_run import SegmentOptions, SegmentResult, SegmentRun
from LNSegFMLib.core.worker_client import WorkerClient, WorkerRequest
from LNSegFMLib.scene.segmentations import Labelmap, add_segmentation, draft_of, label_reader, labelmap_of, set_draft
from LNSegFMLib.scene.volumes import geometry_of_volume, image_reader


class Workbench:
    """Starts the module's work; slow work comes back as something to ask from a timer.

    The stores are those of the home folder as it is set at the moment of the call.

    Args:
        worker_command: Command line of the segmentation worker, where it is not the default one.
    """

    def __init__(self, worker_command: Sequence[str] | None = None) -> None:
        self.worker_command = worker_command
        self._worker: WorkerClient | None = None
        self._worker_home = Home.default()

    @property
    def models(self) -> ModelStore:
        """The installed models."""
        return ModelStore(Home.default().models)

    @property
    def cases(self) -> CaseStore:
        """The corrected cases."""
        return CaseStore(Home.default().cases)

    @property
    def busy(self) -> bool:
        """Whether the worker process is at work, be it on something that nobody waits for any more."""
        return self._worker is not None and self._worker.busy

    def close(self) -> None:
        """End the worker process; the next request starts another."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def install_bundled(self) -> Task:
        """Install the models that come with the extension; the value is what went wrong, or an empty text."""

        def install(store: ModelStore) -> str:
            try:
                install_bundled(store)
            except UserError as error:
                return str(error)
            return ""

        return Task(install, self.models)

    def install(self, source: str) -> WorkerRequest:
        """Install a model from a file or folder; the value has its id as ``model``."""
        return self._ready_worker().request("install", source=source, name="")

    def segment(self, volume_node: Any, options: SegmentOptions, *, segment_per_node: bool) -> SegmentRun:
        """Segment a volume node; the value is what `add_result` takes.

        Raises:
            UserError: The volume node has no voxels that could be segmented.
        """

        def finish(result: SegmentResult) -> tuple[SegmentResult, Labelmap]:
            return result, labelmap_of(result.instances, segment_per_node=segment_per_node)

        return SegmentRun(self._ready_worker(), image_reader(volume_node), options, finish)

    def add_result(self, result: SegmentResult, labelmap: Labelmap, volume_node: Any) -> Any:
        """Add the segmentation node of a result; on an error nothing is left in the scene.

        Returns:
            The vtkMRMLSegmentationNode, named after the volume.

        Raises:
            UserError: The volume has been removed, or given another grid, since it was taken.
        """
        scene = volume_node.GetScene()
        if scene is None or volume_node.GetImageData() is None:
            raise UserError("The result was dropped.", "Its CT volume was removed from the scene meanwhile.")
        if not geometry_of_volume(volume_node).matches(Geometry.of(result.instances)):
            raise UserError(
                "The result was dropped.", f'The grid of "{volume_node.GetName()}" was changed meanwhile.',
                "Segment the volume again.",
            )
        one = len(labelmap.labels) == 1 and len(result.nodes) > 1
        node = add_segmentation(
            labelmap,
            volume_node,
            lambda label: _("Lymph nodes") if one else _("Lymph node {number}").format(number=label),
            _("{volume} lymph nodes").format(volume=volume_node.GetName()),
        )
        set_draft(node, result.model, result.model_sha256)
        return node

    def measure(self, segmentation_node: Any, volume_node: Any) -> Task:
        """Measure the segments as they are now; the value is the list of lymph nodes.

        Raises:
            UserError: The segments cannot be brought to the volume.
        """
        read_labels = label_reader(segmentation_node, volume_node)

        def work() -> list[LymphNode]:
            return measure(read_labels())[1]

        return Task(work)

    def accept(self, segmentation_node: Any | None, volume_node: Any, *, no_nodes: bool) -> Task:
        """Store a volume and its corrected segmentation; the value is the `CaseInfo`.

        Args:
            segmentation_node: vtkMRMLSegmentationNode; None only with ``no_nodes``.
            volume_node: The CT.
            no_nodes: The user states that the CT shows no lymph nodes.

        Raises:
            UserError: The nodes cannot be used.
        """
        read_image, read_labels = image_reader(volume_node), label_reader(segmentation_node, volume_node)
        model, model_sha256 = draft_of(segmentation_node)
        cases = self.cases

        def work() -> CaseInfo:
            return cases.accept(
                read_image(), read_labels(), draft_model=model, draft_model_sha256=model_sha256, no_nodes=no_nodes
            )

        return Task(work)

    def _ready_worker(self) -> WorkerClient:
        home = Home.default()
        if self._worker is not None and self._worker_home != home:
            self.close()
        if self._worker is None:
            environment = child_environment(extra={"LNSEGFM_HOME": str(home.root)})
            self._worker, self._worker_home = WorkerClient(self.worker_command, env=environment), home
        return self._worker
