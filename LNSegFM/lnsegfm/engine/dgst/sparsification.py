"""The ablations of DGST's selection in the paper's Table 2: random (DRST) and static (SGST)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from lnsegfm.engine.dgst.kernels import Kernel
from lnsegfm.engine.dgst.optimizer import DGST, top_gradients


def random_entries(gradients: Tensor, gamma: int) -> Tensor:
    """Return γ different column indices ``[kernels, γ]`` of each row, drawn from torch's generator (DRST)."""
    rows, columns = gradients.shape
    if gamma == 1:
        return torch.randint(columns, (rows, 1), device=gradients.device)
    return torch.rand(rows, columns, device=gradients.device).topk(gamma, 1, sorted=False).indices


class SGST(DGST):
    """Static Gradient Sparsification Training: P_S is chosen once, by the gradients accumulated at the start.

    The gradients of the first ``accumulate`` steps are summed, and nothing moves; from then on always the same entries.

    Args:
        module: As for `DGST`.
        lr: As for `DGST`.
        accumulate: Number of steps whose gradients decide.
        **options: As for `DGST`.
    """

    def __init__(self, module: nn.Module, lr: float, *, accumulate: int, **options: Any) -> None:
        super().__init__(module, lr, **options)
        if accumulate < 1:
            raise ValueError(f"accumulate is {accumulate}; it must be at least 1")
        self._accumulate = accumulate

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Accumulate, or move the entries that were selected."""
        # Counted in the state of a parameter, because that is what a checkpoint keeps of an optimiser.
        counter = self.state[self._kernels[0].parameter]
        if counter.get("accumulated", 0) >= self._accumulate:
            return super().step(closure)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for kernel in self._kernels:
            gradient, state = kernel.parameter.grad, self.state[kernel.parameter]
            if gradient is not None:
                state["sum"] = gradient.clone() if "sum" not in state else state["sum"].add_(gradient)
        counter["accumulated"] = counter.get("accumulated", 0) + 1
        if counter["accumulated"] == self._accumulate:
            self._decide()
        return loss

    def _decide(self) -> None:
        for kernel in self._kernels:
            state = self.state[kernel.parameter]
            total = state.pop("sum", torch.zeros_like(kernel.parameter))
            rows = kernel.rows(total)
            state["selected"] = top_gradients(rows, min(self.gamma, rows.shape[1]))

    def _selection(self, kernel: Kernel, gradients: Tensor) -> Tensor:
        del gradients
        return self.state[kernel.parameter]["selected"]
