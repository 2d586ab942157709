"""nnU-Net's default resampling of images as one small matrix for each axis.

Splines are separable and linear in the voxels: what nnU-Net's function (scipy's, by way of skimage) does along an axis
is a matrix, and resampling the unit vectors along it gives that matrix, boundary and prefilter included. Three products
in single precision take the place of a pass over each voxel's neighbourhood in double precision. What is not linear,
skimage's clipping to the range of the input, is done in the end, as there.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from nnunetv2.configuration import ANISO_THRESHOLD
from nnunetv2.preprocessing.resampling.default_resampling import determine_do_sep_z_and_axis
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager
from scipy.ndimage import map_coordinates
from skimage.transform import resize

_DEFAULT = "resample_data_or_seg_to_shape"
# A spline's matrix has ever smaller entries far from its diagonal. In single precision they would be subnormal numbers,
# with which processors calculate ten times slower; together these are below 1e-6 of a voxel's value.
_NOTHING = 1e-9
# Rows of a matrix that are multiplied at once.
_BLOCK = 32


def with_exact_resampling(
    configuration: ConfigurationManager, device: torch.device | None = None, *, labels: bool = True
) -> ConfigurationManager:
    """Return a configuration that resamples images as nnU-Net's default function does, with less time and memory.

    Args:
        configuration: Of a model; one with another function for images is returned as it is.
        device: Where the products are computed; the CPU by default.
        labels: Resample labels too. Without, they come out as 0, for a CT that has none.
    """
    settings = configuration.configuration
    arguments = settings.get("resampling_fn_data_kwargs", {})
    if settings.get("resampling_fn_data") != _DEFAULT or arguments.get("is_seg", False):
        return configuration
    exact = _ExactConfiguration(copy.deepcopy(settings))
    exact.resample_images = functools.partial(resample, device=device, **{
        name: value for name, value in arguments.items() if name != "is_seg"
    })  # fmt: skip
    exact.keeps_labels = labels
    return exact


class _ExactConfiguration(ConfigurationManager):
    resample_images: Callable[..., np.ndarray]
    keeps_labels: bool

    @property
    def resampling_fn_data(self) -> Callable[..., np.ndarray]:
        return self.resample_images

    @property
    def resampling_fn_seg(self) -> Callable[..., np.ndarray]:
        function: Callable[..., np.ndarray] = super().resampling_fn_seg
        return function if self.keeps_labels else _no_labels


def resample(
    data: np.ndarray,
    new_shape: Sequence[int],
    current_spacing: Sequence[float],
    new_spacing: Sequence[float],
    *,
    order: int = 3,
    order_z: int = 0,
    force_separate_z: bool | None = False,
    separate_z_anisotropy_threshold: float = ANISO_THRESHOLD,
    device: torch.device | None = None,
) -> np.ndarray:
    """Resample an image as ``nnunetv2...resample_data_or_seg_to_shape`` does with the same arguments.

    Args:
        data: ``[channel, z, y, x]`` float.
        new_shape: Wanted voxels along (z, y, x).
        current_spacing: Voxel size in mm along the same axes.
        new_spacing: Wanted voxel size.
        order: Order of the spline.
        order_z: Order along an axis that is treated by itself.
        force_separate_z: Treat the axis of the thick slices by itself; None to let the spacings decide.
        separate_z_anisotropy_threshold: From which ratio of spacings on they decide so.
        device: Where to compute.

    Returns:
        float32 ``[channel, *new_shape]``; it differs by rounding in single precision.
    """
    shape = tuple(int(size) for size in new_shape)
    if data.shape[1:] == shape:
        return data
    separate, axis = determine_do_sep_z_and_axis(
        force_separate_z, current_spacing, new_spacing, separate_z_anisotropy_threshold
    )
    alone = int(axis) if separate and axis is not None else None
    channels = []
    for channel in data:
        values = torch.from_numpy(np.ascontiguousarray(channel, np.float32)).to(device)
        channels.append(_resampled(values, shape, order, order_z, alone).cpu().numpy())
    return np.stack(channels)


def _resampled(
    values: torch.Tensor, shape: tuple[int, ...], order: int, order_z: int, alone: int | None
) -> torch.Tensor:
    # skimage clips what it resamples at once: the whole, or slice by slice.
    others = tuple(axis for axis in range(3) if axis != alone)
    low, high = values.amin(others, keepdim=True), values.amax(others, keepdim=True)
    # Those first that make it smaller.
    for axis in sorted(others, key=lambda each: shape[each] / values.shape[each]):
        values = _along(values, axis, _matrix(values.shape[axis], shape[axis], order))
    values = torch.minimum(torch.maximum(values, low), high)
    if alone is not None:
        values = _along(values, alone, _matrix_alone(values.shape[alone], shape[alone], order_z))
    return values


def _along(values: torch.Tensor, axis: int, matrix: np.ndarray) -> torch.Tensor:
    if matrix.shape[0] == matrix.shape[1]:
        return values
    factors = torch.from_numpy(matrix).to(values.device)
    shape = list(values.shape)
    shape[axis] = len(matrix)
    result = torch.empty(shape, dtype=values.dtype, device=values.device)
    for rows, columns in _blocks(matrix):
        part, source = factors[rows, columns], values.narrow(axis, columns.start, columns.stop - columns.start)
        target = result.narrow(axis, rows.start, rows.stop - rows.start)
        if axis == 2:
            target.copy_(source @ part.T)
        elif axis == 1:
            target.copy_(part @ source)
        else:
            torch.mm(part, source.reshape(len(source), -1), out=target.view(len(target), -1))
    return result


def _blocks(matrix: np.ndarray) -> Iterator[tuple[slice, slice]]:
    """Yield the rows of a matrix in blocks, and the columns that are not 0 in them: a spline reaches only so far."""
    for start in range(0, len(matrix), _BLOCK):
        rows = slice(start, min(start + _BLOCK, len(matrix)))
        used = np.flatnonzero(matrix[rows].any(axis=0))
        yield rows, slice(int(used[0]), int(used[-1]) + 1)


@functools.lru_cache(maxsize=16)
def _matrix(size: int, wanted: int, order: int) -> np.ndarray:
    """Return the matrix ``[wanted, size]`` of skimage's ``resize`` along an axis."""
    made: Any = resize(np.eye(size), (wanted, size), order, mode="edge", anti_aliasing=False, clip=False)
    return _single(made)


@functools.lru_cache(maxsize=16)
def _matrix_alone(size: int, wanted: int, order: int) -> np.ndarray:
    """Return the matrix ``[wanted, size]`` of what nnU-Net does along an axis that it treats by itself."""
    if size == wanted:
        return np.eye(size, dtype=np.float32)
    position = (np.arange(wanted) + 0.5) * (float(size) / wanted) - 0.5
    where = np.meshgrid(position, np.arange(size), indexing="ij")
    return _single(map_coordinates(np.eye(size), where, order=order, mode="nearest"))


def _single(matrix: np.ndarray) -> np.ndarray:
    matrix[np.abs(matrix) < _NOTHING] = 0
    return matrix.astype(np.float32)


def _no_labels(labels: np.ndarray, new_shape: Sequence[int], *spacings: Any) -> np.ndarray:
    return np.zeros((1, *(int(size) for size in new_shape)), np.int8)
