"""One segmentation from an image in memory to labels in memory, through the segmentation worker."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from LNSegFMLib.core.background import Progress, Task
from LNSegFMLib.core.errors import Cancelled, UserError
from LNSegFMLib.core.files import sweep_abandoned
from LNSegFMLib.core.home import Home
from LNSegFMLib.core.images import Geometry, check_ct, write_image
from LNSegFMLib.core.nodes import LymphNode, measure
from LNSegFMLib.core.worker_client import WorkerClient, WorkerRequest

_POLL_S = 0.05


@dataclass(frozen=True)
class SegmentOptions:
    """How to segment.

    Args:
        model: Id of the model.
        device: ``auto``, ``cuda``, ``mps`` or ``cpu``.
        mirroring: Predict the mirrored volume as well: better and up to 8 times slower.
    """

    model: str
    device: str = "auto"
    mirroring: bool = True


@dataclass(frozen=True, eq=False)
class SegmentResult:
    """What came out of a segmentation.

    Args:
        instances: Number of the lymph node by voxel, 0 is background; on the image's own grid.
        nodes: The lymph nodes, by number.
        model: Id of the model.
        model_sha256: Its SHA-256.
        device: Where it ran.
        device_reason: Why there.
        seconds: How long the worker took.
    """

    instances: sitk.Image
    nodes: tuple[LymphNode, ...]
    model: str
    model_sha256: str
    device: str
    device_reason: str
    seconds: float


class SegmentRun(Task):
    """A segmentation that is going on; its value is what ``finish`` makes of the `SegmentResult`.

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
        # Not in the system's folder for such files: a crash would leave the patient's CT where nobody looks for it.
        room = Home.default().exchange
        room.mkdir(parents=True, exist_ok=True)
        sweep_abandoned(room)
        with tempfile.TemporaryDirectory(prefix=".tmp-", dir=room, ignore_cleanup_errors=True) as folder:
            source, target = Path(folder) / "image.nrrd", Path(folder) / "labels.nrrd"
            write_image(image, source, compress=False)
            self._stop_if_cancelled()
            self.outside = True
            answer = self._ask(source, target)
            self.outside = False
            labels = sitk.ReadImage(str(target))
        if not Geometry.of(labels).matches(Geometry.of(image)):
            raise UserError("The segmentation cannot be used.", "Its grid is not that of the CT.", "Try again.")
        instances, nodes = measure(Geometry.of(image).put_on(labels))
        self._stop_if_cancelled()
        return self._finish(
            SegmentResult(
                instances=instances,
                nodes=tuple(nodes),
                model=answer["model"],
                model_sha256=answer["model_sha256"],
                device=answer["device"],
                device_reason=answer["device_reason"],
                seconds=answer["seconds"],
            )
        )

    def _ask(self, source: Path, target: Path) -> dict[str, Any]:
        self._report(Progress(None, "Starting"))
        request = self._request = self._worker.request(
            "segment",
            model=self._options.model,
            image=str(source),
            output=str(target),
            device=self._options.device,
            mirroring=self._options.mirroring,
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


