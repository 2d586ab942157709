"""One segmentation from an image in memory to labels in memory, through the segmentation worker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from lnsegfm.base.background import Progress, Task
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.home import Home
from lnsegfm.base.work_folders import clear_dead, work_folder
from lnsegfm.formats.image_files import write_image
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.volume_checks import check_ct
from lnsegfm.lymph_nodes.instances import LymphNode
from lnsegfm.segmentation.segment_options import SegmentOptions
from lnsegfm.segmentation.worker_client import WorkerClient, WorkerRequest

_POLL_S = 0.05


@dataclass(frozen=True, eq=False)
class SegmentResult:
    """What came out of a segmentation.

    Args:
        instances: Number of the lymph node by voxel, 0 is background; on the image's own grid. Implausible ones have
            the numbers after all others.
        nodes: The lymph nodes, by number, with side, mean HU and confidence.
        expected_benefit: How much a correction is expected to teach, see `lnsegfm.segmentation.uncertainty`.
        model: Id of the model.
        model_sha256: Its SHA-256.
        device: Where it ran.
        device_reason: Why there.
        seconds: How long the worker took.
        probability: Foreground probability on the image's own grid, uint8, 255 is certain; only where it was asked for.
            It is 128 or more exactly where the model found a lymph node, also one that was then left out as too small.
        implausible: What was found and cannot be a lymph node, each with the reason; empty where `SegmentOptions` keeps
            it among the others.
        warnings: What the user should know of the scan, a sentence each.
    """

    instances: sitk.Image
    nodes: tuple[LymphNode, ...]
    expected_benefit: float
    model: str
    model_sha256: str
    device: str
    device_reason: str
    seconds: float
    probability: sitk.Image | None = None
    implausible: tuple[LymphNode, ...] = ()
    warnings: tuple[str, ...] = ()


class SegmentRun(Task):
    """A running segmentation; its value is what ``finish`` makes of the `SegmentResult`.

    The image goes to the worker as a file in a private temporary folder, which is gone when the run has ended.

    Args:
        worker: Does the work.
        read_image: Makes the image; called once, in another thread.
        options: How to segment.
        finish: Called with the result, in that thread as well.
    """

    def __init__(
        self,
        worker: WorkerClient,
        read_image: Callable[[], sitk.Image],
        options: SegmentOptions,
        finish: Callable[[SegmentResult], Any],
    ) -> None:
        self._finish = finish
        self._worker = worker
        self._read_image = read_image
        self._options = options
        self._request: WorkerRequest | None = None
        super().__init__(self._work)

    @property
    def progress(self) -> Progress:
        """The worker's progress once it works; its start may take seconds, in which it says nothing."""
        request = self._request
        return request.progress if request is not None and request.progress.message else super().progress

    def _work(self) -> Any:
        self._report(Progress(None, "Preparing the CT"))
        image = self._read_image()
        check_ct(image)
        self._stop_if_cancelled()
        # Not in the system's folder for such files: a crash would leave the patient's CT where it is not expected.
        room = Home.default().exchange
        clear_dead(room)
        with work_folder(room) as folder:
            files = _Files(folder)
            write_image(image, files.image, compress=False)
            self._stop_if_cancelled()
            self.outside = True
            answer = self._ask(files)
            self.outside = False
            instances = _read_on(image, files.instances)
            probability = _read_on(image, files.probability) if self._options.probability else None
        self._stop_if_cancelled()
        return self._finish(
            SegmentResult(
                instances=instances,
                nodes=tuple(LymphNode.from_json(node) for node in answer["nodes"]),
                expected_benefit=answer["expected_benefit"],
                model=answer["model"],
                model_sha256=answer["model_sha256"],
                device=answer["device"],
                device_reason=answer["device_reason"],
                seconds=answer["seconds"],
                probability=probability,
                implausible=tuple(LymphNode.from_json(node) for node in answer.get("implausible", ())),
                warnings=tuple(answer.get("warnings", ())),
            )
        )

    def _ask(self, files: _Files) -> dict[str, Any]:
        self._report(Progress(None, "Starting"))
        wanted = {"probability": str(files.probability)} if self._options.probability else {}
        request = self._request = self._worker.request(
            "segment",
            image=str(files.image),
            instances=str(files.instances),
            compress=False,
            **wanted,
            **self._options.to_json(),
        )
        while True:
            try:
                answer: dict[str, Any] = request.wait(_POLL_S)
                return answer
            except TimeoutError:
                if self.cancel_requested and not request.cancel_requested:
                    request.cancel()

    def _stop_if_cancelled(self) -> None:
        if self.cancel_requested:
            raise Cancelled


class _Files:
    """What goes between the two processes."""

    def __init__(self, folder: Path) -> None:
        self.image = folder / "image.nrrd"
        self.instances = folder / "instances.nrrd"
        self.probability = folder / "probability.nrrd"


def _read_on(image: sitk.Image, path: Path) -> sitk.Image:
    """Read a result of the worker and give it the exact grid of ``image``."""
    result = sitk.ReadImage(str(path))
    if not Geometry.of(result).matches(Geometry.of(image)):
        raise UserError("The segmentation cannot be used.", "Its grid is not that of the CT.", "Try again.")
    return Geometry.of(image).put_on(result)
