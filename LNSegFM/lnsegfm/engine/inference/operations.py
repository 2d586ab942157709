"""What the segmentation worker can do; the command line uses the same."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from lnsegfm import NOTICE, __version__
from lnsegfm.base.background import Progress
from lnsegfm.base.home import Home
from lnsegfm.engine.devices import choose_device
from lnsegfm.engine.inference.backends.choice import choose
from lnsegfm.engine.inference.predictor import Predictor
from lnsegfm.engine.inference.quality import QUALITIES
from lnsegfm.engine.networks.model_install import install
from lnsegfm.formats.image_files import write_image
from lnsegfm.images.body import find_body
from lnsegfm.images.boxes import Region
from lnsegfm.images.crop import region_box, size_of
from lnsegfm.images.number_note import NUMBERED
from lnsegfm.images.probabilities import FOREGROUND_FROM
from lnsegfm.inputs.reading import read_ct
from lnsegfm.lymph_nodes.instances import LymphNode, measure
from lnsegfm.lymph_nodes.intensity import describe_with
from lnsegfm.lymph_nodes.plausibility import kept_apart, renumbered
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_facts import ModelFacts
from lnsegfm.models.model_store import ModelStore
from lnsegfm.segmentation.backend_names import AUTO, OPENVINO_DEVICES
from lnsegfm.segmentation.segment_options import SegmentOptions
from lnsegfm.segmentation.uncertainty import expected_benefit

Arguments = dict[str, Any]
Report = Callable[[Progress], None]
_PACKAGES = ("torch", "openvino", "nnunetv2", "numpy", "SimpleITK")


class Operations:
    """Operations that share one loaded model.

    Args:
        home: Where models are; the user's home by default.
    """

    def __init__(self, home: Home | None = None) -> None:
        self._store = ModelStore((home or Home.default()).models)
        self._loaded: Predictor | None = None

    def segment(self, arguments: Arguments, report: Report, is_cancelled: Callable[[], bool]) -> dict[str, Any]:
        """Segment the CT in the file ``image`` and write what is asked for.

        Args:
            arguments: ``image`` (path), ``series``, the fields of `SegmentOptions`, and where to write ``output``
                (labels, 1 is lymph node, without implausible ones unless they are to be kept), ``instances`` (numbers
                of all, the implausible ones last) and ``probability`` (uint8); ``compress`` is False for files that
                are read once and thrown away.
            report: Called with what is being done, the share of the network's work, and its time left.
            is_cancelled: Asked often.

        Returns:
            Model, device, seconds, warnings, the lymph nodes, those that are kept apart as ``implausible``, and the
            benefit expected of a correction.
        """
        started = time.monotonic()
        options = SegmentOptions.from_json(arguments)
        quality = QUALITIES[options.quality]
        warnings: list[str] = []
        with ThreadPoolExecutor(1, "reader") as reader:
            reading = reader.submit(
                read_ct, Path(arguments["image"]), series=arguments.get("series", ""), warnings=warnings,
                assume_hu=options.assume_hu,
            )
            # In this thread: PyTorch's number of threads is one of each thread's own.
            report(Progress(0.0, "Loading the model"))
            predictor, reason = self._ready(options)
            predictor.warm_up(quality, options.precision)
            report(Progress(0.0, "Reading the CT"))
            image = reading.result()
        probability = predictor.predict(
            image, quality, region=options.region, precision=options.precision, report=report,
            is_cancelled=is_cancelled,
        )
        if predictor.why_not and options.backend != AUTO:
            warnings.append(f"PyTorch took the place of the backend '{options.backend}', because {predictor.why_not}.")
        report(Progress(1.0, "Measuring lymph nodes"))
        found = probability >= FOREGROUND_FROM
        instances, nodes = measure(found, minimum_short_axis_mm=options.minimum_short_axis_mm)
        body = find_body(image)
        warnings += predictor.training.differences(image, body, size=_size_of(options.region, image))
        nodes, implausible, numbers = kept_apart(describe_with(body, nodes, instances, image, probability))
        instances = renumbered(instances, numbers)
        plausible = _up_to(instances, len(nodes))
        output = instances > 0 if options.keep_implausible else plausible
        results = {"output": output, "instances": instances, "probability": probability}
        for name in results.keys() & arguments.keys():
            write_image(
                results[name], Path(arguments[name]), compress=arguments.get("compress", True),
                notes={**(NUMBERED if name == "instances" else {}), **_notes(predictor.model)},
            )
        return {
            "model": predictor.model.id,
            "model_sha256": predictor.model.sha256,
            "device": predictor.backend.place,
            "device_reason": f"{predictor.backend.place_name or reason}; {predictor.words(quality, options.precision)}",
            "warnings": warnings,
            "expected_benefit": _benefit(probability, found, instances, plausible),
            **_listed(nodes, implausible, keep=options.keep_implausible),
            "seconds": time.monotonic() - started,
            "versions": _versions(),
        }

    def warm_up(self, arguments: Arguments, report: Report, is_cancelled: Callable[[], bool]) -> dict[str, Any]:
        """Get ready for a segmentation with these `SegmentOptions`; without any the packages alone are loaded.

        Returns:
            Nothing: what a segmentation needs to know it finds out again.
        """
        del is_cancelled
        if arguments:
            options = SegmentOptions.from_json(arguments)
            report(Progress(None, "Loading the model"))
            predictor, _ = self._ready(options)
            predictor.warm_up(QUALITIES[options.quality], options.precision)
        return {}

    def install(self, arguments: Arguments, report: Report, is_cancelled: Callable[[], bool]) -> dict[str, Any]:
        """Install the model at ``source`` as ``name``; ``orientation`` is the voxel order it was trained in.

        Returns:
            Its id as ``model``, its ``name``, whether it ``is_new``, a ``note``, what was ``left_out`` (list of texts),
            and its folds, labels, voxel size and patch in ``words``.
        """
        del is_cancelled
        report(Progress(0.0, "Checking the model"))
        found = install(
            self._store, Path(arguments["source"]), name=arguments.get("name", ""),
            orientation=arguments.get("orientation", ""),
        )
        return {
            "model": found.model.id, "name": found.model.name, "is_new": found.is_new, "note": found.note,
            "left_out": list(found.left_out), "words": ModelFacts.of(found.model).words,
        }

    def devices(self, arguments: Arguments, report: Report, is_cancelled: Callable[[], bool]) -> dict[str, Any]:
        """Tell what ``auto`` would choose, and why."""
        del arguments, report, is_cancelled
        device, reason = choose_device("auto")
        return {"device": device.type, "device_reason": reason}

    def _ready(self, options: SegmentOptions) -> tuple[Predictor, str]:
        """Return the model on what is to run it, and why there."""
        # What OpenVINO computes on needs no device of PyTorch's.
        alone = options.backend in OPENVINO_DEVICES and options.device == "auto"
        device, reason = choose_device("cpu" if alone else options.device)
        openvino_device = choose(options.backend, device, device_was_chosen=options.device != "auto")
        model, loaded = self._store.get(options.model), self._loaded
        # The same weights may be installed twice, under two names and with two cards.
        if loaded is None or (loaded.model, loaded.device, loaded.openvino_device) != (model, device, openvino_device):
            self._loaded = None
            loaded = self._loaded = Predictor(self._store.verify(model.id), device, openvino_device)
        return loaded, reason


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _size_of(region: Region, image: sitk.Image) -> tuple[int, int, int] | None:
    """Return the voxels of a box that is segmented alone; None for a whole scan or body."""
    return None if isinstance(region, str) else size_of(region_box(image, region))


def _up_to(instances: sitk.Image, last: int) -> sitk.Image:
    """Return the lymph nodes up to a number as labels."""
    return sitk.BinaryThreshold(instances, 1, last) if last else sitk.Cast(instances * 0, sitk.sitkUInt8)


def _benefit(probability: sitk.Image, found: sitk.Image, instances: sitk.Image, plausible: sitk.Image) -> float:
    """Return the benefit expected of a correction; to take out what is implausible teaches nothing."""
    apart = (instances > 0) > plausible
    if not sitk.GetArrayViewFromImage(apart).any():
        return expected_benefit(probability, found)
    rest = apart == 0
    return expected_benefit(probability * rest, found * rest)


def _listed(nodes: Sequence[LymphNode], implausible: Sequence[LymphNode], *, keep: bool) -> dict[str, Any]:
    kept, apart = ([*nodes, *implausible], []) if keep else (nodes, implausible)
    return {"nodes": [node.to_json() for node in kept], "implausible": [node.to_json() for node in apart]}


def _notes(model: ModelInfo) -> dict[str, str]:
    """What stands in the header of every image that is written."""
    return {
        "LNSegFM.version": f"LN-Seg-FM {__version__}",
        "LNSegFM.model_sha256": model.sha256,
        "LNSegFM.model": model.id,
        "LNSegFM.notice": NOTICE,
    }
