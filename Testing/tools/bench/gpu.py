"""Segmentation on a GPU: preprocessing, tiles and memory of a large CT with the paper's network.

``python -m bench.gpu --tiny`` tries it on a CPU, with a small network and a small CT.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch

from bench.network import paper_plans
from lnsegfm.base.background import Progress
from lnsegfm.engine.inference.predictor import Predictor
from lnsegfm.engine.inference.quality import Quality
from lnsegfm.engine.networks.exact_resampling import resample
from lnsegfm.engine.networks.model_install import install_model
from lnsegfm.models.model_store import ModelStore
from tiny_models import make_model
from tiny_plans import tiny_plans

SIZE, SPACING, WANTED = (512, 512, 300), (0.78, 0.78, 2.5), (3.0, 0.8, 0.8)
_TINY = (64, 64, 40)


def print_table(device: torch.device, *, tiny: bool = False) -> None:
    """Print what the parts of a segmentation take, and how much memory of the GPU.

    Args:
        device: Where to compute.
        tiny: Take a small network and CT, to see whether all of it works.
    """
    size = _TINY if tiny else SIZE
    values = np.random.default_rng(0).normal(0, 300, size[::-1]).astype(np.int16)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing(SPACING)
    with tempfile.TemporaryDirectory() as name, redirect_stderr(StringIO()):
        folder = Path(name)
        plans = tiny_plans() if tiny else paper_plans()
        model = install_model(ModelStore(folder / "models"), make_model(folder / "results", plans=plans))
        rows = _resampling(values, device)
        predictor = Predictor(model, device)
        for mirroring in (False, True):
            rows[f"segmentation, {'with' if mirroring else 'without'} mirroring"] = _segmentation(
                predictor, image, Quality(mirroring=mirroring), device
            )
    network = "a tiny" if tiny else "the paper's"
    print(f"### Segmentation of {'x'.join(map(str, size))} voxels, {network} network\n")
    print("| what | seconds | of that in the network | GPU memory, GB |\n|---|---|---|---|")
    for what, (seconds, tiles, memory) in rows.items():
        print(f"| {what} | {seconds:.2f} | {f'{tiles:.2f}' if tiles else '-'} | {memory:.2f} |")
    print()


def _resampling(values: np.ndarray, device: torch.device) -> dict[str, tuple[float, float, float]]:
    data = values[None].astype(np.float32)
    shape = [round(length * old / new) for length, old, new in zip(values.shape, SPACING[::-1], WANTED)]
    rows = {}
    for where in dict.fromkeys((torch.device("cpu"), device)):
        def run(where: torch.device = where) -> Any:
            return resample(data, shape, SPACING[::-1], WANTED, force_separate_z=None, device=where)

        seconds, memory = _measured(run, where)
        rows[f"resampling to the model's voxels, {where.type}"] = (seconds, 0.0, memory)
    return rows


def _segmentation(
    predictor: Predictor, image: sitk.Image, quality: Quality, device: torch.device
) -> tuple[float, float, float]:
    times: list[float] = []

    def report(progress: Progress) -> None:
        if progress.message.startswith("Segmenting") or times:
            times.append(time.perf_counter())

    predictor.predict(sitk.Extract(image, [size // 2 for size in image.GetSize()]), quality)  # cuDNN chooses
    seconds, memory = _measured(lambda: predictor.predict(image, quality, report=report), device)
    return seconds, times[-1] - times[0], memory


def _measured(action: Callable[[], object], device: torch.device) -> tuple[float, float]:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    started = time.perf_counter()
    action()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    memory = torch.cuda.max_memory_allocated(device) / 1e9 if device.type == "cuda" else 0.0
    return time.perf_counter() - started, memory


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    print_table(torch.device("cuda" if torch.cuda.is_available() else "cpu"), tiny=options.tiny)
