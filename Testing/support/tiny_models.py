"""Tiny nnU-Net v2 models on disk, with the files and the checkpoint content that stock nnU-Net leaves behind."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lnsegfm.engine.networks.network import build_network
from tiny_plans import CONFIGURATION, DATASET_NAME, PATCH, PLAIN, RESIDUAL, tiny_dataset, tiny_plans

__all__ = [
    "CONFIGURATION", "DATASET_NAME", "PATCH", "PLAIN", "RESIDUAL", "bare_checkpoint", "make_model", "tiny_checkpoint",
    "tiny_dataset", "tiny_plans", "zip_model",
]  # fmt: skip


def tiny_checkpoint(
    plans: dict[str, Any], *, dataset: dict[str, Any] | None = None, fold: int | str = 0, seed: int = 0,
    trainer: str = "nnUNetTrainer", with_init_args: bool = True,
) -> dict[str, Any]:
    """What ``nnUNetTrainer.save_checkpoint`` writes, after two epochs, with random weights."""
    dataset = tiny_dataset() if dataset is None else dataset
    torch.manual_seed(seed)
    network = build_network(plans, CONFIGURATION, dataset, deep_supervision=True)
    optimizer = torch.optim.SGD(network.parameters(), 1e-2, momentum=0.99, nesterov=True, weight_decay=3e-5)
    for parameter in network.parameters():
        parameter.grad = torch.full_like(parameter, 1e-3)
    optimizer.step()
    arguments = {
        "plans": plans, "configuration": CONFIGURATION, "fold": fold, "dataset_json": dataset,
        "device": torch.device("cuda", 0),
    }  # fmt: skip
    return {
        "network_weights": network.state_dict(),
        "optimizer_state": optimizer.state_dict(),
        "grad_scaler_state": None,
        "logging": {
            "mean_fg_dice": [np.float64(0.1), np.float32(0.2)],
            "ema_fg_dice": [np.float64(0.1), np.float64(0.11)],
            "dice_per_class_or_region": [[np.float64(0.1)], [np.float32(0.2)]],
            "train_losses": [np.float32(0.3), np.float64(0.2)],
            "val_losses": [np.float32(0.3), np.float16(0.2)],
            "lrs": [0.01, 0.009],
            "epoch_start_timestamps": [1700000000.5, 1700000100.5],
            "epoch_end_timestamps": [1700000090.5, np.float64(1700000190.5)],
            "some_counts": [np.int64(3)],
        },
        "_best_ema": np.float64(0.11),
        "current_epoch": 2,
        "init_args": arguments if with_init_args else {},
        "trainer_name": trainer,
        "inference_allowed_mirroring_axes": (0, 1, 2),
    }


def make_model(
    results: Path, *, architecture: str = PLAIN, legacy: bool = False, folds: tuple[int | str, ...] = (0,),
    trainer: str = "nnUNetTrainer", plans: dict[str, Any] | None = None,
    checkpoint_name: str = "checkpoint_final.pth", seed: int = 0,
) -> Path:
    """Write ``results/DatasetXXX/Trainer__nnUNetPlans__3d_fullres`` and return that folder."""
    plans = tiny_plans(architecture, legacy=legacy) if plans is None else plans
    folder = results / plans["dataset_name"] / f"{trainer}__{plans['plans_name']}__{CONFIGURATION}"
    folder.mkdir(parents=True)
    for name, content in (("plans", plans), ("dataset", tiny_dataset()), ("dataset_fingerprint", {})):
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    for number, fold in enumerate(folds):
        checkpoint = tiny_checkpoint(plans, fold=fold, seed=seed + number, trainer=trainer)
        place = folder / f"fold_{fold}"
        (place / "validation").mkdir(parents=True)
        torch.save(checkpoint, place / checkpoint_name)
        (place / "progress.png").write_bytes(b"not looked at")
        (place / "validation" / "summary.json").write_text("{}", encoding="utf-8")
    return folder


def bare_checkpoint(
    path: Path, *, architecture: str = PLAIN, legacy: bool = False, trainer: str = "nnUNetTrainer", **options: Any
) -> Path:
    """Write a checkpoint file that lies alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(tiny_checkpoint(tiny_plans(architecture, legacy=legacy), trainer=trainer, **options), path)
    return path


def zip_model(model: Path, target: Path) -> Path:
    """Pack a model folder as ``nnUNetv2_export_model_to_zip`` does: entries relative to nnUNet_results."""
    results = model.parent.parent
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(model.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(results).as_posix())
    return target
