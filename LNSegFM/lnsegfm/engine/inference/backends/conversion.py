"""A network of PyTorch as a model of OpenVINO, compared with it before anybody relies on it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from lnsegfm.engine import openvino_runtime
from lnsegfm.engine.inference.backends.backend import BackendFailed

_SEED = 11
# Largest difference of the logits, as a share of the largest logit; in single precision some 1e-5 is usual.
_MOST = 1e-3


@torch.no_grad()
def convert(network: torch.nn.Module, shape: Sequence[int]) -> Any:
    """Convert a network; its weights are copied, so that it does not follow when they change in PyTorch.

    Args:
        network: Takes ``[b, 1, z, y, x]``; it is in evaluation mode afterwards.
        shape: Size of a small tile ``(z, y, x)`` that the network can take; the model takes any such multiple.

    Returns:
        ``openvino.Model`` with a dynamic batch and tile, in single precision.

    Raises:
        BackendFailed: It cannot be converted.
    """
    ov = openvino_runtime.load()
    example = _noise(shape)
    network.eval()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", torch.jit.TracerWarning)
            return ov.convert_model(
                network, example_input=example, input=[ov.PartialShape([-1, 1, -1, -1, -1])], share_weights=False
            )
    except Exception as error:  # whatever the converter does not know, PyTorch can still compute
        raise BackendFailed(f"OpenVINO cannot convert its network ({_first_line(error)})") from error


@torch.no_grad()
def check(network: torch.nn.Module, model: Any, shape: Sequence[int]) -> float:
    """Compare a converted network with the original on one tile of noise, in single precision.

    Returns:
        The largest difference of the logits, as a share of the largest logit.

    Raises:
        BackendFailed: They differ.
    """
    tile = _noise(shape)
    expected = network(tile).numpy()
    compiled = openvino_runtime.core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled.create_infer_request().infer({0: tile.numpy()})[0]
    if found.shape != expected.shape:
        raise BackendFailed(f"OpenVINO's result has the shape {found.shape}, PyTorch's {expected.shape}")
    share = float(np.abs(found - expected).max() / max(float(np.abs(expected).max()), np.finfo(np.float32).tiny))
    if not share <= _MOST:  # also when it is not a number
        raise BackendFailed(f"OpenVINO's result differs from PyTorch's by {share:.1g} of the largest logit")
    return share


def small_tile(patch: Sequence[int], strides: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return a tile ``(z, y, x)`` of two voxels an axis at the network's lowest level, or the patch where it is less.

    Args:
        patch: The model's patch ``(z, y, x)``.
        strides: Of the network's levels, each ``(z, y, x)``.
    """
    return tuple(
        min(size, 2 * int(np.prod([level[axis] for level in strides]))) for axis, size in enumerate(patch)
    )


def _noise(shape: Sequence[int]) -> torch.Tensor:
    return torch.randn((1, 1, *shape), generator=torch.Generator().manual_seed(_SEED))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
