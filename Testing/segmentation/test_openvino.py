"""OpenVINO as backend: the same labels as PyTorch's, nothing of OpenVINO's defaults, and PyTorch where it fails."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import textwrap
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from torch import nn

from lnsegfm.base.errors import UserError
from lnsegfm.base.processes import child_environment
from lnsegfm.engine import openvino_runtime
from lnsegfm.engine.inference.backends import choice, conversion, conversion_cache, openvino_backend
from lnsegfm.engine.inference.backends.backend import BackendFailed
from lnsegfm.engine.inference.predictor import Predictor
from lnsegfm.engine.inference.quality import QUALITIES, Quality
from lnsegfm.engine.networks.adapters import add_adapters
from lnsegfm.engine.networks.lora import add_lora
from lnsegfm.engine.networks.model_install import install_model
from lnsegfm.engine.networks.network import build_network
from lnsegfm.evaluation.metrics import dice
from lnsegfm.images.boxes import BODY
from lnsegfm.images.probabilities import FOREGROUND_FROM
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_content import ModelContent
from lnsegfm.models.model_store import ModelStore
from lnsegfm.phantom import make_case
from tiny_models import PLAIN, RESIDUAL, make_model

ov = pytest.importorskip("openvino", reason="OpenVINO is not installed")
CPU = torch.device("cpu")
FAST = Quality(mirroring=False, step=1.0)
SHAPE = (16, 16, 16)


def array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def noise_ct(seed: int = 3, size: tuple[int, int, int] = (40, 36, 24)) -> sitk.Image:
    """A volume of noise, in which a network of random weights finds much."""
    values = np.random.default_rng(seed).normal(40, 200, size[::-1]).astype(np.float32)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((2.0, 2.0, 3.0))
    return image


@pytest.fixture(params=[PLAIN, RESIDUAL])
def tiny(request: pytest.FixtureRequest, tmp_path: Path) -> ModelInfo:
    store = ModelStore(tmp_path / "models")
    return install_model(store, make_model(tmp_path / "results", architecture=request.param, folds=(0, 1, 2)))


@pytest.fixture
def model(tmp_path: Path) -> ModelInfo:
    return install_model(ModelStore(tmp_path / "models"), make_model(tmp_path / "results"))


@pytest.fixture
def network(model: ModelInfo) -> nn.Module:
    torch.manual_seed(1)
    content = ModelContent.of(model)
    return build_network(content.plans, model.card.configuration, content.dataset, deep_supervision=False)


def request_of(converted: Any, hint: str | None = "f32") -> Any:
    options = {} if hint is None else {"INFERENCE_PRECISION_HINT": hint}
    return openvino_runtime.core().compile_model(converted, "CPU", options).create_infer_request()


def answer(request: Any, tile: torch.Tensor) -> np.ndarray:
    return np.array(request.infer({0: tile.numpy()})[0])


def tile_of(seed: int = 5, shape: tuple[int, ...] = SHAPE) -> torch.Tensor:
    return torch.randn((1, 1, *shape), generator=torch.Generator().manual_seed(seed))


# --- The same labels


@pytest.mark.parametrize("quality", [FAST, QUALITIES["standard"], QUALITIES["best"]])
def test_labels_equal_pytorch_s_over_folds_and_mirroring(tiny: ModelInfo, quality: Quality) -> None:
    ct = noise_ct()
    by_torch = Predictor(tiny, CPU)
    by_openvino = Predictor(tiny, CPU, "CPU")
    assert by_openvino.backend.name == "openvino" and by_openvino.why_not == ""
    expected = array(by_torch.segment(ct, quality))
    assert 0.02 < expected.mean() < 0.98
    assert dice(array(by_openvino.segment(ct, quality)), expected) >= 0.9999


def test_labels_equal_pytorch_s_in_regions(model: ModelInfo) -> None:
    ct = noise_ct()
    both = Predictor(model, CPU), Predictor(model, CPU, "CPU")
    for region in (BODY, (3, 25, 0, 20, 5, 20)):
        expected, found = (array(each.predict(ct, region=region)) >= FOREGROUND_FROM for each in both)
        assert expected.any()
        assert dice(found, expected) >= 0.9999


def test_labels_of_the_demonstration_model_equal_pytorch_s(demonstration_model: ModelInfo, tmp_path: Path) -> None:
    copy = replace(demonstration_model, path=tmp_path / "model")
    shutil.copytree(demonstration_model.path, copy.path)
    ct = make_case("source", 901, size=(72, 72, 30), spacing=(2.0, 2.0, 3.0)).ct
    expected = array(Predictor(demonstration_model, CPU).segment(ct))
    assert expected.any()
    assert dice(array(Predictor(copy, CPU, "CPU").segment(ct)), expected) >= 0.9999


def test_a_second_run_and_a_kept_conversion_give_the_same_bits(model: ModelInfo) -> None:
    ct = noise_ct()
    first = Predictor(model, CPU, "CPU")
    expected = array(first.predict(ct, FAST))
    assert np.array_equal(array(first.predict(ct, FAST)), expected)
    assert np.array_equal(array(Predictor(model, CPU, "CPU").predict(ct, FAST)), expected)


@pytest.mark.parametrize("add", [add_lora, add_adapters])
def test_what_is_added_to_a_network_is_converted_with_it(network: nn.Module, add: Any) -> None:
    plain = network(tile_of()).detach().numpy()
    add(network)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "lora_B" in name or "adapter.up" in name:
                parameter.normal_(0, 0.2, generator=torch.Generator().manual_seed(2))
    network.eval()
    expected = network(tile_of()).detach().numpy()
    assert np.abs(expected - plain).max() > 1e-2
    found = answer(request_of(conversion.convert(network, SHAPE)), tile_of())
    np.testing.assert_allclose(found, expected, atol=1e-3)


# --- OpenVINO's own habits


def test_a_converted_network_does_not_follow_the_weights(network: nn.Module) -> None:
    converted = conversion.convert(network, SHAPE)
    request = request_of(converted)
    before = answer(request, tile_of())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.5)
    assert np.array_equal(answer(request, tile_of()), before)
    assert np.array_equal(answer(request_of(converted), tile_of()), before)


def test_files_of_a_conversion_are_in_single_precision(model: ModelInfo) -> None:
    backend = Predictor(model, CPU, "CPU").backend
    content = ModelContent.of(model)
    network = build_network(content.plans, model.card.configuration, content.dataset, deep_supervision=False)
    weights = torch.load(model.checkpoint(0), weights_only=False)["network_weights"]
    network.load_state_dict(weights, strict=False)
    converted = answer(request_of(conversion.convert(network, SHAPE)), tile_of())
    read = backend.run(0, "single")(tile_of()).numpy()
    assert np.array_equal(read, converted)


def test_the_precision_is_always_said_to_openvino(model: ModelInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    core, asked = openvino_runtime.core(), []

    class Core:
        def __getattr__(self, name: str) -> Any:
            return getattr(core, name)

        def compile_model(self, converted: Any, device: str, options: dict[str, Any]) -> Any:
            asked.append(options["INFERENCE_PRECISION_HINT"])
            return core.compile_model(converted, device, options)

    monkeypatch.setattr(openvino_runtime, "core", Core)
    predictor = Predictor(model, CPU, "CPU")
    for precision in ("single", "bfloat16"):
        predictor.predict(noise_ct(), FAST, precision=precision)
    assert asked == ["f32", "f32", "bf16"]  # the first for the comparison after the conversion


def test_results_are_not_overwritten_by_the_next_tile(model: ModelInfo) -> None:
    run = Predictor(model, CPU, "CPU").backend.run(0, "single")
    first = run(tile_of(1))
    kept = first.clone()
    run(tile_of(2))
    assert torch.equal(first, kept)


def test_nothing_is_told_over_the_network() -> None:
    code = """
        import sys
        from lnsegfm.engine import openvino_runtime
        openvino_runtime.load()
        import openvino.tools.ovc
        assert sys.modules["openvino_telemetry"] is None
        assert not [name for name in sys.modules if name.startswith("openvino_telemetry.")]
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, env=child_environment(), timeout=120)


# --- What is kept beside the model


def kept(model: ModelInfo) -> Path:
    (folder,) = model.path.glob("openvino-*")
    return folder


def count_conversions(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    made: list[Any] = []
    convert = openvino_backend.convert
    monkeypatch.setattr(openvino_backend, "convert", lambda *each: made.append(each) or convert(*each))
    return made


def test_a_model_is_converted_once(tiny: ModelInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    made = count_conversions(monkeypatch)
    for _ in range(2):
        Predictor(tiny, CPU, "CPU")
    assert len(made) == 3  # folds
    assert sorted(each.name for each in kept(tiny).iterdir()) == sorted(
        ["conversion.json", *(f"fold_{fold}.{end}" for fold in range(3) for end in ("xml", "bin"))]
    )


@pytest.mark.parametrize("damage", ["cut", "changed", "record", "missing", "unknown"])
def test_a_damaged_conversion_is_made_once_more(
    model: ModelInfo, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = array(Predictor(model, CPU, "CPU").predict(noise_ct(), FAST))
    folder = kept(model)
    binary = folder / "fold_0.bin"
    if damage == "cut":
        binary.write_bytes(binary.read_bytes()[:-4])
    elif damage == "changed":
        content = bytearray(binary.read_bytes())
        content[len(content) // 2] ^= 1
        binary.write_bytes(content)
    elif damage == "record":
        (folder / "conversion.json").write_text("{")
    elif damage == "missing":
        binary.unlink()
    else:
        record = json.loads((folder / "conversion.json").read_text())
        record["files"]["../model.json"] = "0" * 64
        (folder / "conversion.json").write_text(json.dumps(record))
    made = count_conversions(monkeypatch)
    predictor = Predictor(model, CPU, "CPU")
    assert len(made) == 1 and predictor.backend.name == "openvino"
    assert np.array_equal(array(predictor.predict(noise_ct(), FAST)), expected)
    assert len(list(model.path.glob("openvino-*"))) == 1


def test_another_version_is_converted_anew_and_replaces_the_old(
    model: ModelInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    Predictor(model, CPU, "CPU")
    before = kept(model)
    monkeypatch.setattr(conversion_cache, "_FORMAT", 2)
    Predictor(model, CPU, "CPU")
    assert kept(model) != before


@pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be made read-only on Windows")
def test_a_store_that_cannot_be_written_to_is_no_obstacle(model: ModelInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(conversion_cache, "work_folder", refuse)
    predictor = Predictor(model, CPU, "CPU")
    assert predictor.backend.name == "openvino"
    assert array(predictor.segment(noise_ct(), FAST)).any()
    assert not list(model.path.glob("openvino-*"))


def test_a_conversion_does_not_change_what_the_model_is(model: ModelInfo, tmp_path: Path) -> None:
    store = ModelStore(model.path.parent)
    before = store.get(model.id)
    Predictor(model, CPU, "CPU")
    assert store.verify(model.id) == before
    store.export(model.id, tmp_path / "model.zip")

    assert not [name for name in zipfile.ZipFile(tmp_path / "model.zip").namelist() if "openvino" in name]
    store.remove(model.id)
    assert not model.path.exists()


# --- PyTorch takes over


@pytest.mark.parametrize("where", ["convert", "compile", "run", "differs", "import"])
def test_pytorch_takes_over_with_a_word(model: ModelInfo, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = array(Predictor(model, CPU).segment(noise_ct()))

    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no such operation\nat a line of C++")

    if where == "convert":
        monkeypatch.setattr(ov, "convert_model", fail)
    elif where == "compile":
        monkeypatch.setattr(openvino_backend.OpenVinoBackend, "_read", fail)
    elif where == "run":
        def broken(*_: Any) -> Any:
            def run(batch: torch.Tensor) -> torch.Tensor:
                raise BackendFailed("OpenVINO does not work (no such operation)")

            return run

        monkeypatch.setattr(openvino_backend.OpenVinoBackend, "run", broken)
    elif where == "differs":
        monkeypatch.setattr(conversion, "_MOST", 0.0)
    else:
        monkeypatch.setattr(openvino_runtime, "core", lambda: __import__("openvino_of_another_name"))
    predictor = Predictor(model, CPU, "CPU")
    assert np.array_equal(array(predictor.segment(noise_ct())), expected)
    assert predictor.backend.name == "torch"
    words = predictor.words(QUALITIES["standard"])
    assert (words.startswith("PyTorch ") and ", because OpenVINO" in words) or "another_name" in words
    assert "C++" not in words


def test_a_device_that_is_not_there_is_named(model: ModelInfo) -> None:
    if "NPU" in openvino_runtime.devices():
        pytest.skip("this computer has an NPU")
    predictor = Predictor(model, CPU, "NPU")
    assert predictor.backend.name == "torch" and "finds no NPU here" in predictor.why_not


# --- The choice


@pytest.mark.parametrize(
    ("backend", "device", "chosen", "expected"),
    [
        ("auto", "cpu", False, "CPU"), ("auto", "cpu", True, "CPU"), ("auto", "cuda", False, ""),
        ("auto", "mps", False, ""), ("torch", "cpu", False, ""), ("openvino", "cpu", True, "CPU"),
        ("openvino-gpu", "cpu", False, "GPU"), ("openvino-npu", "cpu", False, "NPU"),
    ],
)  # fmt: skip
def test_backend_by_device(backend: str, device: str, chosen: bool, expected: str) -> None:
    assert choice.choose(backend, torch.device(device), device_was_chosen=chosen) == expected


@pytest.mark.parametrize(
    ("backend", "device"), [("openvino", "cuda"), ("openvino-gpu", "cpu"), ("openvino-npu", "mps")]
)
def test_contradictions_are_refused(backend: str, device: str) -> None:
    with pytest.raises(UserError, match="does not go with the device"):
        choice.choose(backend, torch.device(device), device_was_chosen=True)


def test_what_is_not_installed_is_refused_by_name_and_passed_over_by_auto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_runtime, "version", lambda: None)
    with pytest.raises(UserError, match="OpenVINO is not installed"):
        choice.choose("openvino", CPU, device_was_chosen=False)
    assert choice.choose("auto", CPU, device_was_chosen=False) == ""


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(UserError, match="There is no backend 'tensorrt'"):
        choice.choose("tensorrt", CPU, device_was_chosen=False)


def test_threads_are_left_to_other_programs(model: ModelInfo) -> None:
    backend: Any = Predictor(model, CPU, "CPU").backend
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        backend.run(0, "single")
        compiled = backend._compiled[2].get_compiled_model()
    finally:
        torch.set_num_threads(before)
    assert compiled.get_property("INFERENCE_NUM_THREADS") == 1
