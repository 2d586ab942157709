"""The update alone: selection and step, against a dense mask that is made row by row."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from bench.network import alternate, paper_network
from bench.targets import Targets
from lnsegfm.engine.dgst.kernels import kernels
from lnsegfm.engine.dgst.optimizer import DGST

LEARNING_RATE = 1e-3
CLIP_NORM = 12.0


def print_table(device: torch.device, repeats: int, targets: Targets) -> None:
    """Print the seconds of one update of the 31 M network, without forward and backward pass."""
    torch.manual_seed(0)
    actions: dict[str, Callable[[], None]] = {}
    for granularity in ("kernel", "filter"):
        for gamma in (1, 10):
            optimizer = DGST(_with_gradients(device), LEARNING_RATE, gamma=gamma, granularity=granularity)
            actions[f"DGST, γ {gamma} per {granularity}"] = _stepping(optimizer)
    network = _with_gradients(device)
    actions["SGD with momentum and weight decay (Full)"] = _full(network)
    actions["argsort of each filter, dense mask, SGD"] = _argsort_per_row(_with_gradients(device))
    seconds = alternate(actions, device, repeats)
    fused = seconds["DGST, γ 1 per filter"]
    print("### Clipping, selection and update of the 31 M network\n")
    print("| update | milliseconds | ratio to DGST, γ 1 per filter |\n|---|---|---|")
    for name, value in seconds.items():
        print(f"| {name} | {1000 * value:.1f} | {value / fused:.2f} |")
    print()
    share = seconds["DGST, γ 1 per kernel"] / seconds["SGD with momentum and weight decay (Full)"]
    targets.at_most("DGST's update, γ 1 per kernel: share of SGD's with momentum", share, 1.0)


def _with_gradients(device: torch.device) -> nn.Module:
    network = paper_network().to(device)
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter)
    return network


def _stepping(optimizer: torch.optim.Optimizer) -> Callable[[], None]:
    def run() -> None:
        optimizer.step()

    return run


def _full(network: nn.Module) -> Callable[[], None]:
    optimizer = torch.optim.SGD(network.parameters(), LEARNING_RATE, momentum=0.99, nesterov=True, weight_decay=3e-5)

    def run() -> None:
        nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
        optimizer.step()

    return run


def _argsort_per_row(network: nn.Module) -> Callable[[], None]:
    optimizer = torch.optim.SGD(network.parameters(), LEARNING_RATE)
    filters = kernels(network, "filter")

    @torch.no_grad()
    def run() -> None:
        nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
        for kernel in filters:
            gradient = kernel.parameter.grad
            assert gradient is not None
            mask = torch.zeros_like(gradient)
            mask_rows, rows = kernel.rows(mask), kernel.rows(gradient)
            for number in range(len(rows)):
                largest = torch.argsort(rows[number].abs(), descending=True)[:1]
                mask_rows[number, largest] = 1
            gradient.mul_(mask)
        optimizer.step()

    return run
