"""The paper's network: nnU-Net's default full-resolution 3D U-Net, 31 million parameters."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from nnunetv2.experiment_planning.experiment_planners.network_topology import get_pool_and_conv_props
from torch import nn

PATCH = (80, 112, 224)
"""The paper's patch, along (z, y, x)."""


def paper_network() -> nn.Module:
    """Return it with random weights and deep supervision; planned for `PATCH` by nnU-Net's own rule."""
    _, strides, kernels, _, _ = get_pool_and_conv_props((1.0, 1.0, 1.0), PATCH, 4, 999_999)
    return PlainConvUNet(
        1, len(strides), [min(320, 32 * 2**stage) for stage in range(len(strides))], nn.Conv3d, kernels, strides, 2, 2,
        2, conv_bias=True, norm_op=nn.InstanceNorm3d, norm_op_kwargs={"affine": True, "eps": 1e-5},
        nonlin=nn.LeakyReLU, nonlin_kwargs={"inplace": True}, deep_supervision=True,
    )


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
