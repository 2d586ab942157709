"""``python -m bench.methods``: what each method may move, what it moves, and how large its model is."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from bench.iterations import loss_of
from bench.network import paper_network
from lnsegfm.engine.dgst.method_table import METHODS
from lnsegfm.engine.dgst.update_counts import count_updates
from lnsegfm.engine.networks.checkpoints import write_tensors
from lnsegfm.jobs.job_spec import CaseRef, JobSpec
from lnsegfm.jobs.method_names import METHODS as NAMES

PATCH = (32, 64, 64)
ITERATIONS = 3


def main() -> None:
    """Print the table of docs/explanation/methods.md, measured on the paper's network of 31 million parameters."""
    print("| method | trainable | moved in one iteration | moved in three | added | model, MB | stock nnU-Net |")
    print("|---|---|---|---|---|---|---|")
    torch.manual_seed(0)
    start = {name: value.clone() for name, value in paper_network().state_dict().items()}
    data = torch.randn(1, 1, *PATCH)
    for method, info in NAMES.items():
        print(f"| {info.name} | {' | '.join(_measured(method, start, data))} | {'yes' if info.stock else 'no'} |",
              flush=True)  # fmt: skip


def _measured(method: str, start: dict[str, torch.Tensor], data: torch.Tensor) -> list[str]:
    network = paper_network()
    network.load_state_dict(start)
    # SGST moves nothing while it accumulates the first gradients: one iteration of 50.
    spec = JobSpec("base", "", (CaseRef("case", 1),), method=method, epochs=1, iterations_per_epoch=50)
    optimizer = METHODS[method].prepare(network, spec)
    total = sum(parameter.numel() for parameter in paper_network().parameters())
    trainable = sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
    # Parts that the method adds are counted against how they begin, which the base model's weights do not tell.
    states = [_weights(method, network)]
    for _ in range(ITERATIONS + (method == "sgst")):
        optimizer.zero_grad(set_to_none=True)
        loss_of(network, data).backward()
        optimizer.step()
        states.append(_weights(method, network))
    stored = METHODS[method].merged(network).state_dict()
    last, all_of_them = count_updates(states[-2], states[-1]), count_updates(states[0], states[-1])
    added = count_updates(start, stored)["added"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        write_tensors(stored, path)
        size = path.stat().st_size / 1e6
    shares = [trainable / total, last["updated"] / total, all_of_them["updated"] / total, added / total]
    return [*(f"{share:.3%}" for share in shares), f"{size:.0f}"]


def _weights(method: str, network: torch.nn.Module) -> dict[str, torch.Tensor]:
    merged = METHODS[method].merged(network)
    return {name: value.detach().clone() for name, value in merged.named_parameters()}


if __name__ == "__main__":
    main()
