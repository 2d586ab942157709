"""Time and memory of some iterations, in a process of its own: ``python -m ...engine.calibration FOLDER``.

``FOLDER/spec.json`` says what is to be measured; ``FOLDER/result.json`` gets the figures, or the error.
"""

from __future__ import annotations

import copy
import os
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from lnsegfm.base.errors import UserError
from lnsegfm.base.failures import as_user_error
from lnsegfm.base.files import read_json, write_json
from lnsegfm.base.home import Home
from lnsegfm.jobs.job_spec import JobSpec
from lnsegfm.jobs.timing import CASE, RESULT, SPEC
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_store import ModelStore

# The first iterations choose convolution algorithms and fill the queue of patches.
_WARM_UP = 2
_FEWEST, _MOST, _ENOUGH_S = 3, 20, 6.0
# So much larger than a patch is the CT that is learned from, so that patches are cut as from a real one.
_MARGIN = 1.3


def measure(spec: JobSpec, base: ModelInfo, folder: Path) -> dict[str, Any]:
    """Do some iterations of a job on a made-up CT and return the fields of a `Calibration`.

    Args:
        spec: The job; its cases are not used.
        base: The model to start from; it stays as it is.
        folder: Where the made-up case is prepared.

    Raises:
        UserError: The device is not there, the model cannot be read, or memory does not suffice.
    """
    import torch
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    from lnsegfm.engine.devices import choose_device, gpu_memory
    from lnsegfm.engine.finetuning.adaptation import BaseContent, adapted_folds
    from lnsegfm.engine.finetuning.trainer import Trainer
    from lnsegfm.engine.finetuning.training_data import preprocess
    from lnsegfm.engine.precision import device_words

    # A job may have fewer iterations than a fast computer is asked for here.
    spec = replace(spec, epochs=1, iterations_per_epoch=_WARM_UP + _MOST)
    device, reason = choose_device(spec.device)
    content = BaseContent.read(base, adapted_folds(base, spec)[:1])
    settings = PlansManager(copy.deepcopy(content.plans)).get_configuration(base.card.configuration)
    case = _make_case(folder, settings.patch_size, settings.spacing)
    preprocess(
        [case], PlansManager(copy.deepcopy(content.plans)), base.card.configuration, content.dataset,
        base.card.orientation, folder, lambda _: None,
    )
    trainer = Trainer.start(
        content.plans, base.card.configuration, content.dataset, next(iter(content.weights.values())), spec, folder,
        device,
    )
    durations: list[float] = []
    while len(durations) < _WARM_UP + _MOST:
        started = time.monotonic()
        trainer.step()
        durations.append(time.monotonic() - started)
        measured = durations[_WARM_UP:]
        if len(measured) >= _FEWEST and sum(measured) > _ENOUGH_S:
            break
    memory = gpu_memory(device)
    # Besides what PyTorch hands out, the driver keeps some hundred MB for the process itself.
    context = 0
    if memory:
        free, total = torch.cuda.mem_get_info(device)
        context = max(0, total - free - torch.cuda.memory_reserved(device))
    return {
        "seconds": statistics.fmean(durations[_WARM_UP:]), "device": device_words(device, reason, spec.precision),
        "gpu_bytes": memory.get("gpu_bytes", 0) + min(context, 1 << 30) if memory else 0,
        "gpu_total_bytes": memory.get("gpu_total_bytes", 0), "memory_bytes": _peak_bytes(),
    }


def _make_case(folder: Path, patch_size: Any, spacing: Any) -> Any:
    import numpy as np
    import SimpleITK as sitk

    from lnsegfm.engine.finetuning.training_data import TrainingCase
    from lnsegfm.formats.image_files import write_image

    shape = [int(length * _MARGIN) + 1 for length in patch_size]
    hu = np.random.default_rng(0).normal(40, 60, shape).astype(np.int16)
    labels = np.zeros(shape, np.uint8)
    middle = tuple(slice(length // 2 - 2, length // 2 + 3) for length in shape)
    labels[middle] = 1
    case = TrainingCase(CASE, folder / "image.nrrd", folder / "label.nrrd")
    for path, array in ((case.image, hu), (case.label, labels)):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing([float(size) for size in spacing[::-1]])
        write_image(image, path)
    return case


def _peak_bytes() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    # KB on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main(arguments: list[str]) -> int:
    """Measure what the folder ``arguments[0]`` asks for; return the exit status."""
    folder = Path(arguments[0]).absolute()
    os.environ.update(nnUNet_preprocessed=str(folder), nnUNet_results=str(folder), nnUNet_n_proc_DA="0")
    try:
        spec = JobSpec.from_json(read_json(folder / SPEC))
        result = measure(spec, ModelStore(Home.default().models).get(spec.base_model), folder)
    except Exception as error:  # the boundary of the process: whoever waits for it gets the reason
        problem = as_user_error(error, "Time and memory could not be measured.")
        write_json(folder / RESULT, {"error": problem.to_json()})
        if not isinstance(error, UserError):
            raise
        return 1
    write_json(folder / RESULT, result)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
