"""The fine-tuning methods: which parameters may move, and by which rule."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lnsegfm.engine.dgst.kernels import NORMALIZATIONS, shifts_and_scales
from lnsegfm.engine.dgst.optimizer import DGST, clipping_factor, gradient_norm
from lnsegfm.engine.dgst.sparsification import DRST, SGST
from lnsegfm.engine.networks.adapters import add_adapters, is_adapter
from lnsegfm.engine.networks.lora import add_lora, merge_lora
from lnsegfm.jobs.job_spec import JobSpec

Parameters = Iterable[nn.Parameter]
# SGST accumulates over this share of the iterations before it decides: one epoch of the paper's 50.
_ACCUMULATED_SHARE = 50


def _keep(network: nn.Module) -> None:
    del network


@dataclass(frozen=True)
class Method:
    """One way to adapt a network.

    Args:
        trainable: Returns the parameters that may move.
        optimizer: Makes the rule by which they move.
        change: What is done to the network before: new values, or added parts.
        merge: Takes added parts into the network's own weights again, where that is possible.
    """

    trainable: Callable[[nn.Module], Parameters]
    optimizer: Callable[[nn.Module, JobSpec], torch.optim.Optimizer]
    change: Callable[[nn.Module], None] = _keep
    merge: Callable[[nn.Module], None] = _keep

    def prepare(self, network: nn.Module, spec: JobSpec) -> torch.optim.Optimizer:
        """Change the network, freeze what does not belong to the method and return its optimiser."""
        self.change(network)
        trainable = {id(parameter) for parameter in self.trainable(network)}
        for parameter in network.parameters():
            parameter.requires_grad_(id(parameter) in trainable)
        return self.optimizer(network, spec)

    def merged(self, network: nn.Module) -> nn.Module:
        """Return the network as it is to be stored; the one in training stays as it is."""
        if self.merge is _keep:
            return network
        network = copy.deepcopy(network)
        self.merge(network)
        return network


class ClippedSGD(torch.optim.SGD):
    """nnU-Net's SGD (Nesterov momentum, weight decay) behind its clipping of the gradient's norm.

    Parameters that are frozen do not move, also when they have a gradient.
    """

    def __init__(self, parameters: list[nn.Parameter], spec: JobSpec) -> None:
        momentum, weight_decay = _inertia(spec)
        super().__init__(
            parameters, spec.learning_rate, momentum=momentum, nesterov=momentum > 0, weight_decay=weight_decay
        )
        self.defaults["clip_norm"] = spec.clip_norm
        for group in self.param_groups:
            group["clip_norm"] = spec.clip_norm

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take over a state; that of an older version has no norm to clip to."""
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("clip_norm", self.defaults["clip_norm"])

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Scale the gradients, then move every parameter that has one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        everything = [parameter for group in self.param_groups for parameter in group["params"]]
        frozen = [(parameter, parameter.grad) for parameter in everything if not parameter.requires_grad]
        for parameter, _gradient in frozen:
            parameter.grad = None
        norm = gradient_norm(parameter.grad for parameter in everything)
        if norm is not None:
            for group in self.param_groups:
                gradients = [parameter.grad for parameter in group["params"] if parameter.grad is not None]
                if gradients:
                    torch._foreach_mul_(gradients, clipping_factor(norm, group["clip_norm"]))
            super().step()
        for parameter, gradient in frozen:
            parameter.grad = gradient
        return loss


def _inertia(spec: JobSpec) -> tuple[float, float]:
    """Momentum and weight decay; the plain rule is Eq. 5 of the paper, which has neither."""
    return (spec.momentum, spec.weight_decay) if spec.step_rule == "momentum" else (0.0, 0.0)


def _sgd(network: nn.Module, spec: JobSpec) -> torch.optim.Optimizer:
    return ClippedSGD([p for p in network.parameters() if p.requires_grad], spec)


def _sparse_options(spec: JobSpec) -> dict[str, Any]:
    momentum, weight_decay = _inertia(spec)
    return {
        "gamma": spec.gamma, "granularity": spec.granularity, "momentum": momentum, "weight_decay": weight_decay,
        "clip_norm": spec.clip_norm,
    }


def _dgst(network: nn.Module, spec: JobSpec) -> torch.optim.Optimizer:
    return DGST(network, spec.learning_rate, **_sparse_options(spec))


def _drst(network: nn.Module, spec: JobSpec) -> torch.optim.Optimizer:
    return DRST(network, spec.learning_rate, seed=spec.seed, **_sparse_options(spec))


def _sgst(network: nn.Module, spec: JobSpec) -> torch.optim.Optimizer:
    accumulate = max(1, spec.steps // _ACCUMULATED_SHARE)
    return SGST(network, spec.learning_rate, accumulate=accumulate, **_sparse_options(spec))


def _all(network: nn.Module) -> Parameters:
    return network.parameters()


def _named(*beginnings: str) -> Callable[[nn.Module], Parameters]:
    def chosen(network: nn.Module) -> Parameters:
        return [parameter for name, parameter in network.named_parameters() if name.startswith(beginnings)]

    return chosen


def _biases(network: nn.Module) -> Parameters:
    return [parameter for name, parameter in network.named_parameters() if name.endswith("bias")]


def _affine(network: nn.Module) -> Parameters:
    layers = [layer for layer in network.modules() if isinstance(layer, NORMALIZATIONS)]
    return [parameter for layer in layers for parameter in layer.parameters()]


def _adapters(network: nn.Module) -> Parameters:
    return [parameter for name, parameter in network.named_parameters() if is_adapter(name)]


def _lora(network: nn.Module) -> Parameters:
    return [parameter for name, parameter in network.named_parameters() if ".lora_" in name]


def _initialize(network: nn.Module) -> None:
    network.apply(network.initialize)  # type: ignore[arg-type]


_SCRATCH = Method(_all, _sgd, change=_initialize)

METHODS: dict[str, Method] = {
    "dgst": Method(_all, _dgst),
    "full": Method(_all, _sgd),
    "scratch": _SCRATCH,
    "allshot": _SCRATCH,
    "linear": Method(_named("decoder.seg_layers."), _sgd),
    "bias": Method(_biases, _sgd),
    "affine": Method(_affine, _sgd),
    "bias_norm": Method(shifts_and_scales, _sgd),
    "lora": Method(_lora, _sgd, change=add_lora, merge=merge_lora),
    "adapter": Method(_adapters, _sgd, change=add_adapters),
    "encoder": Method(_named("encoder."), _sgd),
    "decoder": Method(_named("decoder."), _sgd),
    "drst": Method(_all, _drst),
    "sgst": Method(_all, _sgst),
}
