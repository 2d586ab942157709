"""Segmenting and measuring files, as a part of the session."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from lnsegfm.base.background import Progress
from lnsegfm.base.computer.device_names import PrecisionName
from lnsegfm.images.boxes import WHOLE, Region
from lnsegfm.images.input_options import InputOptions
from lnsegfm.segmentation.batch_inputs import BatchInput, find_all_inputs
from lnsegfm.segmentation.file_requests import FileRequest, check_exists, check_request
from lnsegfm.segmentation.segment_options import QualityName, SegmentOptions
from lnsegfm.session.waiting import IsCancelled

if TYPE_CHECKING:
    from lnsegfm.lymph_nodes.instances import LymphNode
    from lnsegfm.models.model_card import ModelInfo
    from lnsegfm.segmentation.segment_files import BatchOutcome, SegmentedFile
    from lnsegfm.segmentation.worker_client import WorkerClient
    from lnsegfm.session.models_part import ModelsPart

Show = Callable[[Progress], None]
_log = logging.getLogger(__name__)


def show_nothing(progress: Progress) -> None:
    """Show no progress."""


@dataclass(frozen=True)
class SegmentChoices:
    """How to segment; without any argument as nnU-Net does, with the default model.

    Args:
        model: Id of the model, or a beginning that only one has; empty for the default model. A demonstration model is
            used only when it is named here.
        device: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.
        quality: ``fast``, ``standard`` (nnU-Net's own labels) or ``best``.
        region: ``whole``, ``body`` or a box ``(i0, i1, j0, j1, k0, k1)`` of voxels.
        minimum_short_axis_mm: Lymph nodes with a smaller short axis are left out.
        rejected_too: The user agrees to a model that was rejected.
        assume_hu: The user says that the CT's values are HU, although they do not look like it.
        keep_implausible: Count what cannot be a lymph node, such as one in air, among the others; it is kept apart
            otherwise.
        backend: What runs the network: ``auto``, ``torch``, ``openvino``, ``openvino-gpu`` or ``openvino-npu``.
        precision: ``auto``, ``single`` or ``bfloat16``.
    """

    model: str = ""
    device: str = "auto"
    quality: QualityName = "standard"
    region: Region = WHOLE
    minimum_short_axis_mm: float = 0.0
    rejected_too: bool = False
    assume_hu: bool = False
    keep_implausible: bool = False
    backend: str = "auto"
    precision: PrecisionName = "auto"


class Segmenting:
    """Segments and measures the CTs in files.

    Args:
        models: Tells which model is used.
        worker: Returns the process that runs networks.
    """

    def __init__(self, models: ModelsPart, worker: Callable[[], WorkerClient]) -> None:
        self._models, self._worker = models, worker

    def file(
        self, ct: Path, labels: Path, choices: SegmentChoices, *, probability: Path | None, measurements: Path | None,
        series: str, overwrite: bool, progress: Show, is_cancelled: IsCancelled,
    ) -> SegmentedFile:
        """Segment one CT, see `lnsegfm.session.Session.segment`."""
        request = FileRequest(
            Path(ct), Path(labels), _options("", choices), probability, measurements, series, overwrite
        )
        # Before the model is looked for: the first thing that is wrong is said first.
        check_request(request)
        self._worker().start()
        model, warnings = self._models.for_segmentation(choices.model, rejected_too=choices.rejected_too)
        from lnsegfm.segmentation.segment_files import segment_file

        return segment_file(
            self._worker(), model, replace(request, options=_options(model.id, choices)), warnings=warnings,
            report=progress, is_cancelled=is_cancelled,
        )

    def warm_up(self, choices: SegmentChoices) -> None:
        """Load the model into the worker, see `lnsegfm.session.Session.warm_up`."""
        worker = self._worker()
        model, _ = self._models.for_segmentation(choices.model, rejected_too=choices.rejected_too)
        worker.request("warm_up", **_options(model.id, choices).to_json())

    def folder(
        self, sources: Sequence[Path], results: Path, choices: SegmentChoices, *, overwrite: bool, progress: Show,
        is_cancelled: IsCancelled,
    ) -> Batch:
        """Prepare the segmentation of several CTs, see `lnsegfm.session.Session.segment_folder`."""
        options, found = _options("", choices), find_all_inputs([Path(each) for each in sources])
        model, warnings = self._models.for_segmentation(choices.model, rejected_too=choices.rejected_too)
        from lnsegfm.segmentation.segment_files import segment_batch

        outcomes = segment_batch(
            self._worker(), model, found, Path(results), replace(options, model=model.id), overwrite=overwrite,
            warnings=warnings, report=progress, is_cancelled=is_cancelled,
        )
        return Batch(model, tuple(found), tuple(warnings), outcomes)


@dataclass(frozen=True)
class Batch:
    """The CTs of a folder on their way to labels.

    Args:
        model: The model that segments them.
        sources: The CTs that were found.
        warnings: What the user should know of the model.
        outcomes: What becomes of each, as soon as it is known; going through it does the work.
    """

    model: ModelInfo
    sources: tuple[BatchInput, ...]
    warnings: tuple[str, ...]
    outcomes: Iterator[BatchOutcome]


def measure_files(
    ct: Path, labels: Path, series: str = "", *, keep_implausible: bool = False,
    input_options: InputOptions = InputOptions(), warnings: list[str] | None = None,
) -> tuple[LymphNode, ...]:
    """Measure the lymph nodes of labels, see `lnsegfm.session.Session.measure`."""
    for path, what in ((ct, "The CT"), (labels, "The labels")):
        check_exists(Path(path), what)
    from lnsegfm.images.geometry import labels_on
    from lnsegfm.inputs.dataset_labels import DatasetLabels
    from lnsegfm.inputs.labels_on_ct import lymph_nodes_on
    from lnsegfm.inputs.reading_apart import read_ct, read_labels
    from lnsegfm.lymph_nodes.instances import measure
    from lnsegfm.lymph_nodes.intensity import describe
    from lnsegfm.lymph_nodes.plausibility import kept_apart, told_left_out

    said: list[str] = []
    image = read_ct(Path(ct), series=series, assume_hu=input_options.assume_hu, warnings=said)
    named = DatasetLabels.beside(Path(labels))
    placed = lymph_nodes_on(
        image, read_labels(Path(labels), said), input_options, names=None if named is None else named.structures,
        ignore=None if named is None else named.ignore, judged_later=True,
    )
    said.extend(placed.notes)
    instances, lymph_nodes = measure(labels_on(image, placed.array))
    plausible, implausible, _ = kept_apart(describe(lymph_nodes, instances, image))
    if implausible and not keep_implausible:
        said.append(f"{told_left_out(implausible)}.")
    if warnings is not None:
        warnings.extend(said)
    else:
        for text in said:
            _log.warning(text)
    return (*plausible, *implausible) if keep_implausible else tuple(plausible)


def _options(model_id: str, choices: SegmentChoices) -> SegmentOptions:
    return SegmentOptions(
        model_id, choices.device, choices.quality, choices.region, choices.minimum_short_axis_mm,
        assume_hu=choices.assume_hu, keep_implausible=choices.keep_implausible, backend=choices.backend,
        precision=choices.precision,
    )
