"""The methods of the paper's tables on real nnU-Net networks: exactly what moves, and what is stored."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lnsegfm.base.errors import UserError
from lnsegfm.engine.dgst.method_table import METHODS
from lnsegfm.engine.dgst.update_counts import count_updates
from lnsegfm.engine.inference.predictor import Predictor, Quality
from lnsegfm.engine.networks import lora
from lnsegfm.engine.networks.adapters import fit_adapters
from lnsegfm.engine.networks.checkpoints import load_checkpoint, read_tensors, save_checkpoint, write_tensors
from lnsegfm.engine.networks.model_install import install_model
from lnsegfm.engine.networks.network import build_network
from lnsegfm.jobs.job_spec import CaseRef, JobSpec, preset_settings
from lnsegfm.jobs.method_names import METHODS as KNOWN
from lnsegfm.models.model_store import ModelStore
from lnsegfm.phantom import make_case
from tiny_models import CONFIGURATION, PLAIN, RESIDUAL, make_model, tiny_dataset, tiny_plans

STEPS = 4


def spec(method: str, **changes: object) -> JobSpec:
    """Momentum and weight decay on: with either, a frozen weight would move that is merely masked."""
    options = {"method": method, "step_rule": "momentum", "weight_decay": 0.1, "learning_rate": 0.01, "epochs": 10,
               "iterations_per_epoch": 10, **changes}
    return JobSpec("base", "", (CaseRef("case-0001", 1),), **options)  # type: ignore[arg-type]


def network(architecture: str = PLAIN) -> nn.Module:
    torch.manual_seed(3)
    return build_network(tiny_plans(architecture), CONFIGURATION, tiny_dataset(), deep_supervision=True)


def train(net: nn.Module, job: JobSpec, steps: int = STEPS) -> Iterator[nn.Module]:
    """Yield the network as it would be stored, after each iteration."""
    torch.manual_seed(job.seed)
    method = METHODS[job.method]
    optimizer = method.prepare(net, job)
    net.train()
    data = torch.randn(2, 1, 16, 16, 16, generator=torch.Generator().manual_seed(1))
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        sum(output.square().mean() for output in net(data)).backward()
        optimizer.step()
        yield method.merged(net)


def tensors(net: nn.Module) -> dict[str, torch.Tensor]:
    """Each parameter once; the names of convolutions inside other modules are those of the plain network."""
    return {name: value.detach().clone() for name, value in net.named_parameters()}


def is_norm(net: nn.Module, name: str) -> bool:
    return isinstance(net.get_submodule(name.rpartition(".")[0]), nn.InstanceNorm3d)


def is_convolution(net: nn.Module, name: str) -> bool:
    layer = net.get_submodule(name.rpartition(".")[0])
    return name.endswith("weight") and isinstance(layer, nn.Conv3d | nn.ConvTranspose3d)


EXPECTED: dict[str, Callable[[nn.Module, str], bool]] = {
    "full": lambda net, name: True,
    "scratch": lambda net, name: True,
    "allshot": lambda net, name: True,
    "linear": lambda net, name: "seg_layers" in name,
    "bias": lambda net, name: name.endswith(".bias"),
    "affine": is_norm,
    "bias_norm": lambda net, name: name.endswith(".bias") or is_norm(net, name),
    "encoder": lambda net, name: name.startswith("encoder."),
    "decoder": lambda net, name: name.startswith("decoder."),
    "lora": lambda net, name: is_convolution(net, name) and isinstance(
        net.get_submodule(name.rpartition(".")[0]), nn.Conv3d),
    "adapter": lambda net, name: False,
    "dgst": lambda net, name: True,
    "drst": lambda net, name: True,
    "sgst": lambda net, name: True,
}
SPARSE = ("dgst", "drst", "sgst")


@pytest.mark.parametrize("architecture", [PLAIN, RESIDUAL])
@pytest.mark.parametrize("method", KNOWN)
def test_exactly_the_tensors_of_the_method_change(method: str, architecture: str) -> None:
    plain = network(architecture)
    before = tensors(plain)
    *_, trained = train(copy.deepcopy(plain), spec(method))
    after = tensors(trained)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if EXPECTED[method](plain, name)}
    added = set(after) - set(before)
    assert all(".adapter." in name for name in added)
    assert bool(added) == (method == "adapter")


@pytest.mark.parametrize("granularity", ["kernel", "filter"])
@pytest.mark.parametrize("method", SPARSE)
def test_sparse_methods_move_gamma_weights_of_a_kernel_in_an_iteration(method: str, granularity: str) -> None:
    net = network()
    job = spec(method, gamma=2, granularity=granularity, epochs=1, iterations_per_epoch=50)
    before, moved = tensors(net), False
    for stored in train(net, job):
        after = tensors(stored)
        for name in before:
            if is_convolution(net, name):
                rows = 1 if granularity == "filter" else 2
                weight = before[name]
                if rows == 1 and isinstance(net.get_submodule(name.rpartition(".")[0]), nn.ConvTranspose3d):
                    weight, after[name] = weight.transpose(0, 1), after[name].transpose(0, 1)
                different = (weight != after[name]).flatten(rows).flatten(0, rows - 1).sum(1)
                assert different.max() <= 2
                moved = moved or bool(different.max())
        before = tensors(stored)
    assert moved


def moved_entries(job: JobSpec, steps: int) -> list[torch.Tensor]:
    net = network()
    before, moved = tensors(net), []
    for stored in train(net, job, steps):
        after = tensors(stored)
        moved.append(torch.cat([(before[n] != after[n]).flatten() for n in before if is_convolution(net, n)]))
        before = after
    return moved


def test_drst_draws_anew_in_each_iteration_and_by_its_seed() -> None:
    first, second, *_ = moved_entries(spec("drst"), 2)
    assert not torch.equal(first, second)
    assert torch.equal(first, moved_entries(spec("drst"), 1)[0])
    assert not torch.equal(first, moved_entries(spec("drst", seed=8), 1)[0])


def test_sgst_looks_at_first_and_then_moves_the_same_entries_only() -> None:
    # 200 iterations in all: the gradients of the first four decide.
    job = spec("sgst", iterations_per_epoch=20)
    net = network()
    sums: dict[str, torch.Tensor] = {}
    data = torch.randn(2, 1, 16, 16, 16, generator=torch.Generator().manual_seed(1))
    sum(output.square().mean() for output in net(data)).backward()
    for name, parameter in net.named_parameters():
        if is_convolution(net, name) and parameter.grad is not None:
            sums[name] = 4 * parameter.grad  # nothing moves meanwhile, so the gradient stays the same
    looking, later = moved_entries(job, 8)[:4], moved_entries(job, 8)[4:]
    assert not any(moved.any() for moved in looking)
    union = torch.stack(later).any(0)
    expected = torch.cat([
        torch.zeros_like(total.flatten(2)).scatter(2, total.flatten(2).abs().argmax(2, keepdim=True), 1).flatten() != 0
        for total in sums.values()
    ])  # fmt: skip
    fed = torch.cat([torch.full((total.numel(),), bool(total.any())) for total in sums.values()])
    assert torch.equal(union[fed], expected[fed])


@pytest.mark.parametrize("method", KNOWN)
def test_every_method_resumes_after_every_iteration_with_the_same_bits(method: str, tmp_path: Path) -> None:
    steps = 4
    job = spec(method, epochs=1, iterations_per_epoch=100)  # SGST decides after two of them

    def forward(net: nn.Module, optimizer: torch.optim.Optimizer, iteration: int) -> None:
        torch.manual_seed(iteration)  # as the trainer does for each batch; LoRA has dropout
        optimizer.zero_grad(set_to_none=True)
        data = torch.randn(2, 1, 16, 16, 16, generator=torch.Generator().manual_seed(iteration))
        sum(output.square().mean() for output in net(data)).backward()
        optimizer.step()

    def prepared() -> tuple[nn.Module, torch.optim.Optimizer]:
        net = network()
        torch.manual_seed(5)
        optimizer = METHODS[method].prepare(net, job)
        net.train()
        return net, optimizer

    net, optimizer = prepared()
    for cut in range(1, steps):
        forward(net, optimizer, cut)
        file = tmp_path / f"{cut}.pth"
        write_tensors({"weights": net.state_dict(), "optimizer": optimizer.state_dict()}, file)
    forward(net, optimizer, steps)
    for cut in range(1, steps):
        resumed, its_optimizer = prepared()
        content = read_tensors(tmp_path / f"{cut}.pth")
        resumed.load_state_dict(content["weights"])
        its_optimizer.load_state_dict(content["optimizer"])
        for iteration in range(cut + 1, steps + 1):
            forward(resumed, its_optimizer, iteration)
        for (name, a), b in zip(net.named_parameters(), resumed.parameters()):
            assert torch.equal(a.view(torch.int32), b.view(torch.int32)), f"{name} after a cut at {cut}"


@pytest.mark.parametrize("architecture", [PLAIN, RESIDUAL])
def test_lora_works_through_every_name_of_a_convolution_and_merges_to_the_same_function(architecture: str) -> None:
    net = network(architecture).eval()
    plain, data = copy.deepcopy(net), torch.randn(1, 1, 16, 16, 16)
    lora.add_lora(net)
    net.eval()
    layers = [module for module in net.modules() if hasattr(module, "get_base_layer")]
    assert len(layers) == sum(isinstance(module, nn.Conv3d) for module in plain.modules())
    assert torch.equal(net(data)[0], plain(data)[0])
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    with_additions = net(data)[0]
    assert not torch.allclose(with_additions, plain(data)[0])
    merged = METHODS["lora"].merged(net)
    assert torch.allclose(merged(data)[0], with_additions, atol=1e-5)
    assert merged.state_dict().keys() == plain.state_dict().keys()
    assert torch.equal(net(data)[0], with_additions), "merging must not touch the network in training"


def test_lora_without_peft_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(UserError, match="pip install peft"):
        lora.add_lora(network())


def test_adapters_start_as_the_identity_and_are_rebuilt_from_the_weights() -> None:
    net = network().eval()
    plain, data = copy.deepcopy(net), torch.randn(1, 1, 16, 16, 16)
    *_, trained = train(net, spec("adapter", learning_rate=0.5))
    fresh = copy.deepcopy(plain)
    METHODS["adapter"].prepare(fresh, spec("adapter"))
    assert torch.equal(fresh(data)[0], plain(data)[0])
    rebuilt = copy.deepcopy(plain)
    fit_adapters(rebuilt, trained.state_dict())
    rebuilt.load_state_dict(trained.state_dict())
    assert torch.equal(rebuilt.eval()(data)[0], trained.eval()(data)[0])
    assert not torch.allclose(trained(data)[0], plain(data)[0])


def test_a_model_with_adapters_is_installed_and_segments_and_says_that_stock_nnunet_cannot(tmp_path: Path) -> None:
    source = make_model(tmp_path / "results")
    checkpoint = source / "fold_0" / "checkpoint_final.pth"
    net = network()
    net.load_state_dict(load_checkpoint(checkpoint)["network_weights"])
    *_, trained = train(net, spec("adapter", learning_rate=0.5))
    save_checkpoint(
        checkpoint, trained.state_dict(), plans=tiny_plans(), configuration=CONFIGURATION, dataset=tiny_dataset(),
        fold="0", mirroring_axes=(0, 1, 2),
    )
    store = ModelStore(tmp_path / "models")
    model = install_model(store, source)
    assert not model.card.stock
    labels = Predictor(model, torch.device("cpu")).segment(
        make_case("source", 1, size=(40, 40, 12), spacing=(2.0, 2.0, 3.0)).ct, Quality(mirroring=False)
    )
    assert labels.GetSize() == (40, 40, 12)
    plain = install_model(store, make_model(tmp_path / "plain"))
    assert plain.card.stock


def test_counts_tell_what_moved_and_what_was_added() -> None:
    net = network()
    before = copy.deepcopy(net.state_dict())
    total = sum(parameter.numel() for parameter in net.parameters())
    assert count_updates(before, net.state_dict()) == {"total": total, "updated": 0, "added": 0}
    *_, trained = train(copy.deepcopy(net), spec("linear"))
    head = sum(p.numel() for name, p in net.named_parameters() if "seg_layers" in name)
    assert count_updates(before, trained.state_dict()) == {"total": total, "updated": head, "added": 0}
    *_, trained = train(copy.deepcopy(net), spec("adapter"))
    added = sum(p.numel() for name, p in trained.named_parameters() if ".adapter." in name)
    assert count_updates(before, trained.state_dict()) == {"total": total, "updated": 0, "added": added}


def test_from_scratch_forgets_the_base_model_and_starts_the_same_for_the_same_seed() -> None:
    net = network()
    torch.manual_seed(1)
    METHODS["scratch"].prepare(net, spec("scratch"))
    again = network(PLAIN)
    torch.manual_seed(1)
    METHODS["scratch"].prepare(again, spec("scratch"))
    weights = [name for name in tensors(net) if is_convolution(net, name)]
    assert all(torch.equal(tensors(net)[name], tensors(again)[name]) for name in weights)
    assert not any(torch.equal(tensors(net)[name], tensors(network())[name]) for name in weights)


@pytest.mark.parametrize("method", KNOWN)
def test_the_papers_settings_are_those_of_section_3(method: str) -> None:
    job = spec(**{"weight_decay": JobSpec.weight_decay, **preset_settings("paper", method)})
    pretraining = method in ("scratch", "allshot")
    assert (job.epochs, job.learning_rate) == ((2000, 1e-2) if pretraining else (50, 1e-3))
    assert (job.iterations_per_epoch, job.batch_size, job.momentum, job.gamma) == (250, 2, 0.99, 1)
    assert np.isclose(job.poly_exponent, 0.9)
