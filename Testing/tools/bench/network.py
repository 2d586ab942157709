"""The paper's network: nnU-Net's default full-resolution 3D U-Net, 31 million parameters."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from nnunetv2.experiment_planning.experiment_planners.network_topology import get_pool_and_conv_props
from torch import nn

from tiny_plans import CONFIGURATION, tiny_plans

PATCH = (80, 112, 224)
"""The paper's patch, along (z, y, x)."""


def paper_network() -> nn.Module:
    """Return it with random weights and deep supervision; planned for `PATCH` by nnU-Net's own rule."""
    features, strides, kernels = _topology()
    return PlainConvUNet(
        1, len(strides), features, nn.Conv3d, kernels, strides, 2, 2,
        2, conv_bias=True, norm_op=nn.InstanceNorm3d, norm_op_kwargs={"affine": True, "eps": 1e-5},
        nonlin=nn.LeakyReLU, nonlin_kwargs={"inplace": True}, deep_supervision=True,
    )


def paper_plans() -> dict[str, Any]:
    """Return plans of nnU-Net for it, with its patch and voxels of 3 x 0.8 x 0.8 mm ``(z, y, x)``."""
    features, strides, kernels = _topology()
    plans = tiny_plans()
    configuration = plans["configurations"][CONFIGURATION]
    configuration.update(patch_size=list(PATCH), spacing=[3.0, 0.8, 0.8])
    configuration["architecture"]["arch_kwargs"].update(
        n_stages=len(features), features_per_stage=features, strides=strides, kernel_sizes=kernels,
        n_conv_per_stage=[2] * len(features), n_conv_per_stage_decoder=[2] * (len(features) - 1),
    )
    return plans


def _topology() -> tuple[list[int], list[list[int]], list[list[int]]]:
    """Return features, strides and kernels of the stages, as nnU-Net plans them."""
    _, strides, kernels, _, _ = get_pool_and_conv_props((1.0, 1.0, 1.0), PATCH, 4, 999_999)
    features = [min(320, 32 * 2**stage) for stage in range(len(strides))]
    return features, [[int(n) for n in each] for each in strides], [[int(n) for n in each] for each in kernels]


def alternate(actions: dict[str, Callable[[], None]], device: torch.device, repeats: int) -> dict[str, float]:
    """Return the median seconds of each action; they take turns, so that what slows the machine slows them all."""
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(repeats + 1):
        for name, action in actions.items():
            _synchronize(device)
            started = time.perf_counter()
            action()
            _synchronize(device)
            if turn:  # the first turn warms up
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
