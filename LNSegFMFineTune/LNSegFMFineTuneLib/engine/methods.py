"""The fine-tuning methods: which parameters may move, and by which rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from LNSegFMFineTuneLib.core.spec import JobSpec
from LNSegFMFineTuneLib.engine.dgst import DGST, clipping_factor

Trainable = Callable[[nn.Module, str], bool]


@dataclass(frozen=True)
class Method:
    """One way to adapt a network.

    Args:
        trainable: Tells of a parameter's name whether it may move.
        optimizer: Makes the rule by which it moves.
    """

    trainable: Trainable
    optimizer: Callable[[nn.Module, JobSpec], torch.optim.Optimizer]

    def prepare(self, network: nn.Module, spec: JobSpec) -> torch.optim.Optimizer:
        """Freeze what does not belong to the method and return its optimiser."""
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(self.trainable(network, name))
        return self.optimizer(network, spec)


class ClippedSGD(torch.optim.SGD):
    """nnU-Net's SGD (Nesterov momentum, weight decay) behind its clipping of the gradient's norm."""

    def __init__(self, parameters: list[nn.Parameter], spec: JobSpec) -> None:
        momentum, weight_decay = _inertia(spec)
        super().__init__(
            parameters, spec.learning_rate, momentum=momentum, nesterov=momentum > 0, weight_decay=weight_decay
        )
        self._clip_norm = spec.clip_norm

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Scale the gradients, then move every parameter that has one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        gradients = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        factor = clipping_factor(gradients, self._clip_norm)
        if factor is not None:
            torch._foreach_mul_(gradients, factor)
        super().step()
        return loss


def _inertia(spec: JobSpec) -> tuple[float, float]:
    """Momentum and weight decay; the plain rule is Eq. 5 of the paper, which has neither."""
    return (spec.momentum, spec.weight_decay) if spec.step_rule == "momentum" else (0.0, 0.0)


def _sgd(network: nn.Module, spec: JobSpec) -> torch.optim.Optimizer:
    return ClippedSGD([p for p in network.parameters() if p.requires_grad], spec)


def _dgst(network: nn.Module, spec: JobSpec) -> torch.optim.Optimizer:
    momentum, weight_decay = _inertia(spec)
    return DGST(
        network, spec.learning_rate, gamma=spec.gamma, granularity=spec.granularity, momentum=momentum,
        weight_decay=weight_decay, clip_norm=spec.clip_norm,
    )


def _all(network: nn.Module, name: str) -> bool:
    del network, name
    return True


METHODS: dict[str, Method] = {
    "dgst": Method(_all, _dgst),
    "full": Method(_all, _sgd),
}
