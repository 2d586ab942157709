"""One whole iteration (forward, backward, update) of DGST against Full."""

from __future__ import annotations

from collections.abc import Callable

import torch

from bench.network import alternate, paper_network
from LNSegFMFineTuneLib.core.spec import CaseRef, JobSpec
from LNSegFMFineTuneLib.engine.methods import METHODS

BATCH = 2


def print_table(device: torch.device, patch: tuple[int, ...], repeats: int) -> None:
    """Print the seconds of one iteration of each method and step rule, and their ratio to Full."""
    torch.manual_seed(0)
    data = torch.randn(BATCH, 1, *patch, device=device)
    variants = [("full", "momentum"), ("dgst", "momentum"), ("full", "plain"), ("dgst", "plain")]
    actions = {f"{method}, {rule}": _iteration(method, rule, data, device) for method, rule in variants}
    seconds = alternate(actions, device, repeats)
    print(f"### Iteration on the 31 M network, patch {'x'.join(map(str, patch))}, batch {BATCH}\n")
    print("| method, step rule | seconds | ratio to Full |\n|---|---|---|")
    for name, value in seconds.items():
        reference = seconds["full, " + name.split(", ")[1]]
        print(f"| {name} | {value:.3f} | {value / reference:.3f} |")
    print()


def _iteration(method: str, rule: str, data: torch.Tensor, device: torch.device) -> Callable[[], None]:
    network = paper_network().to(device)
    spec = JobSpec("base", "", (CaseRef("case", 1),), method=method, step_rule=rule)
    optimizer = METHODS[method].prepare(network, spec)
    use_amp = device.type == "cuda"
    scaler = torch.amp.GradScaler(device.type, enabled=use_amp)

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, enabled=use_amp):
            loss = sum(output.float().square().mean() for output in network(data)[:-1])
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()

    return run
