"""Dynamic Gradient Sparsification Training: Eq. 3-5 of Luo et al., MICCAI 2025, for any ``torch.nn.Module``.

In every iteration the γ largest gradients by magnitude are selected in each convolution kernel (Eq. 4), together with
all biases and normalisation parameters, and only these are moved (Eq. 5). Every other parameter keeps its bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from lnsegfm.engine.dgst.kernels import Kernel, kernels, shifts_and_scales

Select = Callable[[Tensor, int], Tensor]


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
        selected = self._selection(kernel, gradients)
        values = weights.gather(1, selected)
        update = self._update(parameter, gradients.gather(1, selected) * scale, values, (kernel, selected))
        weights.scatter_(1, selected, values.add_(update))
        kernel.write(weights)

    def _selection(self, kernel: Kernel, gradients: Tensor) -> Tensor:
        del kernel
        return self._select(gradients, self.gamma)

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
