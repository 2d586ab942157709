"""From logits on the network's grid to the foreground probability on the CT's grid, with nnU-Net's own labels in it.

For two classes the label is the sign of the resampled difference of the two logits wherever resampling is linear in
them, and the probability is its logistic function. nnU-Net's default resampling is: linear along each axis, or along
one axis the nearest slice. The sign is computed in double precision, as nnU-Net does, in the box of what can be
positive, usually a small part of the CT; the probability, of which eight bits are kept, in single precision. Other
resampling functions take nnU-Net's own path.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from nnunetv2.configuration import ANISO_THRESHOLD
from nnunetv2.preprocessing.resampling.default_resampling import determine_do_sep_z_and_axis
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from torch.nn.functional import interpolate

from lnsegfm.images.probabilities import CERTAIN, FOREGROUND_FROM

# Bounds the memory that double precision takes when false positives lie at both ends of a CT.
_SLAB = 32


def probability_from_logits(
    logits: torch.Tensor, plans: PlansManager, configuration: ConfigurationManager, properties: dict[str, Any]
) -> np.ndarray:
    """Return the foreground probability on the grid before preprocessing.

    Args:
        logits: ``[2, z, y, x]`` float32 on the CPU, on the preprocessed grid.
        plans: The model's plans.
        configuration: The model's configuration.
        properties: What nnU-Net's preprocessor noted about the case.

    Returns:
        ``[z, y, x]`` uint8, at least `FOREGROUND_FROM` exactly where nnU-Net's label is 1.
    """
    shape = tuple(int(size) for size in properties["shape_after_cropping_and_before_resampling"])
    spacing = [properties["spacing"][axis] for axis in plans.transpose_forward]
    if _is_linear(configuration):
        difference = logits[1] - logits[0]
        nearest = _nearest_axis(configuration, spacing)
        positive = positive_after_resampling(difference.numpy(), shape, nearest)
        probability = _resampled_probability(difference, shape, nearest)
    else:
        resampled = configuration.resampling_fn_probabilities(logits, shape, configuration.spacing, spacing)
        difference = torch.as_tensor(resampled[1]) - torch.as_tensor(resampled[0])
        positive, probability = (difference > 0).numpy(), _probability(difference)
    # Rounding must not carry a voxel over the decision's edge.
    np.maximum(probability, FOREGROUND_FROM, out=probability, where=positive)
    np.minimum(probability, FOREGROUND_FROM - 1, out=probability, where=~positive)
    result = np.zeros(properties["shape_before_cropping"], np.uint8)
    result[tuple(slice(low, high) for low, high in properties["bbox_used_for_cropping"])] = probability
    return result.transpose(plans.transpose_backward)


def positive_after_resampling(
    difference: np.ndarray, shape: tuple[int, ...], nearest_axis: int | None = None
) -> np.ndarray:
    """Resample to ``shape`` (as skimage's ``resize`` with order 1 and mode 'edge') and return where it is > 0.

    Args:
        difference: ``[z, y, x]`` float.
        shape: Wanted shape.
        nearest_axis: Axis along which the nearest slice is taken (as scipy's ``map_coordinates`` with order 0).
    """
    result = np.zeros(shape, bool)
    where = np.nonzero(difference > 0)
    if not where[0].size:
        return result
    source_box, target_box, weights = [], [], []
    for axis, indices in enumerate(where):
        size, wanted = difference.shape[axis], shape[axis]
        position = _positions(size, wanted)
        low = max(int(indices.min()) - 1, 0)
        high = min(int(indices.max()) + 1, size - 1)
        inside = np.nonzero((position >= low) & (position <= high))[0]
        source_box.append(slice(low, high + 1))
        target_box.append(slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(0, 0))
        kernel = _nearest if axis == nearest_axis else _interpolation
        weights.append(kernel(position[inside] - low, high - low + 1))
    source, target = difference[tuple(source_box)].astype(np.float64), result[tuple(target_box)]
    for start in range(0, len(target), _SLAB):
        values = source
        for axis, matrix in enumerate((weights[0][start : start + _SLAB], *weights[1:])):
            values = np.moveaxis(np.tensordot(matrix, values, (1, axis)), 0, axis)
        target[start : start + _SLAB] = values > 0
    return result


def _positions(size: int, wanted: int) -> np.ndarray:
    """Return where the voxels of a resampled axis lie on the axis before, in voxels."""
    return np.clip((np.arange(wanted) + 0.5) * (size / wanted) - 0.5, 0, size - 1)


def _interpolation(position: np.ndarray, size: int) -> np.ndarray:
    """Return the matrix ``[len(position), size]`` of linear interpolation at ``position``."""
    matrix = np.zeros((len(position), size))
    low = np.minimum(position.astype(int), max(size - 2, 0))
    rows = np.arange(len(position))
    fraction = position - low
    np.add.at(matrix, (rows, low), 1 - fraction)
    np.add.at(matrix, (rows, np.minimum(low + 1, size - 1)), fraction)
    return matrix


def _nearest(position: np.ndarray, size: int) -> np.ndarray:
    """Return the matrix ``[len(position), size]`` that takes the nearest voxel, the upper one of two."""
    return np.eye(size)[_rounded(position)]


def _rounded(position: np.ndarray) -> np.ndarray:
    return np.floor(position + 0.5).astype(int)


def _resampled_probability(difference: torch.Tensor, shape: tuple[int, ...], nearest_axis: int | None) -> np.ndarray:
    """Return the probability ``shape`` uint8 of a difference of logits ``[z, y, x]``."""
    if nearest_axis is None:
        return _probability(interpolate(difference[None, None], shape, mode="trilinear")[0, 0])
    plane = tuple(size for axis, size in enumerate(shape) if axis != nearest_axis)
    slices = interpolate(difference.movedim(nearest_axis, 0)[:, None], plane, mode="bilinear")[:, 0]
    chosen = _rounded(_positions(difference.shape[nearest_axis], shape[nearest_axis]))
    return np.moveaxis(_probability(slices)[chosen], 0, nearest_axis)


def _probability(difference: torch.Tensor) -> np.ndarray:
    """Return the logistic function of a difference of logits, uint8; uses up its argument."""
    return difference.sigmoid_().mul_(CERTAIN).round_().to(torch.uint8).numpy()


def _is_linear(configuration: ConfigurationManager) -> bool:
    settings = configuration.configuration
    arguments = settings["resampling_fn_probabilities_kwargs"]
    return (
        settings["resampling_fn_probabilities"] == "resample_data_or_seg_to_shape"
        and not arguments.get("is_seg", False)
        and arguments.get("order", 3) == 1
        and arguments.get("order_z", 0) == 0
    )


def _nearest_axis(configuration: ConfigurationManager, spacing: list[float]) -> int | None:
    """Return the axis along which nnU-Net takes the nearest slice: one of much thicker slices."""
    arguments = configuration.configuration["resampling_fn_probabilities_kwargs"]
    separate, axis = determine_do_sep_z_and_axis(
        arguments.get("force_separate_z", False),
        configuration.spacing,
        spacing,
        arguments.get("separate_z_anisotropy_threshold", ANISO_THRESHOLD),
    )
    return int(axis) if separate else None
