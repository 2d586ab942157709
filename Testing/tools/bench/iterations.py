"""One whole iteration (forward, backward, update) of every method, as in the paper's Table 2."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from bench.network import alternate, paper_network
from lnsegfm.base.errors import UserError
from lnsegfm.engine.dgst.method_table import METHODS
from lnsegfm.jobs.job_spec import CaseRef, JobSpec
from lnsegfm.jobs.method_names import METHODS as NAMES
from lnsegfm.research.benchmark.paper_values import PAPER

BATCH = 2
# Both are as Full once they have their first weights.
_AS_FULL = ("scratch", "allshot")


def print_table(
    device: torch.device, patch: tuple[int, ...], repeats: int, methods: Sequence[str] | None = None
) -> None:
    """Print the seconds of one iteration of each method, or of those named, and their ratio to Full."""
    torch.manual_seed(0)
    data = torch.randn(BATCH, 1, *patch, device=device)
    print(f"### Iteration on the 31 M network, patch {'x'.join(map(str, patch))}, batch {BATCH}\n")
    print(f"| method, step rule | seconds | ratio to Full | paper ({PAPER.device}), seconds | paper, ratio to Full |")
    print("|---|---|---|---|---|")
    names = [name for name in methods or NAMES if name not in _AS_FULL]
    # Not all at once: a dozen networks with their momentum do not fit the memory of every GPU.
    for rule, measured in (("momentum", names), ("plain", ["full", "dgst"])):
        full = 0.0
        for method in sorted(measured, key=lambda name: name != "full"):
            seconds = _seconds(method, rule, data, device, repeats)
            if seconds is None:
                continue
            full = full or seconds
            printed = PAPER.iteration_s.get(method) if rule == "momentum" else None
            theirs = f"{printed:.4f} | {printed / PAPER.iteration_s['full']:.2f}" if printed else "- | -"
            print(f"| {NAMES[method].name}, {rule} | {seconds:.4f} | {seconds / full:.3f} | {theirs} |", flush=True)
    print()


def _seconds(method: str, rule: str, data: torch.Tensor, device: torch.device, repeats: int) -> float | None:
    """Median seconds of a method; it takes turns with Full, whose own drift would else pass for a difference."""
    try:
        actions = {name: _iteration(name, rule, data, device) for name in dict.fromkeys((method, "full"))}
    except UserError as error:
        print(f"| {NAMES[method].name} | not measured: {error.why} | - | - | - |")
        return None
    return alternate(actions, device, repeats)[method]


def _iteration(method: str, rule: str, data: torch.Tensor, device: torch.device) -> Callable[[], None]:
    network = paper_network().to(device)
    spec = JobSpec("base", "", (CaseRef("case", 1),), method=method, step_rule=rule)
    optimizer = METHODS[method].prepare(network, spec)
    network.to(device)  # what the method added
    use_amp = device.type == "cuda"
    scaler = torch.amp.GradScaler(device.type, enabled=use_amp)

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, enabled=use_amp):
            loss = loss_of(network, data)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()

    return run


def loss_of(network: nn.Module, data: torch.Tensor) -> torch.Tensor:
    """Return a loss of all outputs but the lowest, as nnU-Net's deep supervision."""
    return torch.stack([output.float().square().mean() for output in network(data)[:-1]]).sum()
