"""From the file of a CT to files of labels and measurements, through the segmentation worker."""

from __future__ import annotations

import glob
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnsegfm.base.background import Progress
from lnsegfm.base.errors import UserError
from lnsegfm.base.files import sha256
from lnsegfm.base.serving.process_client import ProcessEnded
from lnsegfm.base.stopping import undisturbed
from lnsegfm.base.wording import printable
from lnsegfm.lymph_nodes.instances import LymphNode
from lnsegfm.lymph_nodes.measurement_table import MeasuredNode, write_csv
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.segmentation.batch_inputs import BatchInput
from lnsegfm.segmentation.file_requests import FileRequest, check_request
from lnsegfm.segmentation.provenance import OutputFile, Provenance, input_sha256, versions
from lnsegfm.segmentation.segment_options import SegmentOptions
from lnsegfm.segmentation.worker_client import WorkerClient

_POLL_S = 0.05
# As results are whose request does not say it: there was no choice yet.
_BEFORE_CHOICES = {"keep_implausible": True, "backend": "auto", "precision": "auto"}
Report = Callable[[Progress], None]


@dataclass(frozen=True)
class SegmentedFile:
    """What came out of a segmentation.

    Args:
        request: What was asked for.
        lymph_nodes: The lymph nodes with their measurements, by number.
        implausible: What was found, cannot be a lymph node and was left out, each with the reason.
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
    implausible: tuple[LymphNode, ...] = ()


@dataclass(frozen=True)
class BatchOutcome:
    """What became of one CT of a folder: segmented, done already, or refused.

    Args:
        source: The CT.
        labels: Where its labels are, or would be.
        result: The segmentation; None when it was done already or failed.
        error: Why it failed.
        earlier: How it was made, when it was done already.
    """

    source: BatchInput
    labels: Path
    result: SegmentedFile | None = None
    error: UserError | None = None
    earlier: Provenance | None = None

    @property
    def skipped(self) -> bool:
        """Whether the labels were there already, made in the same way from the same CT."""
        return self.result is None and self.error is None

    @property
    def provenance(self) -> Provenance | None:
        """How the labels were made, now or before; None where there are none."""
        return self.result.provenance if self.result is not None else self.earlier

    @property
    def lymph_nodes(self) -> tuple[LymphNode, ...]:
        """The lymph nodes with their measurements, found now or before."""
        if self.result is not None:
            return self.result.lymph_nodes
        measured = self.earlier.measured if self.earlier is not None else ()
        return tuple(LymphNode.from_json(fields) for fields in measured)

    @property
    def implausible(self) -> tuple[LymphNode, ...]:
        """What cannot be a lymph node and was left out, now or before."""
        if self.result is not None:
            return self.result.implausible
        left_out = self.earlier.implausible if self.earlier is not None else ()
        return tuple(LymphNode.from_json(fields) for fields in left_out)


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
    try:
        value = _answer(worker, arguments, report, is_cancelled)
    except ProcessEnded as error:
        with undisturbed():
            _clear_unfinished(request)
        raise UserError(error.what, f"It worked on {printable(request.ct.name)}. {error.why}", error.todo) from error
    except BaseException:
        with undisturbed():
            _clear_unfinished(request)
        raise
    lymph_nodes = tuple(LymphNode.from_json(fields) for fields in value["nodes"])
    implausible = tuple(LymphNode.from_json(fields) for fields in value.get("implausible", ()))
    if request.measurements is not None:
        write_csv(
            [MeasuredNode(each, "", False) for each in lymph_nodes], request.measurements,
            with_reasons=request.options.keep_implausible,
        )
    provenance = Provenance(
        model=model.id, model_name=model.name, model_kind=model.card.kind, model_sha256=value["model_sha256"],
        request=_asked(request.options), device=value["device"], input_sha256=digest,
        outputs={name: OutputFile(path.name, sha256(path)) for name, path in request.outputs.items()},
        warnings=(*warnings, *value.get("warnings", ())), lymph_nodes=len(lymph_nodes),
        measured=tuple(value["nodes"]), implausible=tuple(value.get("implausible", ())),
        versions=versions(value.get("versions", {})),
    )
    provenance.write(request.labels)
    return SegmentedFile(
        request, lymph_nodes, provenance, value["expected_benefit"], value["device_reason"], value["seconds"],
        implausible,
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
    others = tuple(source.path for source in sources)
    for source in sources:
        request = FileRequest(
            source.path, folder / source.output, options, series=source.series, overwrite=overwrite, others=others
        )
        try:
            if source.problem is not None:
                raise source.problem
            earlier = _done_earlier(request, model)
            if earlier is not None:
                yield BatchOutcome(source, request.labels, earlier=earlier)
                continue
            result = segment_file(
                worker, model, request, warnings=warnings, report=report, is_cancelled=is_cancelled
            )
        except UserError as error:
            yield BatchOutcome(source, request.labels, error=error)
            continue
        yield BatchOutcome(source, request.labels, result)


def _done_earlier(request: FileRequest, model: ModelInfo) -> Provenance | None:
    known = Provenance.read(request.labels)
    is_done = (
        known is not None
        and known.wrote(request.labels)
        and known.model_sha256 == model.sha256
        and {**_BEFORE_CHOICES, **known.request} == _asked(request.options)
        and len(known.measured) == known.lymph_nodes
        and known.input_sha256 == input_sha256(request.ct)
    )
    return known if is_done else None


def _clear_unfinished(request: FileRequest) -> None:
    """Remove what a worker that was killed while it wrote has left beside the outputs: voxels of a patient."""
    for path in request.outputs.values():
        for rest in path.parent.glob(f".tmp-????????-{glob.escape(path.name)}"):
            rest.unlink(missing_ok=True)


def _asked(options: SegmentOptions) -> dict[str, Any]:
    return {
        "quality": options.quality,
        "region": options.region if isinstance(options.region, str) else list(options.region),
        "minimum_short_axis_mm": options.minimum_short_axis_mm,
        "keep_implausible": options.keep_implausible,
        "backend": options.backend,
        "precision": options.precision,
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
        # Ctrl-C, or an error of the caller's: the worker must stop, and must not write while its rests are cleared.
        worker.stop(pending)
        raise
    value = pending.result()
    if not isinstance(value, dict):
        raise UserError("The segmentation process gave an answer that cannot be used.", f"It was {value!r}.")
    return value
