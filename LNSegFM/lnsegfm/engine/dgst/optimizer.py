"""Dynamic Gradient Sparsification Training: Eq. 3-5 of Luo et al., MICCAI 2025, for any ``torch.nn.Module``.

In every iteration the γ largest gradients by magnitude are selected in each convolution kernel (Eq. 4), together with
all biases and normalisation parameters, and only these are moved (Eq. 5). Every other parameter keeps its bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from lnsegfm.engine.dgst.kernels import GRANULARITIES, Kernel, convolutions, kernel_of, shifts_and_scales

Group = dict[str, Any]
_WITHOUT_SIGN = 0x7FFFFFFF


def top_gradients(gradients: Tensor, gamma: int) -> Tensor:
    """Return the column indices ``[kernels, γ]`` of the largest ``|gradient|`` in each row (Eq. 4)."""
    if gamma == 1 and gradients.dtype == torch.float32 and gradients.device.type == "cpu":
        # Without their sign, floats have the order of their bits, and whole numbers are compared twice as fast.
        return gradients.view(torch.int32).bitwise_and(_WITHOUT_SIGN).argmax(1, keepdim=True)
    magnitude = gradients.abs()
    # max() also returns where the maximum is, and does so faster than argmax() on rows as short as a kernel.
    return magnitude.max(1, keepdim=True).indices if gamma == 1 else magnitude.topk(gamma, 1, sorted=False).indices


class DGST(torch.optim.Optimizer):
    """Stochastic gradient descent on P_S alone (Eq. 5), after clipping the norm of the whole gradient.

    It follows the conventions of `torch.optim`: every hyperparameter lies in the parameter groups, may differ between
    them, and is part of ``state_dict()``. Parameters that are frozen, or neither kernel, bias nor normalisation, never
    move.

    Args:
        module: The network; it tells which parameter is a kernel, a bias or part of a normalisation.
        lr: Learning rate η, at least 0.
        params: Parameters of ``module``, or groups of them as in `torch.optim`; None for all of them in one group.
        gamma: γ, how many weights of each kernel move in one iteration; kernels with fewer weights move whole.
        granularity: What a kernel is, see `lnsegfm.engine.dgst.kernels.kernels`.
        momentum: 0 is Eq. 5 literally. Otherwise, below 1, Nesterov momentum as in nnU-Net's SGD, whose buffer is read
            and written at the selected entries only.
        weight_decay: L2 penalty, at least 0, added to the gradients of the selected entries after the selection.
        clip_norm: Norm, greater than 0, to which the gradient of all parameters of all groups together is clipped
            first; nnU-Net takes 12, infinity does not clip.

    Raises:
        ValueError: A hyperparameter out of its range, or a parameter that is not one of ``module``.
        TypeError: A hyperparameter of another type.
    """

    def __init__(
        self, module: nn.Module, lr: float = 1e-3, *, params: Iterable[Tensor] | Iterable[Group] | None = None,
        gamma: int = 1, granularity: str = "kernel", momentum: float = 0.0, weight_decay: float = 0.0,
        clip_norm: float = 12.0, **more: Any,
    ) -> None:
        self._convolutions = convolutions(module)
        self._dense = {id(parameter) for parameter in shifts_and_scales(module)}
        self._members = {id(parameter) for parameter in module.parameters()}
        self._kernels: dict[tuple[int, str], Kernel] = {}
        defaults = {
            "lr": lr, "gamma": gamma, "granularity": granularity, "momentum": momentum, "weight_decay": weight_decay,
            "clip_norm": clip_norm, **more,
        }
        self._check(defaults)
        super().__init__(module.parameters() if params is None else params, defaults)

    def add_param_group(self, param_group: Group) -> None:
        """Add a group of parameters of the same module, with hyperparameters of its own.

        Raises:
            ValueError: See the class; or a parameter that lies in a group already.
            TypeError: A hyperparameter of another type.
        """
        self._check({**self.defaults, **param_group})
        super().add_param_group(param_group)
        if any(id(parameter) not in self._members for parameter in self.param_groups[-1]["params"]):
            self.param_groups.pop()
            raise ValueError("the group has a parameter that does not belong to the module of this optimizer")

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a state; what an older version did not store keeps the value given to the constructor."""
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)
            self._check(group)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state; unlike in the base class, tensors of whole numbers keep their type."""
        super().load_state_dict(state_dict)
        saved = [number for group in state_dict["param_groups"] for number in group["params"]]
        own = [parameter for group in self.param_groups for parameter in group["params"]]
        for number, parameter in zip(saved, own):
            for name, value in state_dict["state"].get(number, {}).items():
                if isinstance(value, Tensor) and not value.is_floating_point():
                    self.state[parameter][name] = value.to(parameter.device, copy=True)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move P_S once; parameters without a gradient are left alone.

        Args:
            closure: Computes the gradients and returns the loss.

        Returns:
            What ``closure`` returned.

        Raises:
            RuntimeError: A gradient is a sparse tensor.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        norm = gradient_norm(p.grad for group in self.param_groups for p in group["params"] if p.requires_grad)
        if norm is None:
            return loss
        for group in self.param_groups:
            if self._begin(group):
                scale = clipping_factor(norm, group["clip_norm"])
                for parameter in group["params"]:
                    if parameter.grad is not None and parameter.requires_grad:
                        self._move(parameter, group, scale)
        return loss

    def _begin(self, group: Group) -> bool:
        """Prepare the step of a group; return whether its parameters move in it."""
        del group
        return True

    def _select(self, kernel: Kernel, gradients: Tensor, group: Group) -> Tensor:
        """Return the column indices ``[kernels, γ]`` of the entries of ``gradients`` that move (Eq. 4)."""
        del kernel
        return top_gradients(gradients, group["gamma"])

    def _move(self, parameter: Tensor, group: Group, scale: Tensor) -> None:
        assert parameter.grad is not None
        kernel = self._kernel(parameter, group["granularity"])
        if kernel is None and id(parameter) not in self._dense:
            return
        gradients = parameter.grad if kernel is None else kernel.rows(parameter.grad)
        if kernel is None or group["gamma"] >= gradients.shape[1]:
            parameter.add_(self._update(parameter, parameter.grad * scale, parameter, group, None))
            return
        weights, selected = kernel.rows(parameter.data), self._select(kernel, gradients, group)
        values = weights.gather(1, selected)
        update = self._update(parameter, gradients.gather(1, selected) * scale, values, group, (kernel, selected))
        weights.scatter_(1, selected, values.add_(update))
        kernel.write(weights)

    def _update(
        self, parameter: Tensor, gradient: Tensor, values: Tensor, group: Group, where: tuple[Kernel, Tensor] | None
    ) -> Tensor:
        """Return what is added to ``values``; ``where`` names the selected entries of the parameter, None means all."""
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

    def _kernel(self, parameter: Tensor, granularity: str) -> Kernel | None:
        layer = self._convolutions.get(id(parameter))
        if layer is None:
            return None
        key = (id(parameter), granularity)
        if key not in self._kernels:
            self._kernels[key] = kernel_of(layer, granularity)
        return self._kernels[key]

    def _check(self, group: Group) -> None:
        check_number("lr", group["lr"], 0.0)
        check_number("momentum", group["momentum"], 0.0, below=1.0)
        check_number("weight_decay", group["weight_decay"], 0.0)
        check_number("clip_norm", group["clip_norm"], 0.0, infinite=True)
        if not group["clip_norm"] > 0:
            raise ValueError("clip_norm is 0; it must be greater than 0")
        check_count("gamma", group["gamma"], 1)
        if group["granularity"] not in GRANULARITIES:
            raise ValueError(f"granularity is '{group['granularity']}'; known are {', '.join(GRANULARITIES)}")


def check_number(name: str, value: Any, least: float, *, below: float = math.inf, infinite: bool = False) -> None:
    """Check a hyperparameter that is a real number, or a tensor of one element as ``lr`` may be.

    Args:
        name: Its name.
        value: Its value.
        least: The lowest value that is allowed.
        below: Values must be less than this.
        infinite: Infinity is allowed.

    Raises:
        TypeError: It is no number.
        ValueError: It is out of range, or not finite.
    """
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{name} is {value!r}; it must be a number")
    if infinite and value == math.inf:
        return
    if not (least <= value < below):
        limit = f"at least {least:g}" if below == math.inf else f"at least {least:g} and less than {below:g}"
        raise ValueError(f"{name} is {value}; it must be {limit}")


def check_count(name: str, value: Any, least: int) -> None:
    """Check a hyperparameter that is a whole number of at least ``least``.

    Raises:
        TypeError: It is not a whole number.
        ValueError: It is too small.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {value!r}; it must be a whole number")
    if value < least:
        raise ValueError(f"{name} is {value}; it must be at least {least}")


def gradient_norm(gradients: Iterable[Tensor | None]) -> Tensor | None:
    """Return the L2 norm of all gradients together, float32; None when there is none.

    Raises:
        RuntimeError: One is a sparse tensor.
    """
    present = [gradient for gradient in gradients if gradient is not None]
    if not present:
        return None
    if any(gradient.is_sparse for gradient in present):
        raise RuntimeError("sparse gradients are not supported")
    norms = torch._foreach_norm(present)
    return torch.linalg.vector_norm(torch.stack([norm.to(norms[0].device, torch.float32) for norm in norms]))


def clipping_factor(norm: Tensor, clip_norm: float) -> Tensor:
    """Return the factor by which ``torch.nn.utils.clip_grad_norm_`` scales gradients of this norm together."""
    return torch.clamp(clip_norm / (norm + 1e-6), max=1.0)
