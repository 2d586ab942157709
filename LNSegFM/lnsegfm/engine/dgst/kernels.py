"""Where the parameters of a network lie: in convolution kernels, or among biases and normalisations."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMALIZATIONS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
GRANULARITIES = ("kernel", "filter")


@dataclass(frozen=True)
class Kernel:
    """How the weight of one (transposed) convolution falls into kernels C_k.

    Args:
        parameter: Weight ``[out, in/groups, ...]``, of a transposed convolution ``[in, out/groups, ...]``.
        groups: Groups of a transposed convolution whose rows are filters; 0 when the rows are contiguous in memory.
        row_dims: How many leading axes number the rows when they are contiguous.
    """

    parameter: Tensor
    groups: int
    row_dims: int

    def rows(self, tensor: Tensor) -> Tensor:
        """Return ``tensor``, shaped as the parameter, as ``[kernels, weights of a kernel]``; a view if it can be."""
        if not self.groups:
            return tensor.reshape(math.prod(tensor.shape[: self.row_dims]), -1)
        return self._grouped(tensor).reshape(self.groups * tensor.shape[1], -1)

    def write(self, rows: Tensor) -> None:
        """Copy ``rows`` back where `rows` had to make a copy of the parameter."""
        if rows.untyped_storage().data_ptr() != self.parameter.untyped_storage().data_ptr():
            target = self._grouped(self.parameter.data) if self.groups else self.parameter.data
            target.copy_(rows.reshape(target.shape))

    def _grouped(self, tensor: Tensor) -> Tensor:
        return tensor.unflatten(0, (self.groups, -1)).transpose(1, 2)


def kernels(module: nn.Module, granularity: str = "kernel") -> list[Kernel]:
    """Return the kernels C_k of a module's convolutions and transposed convolutions.

    Args:
        module: Any network.
        granularity: ``"kernel"``: the spatial kernel of one pair of output and input channel, e.g. 27 weights of a
            3x3x3 convolution. ``"filter"``: all weights of one output channel, whatever axis it lies on.

    Raises:
        ValueError: Unknown granularity, or a convolution whose weight is computed from other parameters.
    """
    return [kernel_of(layer, granularity) for layer in convolutions(module).values()]


def convolutions(module: nn.Module) -> dict[int, nn.Module]:
    """Return the (transposed) convolutions of a module, by the ``id`` of their weight; a shared weight counts once.

    Raises:
        ValueError: A convolution computes its weight from other parameters.
    """
    found: dict[int, nn.Module] = {}
    for layer in module.modules():
        if isinstance(layer, CONVOLUTIONS + TRANSPOSED):
            if not layer.weight.is_leaf:
                raise ValueError(f"{layer} computes its weight from others (weight_norm?); DGST cannot select in it")
            found[id(layer.weight)] = layer
    return found


def kernel_of(layer: nn.Module, granularity: str) -> Kernel:
    """Return how the weight of one of `convolutions` falls into kernels; see `kernels` for the arguments.

    Raises:
        ValueError: Unknown granularity.
    """
    if granularity not in GRANULARITIES:
        raise ValueError(f"granularity is '{granularity}'; known are {', '.join(GRANULARITIES)}")
    weight = layer.weight
    assert isinstance(weight, Tensor)
    by_filter = granularity == "filter"
    groups = int(layer.groups) if by_filter and isinstance(layer, TRANSPOSED) else 0
    return Kernel(weight, groups, 1 if by_filter else 2)


def shifts_and_scales(module: nn.Module) -> list[nn.Parameter]:
    """Return all biases and all parameters of normalisation layers, which belong to P_S in every iteration."""
    found = {}
    for layer in module.modules():
        for name, parameter in layer.named_parameters(recurse=False):
            if name.endswith("bias") or isinstance(layer, NORMALIZATIONS):
                found[id(parameter)] = parameter
    return list(found.values())
