"""nnU-Net plans for a new foundation model, by nnU-Net's rules but with a patch of one's own choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
from nnunetv2.experiment_planning.experiment_planners.network_topology import get_pool_and_conv_props

from lnsegfm.base.errors import UserError
from lnsegfm.images.grids import spacing_zyx
from lnsegfm.jobs.pretraining import CONFIGURATION, PretrainSettings

# As nnU-Net's default planner has them.
_SAMPLES_PER_CASE = 10_000
_MOST_FEATURES = 320
_SMALLEST_FEATURE_MAP = 4
_CONVOLUTIONS_PER_STAGE = 2
_ANISOTROPY = 3


@dataclass(frozen=True)
class Fingerprint:
    """What planning needs to know of a case.

    Args:
        spacing: Voxel size in mm along (z, y, x).
        shape: Voxels along (z, y, x).
        intensities: HU of lymph node voxels, a sample of the same size for each case that has any.
    """

    spacing: tuple[float, ...]
    shape: tuple[int, ...]
    intensities: np.ndarray

    @classmethod
    def of(cls, image: sitk.Image, labels: sitk.Image) -> Fingerprint:
        """Look at a CT and its labels (1: lymph node) on the same grid."""
        values = sitk.GetArrayViewFromImage(image)[sitk.GetArrayViewFromImage(labels) == 1]
        sample = np.random.RandomState(1234).choice(values, _SAMPLES_PER_CASE) if values.size else values[:0]
        return cls(spacing_zyx(image), image.GetSize()[::-1], sample.astype(np.float32))


def make_plans(cases: Sequence[Fingerprint], settings: PretrainSettings, dataset_name: str) -> dict[str, Any]:
    """Return nnU-Net v2 plans of a full-resolution 3D U-Net.

    Raises:
        UserError: No case has a lymph node.
    """
    intensities = np.concatenate([case.intensities for case in cases])
    if not intensities.size:
        raise UserError(
            "The pre-training cannot be planned.", "No case has a labelled lymph node.", "Check the labels."
        )
    spacing = np.array(settings.spacing or target_spacing(cases))
    order = [int(np.argmax(spacing)), *(axis for axis in range(3) if axis != int(np.argmax(spacing)))]
    shape = np.median([np.array(case.shape) * case.spacing / spacing for case in cases], axis=0)
    resampling: dict[str, Any] = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    function = "resample_data_or_seg_to_shape"
    planned = [float(spacing[axis]) for axis in order]
    _, strides, kernels, patch, _ = get_pool_and_conv_props(
        planned, [settings.patch[axis] for axis in order], _SMALLEST_FEATURE_MAP, 999_999
    )
    return {
        "dataset_name": dataset_name,
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": planned,
        "original_median_shape_after_transp": [round(float(shape[axis])) for axis in order],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": order,
        "transpose_backward": [order.index(axis) for axis in range(3)],
        "configurations": {
            CONFIGURATION: {
                "data_identifier": f"nnUNetPlans_{CONFIGURATION}",
                "preprocessor_name": "DefaultPreprocessor",
                "batch_size": settings.batch_size,
                "patch_size": [int(size) for size in patch],
                "median_image_size_in_voxels": [float(shape[axis]) for axis in order],
                "spacing": planned,
                "normalization_schemes": ["CTNormalization"],
                "use_mask_for_norm": [False],
                "resampling_fn_data": function,
                "resampling_fn_data_kwargs": resampling,
                "resampling_fn_seg": function,
                "resampling_fn_seg_kwargs": {**resampling, "is_seg": True, "order": 1},
                "resampling_fn_probabilities": function,
                "resampling_fn_probabilities_kwargs": {**resampling, "order": 1},
                "architecture": _architecture(strides, kernels, settings.base_features),
                "batch_dice": False,
            }
        },
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {"0": _statistics(intensities)},
    }


def target_spacing(cases: Sequence[Fingerprint]) -> tuple[float, ...]:
    """Return nnU-Net's target spacing: the median, finer along an axis of far lower resolution."""
    spacings = np.array([case.spacing for case in cases])
    target, size = np.median(spacings, axis=0), np.median([case.shape for case in cases], axis=0)
    worst = int(np.argmax(target))
    others = [axis for axis in range(3) if axis != worst]
    if target[worst] > _ANISOTROPY * target[others].max() and size[worst] * _ANISOTROPY < size[others].min():
        target[worst] = max(np.percentile(spacings[:, worst], 10), target[others].max() + 1e-5)
    return tuple(float(length) for length in target)


def _architecture(strides: Sequence[Sequence[int]], kernels: Sequence[Sequence[int]], base: int) -> dict[str, Any]:
    stages = len(strides)
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": [min(_MOST_FEATURES, base * 2**stage) for stage in range(stages)],
            "conv_op": "torch.nn.modules.conv.Conv3d",
            "kernel_sizes": [[int(size) for size in kernel] for kernel in kernels],
            "strides": [[int(step) for step in stride] for stride in strides],
            "n_conv_per_stage": [_CONVOLUTIONS_PER_STAGE] * stages,
            "n_conv_per_stage_decoder": [_CONVOLUTIONS_PER_STAGE] * (stages - 1),
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


def _statistics(intensities: np.ndarray) -> dict[str, float]:
    low, high = np.percentile(intensities, [0.5, 99.5])
    values = {
        "mean": intensities.mean(), "std": intensities.std(), "median": np.median(intensities),
        "min": intensities.min(), "max": intensities.max(), "percentile_00_5": low, "percentile_99_5": high,
    }
    return {name: float(value) for name, value in values.items()}
