"""From the file of a CT to files of labels and measurements, through the segmentation worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnsegfm.base.background import Progress
from lnsegfm.base.errors import UserError
from lnsegfm.base.files import check_writable, sha256
from lnsegfm.images.image_files import check_image_name
from lnsegfm.lymph_nodes.instances import LymphNode
from lnsegfm.lymph_nodes.measurement_table import MeasuredNode, write_csv
from lnsegfm.models.model_store import ModelInfo
from lnsegfm.segmentation.batch_inputs import BatchInput
from lnsegfm.segmentation.provenance import OutputFile, Provenance, input_sha256, sidecar_path, versions
from lnsegfm.segmentation.segment_options import SegmentOptions
from lnsegfm.segmentation.worker_client import WorkerClient

_POLL_S = 0.05
Report = Callable[[Progress], None]


@dataclass(frozen=True)
class FileRequest:
    """What is to be segmented, and where to.

    Args:
        ct: A file, or a folder of DICOM slices.
        labels: File for the labels, 1 is lymph node, on the CT's own grid.
        options: How to segment; the model's id among it.
        probability: File for the foreground probability, uint8, 255 is certain.
        measurements: CSV file for the measurements.
        series: Series Instance UID, where a folder holds several series.
        overwrite: Replace existing files also when they were not written by an earlier segmentation.
    """

    ct: Path
    labels: Path
    options: SegmentOptions
    probability: Path | None = None
    measurements: Path | None = None
    series: str = ""
    overwrite: bool = False

    @property
    def outputs(self) -> dict[str, Path]:
        """The files that are to be written, by what they hold."""
        named = {"labels": self.labels, "probability": self.probability, "measurements": self.measurements}
        return {name: path for name, path in named.items() if path is not None}


@dataclass(frozen=True)
class SegmentedFile:
    """What came out of a segmentation.

    Args:
        request: What was asked for.
        lymph_nodes: The lymph nodes with their measurements, by number.
        provenance: How it was made.
        expected_benefit: How much a correction is expected to teach, 0 to 1.
        device_reason: Why it ran where it ran.
        seconds: How long it took.
    """

    request: FileRequest
    lymph_nodes: tuple[LymphNode, ...]
    provenance: Provenance
    expected_benefit: float
    device_reason: str
    seconds: float


@dataclass(frozen=True)
class BatchOutcome:
    """What became of one CT of a folder: segmented, done already, or refused.

    Args:
        source: The CT.
        labels: Where its labels are, or would be.
        result: The segmentation; None when it was done already or failed.
        error: Why it failed.
    """

    source: BatchInput
    labels: Path
    result: SegmentedFile | None = None
    error: UserError | None = None

    @property
    def skipped(self) -> bool:
        """Whether the labels were there already, made in the same way from the same CT."""
        return self.result is None and self.error is None


def check_request(request: FileRequest) -> None:
    """Find out before any work whether its result can be written.

    Raises:
        UserError: The CT does not exist; an output cannot be written, is the CT or another output, or exists and was
            not written by an earlier segmentation, or was changed since.
    """
    for name in ("labels", "probability"):
        if name in request.outputs:
            check_image_name(request.outputs[name])
    files = [*request.outputs.values(), sidecar_path(request.labels)]
    for path in files:
        _refuse_collision(path, request, files)
        check_writable(path)
    if not request.ct.exists():
        raise UserError("The CT cannot be read.", f"{request.ct} does not exist.", "Check the path.")
    known = Provenance.read(request.labels)
    for path in () if request.overwrite else request.outputs.values():
        if path.exists() and (known is None or not known.wrote(path)):
            why = "It was changed since it was segmented" if known else "It was not written by an earlier segmentation"
            raise UserError(
                f"{path.name} exists already.", f"{why}, and would be lost.",
                "Choose another name, or ask for --overwrite.",
            )


def _refuse_collision(path: Path, request: FileRequest, files: Sequence[Path]) -> None:
    if path.exists() and request.ct.exists() and path.samefile(request.ct):
        raise UserError(
            f"{path.name} is the CT itself.", "A result must not replace its input.", "Choose another name."
        )
    if sum(_same(path, each) for each in files) > 1:
        raise UserError(
            f"{path.name} is asked for twice.", "Two results would be written to the same file.",
            "Choose different names.",
        )


def _same(first: Path, second: Path) -> bool:
    # Names of any case, as on Windows and macOS.
    return str(first.absolute()).lower() == str(second.absolute()).lower()


def segment_file(
    worker: WorkerClient,
    model: ModelInfo,
    request: FileRequest,
    *,
    warnings: Sequence[str] = (),
    report: Report = lambda progress: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> SegmentedFile:
    """Segment a CT and write its labels, measurements and provenance.

    Args:
        worker: Does the work.
        model: The model that ``request.options`` name.
        request: What is asked for.
        warnings: What is to be said of the model.
        report: Called with the progress.
        is_cancelled: Asked often.

    Raises:
        UserError: See `check_request`; or the CT cannot be segmented.
        Cancelled: The user cancelled.
    """
    check_request(request)
    digest = input_sha256(request.ct)
    arguments: dict[str, Any] = {
        "image": str(request.ct.absolute()), "series": request.series, **request.options.to_json(),
        "output": str(request.labels.absolute()),
    }
    if request.probability is not None:
        arguments["probability"] = str(request.probability.absolute())
    value = _answer(worker, arguments, report, is_cancelled)
    lymph_nodes = tuple(LymphNode.from_json(fields) for fields in value["nodes"])
    if request.measurements is not None:
        write_csv([MeasuredNode(each, "", False) for each in lymph_nodes], request.measurements)
    provenance = Provenance(
        model=model.id, model_name=model.name, model_kind=model.card.kind, model_sha256=value["model_sha256"],
        request=_asked(request.options), device=value["device"], input_sha256=digest,
        outputs={name: OutputFile(path.name, sha256(path)) for name, path in request.outputs.items()},
        warnings=(*warnings, *value.get("warnings", ())), lymph_nodes=len(lymph_nodes),
        versions=versions(value.get("versions", {})),
    )
    provenance.write(request.labels)
    return SegmentedFile(
        request, lymph_nodes, provenance, value["expected_benefit"], value["device_reason"], value["seconds"]
    )


def segment_batch(
    worker: WorkerClient,
    model: ModelInfo,
    sources: Sequence[BatchInput],
    folder: Path,
    options: SegmentOptions,
    *,
    overwrite: bool = False,
    warnings: Sequence[str] = (),
    report: Report = lambda progress: None,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[BatchOutcome]:
    """Segment CTs one after the other with one loaded model; what is done already is skipped.

    Args:
        worker: Does the work.
        model: The model.
        sources: See `lnsegfm.segmentation.batch_inputs.find_inputs`.
        folder: Of the results.
        options: How to segment.
        overwrite: See `FileRequest`.
        warnings: What is to be said of the model.
        report: Called with the progress of each CT.
        is_cancelled: Asked often.

    Yields:
        What became of each CT, as soon as it is known. One that fails does not keep the others from being segmented.

    Raises:
        Cancelled: The user cancelled; what was yielded is complete.
    """
    for source in sources:
        request = FileRequest(source.path, folder / source.output, options, series=source.series, overwrite=overwrite)
        try:
            if _is_done(request, model):
                yield BatchOutcome(source, request.labels)
                continue
            result = segment_file(
                worker, model, request, warnings=warnings, report=report, is_cancelled=is_cancelled
            )
        except UserError as error:
            yield BatchOutcome(source, request.labels, error=error)
            continue
        yield BatchOutcome(source, request.labels, result)


def _is_done(request: FileRequest, model: ModelInfo) -> bool:
    known = Provenance.read(request.labels)
    return (
        known is not None
        and known.wrote(request.labels)
        and known.model_sha256 == model.sha256
        and known.request == _asked(request.options)
        and known.input_sha256 == input_sha256(request.ct)
    )


def _asked(options: SegmentOptions) -> dict[str, Any]:
    return {
        "quality": options.quality,
        "region": options.region if isinstance(options.region, str) else list(options.region),
        "minimum_short_axis_mm": options.minimum_short_axis_mm,
    }


def _answer(
    worker: WorkerClient, arguments: dict[str, Any], report: Report, is_cancelled: Callable[[], bool]
) -> dict[str, Any]:
    pending = worker.request("segment", **arguments)
    try:
        while not pending.done:
            report(pending.progress)
            if is_cancelled():
                pending.cancel()
            time.sleep(_POLL_S)
    except BaseException:
        # Ctrl-C, or an error of the caller's: the worker must not continue with what is no longer wanted.
        pending.cancel()
        raise
    value = pending.result()
    if not isinstance(value, dict):
        raise UserError("The segmentation process gave an answer that cannot be used.", f"It was {value!r}.")
    return value


