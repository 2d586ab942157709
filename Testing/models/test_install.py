"""Installing models: every kind of source, and that a refusal runs nothing and leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import tiny_models
from lnsegfm.base import archive
from lnsegfm.base.errors import UserError
from lnsegfm.base.files import sha256
from lnsegfm.base.home import Home
from lnsegfm.engine.networks.checkpoints import load_checkpoint
from lnsegfm.engine.networks.model_install import install, install_model
from lnsegfm.models.model_card import ModelCard, ModelInfo
from lnsegfm.models.model_store import ModelStore
from tiny_models import CONFIGURATION, DATASET_NAME, PLAIN, RESIDUAL, bare_checkpoint, make_model, zip_model

STOCK_FOLDER = f"nnUNetTrainer__nnUNetPlans__{CONFIGURATION}"


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.victim),)


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stock model folder that no test may change."""
    return make_model(tmp_path_factory.mktemp("results"))


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(path)["network_weights"]


def assert_same(installed: Path, source: Path) -> None:
    weights, expected = weights_of(installed), weights_of(source)
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], value) for name, value in expected.items())


def assert_installed(model: ModelInfo, store: ModelStore, source: Path, folds: tuple[str, ...] = ("0",)) -> None:
    assert store.verify(model.id) == model
    assert model.card.folds == folds
    wanted = {"plans.json", "dataset.json", *(f"fold_{fold}/checkpoint_final.pth" for fold in folds)}
    assert set(model.files) == wanted
    for fold in folds:
        content = torch.load(model.checkpoint(fold), weights_only=True)
        assert content["trainer_name"] == "nnUNetTrainer"
        assert content["init_args"]["configuration"] == CONFIGURATION
        assert content["inference_allowed_mirroring_axes"] == (0, 1, 2)
        assert "optimizer_state" not in content
    assert_same(model.checkpoint(folds[0]), source)


def refused(store: ModelStore, source: Path) -> UserError:
    before = sorted(store.root.rglob("*"))
    existed = store.root.exists()
    with pytest.raises(UserError) as caught:
        install_model(store, source)
    assert caught.value.what
    assert caught.value.todo
    assert sorted(store.root.rglob("*")) == before or (not existed and not list(store.root.iterdir()))
    return caught.value


@pytest.mark.filterwarnings("ignore:Detected old nnU-Net plans")
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("architecture", [PLAIN, RESIDUAL])
@pytest.mark.parametrize("kind", ["folder", "zip", "bare"])
def test_every_kind_of_source_installs(
    tmp_path: Path, store: ModelStore, kind: str, architecture: str, legacy: bool
) -> None:
    folder = make_model(tmp_path / "results", architecture=architecture, legacy=legacy)
    checkpoint = folder / "fold_0" / "checkpoint_final.pth"
    if kind == "bare":
        alone = tmp_path / "downloads" / "checkpoint_final.pth"
        alone.parent.mkdir()
        shutil.copy(checkpoint, alone)
        model = install_model(store, alone, name="Alone")
        assert_installed(model, store, checkpoint, ("all",))
    else:
        source = folder if kind == "folder" else zip_model(folder, tmp_path / "model.zip")
        model = install_model(store, source, name="My model")
        assert_installed(model, store, checkpoint)
    assert model.card.architecture == architecture
    assert json.loads((model.path / "plans.json").read_text()) == json.loads((folder / "plans.json").read_text())
    assert json.loads((model.path / "dataset.json").read_text()) == tiny_models.tiny_dataset()


def test_sources_are_not_changed(store: ModelStore, model_folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in model_folder.rglob("*")}
    install_model(store, model_folder)
    assert {path: path.stat().st_mtime_ns for path in model_folder.rglob("*")} == before


@pytest.mark.parametrize("trainer", ["nnUNetTrainer_DGST", "nnUNetTrainer_bias", "nnUNetTrainer_250epochs"])
@pytest.mark.parametrize("kind", ["folder", "bare"])
def test_custom_trainers_with_a_standard_network_install(
    tmp_path: Path, store: ModelStore, trainer: str, kind: str
) -> None:
    if kind == "folder":
        source = make_model(tmp_path / "results", trainer=trainer)
    else:
        source = bare_checkpoint(tmp_path / "checkpoint_best.pth", trainer=trainer)
    model = install_model(store, source)
    assert model.card.trainer == trainer
    assert torch.load(next(model.path.glob("fold_*/*.pth")), weights_only=True)["trainer_name"] == "nnUNetTrainer"


def test_five_folds_install_each_with_its_own_weights(tmp_path: Path, store: ModelStore) -> None:
    folder = make_model(tmp_path / "results", folds=(0, 1, 2, 3, 4))
    model = install_model(store, folder)
    assert model.card.folds == ("0", "1", "2", "3", "4")
    for fold in model.card.folds:
        assert_same(model.checkpoint(fold), folder / f"fold_{fold}" / "checkpoint_final.pth")


def test_copies_of_fold_folders_are_left_out(tmp_path: Path, store: ModelStore) -> None:
    folder = make_model(tmp_path / "results", folds=(0, 1))
    shutil.copytree(folder / "fold_0", folder / "fold_0 - Copy")
    found = install(store, folder)
    assert found.model.card.folds == ("0", "1")
    assert found.left_out == ("fold_0 - Copy: it is not a fold's folder",)


@pytest.mark.parametrize("above", [1, 2])
def test_a_folder_above_the_only_model_is_enough(store: ModelStore, model_folder: Path, above: int) -> None:
    source = model_folder.parents[above - 1]
    assert install_model(store, source).card.folds == ("0",)


def test_several_models_in_a_folder_are_listed_in_the_refusal(tmp_path: Path, store: ModelStore) -> None:
    for trainer in ("nnUNetTrainer", "nnUNetTrainer_DGST"):
        make_model(tmp_path / "results", trainer=trainer)
    why = refused(store, tmp_path / "results").why
    assert STOCK_FOLDER in why
    assert "nnUNetTrainer_DGST" in why


def test_a_checkpoint_inside_its_model_folder_uses_the_plans_beside_it(tmp_path: Path, store: ModelStore) -> None:
    folder = make_model(tmp_path / "results", folds=(3,))
    path = folder / "fold_3" / "checkpoint_final.pth"
    content = torch.load(path, weights_only=False)
    content["init_args"] = {"configuration": CONFIGURATION}
    torch.save(content, path)
    assert install_model(store, path).card.folds == ("3",)


def test_a_checkpoint_that_names_no_configuration_takes_that_of_its_folder(tmp_path: Path, store: ModelStore) -> None:
    folder = make_model(tmp_path / "results")
    path = folder / "fold_0" / "checkpoint_final.pth"
    content = torch.load(path, weights_only=False)
    del content["init_args"]
    torch.save(content, path)
    assert install_model(store, folder).card.configuration == CONFIGURATION


def test_the_final_checkpoint_is_preferred_and_the_best_is_taken_when_it_is_alone(
    tmp_path: Path, store: ModelStore
) -> None:
    best = make_model(tmp_path / "results", checkpoint_name="checkpoint_best.pth")
    assert_installed(install_model(store, best), store, best / "fold_0" / "checkpoint_best.pth")
    final = best / "fold_0" / "checkpoint_final.pth"
    torch.save(tiny_models.tiny_checkpoint(tiny_models.tiny_plans(), seed=9), final)
    assert_installed(install_model(store, best), store, final)


def test_names_and_ids_come_from_the_user_or_the_source(tmp_path: Path, store: ModelStore, model_folder: Path) -> None:
    packed = zip_model(model_folder, tmp_path / "Neck model.ZIP")
    assert install_model(store, packed).name == "Neck model"
    other = make_model(tmp_path / "others", seed=3)
    store.remove("neck-model")
    first, second = (install_model(store, each, name="Ärzte & Co", kind="foundation") for each in (model_folder, other))
    assert first.name == second.name == "Ärzte & Co"
    assert (first.id, second.id) == ("arzte-co", "arzte-co-2")


def test_a_relative_path_gives_a_name(store: ModelStore, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(model_folder)
    assert install_model(store, Path()).name == STOCK_FOLDER


def test_weights_with_prefixes_of_ddp_and_compile_fit(tmp_path: Path, store: ModelStore) -> None:
    content = tiny_models.tiny_checkpoint(tiny_models.tiny_plans())
    content["network_weights"] = {f"module._orig_mod.{key}": v for key, v in content["network_weights"].items()}
    torch.save(content, tmp_path / "checkpoint_final.pth")
    model = install_model(store, tmp_path / "checkpoint_final.pth")
    assert not any(key.startswith(("module.", "_orig_mod.")) for key in weights_of(model.checkpoint("all")))


def test_models_are_kept_in_the_orientation_of_the_reader_they_were_trained_with(
    tmp_path: Path, store: ModelStore
) -> None:
    orientations = {}
    for reader in ("SimpleITKIO", "NibabelIO", "NibabelIOWithReorient", "SimpleITKIOWithReorient"):
        plans = {**tiny_models.tiny_plans(), "image_reader_writer": reader}
        folder = make_model(tmp_path / reader, plans=plans)
        orientations[reader] = install_model(store, folder).card.orientation
    assert orientations == {
        "SimpleITKIO": "LPS", "NibabelIO": "LPS", "NibabelIOWithReorient": "RAS", "SimpleITKIOWithReorient": "RAS",
    }  # fmt: skip


# Refusals


def evil_folder(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    folder = make_model(tmp_path / "results")
    path = folder / "fold_0" / "checkpoint_final.pth"
    content = torch.load(path, weights_only=False)
    change(content)
    torch.save(content, path)
    return folder


@pytest.mark.parametrize("kind", ["folder", "zip", "bare"])
@pytest.mark.parametrize("place", ["logging", "init_args", "network_weights"])
def test_code_in_a_checkpoint_is_named_and_not_run(tmp_path: Path, store: ModelStore, kind: str, place: str) -> None:
    victim = tmp_path / "victim"
    folder = evil_folder(tmp_path, lambda content: content[place].update(evil=Payload(victim)))
    source = folder
    if kind == "zip":
        source = zip_model(folder, tmp_path / "evil.zip")
    elif kind == "bare":
        source = shutil.copy(folder / "fold_0" / "checkpoint_final.pth", tmp_path / "checkpoint_final.pth")
    error = refused(store, source)
    assert "checkpoint_final.pth" in error.what
    assert "mkdir" in error.why
    assert not victim.exists()


def test_code_in_the_second_fold_leaves_nothing_of_the_first(tmp_path: Path, store: ModelStore) -> None:
    folder = make_model(tmp_path / "results", folds=(0, 1))
    torch.save({"network_weights": {}, "x": Payload(tmp_path / "v")}, folder / "fold_1" / "checkpoint_final.pth")
    refused(store, folder)
    assert not list(store.root.iterdir())


@pytest.mark.parametrize("kind", ["folder", "bare"])
def test_names_in_plans_that_would_be_imported_are_refused(tmp_path: Path, store: ModelStore, kind: str) -> None:
    plans = tiny_models.tiny_plans()
    architecture = plans["configurations"][CONFIGURATION]["architecture"]
    if kind == "folder":
        source = make_model(tmp_path / "results")
        architecture["network_class_name"] = "antigravity.geohash"
        (source / "plans.json").write_text(json.dumps(plans))
    else:
        content = tiny_models.tiny_checkpoint(plans)
        architecture["arch_kwargs"]["nonlin"] = "antigravity.geohash"
        source = tmp_path / "checkpoint_final.pth"
        torch.save(content, source)
    assert "antigravity.geohash" in refused(store, source).why


@pytest.mark.parametrize("name", ["../evil.json", "/tmp/lnsegfm-evil.json", "a/../../evil.json", "C:/evil.json"])
def test_zip_entries_that_point_elsewhere_are_refused(
    tmp_path: Path, store: ModelStore, model_folder: Path, name: str
) -> None:
    packed = zip_model(model_folder, tmp_path / "model.zip")
    with zipfile.ZipFile(packed, "a") as writer:
        writer.writestr(name, "{}")
    assert name in refused(store, packed).why
    assert not list(tmp_path.rglob("*evil*"))
    assert not Path("/tmp/lnsegfm-evil.json").exists()


def test_a_link_in_a_zip_is_refused(tmp_path: Path, store: ModelStore, model_folder: Path) -> None:
    packed = zip_model(model_folder, tmp_path / "model.zip")
    link = zipfile.ZipInfo(f"{DATASET_NAME}/{STOCK_FOLDER}/fold_1")
    link.create_system, link.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(packed, "a") as writer:
        writer.writestr(link, "/etc")
    assert "link" in refused(store, packed).why


def test_a_zip_of_endless_files_is_refused_and_its_temporary_folder_is_gone(
    tmp_path: Path, store: ModelStore, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setattr(archive, "MAXIMUM_ENTRIES", 3)
    refused(store, zip_model(model_folder, tmp_path / "model.zip"))
    assert not list(temporary.iterdir())


def test_a_missing_and_a_misshapen_tensor_are_named_with_shapes(tmp_path: Path, store: ModelStore) -> None:
    def change(content: dict[str, Any]) -> None:
        del content["network_weights"]["encoder.stages.1.0.convs.0.conv.weight"]
        content["network_weights"]["decoder.seg_layers.0.weight"] = torch.zeros(5, 3, 1, 1, 1)

    error = refused(store, evil_folder(tmp_path, change))
    assert "checkpoint_final.pth" in error.what
    assert "'encoder.stages.1.0.convs.0.conv.weight' is missing (expected shape 3x2x3x3x3)" in error.why
    assert "'decoder.seg_layers.0.weight' has shape 5x3x1x1x1, expected 2x3x1x1x1" in error.why


def test_plans_of_another_architecture_are_refused(tmp_path: Path, store: ModelStore) -> None:
    folder = make_model(tmp_path / "results")
    (folder / "plans.json").write_text(json.dumps(tiny_models.tiny_plans(RESIDUAL)))
    assert "is missing" in refused(store, folder).why


@pytest.mark.parametrize("axes", ["abc", 7, (0, 1, 5), (0.5,), [[0]], (-1,), (0, 0)])
def test_impossible_mirroring_axes_are_refused(tmp_path: Path, store: ModelStore, axes: Any) -> None:
    folder = evil_folder(tmp_path, lambda content: content.update(inference_allowed_mirroring_axes=axes))
    assert "mirroring" in refused(store, folder).why


def test_a_model_that_was_trained_without_mirroring_installs(tmp_path: Path, store: ModelStore) -> None:
    folder = evil_folder(tmp_path, lambda content: content.update(inference_allowed_mirroring_axes=None))
    assert load_checkpoint(install_model(store, folder).checkpoint("0"))["inference_allowed_mirroring_axes"] is None


def test_a_bare_checkpoint_without_plans_is_refused(tmp_path: Path, store: ModelStore) -> None:
    path = bare_checkpoint(tmp_path / "checkpoint_final.pth", with_init_args=False)
    assert "init_args" in refused(store, path).why


@pytest.mark.parametrize("value", [7, "text", {"configurations": torch.ones(1)}, {1: 2}])
def test_a_bare_checkpoint_whose_plans_are_no_plans_is_refused(tmp_path: Path, store: ModelStore, value: Any) -> None:
    content = tiny_models.tiny_checkpoint(tiny_models.tiny_plans())
    content["init_args"]["plans"] = value
    torch.save(content, tmp_path / "checkpoint_final.pth")
    refused(store, tmp_path / "checkpoint_final.pth")


def test_plans_that_hold_more_than_json_are_refused(tmp_path: Path, store: ModelStore) -> None:
    content = tiny_models.tiny_checkpoint(tiny_models.tiny_plans())
    content["init_args"]["plans"]["extra"] = torch.ones(1)
    torch.save(content, tmp_path / "checkpoint_final.pth")
    assert "JSON" in refused(store, tmp_path / "checkpoint_final.pth").why


def test_files_that_are_no_models_are_refused(tmp_path: Path, store: ModelStore, model_folder: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK\x03\x04 and nothing more")
    html = tmp_path / "checkpoint_final.pth"
    html.write_text("<html>quota exceeded</html>")
    other = tmp_path / "other.zip"
    with zipfile.ZipFile(other, "w") as writer:
        writer.writestr("readme.txt", "hello")
    for source, word in (
        (empty, "plans.json"), (text, "neither"), (tmp_path / "gone", "not exist"), (broken, ""), (html, ""),
        (other, "plans.json"),
    ):  # fmt: skip
        assert word in refused(store, source).why


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '"text"', "\udcff"])
@pytest.mark.parametrize("name", ["plans.json", "dataset.json"])
def test_unreadable_descriptions_are_refused_by_name(
    tmp_path: Path, store: ModelStore, name: str, content: str
) -> None:
    folder = make_model(tmp_path / "results")
    (folder / name).write_text(content, errors="surrogateescape", encoding="utf-8")
    error = refused(store, folder)
    assert name in f"{error.what} {error.why}"


def test_a_missing_dataset_description_is_taken_from_the_checkpoint(tmp_path: Path, store: ModelStore) -> None:
    folder = make_model(tmp_path / "results")
    (folder / "dataset.json").unlink()
    assert install_model(store, folder).files["dataset.json"]


# Stock nnU-Net


def test_stock_nnunet_loads_the_installed_folder(tmp_path: Path, store: ModelStore) -> None:
    pytest.importorskip("nnunetv2.inference.predict_from_raw_data", reason="nnU-Net's predictor cannot be imported")
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    source = make_model(tmp_path / "results", folds=(0, 1), trainer="nnUNetTrainer_DGST")
    model = install_model(store, source)
    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    try:
        predictor.initialize_from_trained_model_folder(str(model.path), None)
    except (ImportError, RuntimeError) as error:
        if "torchvision" in str(error):
            pytest.skip(f"stock nnU-Net imports all trainers, and one of them a broken torchvision: {error}")
        raise
    expected = weights_of(source / "fold_0" / "checkpoint_final.pth")
    assert all(torch.equal(predictor.list_of_parameters[0][name], value) for name, value in expected.items())
    assert predictor.configuration_manager.patch_size == tiny_models.PATCH


def test_stock_nnunet_installs_our_export_and_we_install_it_again(tmp_path: Path, store: ModelStore) -> None:
    from nnunetv2.model_sharing import model_import

    model = install_model(store, make_model(tmp_path / "results", folds=(0, 1)))
    packed = tmp_path / "export.zip"
    name = store.export(model.id, packed)
    results = tmp_path / "nnUNet_results"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_import, "nnUNet_results", str(results))
        model_import.install_model_from_zip_file(str(packed))
    folder = results / name.folder
    assert folder.parent.name == DATASET_NAME
    assert (folder / "fold_1" / "checkpoint_final.pth").read_bytes() == model.checkpoint("1").read_bytes()
    assert {path.name for path in folder.glob("*.json")} == {"plans.json", "dataset.json", "model.json"}
    again = install_model(store, packed)
    assert again.files["plans.json"] == model.files["plans.json"]
    assert_same(again.checkpoint("0"), model.checkpoint("0"))


def test_what_a_strangers_dataset_json_tells_of_cases_is_not_kept(tmp_path: Path) -> None:
    model = make_model(tmp_path / "results")
    description = json.loads((model / "dataset.json").read_text())
    (model / "dataset.json").write_text(json.dumps({**description, "training": ["Jane_Doe_1970.nii.gz"]}))
    installed = install_model(ModelStore(tmp_path / "models"), model)
    assert all(b"Jane_Doe" not in path.read_bytes() for path in installed.path.rglob("*") if path.is_file())


# Models that LN-Seg-FM has exported


@pytest.fixture
def exported(tmp_path: Path, model_folder: Path) -> tuple[Path, ModelInfo, ModelInfo]:
    """An exported model with its parent, as (folder with both zips, parent, child)."""
    store = ModelStore(tmp_path / "origin")
    parent = install_model(store, model_folder, name="Neck")

    def fill(staging: Path) -> ModelCard:
        other = make_model(tmp_path / "other", seed=5)
        source = install_model(ModelStore(tmp_path / "aside"), other)
        shutil.copytree(source.path, staging, dirs_exist_ok=True, ignore=shutil.ignore_patterns("model.json"))
        return replace(
            source.card, name="Neck, ours", kind="adapted", orientation="RAS", parent=parent.id,
            parent_sha256=parent.sha256, lineage={"method": "dgst", "cases": ["case-0001"]},
            metrics={"mean": {"before": {"dsc": 0.5}, "after": {"dsc": 0.6}}},
        )

    child = store.add("neck-ours", fill)
    packed = tmp_path / "packed"
    packed.mkdir()
    for model in (parent, child):
        store.export(model.id, packed / f"{model.id}.zip")
    return packed, parent, child


def test_an_exported_model_keeps_its_identity(store: ModelStore, exported: tuple[Path, ModelInfo, ModelInfo]) -> None:
    packed, parent, child = exported
    for model in (parent, child):
        found = install(store, packed / f"{model.id}.zip")
        assert found.is_new and not found.note
        assert (found.model.id, found.model.card, found.model.sha256) == (model.id, model.card, model.sha256)
    assert [model.id for model in store.ancestors(child.id)] == [parent.id]


def test_an_id_that_means_another_model_here_is_not_taken_for_the_parent(
    tmp_path: Path, store: ModelStore, exported: tuple[Path, ModelInfo, ModelInfo]
) -> None:
    packed, parent, child = exported
    other = install_model(store, make_model(tmp_path / "stranger", seed=9), name=parent.name)
    assert other.id == parent.id
    again = install_model(store, packed / f"{child.id}.zip")
    assert again.card.parent == "" and again.card.parent_sha256 == parent.sha256
    second = install_model(store, packed / f"{parent.id}.zip")
    assert second.id == f"{parent.id}-2"
    store.remove(again.id)
    assert install_model(store, packed / f"{child.id}.zip").card.parent == second.id


def test_a_demonstration_stays_one(tmp_path: Path, demonstration_home: Home) -> None:
    store = ModelStore(demonstration_home.models)
    model = store.list()[0]
    store.export(model.id, tmp_path / "demo.zip")
    again = install_model(ModelStore(tmp_path / "models"), tmp_path / "demo.zip")
    assert (again.card.kind, again.id, again.sha256) == ("demonstration", model.id, model.sha256)


def test_the_same_model_is_installed_once(
    store: ModelStore, model_folder: Path, exported: tuple[Path, ModelInfo, ModelInfo]
) -> None:
    packed, parent, _child = exported
    first = install(store, packed / f"{parent.id}.zip")
    for source in (packed / f"{parent.id}.zip", model_folder):
        again = install(store, source, name="Another name")
        assert not again.is_new and again.model == first.model
    assert len(store.list()) == 1


def change_card(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        card = json.loads((folder / "model.json").read_text())
        (folder / "model.json").write_text(json.dumps({**card, **changes}))

    return change


def change_weights(folder: Path) -> None:
    path = folder / "fold_0" / "checkpoint_final.pth"
    checkpoint = torch.load(path, weights_only=True)
    next(iter(checkpoint["network_weights"].values())).add_(1)
    torch.save(checkpoint, path)


def hide_something(folder: Path) -> None:
    """A checkpoint that holds more than ours do, with a card that fits it."""
    path = folder / "fold_0" / "checkpoint_final.pth"
    torch.save({**torch.load(path, weights_only=True), "patient": "Jane Doe"}, path)
    card = json.loads((folder / "model.json").read_text())
    card["files"]["fold_0/checkpoint_final.pth"] = sha256(path)
    (folder / "model.json").write_text(json.dumps(card))


def damage(folder: Path) -> None:
    (folder / "model.json").write_text("{")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (change_weights, "SHA-256 differs"),
        (hide_something, "holds more than"),
        (damage, "cannot be read"),
        (change_card(kind="best"), "'kind' must be one of"),
        (change_card(name="a\nb"), "unprintable"),
        (change_card(name="a" * 300), "overlong"),
        (change_card(id="../../elsewhere"), "impossible id"),
        (change_card(id=7), "impossible id"),
        (change_card(parent="../x"), "impossible id"),
        (change_card(parent_sha256="zz"), "impossible SHA-256"),
        (change_card(orientation="LLL"), "voxel order"),
        (change_card(lineage=[1]), "lineage"),
        (change_card(folds=["0", "1"]), "does not list"),
        (change_card(more=1), "'more' is not known"),
        (change_card(files={"../../x": "ab" * 32}), "path"),
    ],
)
def test_a_model_whose_own_description_does_not_hold_is_one_from_elsewhere(
    tmp_path: Path, store: ModelStore, exported: tuple[Path, ModelInfo, ModelInfo],
    change: Callable[[Path], None], reason: str,
) -> None:
    packed, _parent, child = exported
    with zipfile.ZipFile(packed / f"{child.id}.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    folder = next((tmp_path / "unpacked").rglob("plans.json")).parent
    change(folder)
    found = install(store, tmp_path / "unpacked", name="Theirs")
    assert "It is installed as a model from elsewhere" in found.note and reason in found.note
    assert (found.model.card.kind, found.model.id, found.model.card.parent) == ("foundation", "theirs", "")
    assert all(b"Jane Doe" not in path.read_bytes() for path in found.model.path.rglob("*") if path.is_file())
    assert {path.name for path in store.root.iterdir()} == {"theirs", ".lock"}
