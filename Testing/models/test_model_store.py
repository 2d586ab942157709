"""The model store: complete models or none, checked before use, removed and exported whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import new_folder, read_json, sha256, write_atomic, write_json
from lnsegfm.base.home import Home, slug
from lnsegfm.models.model_card import CARD, ModelCard, ModelInfo
from lnsegfm.models.model_store import ModelStore

PLANS = {"dataset_name": "Dataset901_Tiny", "plans_name": "nnUNetPlans"}


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


def card(**changes: Any) -> ModelCard:
    values: dict[str, Any] = {
        "name": "A model", "kind": "foundation", "architecture": "PlainConvUNet", "configuration": "3d_fullres",
        "folds": ("0",),
    }  # fmt: skip
    return ModelCard(**{**values, **changes})


def fill(folder: Path, content: bytes = b"weights", **changes: Any) -> ModelCard:
    """Stands for the engine: the store never looks into these files."""
    result = card(**changes)
    (folder / "plans.json").write_text(json.dumps(PLANS))
    (folder / "dataset.json").write_text("{}")
    for fold in result.folds:
        path = folder / f"fold_{fold}" / "checkpoint_final.pth"
        path.parent.mkdir()
        path.write_bytes(content)
    return result


def added(store: ModelStore, wish: str = "A model", **changes: Any) -> ModelInfo:
    return store.add(wish, lambda folder: fill(folder, **changes))


def edit_card(model: ModelInfo, **changes: Any) -> None:
    path = model.path / CARD
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_an_empty_or_missing_store_lists_nothing(store: ModelStore) -> None:
    assert store.list() == []
    with pytest.raises(UserError, match="Installed: none"):
        store.get("anything")


def test_an_added_model_is_listed_found_and_whole(store: ModelStore) -> None:
    model = added(store, lineage={"job": "job-1", "cases": [["case-0001", 2]]}, metrics={"mean": {"dsc": 0.5}})
    assert store.list() == [model]
    assert store.get(model.id) == model == store.verify(model.id)
    assert (model.id, model.name) == ("a-model", "A model")
    assert model.card.lineage["cases"] == [["case-0001", 2]]
    assert model.files["fold_0/checkpoint_final.pth"] == sha256(model.checkpoint("0"))
    assert set(model.files) == {"plans.json", "dataset.json", "fold_0/checkpoint_final.pth"}


def test_models_are_listed_oldest_first_and_ids_never_clash(store: ModelStore) -> None:
    models = [added(store, "Neck"), added(store, "Axilla"), added(store, "neck!")]
    assert [model.id for model in models] == ["neck", "axilla", "neck-2"]
    assert store.list() == models


def test_models_added_at_the_same_moment_all_survive(store: ModelStore) -> None:
    barrier = threading.Barrier(4, timeout=10)
    errors: list[BaseException] = []

    def slowly(folder: Path) -> ModelCard:
        barrier.wait()
        return fill(folder)

    def work() -> None:
        try:
            store.add("Neck", slowly)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert sorted(model.id for model in store.list()) == ["neck", "neck-2", "neck-3", "neck-4"]


def test_a_failure_while_adding_leaves_nothing(store: ModelStore) -> None:
    def fail(folder: Path) -> ModelCard:
        fill(folder)
        raise UserError("It does not fit.")

    with pytest.raises(UserError, match="does not fit"):
        store.add("Neck", fail)
    assert store.list() == []
    assert not list(store.root.iterdir())


def test_a_model_without_the_files_its_card_names_is_not_added(store: ModelStore) -> None:
    def forget(folder: Path) -> ModelCard:
        result = fill(folder, folds=("0", "1"))
        (folder / "fold_1" / "checkpoint_final.pth").unlink()
        return result

    with pytest.raises(UserError, match="fold_1/checkpoint_final"):
        store.add("Neck", forget)
    assert not list(store.root.iterdir())


def test_unfinished_and_foreign_folders_do_not_count(store: ModelStore) -> None:
    model = added(store)
    (store.root / ".tmp-123").mkdir()
    shutil.copy(model.path / CARD, store.root / ".tmp-123" / CARD)
    (store.root / "half").mkdir()
    (store.root / "half" / "plans.json").write_text("{}")
    (store.root / "notes.txt").write_text("mine")
    assert store.list() == [model]
    for name in (".tmp-123", "half", "notes.txt"):
        with pytest.raises(UserError, match="not installed"):
            store.get(name)


@pytest.mark.parametrize("model_id", ["", ".", "..", "../models/a-model", "a-model/fold_0", "/etc", "nothing"])
def test_ids_that_are_no_model_are_refused_and_the_known_ones_told(store: ModelStore, model_id: str) -> None:
    model = added(store)
    shutil.copy(model.path / CARD, store.root.parent / CARD)
    for use in (store.get, store.verify, store.remove):
        with pytest.raises(UserError, match="a-model") as caught:
            use(model_id)
        assert caught.value.todo
    assert store.verify(model.id)


BAD_CARDS: list[dict[str, Any]] = [
    {"created": None, "files": 5}, {"files": {}}, {"files": {"../../x": "0"}}, {"files": {"/etc/passwd": "0"}},
    {"files": []}, {"folds": None}, {"folds": "0"}, {"folds": ["../0"]}, {"folds": []}, {"surprise": 1},
    {"kind": "unknown"}, {"lineage": 5}, {"name": 7}, {"folds": [7]},
]  # fmt: skip


@pytest.mark.parametrize("changes", BAD_CARDS, ids=str)
def test_a_card_that_cannot_be_right_is_told_and_does_not_hide_other_models(
    store: ModelStore, changes: dict[str, Any]
) -> None:
    bad, good = added(store, "bad"), added(store, "good")
    edit_card(bad, **changes)
    assert store.list() == [good]
    with pytest.raises(UserError, match="'bad' cannot be read") as caught:
        store.get("bad")
    assert caught.value.why
    assert caught.value.todo


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"text"', "[" * 100_000])
def test_a_card_that_is_no_card_is_told(store: ModelStore, text: str) -> None:
    model = added(store)
    (model.path / CARD).write_text(text)
    assert store.list() == []
    with pytest.raises(UserError, match="cannot be read"):
        store.get(model.id)


def test_a_model_whose_card_cannot_be_read_can_be_removed(store: ModelStore) -> None:
    """The error message tells the user to."""
    model = added(store)
    (model.path / CARD).write_text("{")
    store.remove(model.id)
    assert not model.path.exists()


@pytest.mark.parametrize("name", ["plans.json", "dataset.json", "fold_0/checkpoint_final.pth"])
@pytest.mark.parametrize("damage", ["changed", "missing", "truncated"])
def test_a_damaged_file_is_named(store: ModelStore, name: str, damage: str) -> None:
    model = added(store)
    path = model.path / name
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[:-1] if damage == "truncated" else content[:-1] + b"?")
    with pytest.raises(UserError, match=name) as caught:
        store.verify(model.id)
    assert "damaged" in caught.value.what
    assert caught.value.todo


def test_the_sha256_of_a_model_tells_its_content_and_not_its_name(store: ModelStore) -> None:
    first, same, other = (added(store, name, name=name, content=content) for name, content in
                          (("a", b"w"), ("b", b"w"), ("c", b"x")))  # fmt: skip
    assert first.sha256 == same.sha256 != other.sha256
    assert len(first.sha256) == 64


def test_removing_deletes_one_model_and_only_that(store: ModelStore) -> None:
    first, second = added(store, "a"), added(store, "b")
    store.remove(first.id)
    assert store.list() == [second]
    assert [path.name for path in store.root.iterdir() if not path.name.startswith(".")] == ["b"]


def test_descendants_are_found_through_generations(store: ModelStore) -> None:
    base = added(store, "base")
    child = added(store, "child", parent=base.id, kind="adapted")
    grandchild = added(store, "grandchild", parent=child.id, kind="adapted")
    other = added(store, "other")
    assert store.descendants(base.id) == [child, grandchild]
    assert store.descendants(grandchild.id) == store.descendants(other.id) == []


def test_an_export_is_a_zip_with_the_folders_that_nnunet_expects(store: ModelStore, tmp_path: Path) -> None:
    model = added(store, folds=("0", "all"))
    target = tmp_path / "out" / "model.zip"
    store.export(model.id, target)
    inside = f"Dataset901_Tiny/nnUNetTrainer__nnUNetPlans_{model.id}_{model.sha256[:8]}__3d_fullres"
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == {
            f"{inside}/{name}" for name in ("plans.json", "dataset.json", "model.json", "fold_0/checkpoint_final.pth",
                                            "fold_all/checkpoint_final.pth")
        }  # fmt: skip
        assert archive.read(f"{inside}/fold_0/checkpoint_final.pth") == b"weights"
    assert [path.name for path in target.parent.iterdir()] == ["model.zip"]


def test_a_damaged_model_is_not_exported(store: ModelStore, tmp_path: Path) -> None:
    model = added(store)
    model.checkpoint("0").write_bytes(b"other")
    with pytest.raises(UserError, match="damaged"):
        store.export(model.id, tmp_path / "model.zip")
    assert not (tmp_path / "model.zip").exists()


# The bundled model


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    source = ModelStore(tmp_path / "source")
    model = added(source, "phantom", kind="demonstration")
    path = tmp_path / "phantom.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in (*model.files, CARD):
            archive.write(model.path / name, name)
    return path


def test_the_bundled_model_is_installed_once(store: ModelStore, bundle: Path) -> None:
    for _ in range(2):
        store.ensure_bundled(bundle, sha256(bundle), "phantom")
    assert [model.id for model in store.list()] == ["phantom"]
    assert store.verify("phantom").card.kind == "demonstration"
    assert {path.name for path in store.root.iterdir()} == {"phantom", ".lock"}


def test_a_removed_bundled_model_stays_removed(store: ModelStore, bundle: Path) -> None:
    store.ensure_bundled(bundle, sha256(bundle), "phantom")
    store.remove("phantom")
    store.ensure_bundled(bundle, sha256(bundle), "phantom")
    assert store.list() == []


def test_a_bundled_model_that_is_missing_or_changed_is_not_installed(store: ModelStore, bundle: Path) -> None:
    digest = sha256(bundle)
    bundle.write_bytes(bundle.read_bytes() + b"?")
    for path in (bundle, bundle.with_name("gone.zip")):
        with pytest.raises(UserError, match=path.name):
            store.ensure_bundled(path, digest, "phantom")
    assert store.list() == []


# Names and folders


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_display_name_gives_a_portable_folder_name(text: str) -> None:
    name = slug(text)
    assert 1 <= len(name) <= 40
    assert all(letter in "abcdefghijklmnopqrstuvwxyz0123456789-" for letter in name)
    assert name == name.strip("-")


@pytest.mark.parametrize("name", ["CON", "nul", "Aux", "com1", "LPT9", "prn"])
def test_names_that_windows_keeps_for_devices_are_not_used(name: str) -> None:
    assert slug(name) != name.lower()
    assert slug(name).startswith(name.lower())


def test_the_home_is_the_chosen_folder_or_the_platforms(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LNSEGFM_HOME", str(tmp_path / "mine"))
    assert Home.default() == Home(tmp_path / "mine")
    assert Home.default().models == tmp_path / "mine" / "models"
    monkeypatch.delenv("LNSEGFM_HOME")
    if os.name != "nt":
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
        monkeypatch.setattr("sys.platform", "linux")
        assert Home.default().cases == tmp_path / "data" / "LNSegFM" / "cases"


# Files


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "image.nii.gz"
    write_atomic(path, lambda temporary: temporary.write_bytes(b"first"))

    def fail(temporary: Path) -> None:
        assert temporary.parent == path.parent
        assert temporary.name.endswith("image.nii.gz")
        temporary.write_bytes(b"half")
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_atomic(path, fail)
    assert path.read_bytes() == b"first"
    write_atomic(path, lambda temporary: temporary.write_bytes(b"second"))
    assert path.read_bytes() == b"second"
    assert [item.name for item in path.parent.iterdir()] == ["image.nii.gz"]


def test_json_survives_with_letters_of_any_language(tmp_path: Path) -> None:
    value = {"name": "Läsion γ 淋巴结", "numbers": [1, 2.5, None, True]}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value
    assert "γ" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_a_new_folder_appears_when_its_block_ends_and_not_when_it_fails(tmp_path: Path) -> None:
    target = tmp_path / "store" / "one"
    with new_folder(target) as staging:
        (staging / "x").write_text("1")
        assert not target.exists()
    assert (target / "x").read_text() == "1"
    with pytest.raises(RuntimeError), new_folder(tmp_path / "store" / "two") as staging:
        (staging / "x").write_text("1")
        raise RuntimeError
    with pytest.raises(FileExistsError), new_folder(target):
        pass
    assert [item.name for item in (tmp_path / "store").iterdir()] == ["one"]


def test_the_sha256_of_a_large_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    content = os.urandom(3 * 2**20 + 17)
    (tmp_path / "a").write_bytes(content)
    assert sha256(tmp_path / "a") == hashlib.sha256(content).hexdigest()


def test_the_default_model_is_what_was_accepted_last_and_is_still_there(store: ModelStore) -> None:
    assert store.default_id == ""
    base = added(store)
    with pytest.raises(UserError, match="not installed"):
        store.set_default("another")
    store.set_default(base.id)
    assert ModelStore(store.root).default_id == base.id
    store.remove(base.id)
    assert store.default_id == ""


def test_a_rejected_model_stays_and_hands_the_default_to_its_nearest_ancestor(store: ModelStore) -> None:
    base = added(store, "base")
    child = added(store, "child", kind="adapted", parent=base.id)
    grandchild = added(store, "grandchild", kind="adapted", parent=child.id)
    assert [model.id for model in store.ancestors(grandchild.id)] == [child.id, base.id]
    store.set_default(grandchild.id)
    store.reject(child.id)
    store.reject(grandchild.id)
    assert store.default_id == base.id
    assert [store.is_rejected(model.id) for model in store.list()] == [False, True, True]
    store.set_default(grandchild.id)
    assert store.default_id == grandchild.id and not store.is_rejected(grandchild.id)


def test_an_id_is_never_given_again(store: ModelStore) -> None:
    first = added(store)
    store.reject(first.id)
    store.remove(first.id)
    second = added(store)
    assert second.id != first.id and not store.is_rejected(second.id) and not store.is_rejected(first.id)
    store.remove(second.id)
    assert added(store).id not in (first.id, second.id)


def test_a_model_that_names_itself_as_its_parent_has_no_endless_ancestry(store: ModelStore) -> None:
    model = added(store)
    edit_card(model, parent=model.id)
    assert [each.id for each in store.ancestors(model.id)] == [model.id]
