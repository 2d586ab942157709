"""One segmentation in a process of its own, by this build or the one before: what it takes, as one line of JSON.

``python -m bench.segment_once HOME CT LABELS WAY MIRRORING``; it uses no more than both builds have.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.peak import peak_gb

TORCH, OPENVINO, OPENVINO_BFLOAT16 = "torch", "openvino", "openvino-bfloat16"


@dataclass(frozen=True)
class Cost:
    """What a segmentation takes, without imports and loading.

    Args:
        cpu: Seconds of the processor.
        wall: Seconds.
        peak: Most memory of the whole process, GB.
    """

    cpu: float
    wall: float
    peak: float


def segment_once(home: Path, ct: Path, labels: Path, way: str, *, mirroring: bool, library: Path | None = None) -> Cost:
    """Segment in a process of its own.

    Args:
        home: Has one model.
        ct: The CT.
        labels: Gets the labels, as ``.npy``.
        way: ``torch``, ``openvino`` or ``openvino-bfloat16``.
        mirroring: Average over all flips.
        library: What is to be on ``PYTHONPATH`` in place of this build's library.
    """
    paths = os.environ["PYTHONPATH"].split(os.pathsep)
    tools = str(Path(__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(library), tools] if library else paths)}
    command = [sys.executable, "-m", "bench.segment_once", str(home), str(ct), str(labels), way, str(int(mirroring))]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def _run(home: Path, ct: Path, labels: Path, way: str, mirroring: bool) -> Cost:
    import SimpleITK as sitk
    import torch

    from lnsegfm.engine.inference.predictor import Predictor
    from lnsegfm.engine.inference.quality import Quality
    from lnsegfm.models.model_store import ModelStore

    model, image = ModelStore(home).list()[0], sitk.ReadImage(str(ct))
    quality = Quality(mirroring=mirroring)
    if way == TORCH:
        predictor = Predictor(model, torch.device("cpu"))
        options = {}
    else:
        predictor = Predictor(model, torch.device("cpu"), "CPU")
        options = {"precision": "bfloat16" if way == OPENVINO_BFLOAT16 else "single"}
        predictor.warm_up(quality, options["precision"])
        if predictor.backend.name != "openvino":
            raise SystemExit(f"OpenVINO was not used, because {predictor.why_not}.")
    started, used = time.perf_counter(), time.process_time()
    probability = predictor.predict(image, quality, **options)
    wall, cpu = time.perf_counter() - started, time.process_time() - used
    np.save(labels, sitk.GetArrayFromImage(probability) >= 128)
    return Cost(cpu, wall, peak_gb())


if __name__ == "__main__":
    _home, _ct, _labels = map(Path, sys.argv[1:4])
    print(json.dumps(vars(_run(_home, _ct, _labels, sys.argv[4], sys.argv[5] == "1"))))
