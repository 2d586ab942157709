"""Exported models side by side in stock nnU-Net: the printed line finds each, and identity survives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import SimpleITK as sitk

import tiny_models
from lnsegfm.engine.networks.model_install import install, install_model
from lnsegfm.models.model_card import ModelCard, ModelInfo
from lnsegfm.models.model_store import ModelStore
from lnsegfm.models.stock_names import StockName, renamed, stock_name
from tiny_models import make_model, zip_model

PREDICT = "from nnunetv2.inference.predict_from_raw_data import predict_entry_point as run; run()"
INSTALL = "from nnunetv2.model_sharing.entry_points import install_from_zip_entry_point as run; run()"


@pytest.fixture
def family(tmp_path: Path) -> tuple[ModelStore, list[ModelInfo]]:
    """A foundation model and two models of the same plans, with other weights."""
    store = ModelStore(tmp_path / "models")
    base = install_model(store, make_model(tmp_path / "results", folds=("all",)), name="Base")
    models = [base]
    for seed in (1, 2):
        other = make_model(tmp_path / f"results-{seed}", folds=("all",), seed=seed)
        source = install_model(ModelStore(tmp_path / f"aside-{seed}"), other)

        def fill(staging: Path, source: ModelInfo = source) -> ModelCard:
            shutil.copytree(source.path, staging, dirs_exist_ok=True, ignore=shutil.ignore_patterns("model.json"))
            return replace(source.card, name="Ours", kind="adapted", parent=base.id, parent_sha256=base.sha256)

        models.append(store.add("ours", fill))
    return store, models


def stock(code: str, *arguments: str, results: Path) -> str:
    """Run an entry point of stock nnU-Net in a process of its own."""
    folders = {name: str(results) for name in ("nnUNet_results", "nnUNet_raw", "nnUNet_preprocessed")}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env={**os.environ, **folders}, capture_output=True,
        encoding="utf-8",  # its progress bar, whatever the locale of this process is
        check=False, timeout=300,
    )
    if done.returncode and "torchvision" in done.stderr:
        pytest.skip(f"stock nnU-Net imports all trainers, and one of them a broken torchvision: {done.stderr[-300:]}")
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_base_and_adaptations_live_side_by_side_and_the_printed_line_finds_each(
    family: tuple[ModelStore, list[ModelInfo]], tmp_path: Path
) -> None:
    store, models = family
    results, scans = tmp_path / "nnUNet_results", tmp_path / "scans"
    # The folder that the foundation model has where it was trained; no export may touch it.
    original = Path(shutil.copytree(tmp_path / "results", results)).rglob("checkpoint_final.pth").__next__()
    before = original.read_bytes()
    scans.mkdir()
    sitk.WriteImage(sitk.GaussianSource(sitk.sitkFloat32, (20, 20, 20)), str(scans / "a_0000.nrrd"))
    folders = set()
    for model in models:
        name = store.export(model.id, tmp_path / f"{model.id}.zip")
        folders.add(name.folder)
        stock(INSTALL, str(tmp_path / f"{model.id}.zip"), results=results)
    assert len(folders) == 3 and original.read_bytes() == before
    for model in models:
        words = store.stock_name(model.id).predict_line(str(scans), str(tmp_path / f"out-{model.id}")).split()
        assert words[0] == "nnUNetv2_predict" and words[-2:] == ["-f", "all"]
        stock(PREDICT, *words[1:], "-device", "cpu", "-npp", "0", "-nps", "0", results=results)
        assert (tmp_path / f"out-{model.id}" / "a.nrrd").is_file()
        installed = results / store.stock_name(model.id).folder
        assert (installed / "fold_all" / "checkpoint_final.pth").read_bytes() == model.checkpoint("all").read_bytes()
        # Whoever trains on with these plans writes to a folder of this name, not to the foundation model's.
        assert json.loads((installed / "plans.json").read_text())["plans_name"] == words[words.index("-p") + 1]


def test_an_export_that_stock_nnunet_has_unpacked_keeps_its_identity(
    family: tuple[ModelStore, list[ModelInfo]], tmp_path: Path
) -> None:
    store, models = family
    for model in models:
        name = store.export(model.id, tmp_path / "model.zip")
        with zipfile.ZipFile(tmp_path / "model.zip") as archive:
            archive.extractall(tmp_path / "unpacked")
        folder = tmp_path / "unpacked" / name.folder
        for number, source in enumerate((tmp_path / "model.zip", folder, folder / "fold_all/checkpoint_final.pth")):
            found = install(ModelStore(tmp_path / f"elsewhere-{model.id}-{number}"), source)
            assert (found.note, found.model.sha256) == ("", model.sha256)
        found = install(ModelStore(tmp_path / f"again-{model.id}"), folder)
        assert (found.model.id, found.model.card.name) == (model.id, model.name)
        assert not install(store, folder).is_new


def test_a_name_in_the_plans_that_was_changed_since_makes_it_a_model_from_elsewhere(
    family: tuple[ModelStore, list[ModelInfo]], tmp_path: Path
) -> None:
    store, (model, *_) = family
    name = store.export(model.id, tmp_path / "model.zip")
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        archive.extractall(tmp_path)
    path = tmp_path / name.folder / "plans.json"
    path.write_text(path.read_text().replace('"SimpleITKIO"', '"NibabelIO"'))
    found = install(ModelStore(tmp_path / "other"), tmp_path / name.folder)
    assert "plans.json" in found.note
    card = tmp_path / name.folder / "model.json"
    card.write_text(card.read_text().replace('"plans_name": "nnUNetPlans"', '"plans_name": ["x"]'))
    assert "plans.json" in install(ModelStore(tmp_path / "third"), tmp_path / name.folder).note


def test_several_folds_are_all_named(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    model = install_model(store, make_model(tmp_path / "results", folds=(0, 1, 3)))
    assert store.stock_name(model.id).predict_line().endswith("-c 3d_fullres -f 0 1 3")


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [("Dataset501_SegRap2023", "Dataset501_SegRap2023"), ("501", "Dataset999_LymphNodes"),
     ("Dataset5_X", "Dataset999_LymphNodes"), ("../Dataset501_X", "Dataset999_LymphNodes"),
     (None, "Dataset999_LymphNodes")],
)  # fmt: skip
def test_the_dataset_is_one_that_nnunet_accepts(dataset: str | None, expected: str) -> None:
    from nnunetv2.utilities.dataset_name_id_conversion import convert_dataset_name_to_id, maybe_convert_to_dataset_name

    plans = {"plans_name": "a__b/../c", **({"dataset_name": dataset} if dataset else {})}
    name = stock_name(plans, model_id="ours__2 x", sha256="ab" * 32, configuration="3d_fullres", folds=("0",))
    assert name.dataset == expected == maybe_convert_to_dataset_name(name.dataset)
    assert convert_dataset_name_to_id(name.dataset) in (501, 999)
    assert len(name.folder.partition("/")[2].split("__")) == 3 and name.plans.count("/") == 0


def test_the_folder_is_the_one_that_nnunet_looks_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from nnunetv2.utilities import file_path_utilities

    monkeypatch.setattr(file_path_utilities, "nnUNet_results", str(tmp_path))
    name = StockName("Dataset901_Tiny", "nnUNetPlans_ours_1a2b3c4d", "3d_fullres", ("0", "all"))
    folder = file_path_utilities.get_output_folder(name.dataset, "nnUNetTrainer", name.plans, name.configuration)
    assert Path(folder) == tmp_path / name.folder


def test_plans_that_were_written_otherwise_are_exported_as_they_are() -> None:
    content = json.dumps(tiny_models.tiny_plans()).encode()
    name = StockName("Dataset901_Tiny", "nnUNetPlans_ours", "3d_fullres", ("all",))
    assert renamed(content, name) == (content, {})


def test_an_old_export_without_names_is_still_recognised(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    model = install_model(store, make_model(tmp_path / "results"))
    old = tmp_path / "old" / "Dataset901_TinyLymphNodes" / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    shutil.copytree(model.path, old)
    zip_model(old, tmp_path / "old.zip")
    found = install(ModelStore(tmp_path / "other"), tmp_path / "old.zip")
    assert (found.note, found.model.sha256) == ("", model.sha256)
