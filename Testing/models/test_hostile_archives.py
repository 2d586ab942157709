"""Zips of models: what is not needed stays in them, what is needed is no larger than the plans need."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from lnsegfm.base import archive, disk
from lnsegfm.base.errors import UserError
from lnsegfm.engine.networks.model_install import install
from lnsegfm.models.model_store import ModelStore
from tiny_models import CONFIGURATION, DATASET_NAME, make_model, zip_model
from tiny_plans import tiny_plans

INSIDE = f"{DATASET_NAME}/nnUNetTrainer__nnUNetPlans__{CONFIGURATION}"
CHECKPOINT = f"{INSIDE}/fold_0/checkpoint_final.pth"
_MIB = 1 << 20


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    return zip_model(make_model(tmp_path / "results"), tmp_path / "model.zip")


def with_entry(packed: Path, name: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> None:
    """Put an entry into a zip, in place of one of this name."""
    with zipfile.ZipFile(packed) as reader:
        entries = {entry.filename: reader.read(entry) for entry in reader.infolist()}
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as writer:
        for each, old in {**entries, name: content}.items():
            writer.writestr(each, old, method if each == name else zipfile.ZIP_DEFLATED)


def without_entry(packed: Path, name: str) -> None:
    with zipfile.ZipFile(packed) as reader:
        entries = {entry.filename: reader.read(entry) for entry in reader.infolist() if entry.filename != name}
    with zipfile.ZipFile(packed, "w") as writer:
        for each, old in entries.items():
            writer.writestr(each, old)


def written(store: ModelStore, source: Path) -> tuple[list[str], UserError | None]:
    """Install and return the files that were written, and the refusal."""
    files: list[str] = []

    def note(operation: str, path: Path) -> None:
        if operation == "write":
            files.append(path.name)

    with disk.observed(note):
        try:
            install(store, source)
        except UserError as error:
            return files, error
    return files, None


def assert_refused(store: ModelStore, source: Path, *words: str) -> None:
    """It is refused in these words before a checkpoint was unpacked, and leaves nothing behind."""
    files, error = written(store, source)
    assert error is not None
    said = f"{error.what} {error.why}"
    assert all(word in said for word in words)
    assert not [name for name in files if name.endswith(".pth")]
    assert not list(store.root.iterdir())


def test_what_is_not_needed_stays_in_the_zip(store: ModelStore, packed: Path) -> None:
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as writer:
        writer.writestr("padding.bin", bytes(64 * _MIB))
        writer.writestr(f"{INSIDE}/debug.json", b"[" * 20 * _MIB)
        writer.writestr(f"{INSIDE}/fold_0/checkpoint_best.pth", bytes(64 * _MIB))
        writer.writestr("odd.bz2", bytes(100), zipfile.ZIP_BZIP2)
        for number in range(3000):
            writer.writestr(f"{INSIDE}/fold_0/validation/case_{number}.nii.gz", b"not looked at")
    files, error = written(store, packed)
    assert error is None
    unneeded = ("padding", "debug", "fingerprint", "best", "case_")
    assert not [name for name in files if any(word in name for word in unneeded)]
    (model,) = store.list()
    assert {path.name for path in model.path.rglob("*") if path.is_file()} == {
        "plans.json", "dataset.json", "model.json", "checkpoint_final.pth",
    }  # fmt: skip
    assert {path.name for path in store.root.iterdir()} - {".lock"} == {model.id}


def test_a_zip_whose_folder_does_not_tell_the_configuration_installs(tmp_path: Path, store: ModelStore) -> None:
    model = make_model(tmp_path / "results")
    other = tmp_path / "other" / "results" / "neck"
    shutil.copytree(model, other)
    assert install(store, zip_model(other, tmp_path / "neck.zip")).model.card.configuration == CONFIGURATION


def test_a_zip_of_the_model_folder_itself_installs_under_its_own_name(tmp_path: Path, store: ModelStore) -> None:
    model = make_model(tmp_path / "results")
    bare = shutil.make_archive(str(tmp_path / "neck"), "zip", model)
    assert install(store, Path(bare)).model.name == "neck"


def test_a_zip_without_a_dataset_description_is_refused(store: ModelStore, packed: Path) -> None:
    without_entry(packed, f"{INSIDE}/dataset.json")
    assert_refused(store, packed, "model.zip", "dataset.json")


@pytest.mark.parametrize("name", ["plans.json", "dataset.json", "model.json"])
def test_descriptions_of_many_megabytes_are_refused(store: ModelStore, packed: Path, name: str) -> None:
    with_entry(packed, f"{INSIDE}/{name}", json.dumps({"x": "y" * 5 * _MIB}).encode())
    assert_refused(store, packed, "model.zip", name)


@pytest.mark.parametrize("name", ["plans.json", "dataset.json"])
def test_descriptions_that_are_nested_deeply_are_refused(store: ModelStore, packed: Path, name: str) -> None:
    with_entry(packed, f"{INSIDE}/{name}", b'{"x": ' + b"[" * 500 + b"]" * 500 + b"}")
    assert_refused(store, packed, name, "nested")


def test_a_checkpoint_that_is_larger_than_the_plans_need_is_refused(store: ModelStore, packed: Path) -> None:
    with_entry(packed, CHECKPOINT, os.urandom(20 * _MIB), zipfile.ZIP_STORED)
    assert_refused(store, packed, "model.zip", CHECKPOINT, "at most 17 MB are needed")


def test_a_checkpoint_that_unpacks_to_many_times_its_size_is_refused(store: ModelStore, packed: Path) -> None:
    with_entry(packed, CHECKPOINT, bytes(10 * _MIB))
    assert_refused(store, packed, "model.zip", CHECKPOINT, "as no weights do")


def test_the_plans_are_looked_at_before_a_checkpoint_is_unpacked(store: ModelStore, packed: Path) -> None:
    plans = tiny_plans()
    plans["configurations"][CONFIGURATION]["spacing"] = [1e9, 1, 1]
    with_entry(packed, f"{INSIDE}/plans.json", json.dumps(plans).encode())
    assert_refused(store, packed, "plans.json", f"configurations.{CONFIGURATION}.spacing[0]")


def test_a_disk_without_room_is_told_before_a_checkpoint_is_unpacked(
    store: ModelStore, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(total=1, used=1, free=10_000))
    assert_refused(store, packed, "model.zip was not installed", "10 kB are free")


def test_many_folds_are_refused(tmp_path: Path, store: ModelStore) -> None:
    folder = make_model(tmp_path / "results")
    for number in range(1, 40):
        (folder / f"fold_{number}").mkdir()
        shutil.copy(folder / "fold_0" / "checkpoint_final.pth", folder / f"fold_{number}")
    assert_refused(store, zip_model(folder, tmp_path / "model.zip"), "40 folds")
    assert_refused(store, folder, "40 folds")


def test_a_directory_of_many_megabytes_is_not_read(
    store: ModelStore, packed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_LARGEST_DIRECTORY", 100)
    assert_refused(store, packed, "model.zip", "directory is too large")


@pytest.mark.parametrize("copies", [1, 4])
def test_a_checkpoint_with_each_weight_stored_apart_installs(tmp_path: Path, store: ModelStore, copies: int) -> None:
    """Shared weights are usually stored once; who converts a checkpoint stores them under each of their names."""
    folder = make_model(tmp_path / "results")
    path = folder / "fold_0" / "checkpoint_final.pth"
    content = torch.load(path, weights_only=False)
    content["network_weights"] = {name: value.clone() for name, value in content["network_weights"].items()}
    content["optimizer_state"] = [content["optimizer_state"]] * copies
    stream = io.BytesIO()
    torch.save(content, stream)
    path.write_bytes(stream.getvalue())
    assert install(store, zip_model(folder, tmp_path / "model.zip")).is_new
