"""The ablations of DGST's selection in the paper's Table 2: random (DRST) and static (SGST)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lnsegfm.engine.dgst.kernels import Kernel
from lnsegfm.engine.dgst.optimizer import DGST, Group, check_count, top_gradients

_SEED_STEP = 1_000_003  # a prime, so that the sequences of neighbouring seeds do not overlap


class DRST(DGST):
    """Dynamic Random Sparsification Training: γ random entries of each kernel move, others in each iteration.

    Args:
        module: As for `DGST`.
        lr: As for `DGST`.
        seed: Of the entries. With the number of steps, which the state holds, it decides them all.
        **options: As for `DGST`.
    """

    def __init__(self, module: nn.Module, lr: float = 1e-3, *, seed: int = 0, **options: Any) -> None:
        self._generators: dict[torch.device, torch.Generator] = {}
        super().__init__(module, lr, seed=seed, drawn=0, **options)

    def _check(self, group: Group) -> None:
        super()._check(group)
        check_count("seed", group["seed"], 0)

    def _begin(self, group: Group) -> bool:
        self._generators.clear()
        group["drawn"] += 1
        return True

    def _select(self, kernel: Kernel, gradients: Tensor, group: Group) -> Tensor:
        del kernel
        rows, columns = gradients.shape
        device = gradients.device
        if device not in self._generators:
            start = (group["seed"] * _SEED_STEP + group["drawn"]) % 2**63
            self._generators[device] = torch.Generator(device).manual_seed(start)
        generator = self._generators[device]
        if group["gamma"] == 1:
            return torch.randint(columns, (rows, 1), device=device, generator=generator)
        drawn = torch.rand(rows, columns, device=device, generator=generator)
        return drawn.topk(group["gamma"], 1, sorted=False).indices


class SGST(DGST):
    """Static Gradient Sparsification Training: P_S is chosen once, by the gradients accumulated at the start.

    The gradients of the first ``accumulate`` steps are summed, and nothing moves; from then on always the same entries.

    Args:
        module: As for `DGST`.
        lr: As for `DGST`.
        accumulate: Number of steps whose gradients decide, at least 1.
        **options: As for `DGST`.
    """

    def __init__(self, module: nn.Module, lr: float = 1e-3, *, accumulate: int, **options: Any) -> None:
        super().__init__(module, lr, accumulate=accumulate, accumulated=0, **options)

    def _check(self, group: Group) -> None:
        super()._check(group)
        check_count("accumulate", group["accumulate"], 1)

    def _begin(self, group: Group) -> bool:
        if group["accumulated"] >= group["accumulate"]:
            return True
        for parameter in group["params"]:
            if self._kernel(parameter, group["granularity"]) is not None and parameter.grad is not None:
                state = self.state[parameter]
                state["sum"] = state["sum"].add_(parameter.grad) if "sum" in state else parameter.grad.clone()
        group["accumulated"] += 1
        if group["accumulated"] == group["accumulate"]:
            self._decide(group)
        return False

    def _decide(self, group: Group) -> None:
        for parameter in group["params"]:
            kernel = self._kernel(parameter, group["granularity"])
            if kernel is not None:
                state = self.state[parameter]
                rows = kernel.rows(state.pop("sum", torch.zeros_like(parameter)))
                state["selected"] = top_gradients(rows, min(group["gamma"], rows.shape[1]))

    def _select(self, kernel: Kernel, gradients: Tensor, group: Group) -> Tensor:
        del gradients, group
        return self.state[kernel.parameter]["selected"]
