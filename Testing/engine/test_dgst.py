"""DGST: Eq. 3-5 of the paper against a slow, literal reference, and what it promises about every other parameter."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lnsegfm.engine.dgst.kernels import kernels, shifts_and_scales
from lnsegfm.engine.dgst.method_table import METHODS
from lnsegfm.engine.dgst.optimizer import DGST, clipping_factor, gradient_norm, top_gradients
from lnsegfm.jobs.job_spec import CaseRef, JobSpec

LR = 0.1


def conv_net(dimension: int) -> nn.Sequential:
    """Convolutions and transposed convolutions, plain and grouped, with and without bias, and a 1x1 head."""
    conv = getattr(nn, f"Conv{dimension}d")
    transposed = getattr(nn, f"ConvTranspose{dimension}d")
    norm = getattr(nn, f"InstanceNorm{dimension}d")
    torch.manual_seed(dimension)
    return nn.Sequential(
        conv(1, 4, 3, padding=1), norm(4, affine=True), nn.LeakyReLU(),
        conv(4, 6, 3, padding=1, groups=2, bias=False), nn.GroupNorm(2, 6), nn.LeakyReLU(),
        transposed(6, 4, 2, stride=2), getattr(nn, f"BatchNorm{dimension}d")(4), nn.LeakyReLU(),
        transposed(4, 6, 3, groups=2), nn.LeakyReLU(), conv(6, 2, 1),
    )  # fmt: skip


class Mixed(nn.Module):
    """A network that has nothing to do with nnU-Net: linear layers, layer norm, embedding and a free parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(3, 5, 3)
        self.norm = nn.LayerNorm(5)
        self.linear = nn.Linear(5, 4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.scale = nn.Parameter(torch.ones(4))
        self.rms = nn.RMSNorm(4)
        self.unused = nn.Conv1d(2, 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.rms(self.linear(self.norm(self.conv(x).transpose(1, 2))))
        return self.attention(x, x, x)[0] * self.scale


def set_gradients(network: nn.Module, seed: int, size: float = 1.0) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator).mul_(size)


def state_of(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in network.named_parameters()}


def same_bits(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Entry by entry; -0.0 and 0.0 differ here."""
    bits = {torch.float32: torch.int32, torch.float64: torch.int64, torch.bfloat16: torch.int16}[a.dtype]
    return a.contiguous().view(bits) == b.contiguous().view(bits)


def index_sets(layer: nn.Module, granularity: str) -> Iterator[list[tuple[int, ...]]]:
    """Literal C_k: the indices of the weights that make up each kernel of one layer."""
    shape = layer.weight.shape
    spatial = list(np.ndindex(*shape[2:]))
    if granularity == "kernel":
        for first, second in np.ndindex(*shape[:2]):
            yield [(first, second, *where) for where in spatial]
    elif isinstance(layer, nn.modules.conv._ConvTransposeNd):
        inputs, outputs = shape[0] // layer.groups, shape[1]
        for group, output in np.ndindex(layer.groups, outputs):
            rows = range(group * inputs, (group + 1) * inputs)
            yield [(first, output, *where) for first in rows for where in spatial]
    else:
        for output in range(shape[0]):
            yield [(output, second, *where) for second in range(shape[1]) for where in spatial]


def brute_force(network: nn.Module, gamma: int, granularity: str) -> dict[str, torch.Tensor]:
    """The mask of Eq. 3 and 4 by sorting every kernel in Python; True = in P_S."""
    selected = {name: torch.zeros(p.shape, dtype=torch.bool) for name, p in network.named_parameters()}
    for prefix, layer in network.named_modules():
        for name, parameter in layer.named_parameters(prefix, recurse=False):
            is_norm = "Norm" in type(layer).__name__
            if name.rpartition(".")[2].endswith("bias") or is_norm:
                selected[name][...] = parameter.grad is not None
        if isinstance(layer, nn.modules.conv._ConvNd) and layer.weight.grad is not None:
            name = f"{prefix}.weight" if prefix else "weight"
            for indices in index_sets(layer, granularity):
                indices.sort(key=lambda index: -abs(float(layer.weight.grad[index])))
                for index in indices[:gamma]:
                    selected[name][index] = True
    return selected


def literal_step(network: nn.Module, mask: dict[str, torch.Tensor], lr: float) -> dict[str, torch.Tensor]:
    """Eq. 5 on the clipped gradient."""
    norm = torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]))
    factor = min(1.0, 12.0 / (float(norm) + 1e-6))
    return {
        name: torch.where(mask[name], p - lr * factor * p.grad, p) if p.grad is not None else p.detach()
        for name, p in network.named_parameters()
    }


@pytest.mark.parametrize("granularity", ["kernel", "filter"])
@pytest.mark.parametrize("gamma", [1, 2, 5])
@pytest.mark.parametrize("dimension", [1, 2, 3])
def test_one_step_is_equations_3_to_5(dimension: int, gamma: int, granularity: str) -> None:
    network = conv_net(dimension)
    set_gradients(network, seed=gamma)
    before, mask = state_of(network), brute_force(network, gamma, granularity)
    expected = literal_step(network, mask, LR)
    DGST(network, LR, gamma=gamma, granularity=granularity).step()
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter.detach(), expected[name], atol=1e-6, rtol=1e-6, msg=name)
        assert torch.equal(same_bits(parameter.detach(), before[name]), ~mask[name]), name


def test_step_on_real_gradients_is_equations_3_to_5() -> None:
    network = conv_net(3)
    network(torch.randn(2, 1, 4, 4, 4, generator=torch.Generator().manual_seed(1))).square().sum().backward()
    expected = literal_step(network, brute_force(network, 1, "kernel"), LR)
    DGST(network, LR).step()
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter.detach(), expected[name], atol=1e-6, rtol=1e-5, msg=name)


@given(st.integers(1, 6), st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_selection_takes_the_largest_magnitudes_of_every_row(rows: int, columns: int, gamma: int, seed: int) -> None:
    gamma = min(gamma, columns)
    # Few different values, so that ties are common.
    gradients = torch.from_numpy(np.random.default_rng(seed).integers(-3, 4, (rows, columns))).float()
    selected = top_gradients(gradients, gamma)
    assert selected.shape == (rows, gamma)
    for row, chosen in zip(gradients.abs(), selected):
        assert len(set(chosen.tolist())) == gamma
        assert sorted(row[chosen].tolist()) == sorted(row.tolist())[-gamma:]


@pytest.mark.parametrize("shape", [(1000, 27), (20, 8640), (7, 1), (300, 3)])
@pytest.mark.parametrize("kind", ["normal", "ties", "zeros", "infinite", "subnormal"])
def test_the_first_of_the_largest_magnitudes_is_selected(shape: tuple[int, int], kind: str) -> None:
    generator = torch.Generator().manual_seed(0)
    gradients = torch.randn(shape, generator=generator)
    if kind == "ties":
        gradients = gradients.round()
    elif kind == "zeros":
        gradients = gradients * 0.0  # of both signs
    elif kind == "infinite":
        gradients[torch.rand(shape, generator=generator) < 0.01] = -torch.inf
    elif kind == "subnormal":
        gradients = gradients * 1e-42
    expected = [int(np.argmax(np.abs(row))) for row in gradients.numpy()]
    assert top_gradients(gradients, 1)[:, 0].tolist() == expected


@pytest.mark.parametrize("momentum", [0.0, 0.99])
@pytest.mark.parametrize("granularity", ["kernel", "filter"])
@pytest.mark.parametrize("gamma", [1, 3])
def test_unselected_parameters_keep_their_bits_through_many_iterations(
    gamma: int, granularity: str, momentum: float
) -> None:
    network = conv_net(3)
    optimizer = DGST(network, LR, gamma=gamma, granularity=granularity, momentum=momentum, weight_decay=0.1)
    for iteration in range(6):
        set_gradients(network, seed=iteration)
        before, mask = state_of(network), brute_force(network, gamma, granularity)
        optimizer.step()
        for name, parameter in network.named_parameters():
            kept = same_bits(parameter.detach(), before[name])
            assert kept[~mask[name]].all(), name
            assert not kept[mask[name]].any(), name


@pytest.mark.parametrize("granularity", ["kernel", "filter"])
def test_momentum_buffer_moves_at_selected_entries_only(granularity: str) -> None:
    network = conv_net(3)
    optimizer = DGST(network, LR, gamma=2, granularity=granularity, momentum=0.9, weight_decay=0.01)
    expected = {name: torch.zeros_like(p) for name, p in network.named_parameters()}
    for iteration in range(4):
        set_gradients(network, seed=iteration)
        mask = brute_force(network, 2, granularity)
        factor = clipping_factor(gradient_norm(p.grad for p in network.parameters()), 12.0)
        for name, p in network.named_parameters():
            moved = 0.9 * expected[name] + factor * p.grad + 0.01 * p.detach()
            expected[name] = torch.where(mask[name], moved, expected[name])
        optimizer.step()
        for name, p in network.named_parameters():
            buffer = optimizer.state[p]["momentum_buffer"]
            torch.testing.assert_close(buffer, expected[name], atol=1e-6, rtol=1e-5, msg=name)


@pytest.mark.parametrize("granularity", ["kernel", "filter"])
@pytest.mark.parametrize("momentum", [0.0, 0.99])
def test_gamma_of_at_least_a_kernel_equals_torch_sgd(momentum: float, granularity: str) -> None:
    network = conv_net(3)
    reference = copy.deepcopy(network)
    ours = DGST(network, LR, gamma=10_000, granularity=granularity, momentum=momentum, weight_decay=3e-2)
    theirs = torch.optim.SGD(reference.parameters(), LR, momentum=momentum, nesterov=momentum > 0, weight_decay=3e-2)
    for iteration in range(5):
        set_gradients(network, seed=iteration)
        set_gradients(reference, seed=iteration)
        torch.nn.utils.clip_grad_norm_(reference.parameters(), 12)
        ours.step()
        theirs.step()
        for a, b in zip(network.parameters(), reference.parameters()):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_gamma_between_kernel_sizes_moves_small_kernels_whole_and_large_ones_in_part() -> None:
    network = nn.Sequential(nn.Conv3d(2, 3, 3, bias=False), nn.ConvTranspose3d(3, 2, 2, bias=False), nn.Conv3d(2, 2, 1))
    set_gradients(network, seed=0)
    before = state_of(network)
    DGST(network, LR, gamma=8).step()
    moved = {name: ~same_bits(p.detach(), before[name]) for name, p in network.named_parameters()}
    assert int(moved["0.weight"].sum()) == 2 * 3 * 8
    assert moved["1.weight"].all()
    assert moved["2.weight"].all()


def test_zero_gradients_change_nothing() -> None:
    network = conv_net(2)
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    before = state_of(network)
    DGST(network, LR, gamma=2, momentum=0.9).step()
    assert all(torch.equal(p, before[name]) for name, p in network.named_parameters())


def test_ties_move_exactly_gamma_weights_of_each_kernel() -> None:
    network = nn.Conv2d(2, 3, 3, bias=False)
    network.weight.grad = torch.ones_like(network.weight)
    before = network.weight.detach().clone()
    DGST(network, LR, gamma=4).step()
    moved = ~same_bits(network.weight.detach(), before)
    assert moved.flatten(2).sum(2).tolist() == [[4, 4]] * 3


def test_parameters_without_gradient_stay_and_a_step_without_any_gradient_does_nothing() -> None:
    network = conv_net(2)
    optimizer = DGST(network, LR, momentum=0.9, weight_decay=0.1)
    before = state_of(network)
    optimizer.step()
    assert all(same_bits(p.detach(), before[name]).all() for name, p in network.named_parameters())
    assert not optimizer.state
    set_gradients(network, seed=0)
    network[0].weight.grad = network[6].bias.grad = None
    optimizer.step()
    assert same_bits(network[0].weight.detach(), before["0.weight"]).all()
    assert same_bits(network[6].bias.detach(), before["6.bias"]).all()
    assert not same_bits(network[3].weight.detach(), before["3.weight"]).all()


def test_a_network_without_nnunet_trains_and_its_linear_weights_never_move() -> None:
    torch.manual_seed(0)
    network = Mixed()
    optimizer = DGST(network, LR, momentum=0.9, weight_decay=0.1)
    before = state_of(network)
    for _ in range(3):
        optimizer.zero_grad()
        network(torch.randn(2, 3, 9)).square().mean().backward()
        optimizer.step()
    moved = {name for name, p in network.named_parameters() if not same_bits(p.detach(), before[name]).all()}
    assert moved == {
        "conv.weight", "conv.bias", "norm.weight", "norm.bias", "linear.bias", "rms.weight",
        "attention.in_proj_bias", "attention.out_proj.bias",
    }  # fmt: skip


def test_frozen_parameters_never_move() -> None:
    network = conv_net(2)
    network[0].requires_grad_(False)
    network[1].requires_grad_(False)
    before = state_of(network)
    network(torch.randn(2, 1, 6, 6)).sum().backward()
    DGST(network, LR, weight_decay=0.1).step()
    moved = {name for name, p in network.named_parameters() if not same_bits(p.detach(), before[name]).all()}
    assert moved
    assert not {name for name in moved if name.startswith(("0.", "1."))}


@pytest.mark.parametrize("size", [1e-3, 1.0, 100.0])
def test_clipping_is_that_of_torch(size: float) -> None:
    network = conv_net(3)
    network[3].weight.requires_grad_(False)
    set_gradients(network, seed=3, size=size)
    network[3].weight.grad = None
    factor = clipping_factor(gradient_norm(p.grad for p in network.parameters()), 12.0)
    before = [p.grad.clone() for p in network.parameters() if p.grad is not None]
    torch.nn.utils.clip_grad_norm_(network.parameters(), 12.0)
    after = [p.grad for p in network.parameters() if p.grad is not None]
    for a, b in zip(before, after):
        torch.testing.assert_close(a * factor, b)


def test_no_gradient_has_no_norm() -> None:
    assert gradient_norm([None, None]) is None


def test_a_step_uses_the_clipped_gradient_and_leaves_the_gradient_as_it_was() -> None:
    network = nn.Conv2d(1, 1, 3)
    network.weight.grad = torch.full_like(network.weight, 1000.0)
    network.bias.grad = torch.full_like(network.bias, 1000.0)
    before = network.bias.detach().clone()
    DGST(network, LR, clip_norm=12.0).step()
    torch.testing.assert_close(network.bias.detach(), before - LR * 12.0 / 10**0.5)
    assert (network.weight.grad == 1000).all()


def test_grad_scaler_scales_back_and_skips_steps_with_infinite_gradients() -> None:
    network = conv_net(2)
    reference = copy.deepcopy(network)
    data = torch.randn(2, 1, 6, 6)
    plain, scaled = DGST(reference, LR), DGST(network, LR)
    reference(data).square().mean().backward()
    plain.step()
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**12)
    scaler.scale(network(data).square().mean()).backward()
    scaler.unscale_(scaled)
    scaler.step(scaled)
    scaler.update()
    for a, b in zip(network.parameters(), reference.parameters()):
        torch.testing.assert_close(a, b)

    before = state_of(network)
    scaled.zero_grad()
    scaler.scale(network(data).square().mean()).backward()
    network[0].weight.grad[0, 0, 0, 0] = torch.inf
    scaler.step(scaled)
    scaler.update()
    assert all(same_bits(p.detach(), before[name]).all() for name, p in network.named_parameters())
    assert scaler.get_scale() < 2.0**12


def test_bf16_autocast_keeps_unselected_bits_and_lowers_the_loss() -> None:
    network = conv_net(3)
    optimizer = DGST(network, 0.02, momentum=0.5)
    generator = torch.Generator().manual_seed(0)
    data = torch.randn(2, 1, 4, 4, 4, generator=generator)
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = (network(data).float() - 1).square().mean()
        loss.backward()
        before, mask = state_of(network), brute_force(network, 1, "kernel")
        optimizer.step()
        losses.append(loss.item())
        for name, p in network.named_parameters():
            assert same_bits(p.detach(), before[name])[~mask[name]].all(), name
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_number_types_work(dtype: torch.dtype) -> None:
    network = nn.Conv2d(2, 3, 3).to(dtype)
    network.weight.grad = torch.randn_like(network.weight)
    network.bias.grad = torch.ones_like(network.bias)
    before = network.weight.detach().clone()
    DGST(network, LR, gamma=2, momentum=0.9).step()
    kept = same_bits(network.weight.detach(), before)
    assert kept.flatten(2).sum(2).tolist() == [[7, 7]] * 3


@pytest.mark.parametrize("granularity", ["kernel", "filter"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_channels_last_weights_move_as_contiguous_ones(momentum: float, granularity: str) -> None:
    contiguous = conv_net(3)
    last = copy.deepcopy(contiguous).to(memory_format=torch.channels_last_3d)
    assert not last[3].weight.is_contiguous()
    options = {"gamma": 2, "granularity": granularity, "momentum": momentum, "weight_decay": 0.1}
    optimizers = [DGST(network, LR, **options) for network in (contiguous, last)]
    for iteration in range(3):
        for network, optimizer in zip((contiguous, last), optimizers):
            set_gradients(network, seed=iteration)
            optimizer.step()
    for (name, a), b in zip(contiguous.named_parameters(), last.parameters()):
        assert same_bits(a.detach(), b.detach()).all(), name
    assert not last[3].weight.is_contiguous()


@pytest.mark.parametrize("granularity", ["kernel", "filter"])
def test_state_dict_round_trip_continues_identically(granularity: str) -> None:
    options = {"gamma": 2, "granularity": granularity, "momentum": 0.99, "weight_decay": 3e-5}
    network = conv_net(3)
    optimizer = DGST(network, LR, **options)
    for iteration in range(3):
        set_gradients(network, seed=iteration)
        optimizer.step()
    resumed = conv_net(3)
    resumed.load_state_dict(network.state_dict())
    continued = DGST(resumed, 123.0, **options)
    continued.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for iteration in range(3, 6):
        for net, opt in ((network, optimizer), (resumed, continued)):
            set_gradients(net, seed=iteration)
            opt.step()
    for (name, a), b in zip(network.named_parameters(), resumed.parameters()):
        assert same_bits(a.detach(), b.detach()).all(), name


def test_learning_rate_schedules_are_honoured() -> None:
    network = nn.Conv2d(1, 1, 3)
    optimizer = DGST(network, 1.0, gamma=1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: [1.0, 0.5, 0.0][epoch])
    moves = []
    for _ in range(3):
        network.weight.grad = torch.zeros_like(network.weight)
        network.bias.grad = torch.ones_like(network.bias)
        before = network.bias.item()
        optimizer.step()
        schedule.step() if len(moves) < 2 else None
        moves.append(before - network.bias.item())
    assert moves == pytest.approx([1.0, 0.5, 0.0], abs=1e-6)


def test_a_closure_is_evaluated_with_gradients_and_its_loss_returned() -> None:
    network = nn.Conv2d(1, 1, 3)
    optimizer = DGST(network, LR)

    def closure() -> float:
        optimizer.zero_grad()
        loss = network(torch.ones(1, 1, 3, 3)).square().sum()
        loss.backward()
        return loss.item()

    before = closure()
    assert optimizer.step(closure) == pytest.approx(before)
    assert closure() < before


def test_shared_weights_move_once() -> None:
    first, second = nn.Conv2d(2, 2, 3), nn.Conv2d(2, 2, 3)
    second.weight, second.bias = first.weight, first.bias
    network = nn.Sequential(first, second)
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter) * 0.1
    before = first.bias.detach().clone()
    DGST(network, 1.0).step()
    torch.testing.assert_close(first.bias.detach(), before - 0.1)
    assert len(kernels(network)) == 1
    assert len(shifts_and_scales(network)) == 1


IMPOSSIBLE = [
    ("gamma", 0), ("gamma", -1), ("gamma", 1.5), ("gamma", True), ("granularity", "row"), ("lr", -1.0),
    ("lr", float("nan")), ("lr", float("inf")), ("lr", "fast"), ("momentum", -3.0), ("momentum", 1.0),
    ("weight_decay", -1e-5), ("clip_norm", -1.0), ("clip_norm", 0.0), ("clip_norm", float("nan")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), IMPOSSIBLE)
def test_impossible_options_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises((ValueError, TypeError), match=name):
        DGST(conv_net(1), **{"lr": LR, name: value})
    network = conv_net(1)
    optimizer = DGST(network, LR, params=[network[0].weight])
    with pytest.raises((ValueError, TypeError), match=name):
        optimizer.add_param_group({"params": [network[3].weight], name: value})
    assert len(optimizer.param_groups) == 1


def test_every_hyperparameter_lies_in_the_group_and_is_restored_from_a_state() -> None:
    options = {"gamma": 3, "granularity": "filter", "momentum": 0.5, "weight_decay": 0.1, "clip_norm": 2.0}
    saved = DGST(conv_net(2), 0.3, **options).state_dict()
    assert {name: saved["param_groups"][0][name] for name in ("lr", *options)} == {"lr": 0.3, **options}
    other = DGST(conv_net(2), 1.0)
    other.load_state_dict(saved)
    assert {name: other.param_groups[0][name] for name in ("lr", *options)} == {"lr": 0.3, **options}


def test_a_state_of_an_older_version_keeps_the_options_of_the_constructor() -> None:
    saved = DGST(conv_net(2), 0.3).state_dict()
    for name in ("gamma", "granularity", "clip_norm"):
        del saved["param_groups"][0][name]
    resumed = DGST(conv_net(2), 1.0, gamma=2, granularity="filter", clip_norm=5.0)
    resumed.load_state_dict(saved)
    group = resumed.param_groups[0]
    assert (group["lr"], group["gamma"], group["granularity"], group["clip_norm"]) == (0.3, 2, "filter", 5.0)


def test_groups_have_hyperparameters_of_their_own() -> None:
    network = conv_net(3)
    set_gradients(network, seed=2, size=0.1)
    first, rest = list(network[0].parameters()), [p for layer in network[1:] for p in layer.parameters()]
    optimizer = DGST(network, LR, params=[{"params": first, "lr": 0.0}])
    optimizer.add_param_group({"params": rest, "gamma": 4, "granularity": "filter", "clip_norm": float("inf")})
    before, mask = state_of(network), brute_force(network, 4, "filter")
    optimizer.step()
    for name, parameter in network.named_parameters():
        if name.startswith("0."):
            assert same_bits(parameter.detach(), before[name]).all()
            continue
        expected = torch.where(mask[name], before[name] - LR * parameter.grad, before[name])
        torch.testing.assert_close(parameter.detach(), expected, atol=1e-6, rtol=1e-6, msg=name)
        assert torch.equal(same_bits(parameter.detach(), before[name]), ~mask[name]), name


def test_parameters_that_are_in_no_group_stay() -> None:
    network = conv_net(2)
    set_gradients(network, seed=1)
    before = state_of(network)
    DGST(network, LR, params=[network[0].weight]).step()
    moved = {name for name, p in network.named_parameters() if not same_bits(p.detach(), before[name]).all()}
    assert moved == {"0.weight"}


def test_parameters_of_another_module_are_refused() -> None:
    optimizer = DGST(conv_net(2), LR)
    with pytest.raises(ValueError, match="does not belong to the module"):
        optimizer.add_param_group({"params": [nn.Conv2d(1, 1, 3).weight]})
    assert len(optimizer.param_groups) == 1


@pytest.mark.parametrize("method", ["dgst", "drst", "sgst", "full"])
def test_a_frozen_parameter_with_a_gradient_stays_and_does_not_count_for_clipping(method: str) -> None:
    network = conv_net(2)
    optimizer = METHODS[method].prepare(network, spec(method=method, epochs=1, iterations_per_epoch=50))
    network[0].requires_grad_(False)
    before = state_of(network)
    for iteration in range(3):
        set_gradients(network, seed=iteration, size=1e-3)
        network[0].weight.grad.fill_(1e6)
        optimizer.step()
        assert (network[0].weight.grad == 1e6).all()
    moved = {name: (p.detach() - before[name]).abs().max() for name, p in network.named_parameters()}
    assert moved["0.weight"] == moved["0.bias"] == 0
    assert moved["11.bias"] > 1e-5, "clipped by the gradient of a parameter that does not move"


def test_no_mask_as_large_as_a_weight_is_made() -> None:
    network = nn.Conv3d(16, 16, 3, bias=False)
    network.weight.grad = torch.randn_like(network.weight)
    optimizer = DGST(network, LR)
    made: list[torch.Size] = []

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
            result = function(*args, **(kwargs or {}))
            for value in result if isinstance(result, (tuple, list)) else [result]:
                if isinstance(value, torch.Tensor) and value.dtype == torch.bool:
                    made.append(value.shape)
            return result

    with Watch():
        optimizer.step()
    assert all(shape.numel() < network.weight.numel() for shape in made)


# The methods that a job can name


def spec(**changes: object) -> JobSpec:
    values = {
        "base_model": "phantom", "base_sha256": "0" * 64, "cases": (CaseRef("case-0001", 1),), "holdout": (),
        "learning_rate": LR, "momentum": 0.9, "weight_decay": 0.01,
    }  # fmt: skip
    return JobSpec(**{**values, **changes})


@pytest.mark.parametrize("step_rule", ["plain", "momentum"])
@pytest.mark.parametrize("granularity", ["kernel", "filter"])
def test_the_method_dgst_takes_its_options_from_the_job(step_rule: str, granularity: str) -> None:
    network, reference = conv_net(3), conv_net(3)
    job = spec(method="dgst", gamma=2, granularity=granularity, step_rule=step_rule, clip_norm=3.0)
    ours = METHODS["dgst"].prepare(network, job)
    momentum, decay = (0.9, 0.01) if step_rule == "momentum" else (0.0, 0.0)
    expected = DGST(
        reference, LR, gamma=2, granularity=granularity, momentum=momentum, weight_decay=decay, clip_norm=3.0
    )
    for iteration in range(3):
        for net, optimizer in ((network, ours), (reference, expected)):
            set_gradients(net, seed=iteration)
            optimizer.step()
    for (name, a), b in zip(network.named_parameters(), reference.parameters()):
        assert a.requires_grad
        assert same_bits(a.detach(), b.detach()).all(), name


@pytest.mark.parametrize("step_rule", ["plain", "momentum"])
def test_the_method_full_is_nnunets_sgd_after_clipping(step_rule: str) -> None:
    network, reference = conv_net(3), conv_net(3)
    ours = METHODS["full"].prepare(network, spec(method="full", step_rule=step_rule))
    momentum, decay = (0.9, 0.01) if step_rule == "momentum" else (0.0, 0.0)
    theirs = torch.optim.SGD(reference.parameters(), LR, momentum=momentum, nesterov=momentum > 0, weight_decay=decay)
    for iteration in range(4):
        set_gradients(network, seed=iteration)
        set_gradients(reference, seed=iteration)
        ours.step()
        torch.nn.utils.clip_grad_norm_(reference.parameters(), 12.0)
        theirs.step()
    for a, b in zip(network.parameters(), reference.parameters()):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


def test_the_method_full_clips_the_gradient_of_a_closure() -> None:
    network = nn.Conv2d(1, 1, 3)
    optimizer = METHODS["full"].prepare(network, spec(method="full", step_rule="plain", weight_decay=0.0))
    before = network.bias.detach().clone()

    def closure() -> float:
        network.weight.grad, network.bias.grad = torch.zeros_like(network.weight), torch.full_like(network.bias, 1e6)
        return 7.0

    assert optimizer.step(closure) == 7.0
    torch.testing.assert_close(network.bias.detach(), before - LR * 12.0)
