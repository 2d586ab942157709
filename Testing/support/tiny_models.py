"""Tiny nnU-Net v2 models on disk, with the files and the checkpoint content that stock nnU-Net leaves behind."""

from __future__ import annotations

import copy
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lnsegfm.engine.networks.network import build_network

CONFIGURATION = "3d_fullres"
DATASET_NAME = "Dataset901_TinyLymphNodes"
MODULE = "dynamic_network_architectures.architectures.unet"
PLAIN = "PlainConvUNet"
RESIDUAL = "ResidualEncoderUNet"
FEATURES = [2, 3, 4]
PATCH = [16, 16, 16]


def tiny_dataset() -> dict[str, Any]:
    return {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "lymph node": 1},
        "numTraining": 2,
        "file_ending": ".nrrd",
    }


def tiny_plans(architecture: str = PLAIN, *, legacy: bool = False) -> dict[str, Any]:
    """Plans as nnU-Net writes them; ``legacy``: as before nnU-Net 2.3, with ``UNet_class_name``."""
    resampling = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    function = "resample_data_or_seg_to_shape"
    configuration = {
        "data_identifier": "nnUNetPlans_3d_fullres",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": list(PATCH),
        "median_image_size_in_voxels": [20.0, 24.0, 24.0],
        "spacing": [3.0, 2.0, 2.0],
        "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": function,
        "resampling_fn_data_kwargs": resampling,
        "resampling_fn_seg": function,
        "resampling_fn_seg_kwargs": {**resampling, "is_seg": True, "order": 1},
        "resampling_fn_probabilities": function,
        "resampling_fn_probabilities_kwargs": {**resampling, "order": 1},
        "batch_dice": False,
        **(_legacy_architecture(architecture) if legacy else {"architecture": _architecture(architecture)}),
    }
    return copy.deepcopy(
        {
            "dataset_name": DATASET_NAME,
            "plans_name": "nnUNetPlans",
            "original_median_spacing_after_transp": [3.0, 2.0, 2.0],
            "original_median_shape_after_transp": [20, 24, 24],
            "image_reader_writer": "SimpleITKIO",
            "transpose_forward": [0, 1, 2],
            "transpose_backward": [0, 1, 2],
            "configurations": {CONFIGURATION: configuration},
            "experiment_planner_used": "ExperimentPlanner",
            "label_manager": "LabelManager",
            "foreground_intensity_properties_per_channel": {
                "0": {
                    "mean": 40.0, "std": 60.0, "median": 40.0, "min": -100.0, "max": 300.0,
                    "percentile_00_5": -80.0, "percentile_99_5": 250.0,
                }
            },
        }
    )  # fmt: skip


def _architecture(name: str) -> dict[str, Any]:
    stages = len(FEATURES)
    return {
        "network_class_name": f"{MODULE}.{name}",
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": FEATURES,
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[3, 3, 3]] * stages,
            "strides": [[1, 1, 1]] + [[2, 2, 2]] * (stages - 1),
            "n_conv_per_stage" if name == PLAIN else "n_blocks_per_stage": [1] * stages,
            "n_conv_per_stage_decoder": [1] * (stages - 1),
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True},
            "dropout_op": None,
            "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU",
            "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }


def _legacy_architecture(name: str) -> dict[str, Any]:
    stages = len(FEATURES)
    return {
        "UNet_class_name": name,
        "UNet_base_num_features": FEATURES[0],
        "unet_max_num_features": FEATURES[-1],
        "n_conv_per_stage_encoder": [1] * stages,
        "n_conv_per_stage_decoder": [1] * (stages - 1),
        "num_pool_per_axis": [stages - 1] * 3,
        "pool_op_kernel_sizes": [[1, 1, 1]] + [[2, 2, 2]] * (stages - 1),
        "conv_kernel_sizes": [[3, 3, 3]] * stages,
    }


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
