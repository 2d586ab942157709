"""Checkpoints: what stock nnU-Net writes is read, code is refused and never run, and what is saved is stock."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny_models
from lnsegfm.base.errors import UserError
from lnsegfm.engine.networks.checkpoints import load_checkpoint, network_weights, read_tensors, save_checkpoint


class Payload:
    """Runs a function of the attacker's choice when it is unpickled."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.function, self.arguments


class Custom:
    """A harmless class that is nevertheless code."""


def refused(path: Path) -> UserError:
    with pytest.raises(UserError) as caught:
        load_checkpoint(path)
    assert path.name in caught.value.what
    assert caught.value.why
    assert caught.value.todo
    return caught.value


def saved(path: Path, content: Any, **options: Any) -> Path:
    torch.save(content, path, **options)
    return path


def test_stock_checkpoint_with_numpy_scalars_device_and_optimizer_loads(tmp_path: Path) -> None:
    content = tiny_models.tiny_checkpoint(tiny_models.tiny_plans(), trainer="nnUNetTrainer_DGST")
    loaded = load_checkpoint(saved(tmp_path / "checkpoint_final.pth", content))
    assert loaded["trainer_name"] == "nnUNetTrainer_DGST"
    assert loaded["init_args"] == content["init_args"]
    assert loaded["logging"] == content["logging"]
    assert loaded["inference_allowed_mirroring_axes"] == (0, 1, 2)
    for name, value in content["network_weights"].items():
        assert torch.equal(loaded["network_weights"][name], value)


def test_numpy_scalars_of_numpy_1_load(tmp_path: Path) -> None:
    new = saved(tmp_path / "new.pth", {"network_weights": {}, "_best_ema": np.float64(0.5)})
    old = tmp_path / "old.pth"
    with zipfile.ZipFile(new) as reader, zipfile.ZipFile(old, "w") as writer:
        for entry in reader.infolist():
            content = reader.read(entry)
            if entry.filename.endswith("data.pkl"):
                assert b"numpy._core.multiarray" in content or b"numpy.core.multiarray" in content
                content = content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
            writer.writestr(entry, content)
    assert load_checkpoint(old)["_best_ema"] == 0.5


def test_the_format_before_torch_1_6_loads(tmp_path: Path) -> None:
    content = {"network_weights": OrderedDict(a=torch.ones(3)), "_best_ema": np.float64(0.5)}
    path = saved(tmp_path / "old.pth", content, _use_new_zipfile_serialization=False)
    assert torch.equal(load_checkpoint(path)["network_weights"]["a"], torch.ones(3))


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("function", "named"), [(os.system, "system"), (eval, "eval"), (os.mkdir, "mkdir"), (pickle.loads, "loads")]
)
def test_code_is_named_and_not_run(
    tmp_path: Path, function: Callable[..., Any], named: str, zipped: bool
) -> None:
    victim = tmp_path / "victim"
    argument = {
        os.system: f"touch {victim}", eval: f"open({str(victim)!r}, 'w')", os.mkdir: str(victim),
        pickle.loads: pickle.dumps(Payload(os.mkdir, str(victim))),
    }[function]  # fmt: skip
    content = {"network_weights": {}, "logging": Payload(function, argument)}
    error = refused(saved(tmp_path / "evil.pth", content, _use_new_zipfile_serialization=zipped))
    assert named in error.why
    assert "run code" in error.why
    assert not victim.exists()


def test_a_class_outside_the_list_is_named(tmp_path: Path) -> None:
    error = refused(saved(tmp_path / "custom.pth", {"network_weights": {}, "trainer": Custom()}))
    assert f"{__name__}.Custom" in error.why


def test_a_whole_pickled_network_is_refused(tmp_path: Path) -> None:
    assert "torch.nn.modules" in refused(saved(tmp_path / "network.pth", torch.nn.Conv2d(1, 1, 1))).why


def test_loading_widens_nothing_for_the_rest_of_the_process(tmp_path: Path) -> None:
    before = torch.serialization.get_safe_globals()
    load_checkpoint(saved(tmp_path / "a.pth", {"network_weights": {}, "x": np.float64(1)}))
    refused(saved(tmp_path / "b.pth", {"network_weights": {}, "x": Custom()}))
    assert torch.serialization.get_safe_globals() == before


@pytest.mark.parametrize(
    "content", [[1, 2], {"state_dict": {}}, {"network_weights": [1]}, torch.ones(2)],
    ids=["list", "no weights", "weights no dict", "tensor"],
)  # fmt: skip
def test_other_torch_files_are_refused(tmp_path: Path, content: Any) -> None:
    assert "network_weights" in refused(saved(tmp_path / "other.pth", content)).why


def test_files_that_are_no_checkpoints_are_refused(tmp_path: Path) -> None:
    good = saved(tmp_path / "good.pth", {"network_weights": {"a": torch.ones(1000)}}).read_bytes()
    path = tmp_path / "bad.pth"
    for content in (b"", b"\x80", b"hello", bytes(1000), good[:500], good[:-100], b"<html>404</html>"):
        path.write_bytes(content)
        refused(path)
    refused(tmp_path / "missing.pth")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=5), st.booleans())
@settings(max_examples=200, deadline=None)
def test_damage_never_raises_anything_but_a_user_error(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, int]], zipped: bool
) -> None:
    path = tmp_path_factory.mktemp("pth") / "damaged.pth"
    content = {"network_weights": {"a": torch.ones(3)}, "x": np.float64(1), "y": [1, "two", {"three": 3.0}]}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    damaged = bytearray(path.read_bytes())
    # The pickle lies at the beginning of either format.
    for position, value in changes:
        damaged[position % min(len(damaged), 500)] = value
    path.write_bytes(damaged)
    try:
        load_checkpoint(path)
    except UserError as error:
        assert error.why


def test_prefixes_of_ddp_and_compile_are_stripped() -> None:
    names = ["encoder.a", "module.encoder.b", "_orig_mod.c", "module._orig_mod.d", "_orig_mod.module.e", "x.module.f"]
    weights = network_weights({"network_weights": {name: torch.ones(1) for name in names}}, "a.pth")
    assert list(weights) == ["encoder.a", "encoder.b", "c", "d", "e", "x.module.f"]


@pytest.mark.parametrize(
    "value", [1.0, [torch.ones(1)], torch.ones(2).to_sparse(), torch.ones(2, device="meta")],
    ids=["number", "list", "sparse", "without data"],
)  # fmt: skip
def test_weights_that_are_no_plain_tensors_are_refused_by_name(value: Any) -> None:
    with pytest.raises(UserError, match=r"encoder\.a"):
        network_weights({"network_weights": {"encoder.a": value}}, "a.pth")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_with_nan_or_infinity_are_refused_by_name(value: float) -> None:
    with pytest.raises(UserError, match=r"encoder\.a.*NaN or infinite"):
        network_weights({"network_weights": {"encoder.a": torch.tensor([1.0, value])}}, "a.pth")


@pytest.mark.parametrize("fold", ["all", "0", "4"])
def test_what_is_saved_has_what_stock_nnunet_reads_and_nothing_else(tmp_path: Path, fold: str) -> None:
    weights = {"a": torch.arange(6.0).reshape(2, 3).t(), "b": torch.nn.Parameter(torch.ones(2))}
    path = tmp_path / f"fold_{fold}" / "checkpoint_final.pth"
    save_checkpoint(
        path, weights, plans={"p": 1}, configuration="3d_fullres", dataset={"d": 2}, fold=fold, mirroring_axes=(0, 1)
    )
    content = torch.load(path, weights_only=True)
    assert content.pop("network_weights").keys() == weights.keys()
    assert content == {
        "trainer_name": "nnUNetTrainer",
        "init_args": {
            "plans": {"p": 1}, "configuration": "3d_fullres", "dataset_json": {"d": 2},
            "fold": fold if fold == "all" else int(fold),
        },
        "inference_allowed_mirroring_axes": (0, 1),
    }  # fmt: skip
    loaded = network_weights(load_checkpoint(path), path.name)
    assert all(torch.equal(loaded[name], value) and not loaded[name].requires_grad for name, value in weights.items())
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_a_tensor_that_is_part_of_a_larger_one_is_saved_without_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint_final.pth"
    save_checkpoint(
        path, {"a": torch.zeros(1_000_000)[:10]}, plans={}, configuration="c", dataset={}, fold="0", mirroring_axes=None
    )
    assert path.stat().st_size < 100_000


def test_shared_tensors_are_saved_once(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint_final.pth"
    shared = torch.zeros(100_000)
    save_checkpoint(
        path, {"encoder.a": shared, "decoder.encoder.a": shared}, plans={}, configuration="c", dataset={}, fold="0",
        mirroring_axes=None,
    )  # fmt: skip
    assert path.stat().st_size < 500_000


def test_torch_reads_nothing_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its loader takes the memory that a file claims, and before 2.6 it ran code (CVE-2025-32434)."""
    path = saved(tmp_path / "a.pth", {"network_weights": {"a": torch.ones(3)}, "optimizer_state": [torch.ones(2)]})
    monkeypatch.setattr(torch, "load", None)
    assert torch.equal(load_checkpoint(path)["network_weights"]["a"], torch.ones(3))
    assert torch.equal(read_tensors(path)["optimizer_state"][0], torch.ones(2))
