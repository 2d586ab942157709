"""Dynamic Gradient Sparsification Training: Eq. 3-5 of Luo et al., MICCAI 2025, for any ``torch.nn.Module``.

In every iteration the γ largest gradients by magnitude are selected in each convolution kernel (Eq. 4), together with
all biases and normalisation parameters, and only these are moved (Eq. 5). Every other parameter keeps its bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
NORMALIZATIONS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
GRANULARITIES = ("kernel", "filter")

Select = Callable[[Tensor, int], Tensor]


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
        ValueError: Unknown granularity.
    """
    if granularity not in GRANULARITIES:
        raise ValueError(f"granularity is '{granularity}'; known are {', '.join(GRANULARITIES)}")
    found = {}
    for layer in module.modules():
        if isinstance(layer, CONVOLUTIONS + TRANSPOSED):
            by_filter = granularity == "filter"
            groups = layer.groups if by_filter and isinstance(layer, TRANSPOSED) else 0
            found[id(layer.weight)] = Kernel(layer.weight, groups, 1 if by_filter else 2)
    return list(found.values())


def shifts_and_scales(module: nn.Module) -> list[nn.Parameter]:
    """Return all biases and all parameters of normalisation layers, which belong to P_S in every iteration."""
    found = {}
    for layer in module.modules():
        for name, parameter in layer.named_parameters(recurse=False):
            if name.endswith("bias") or isinstance(layer, NORMALIZATIONS):
                found[id(parameter)] = parameter
    return list(found.values())


def top_gradients(gradients: Tensor, gamma: int) -> Tensor:
    """Return the column indices ``[kernels, γ]`` of the largest ``|gradient|`` in each row (Eq. 4)."""
    magnitude = gradients.abs()
    # max() also returns where the maximum is, and does so faster than argmax() on rows as short as a kernel.
    return magnitude.max(1, keepdim=True).indices if gamma == 1 else magnitude.topk(gamma, 1, sorted=False).indices


class DGST(torch.optim.Optimizer):
    """Stochastic gradient descent on P_S alone (Eq. 5), after clipping the norm of the whole gradient.

    Args:
        module: The network. Parameters that are frozen, or neither kernel, bias nor normalisation, never move.
        lr: Learning rate η.
        gamma: γ, how many weights of each kernel move in one iteration; kernels with fewer weights move whole.
        granularity: What a kernel is, see `kernels`.
        momentum: 0 is Eq. 5 literally. Otherwise Nesterov momentum as in nnU-Net's SGD, whose buffer is read and
            written at the selected entries only.
        weight_decay: L2 penalty, added to the gradients of the selected entries after the selection.
        clip_norm: Norm to which the gradient of all parameters together is clipped first; nnU-Net takes 12.
        select: The rule of Eq. 4.
    """

    def __init__(
        self, module: nn.Module, lr: float, *, gamma: int = 1, granularity: str = "kernel", momentum: float = 0.0,
        weight_decay: float = 0.0, clip_norm: float = 12.0, select: Select = top_gradients,
    ) -> None:
        if gamma < 1:
            raise ValueError(f"gamma is {gamma}; it must be at least 1")
        super().__init__(module.parameters(), {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.gamma, self.clip_norm, self._select = gamma, clip_norm, select
        self._kernels = kernels(module, granularity)
        self._dense = shifts_and_scales(module)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move P_S once; parameters without a gradient are left alone."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        scale = clipping_factor((p.grad for group in self.param_groups for p in group["params"]), self.clip_norm)
        if scale is None:
            return loss
        for parameter in self._dense:
            if parameter.grad is not None:
                parameter.add_(self._update(parameter, parameter.grad * scale, parameter, None))
        for kernel in self._kernels:
            if kernel.parameter.grad is not None:
                self._move_selected(kernel, scale)
        return loss

    def _move_selected(self, kernel: Kernel, scale: Tensor) -> None:
        parameter = kernel.parameter
        assert parameter.grad is not None
        gradients, weights = kernel.rows(parameter.grad), kernel.rows(parameter.data)
        if self.gamma >= weights.shape[1]:
            parameter.add_(self._update(parameter, parameter.grad * scale, parameter, None))
            return
        selected = self._select(gradients, self.gamma)
        values = weights.gather(1, selected)
        update = self._update(parameter, gradients.gather(1, selected) * scale, values, (kernel, selected))
        weights.scatter_(1, selected, values.add_(update))
        kernel.write(weights)

    def _update(
        self, parameter: Tensor, gradient: Tensor, values: Tensor, where: tuple[Kernel, Tensor] | None
    ) -> Tensor:
        """Return what is added to ``values``; ``where`` names the selected entries of the parameter, None means all."""
        group = self.param_groups[0]
        lr, momentum = group["lr"], group["momentum"]
        if group["weight_decay"]:
            gradient = gradient + group["weight_decay"] * values
        if not momentum:
            return gradient.mul_(-lr)
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter, memory_format=torch.contiguous_format)
        buffer = state["momentum_buffer"]
        if where is None:
            moved = buffer.mul_(momentum).add_(gradient)
        else:
            kernel, selected = where
            rows = kernel.rows(buffer)
            moved = rows.gather(1, selected).mul_(momentum).add_(gradient)
            rows.scatter_(1, selected, moved)
            Kernel(buffer, kernel.groups, kernel.row_dims).write(rows)
        return gradient.add_(moved, alpha=momentum).mul_(-lr)


def clipping_factor(gradients: Iterable[Tensor | None], clip_norm: float) -> Tensor | None:
    """Return the factor by which ``torch.nn.utils.clip_grad_norm_`` would scale, or None when there is no gradient."""
    present = [gradient for gradient in gradients if gradient is not None]
    if not present:
        return None
    norms = torch._foreach_norm(present)
    total = torch.linalg.vector_norm(torch.stack([norm.to(norms[0].device, torch.float32) for norm in norms]))
    return torch.clamp(clip_norm / (total + 1e-6), max=1.0)
