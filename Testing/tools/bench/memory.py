"""The most memory that a segmentation takes, over sizes of the CT, and what nnU-Net's predictor takes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from bench.peak import peak_gb
from bench.targets import Targets
from lnsegfm.models.model_store import ModelStore

SLICES = (75, 150, 225, 300)
SPACING = (0.78, 0.78, 2.5)


def print_table(targets: Targets) -> None:
    """Print the peaks, each of a process of its own, with a network so small that it does not count."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _make_model(folder)
        ours = {count: _peak(folder, "ours", count) for count in SLICES}
        theirs = _peak(folder, "nnunet", SLICES[-1])
    print("### Peak memory of a segmentation of 512x512 voxels a slice, GB; a tiny network, CPU\n")
    print("| slices | peak | of that before the CT was read | GB for each 100 million voxels |\n|---|---|---|---|")
    for count, (base, peak) in ours.items():
        share = (peak - base) / (512 * 512 * count / 1e8)
        print(f"| {count} | {peak:.2f} | {base:.2f} | {share:.2f} |")
    print(f"| {SLICES[-1]}, nnU-Net's predictor | {theirs[1]:.2f} | {theirs[0]:.2f} | - |\n")
    targets.at_most("512x512x300: peak memory to nnU-Net's predictor", ours[SLICES[-1]][1] / theirs[1], 0.5)


def _make_model(folder: Path) -> None:
    from lnsegfm.engine.networks.model_install import install_model
    from tiny_models import make_model
    from tiny_plans import CONFIGURATION, tiny_plans

    plans = tiny_plans()
    plans["configurations"][CONFIGURATION].update(patch_size=[64, 192, 192], spacing=[3.0, 0.8, 0.8])
    install_model(ModelStore(folder / "models"), make_model(folder / "results", plans=plans))


def _peak(folder: Path, way: str, slices: int) -> tuple[float, float]:
    command = [sys.executable, "-m", "bench.memory", str(folder), way, str(slices)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    base, peak = json.loads(done.stdout.splitlines()[-1])
    return base, peak


def _run(folder: Path, way: str, slices: int) -> tuple[float, float]:
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    from lnsegfm.engine.inference.predictor import Predictor
    from lnsegfm.engine.inference.quality import Quality

    model = ModelStore(folder / "models").list()[0]
    if way == "ours":
        predictor = Predictor(model, torch.device("cpu"))
    else:
        stock = nnUNetPredictor(tile_step_size=1.0, use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
        stock.initialize_from_trained_model_folder(str(model.path), use_folds=(0,))
    base = peak_gb()
    values = np.random.default_rng(0).integers(-1000, 300, (slices, 512, 512), np.int16)
    if way == "ours":
        image = sitk.GetImageFromArray(values)
        image.SetSpacing(SPACING)
        del values
        predictor.predict(image, Quality(mirroring=False, step=1.0))
    else:
        stock.predict_single_npy_array(values[None].astype(np.float32), {"spacing": list(SPACING[::-1])})
    return base, peak_gb()


if __name__ == "__main__":
    print(json.dumps(_run(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
