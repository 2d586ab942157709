"""Plans and dataset description of tiny nnU-Net v2 models, as nnU-Net writes them; without torch."""

from __future__ import annotations

import copy
from typing import Any

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
