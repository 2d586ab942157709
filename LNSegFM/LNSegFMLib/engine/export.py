"""From logits on the network's grid to labels on the CT's grid, as nnU-Net does it, but only where labels can be.

For two classes and linear resampling the label is the sign of the resampled difference of the two logits, because
resampling is linear; it can only be positive next to a positive input voxel. The box of these voxels is usually a small
part of the CT. Other resampling functions take nnU-Net's own path.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from nnunetv2.configuration import ANISO_THRESHOLD
from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
from nnunetv2.preprocessing.resampling.default_resampling import determine_do_sep_z_and_axis
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager


def labels_from_logits(
    logits: torch.Tensor,
    plans: PlansManager,
    configuration: ConfigurationManager,
    label_manager: LabelManager,
    properties: dict[str, Any],
) -> np.ndarray:
    """Return the labels on the grid before preprocessing.

    Args:
        logits: ``[2, z, y, x]`` float32 on the CPU, on the preprocessed grid.
        plans: The model's plans.
        configuration: The model's configuration.
        label_manager: The model's labels.
        properties: What nnU-Net's preprocessor noted about the case.

    Returns:
        ``[z, y, x]`` uint8.
    """
    shape = tuple(int(size) for size in properties["shape_after_cropping_and_before_resampling"])
    if not _is_linear(plans, configuration, properties):
        return convert_predicted_logits_to_segmentation_with_correct_shape(
            logits, plans, configuration, label_manager, properties, num_threads_torch=torch.get_num_threads()
        )
    positive = positive_after_resampling((logits[1] - logits[0]).numpy(), shape)
    labels = np.zeros(properties["shape_before_cropping"], np.uint8)
    box = tuple(slice(low, high) for low, high in properties["bbox_used_for_cropping"])
    labels[box] = positive
    return labels.transpose(plans.transpose_backward)


def positive_after_resampling(difference: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Resample linearly to ``shape`` (as skimage's ``resize`` with order 1 and mode 'edge') and return where it is > 0.

    Args:
        difference: ``[z, y, x]`` float.
        shape: Wanted shape.
    """
    result = np.zeros(shape, bool)
    where = np.nonzero(difference > 0)
    if not where[0].size:
        return result
    source_box, target_box, weights = [], [], []
    for axis, indices in enumerate(where):
        size, wanted = difference.shape[axis], shape[axis]
        position = np.clip((np.arange(wanted) + 0.5) * (size / wanted) - 0.5, 0, size - 1)
        low = max(int(indices.min()) - 1, 0)
        high = min(int(indices.max()) + 1, size - 1)
        inside = np.nonzero((position >= low) & (position <= high))[0]
        source_box.append(slice(low, high + 1))
        target_box.append(slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(0, 0))
        weights.append(_interpolation(position[inside] - low, high - low + 1))
    values = difference[tuple(source_box)].astype(np.float64)
    for axis, matrix in enumerate(weights):
        values = np.moveaxis(np.tensordot(matrix, values, (1, axis)), 0, axis)
    result[tuple(target_box)] = values > 0
    return result


def _interpolation(position: np.ndarray, size: int) -> np.ndarray:
    """Return the matrix ``[len(position), size]`` of linear interpolation at ``position``."""
    matrix = np.zeros((len(position), size))
    low = np.minimum(position.astype(int), max(size - 2, 0))
    rows = np.arange(len(position))
    fraction = position - low
    np.add.at(matrix, (rows, low), 1 - fraction)
    np.add.at(matrix, (rows, np.minimum(low + 1, size - 1)), fraction)
    return matrix


def _is_linear(plans: PlansManager, configuration: ConfigurationManager, properties: dict[str, Any]) -> bool:
    settings = configuration.configuration
    if settings["resampling_fn_probabilities"] != "resample_data_or_seg_to_shape":
        return False
    arguments = settings["resampling_fn_probabilities_kwargs"]
    separate_z, _ = determine_do_sep_z_and_axis(
        arguments.get("force_separate_z", False),
        configuration.spacing,
        [properties["spacing"][axis] for axis in plans.transpose_forward],
        arguments.get("separate_z_anisotropy_threshold", ANISO_THRESHOLD),
    )
    return arguments.get("order", 3) == 1 and not arguments.get("is_seg", False) and not separate_z
