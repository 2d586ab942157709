"""Changes of the model store that are killed, or for which the disk is full, at any of their operations."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from cut_short import Cut, Fault, check_all_or_nothing, cut_everywhere
from lnsegfm.base.errors import UserError
from lnsegfm.base.files import sha256
from lnsegfm.models.model_card import CARD, ModelCard, ModelInfo
from lnsegfm.models.model_store import ModelStore

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks processes")
FAULTS: tuple[Fault, ...] = get_args(Fault)


def fill(folder: Path, **changes: Any) -> ModelCard:
    values: dict[str, Any] = {
        "name": "A model", "kind": "adapted", "architecture": "PlainConvUNet", "configuration": "3d_fullres",
        "folds": ("0",),
    }  # fmt: skip
    card = ModelCard(**{**values, **changes})
    for name in ("plans.json", "dataset.json", "fold_0/checkpoint_final.pth"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps({"of": card.name}))
    return card


def child_of(parent: ModelInfo, **changes: Any) -> dict[str, Any]:
    return {"parent": parent.id, "parent_sha256": parent.sha256, **changes}


Snapshot = tuple[list[tuple[str, str, bool]], str]


def seen(store: ModelStore) -> Snapshot:
    """What a user sees: ids, names and rejections of the models, each of them whole, and the default."""
    models = store.list()
    assert not store.damaged() and store.problem is None
    for model in models:
        store.verify(model.id)
    return [(model.id, model.name, store.is_rejected(model.id)) for model in models], store.default_id


@pytest.fixture
def origin(tmp_path: Path) -> ModelStore:
    """Three generations of adapted models; the youngest is the default, and another one is rejected."""
    store = ModelStore(tmp_path / "origin")
    base = store.add("base", lambda folder: fill(folder, name="base", kind="foundation"))
    child = store.add("child", lambda folder: fill(folder, name="child", **child_of(base)))
    store.add("grandchild", lambda folder: fill(folder, name="grandchild", **child_of(child)))
    store.add("bad", lambda folder: fill(folder, name="bad", **child_of(base)))
    store.reject("bad")
    store.set_default("grandchild")
    return store


@pytest.fixture
def fresh(tmp_path: Path, origin: ModelStore) -> Callable[[], ModelStore]:
    """Makes copies of that store."""
    numbers = itertools.count()

    def make() -> ModelStore:
        root = tmp_path / f"copy-{next(numbers)}"
        shutil.copytree(origin.root, root)
        return ModelStore(root)

    return make


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    store = ModelStore(tmp_path / "source")
    model = store.add("phantom", lambda folder: fill(folder, name="phantom", kind="demonstration"))
    path = tmp_path / "phantom.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in (*model.files, CARD):
            archive.write(model.path / name, name)
    return path


def is_rest(name: str) -> bool:
    return name.startswith((".tmp-", ".deleting-"))


def rests(store: ModelStore) -> list[str]:
    return [path.name for path in store.root.iterdir() if is_rest(path.name)]


CHANGES: dict[str, Callable[[ModelStore], object]] = {
    "add": lambda store: store.add("new", lambda folder: fill(folder, name="new")),
    "add the same again": lambda store: store.add("child", lambda folder: fill(folder, name="child"), once=True),
    "rename": lambda store: store.rename("child", "Renamed"),
    "set_default": lambda store: store.set_default("base"),
    "accept a rejected one": lambda store: store.set_default("bad"),
    "reject": lambda store: store.reject("child"),
    "reject the default": lambda store: store.reject("grandchild"),
    "remove": lambda store: store.remove("child"),
    "remove the default": lambda store: store.remove("grandchild"),
    "remove a rejected one": lambda store: store.remove("bad"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_is_cut_short_leaves_the_store_as_before_or_as_after(
    fresh: Callable[[], ModelStore], name: str, fault: Fault
) -> None:
    check_all_or_nothing(fresh, CHANGES[name], seen, fault, check_next_change)


def check_next_change(cut: Cut[ModelStore]) -> None:
    """After a cut, the same can be done again, nothing is born rejected, and what was begun to be deleted goes."""
    store, ids = cut.state, {model.id for model in cut.state.list()}
    assert seen(ModelStore(store.root)) == seen(store)
    new = store.add("grandchild", lambda folder: fill(folder, name="another"))
    assert new.id not in ids | {"base", "child", "grandchild", "bad"}, cut
    assert not store.is_rejected(new.id) and store.default_id != new.id
    assert not [rest for rest in rests(store) if rest.startswith(".deleting-")], cut
    assert new.id not in {model.id for each in store.list() for model in store.ancestors(each.id)}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bundled_model_is_installed_whole_or_not_at_all(tmp_path: Path, bundle: Path, fault: Fault) -> None:
    numbers, digest = itertools.count(), sha256(bundle)

    def install(store: ModelStore) -> None:
        store.ensure_bundled(bundle, digest, "phantom")

    ends = []
    for cut in cut_everywhere(lambda: ModelStore(tmp_path / f"store-{next(numbers)}"), install, fault=fault):
        ends.append([model for model, _, _ in seen(cut.state)[0]])
        assert ends[-1] in ([], ["phantom"])
        install(cut.state)
        assert seen(cut.state) == ([("phantom", "phantom", False)], "")
    assert ends[0] == [] and ends[-1] == ["phantom"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_removed_bundled_model_does_not_come_back(tmp_path: Path, bundle: Path, fault: Fault) -> None:
    numbers, digest = itertools.count(), sha256(bundle)

    def installed() -> ModelStore:
        store = ModelStore(tmp_path / f"store-{next(numbers)}")
        store.ensure_bundled(bundle, digest, "phantom")
        store.reject("phantom")
        return store

    for cut in cut_everywhere(installed, lambda store: store.remove("phantom"), fault=fault):
        before = seen(cut.state)
        cut.state.ensure_bundled(bundle, digest, "phantom")
        assert seen(cut.state) == before, cut
        assert before in (([], ""), ([("phantom", "phantom", True)], "")), cut


def test_what_a_killed_process_was_deleting_goes_with_the_next_change(fresh: Callable[[], ModelStore]) -> None:
    left = 0
    for cut in cut_everywhere(fresh, lambda store: store.remove("child")):
        left += bool(rests(cut.state))
        cut.state.rename("base", "The base")
        assert not rests(cut.state), cut
    assert left > 1


def test_what_a_killed_process_was_adding_goes_with_the_next_model(fresh: Callable[[], ModelStore]) -> None:
    left = 0
    for cut in cut_everywhere(fresh, CHANGES["add"]):
        left += bool(rests(cut.state))
        cut.state.add("new", lambda folder: fill(folder, name="new"))
        assert not [rest for rest in rests(cut.state) if (cut.state.root / rest).is_dir()], cut
    assert left > 1


def test_a_full_disk_leaves_no_half_model(fresh: Callable[[], ModelStore]) -> None:
    for cut in cut_everywhere(fresh, CHANGES["add"], fault="full"):
        assert not rests(cut.state), cut


def test_reading_does_not_wait_for_a_change(fresh: Callable[[], ModelStore], tmp_path: Path) -> None:
    store, inside = fresh(), []

    def slowly(folder: Path) -> ModelCard:
        inside.append(seen(store))
        return fill(folder, name="slow")

    with store._locked():
        assert seen(store)[1] == "grandchild"
    store.add("slow", slowly)
    assert inside[0][1] == "grandchild"


def test_a_change_waits_for_another_and_then_gives_up_with_a_word(
    fresh: Callable[[], ModelStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = fresh()
    monkeypatch.setattr("lnsegfm.models.model_store._WAIT_S", 0.05)
    with store._locked():
        for change in CHANGES.values():
            with pytest.raises(UserError, match="busy"):
                change(store)
    assert seen(store)[1] == "grandchild"


@pytest.fixture(autouse=True)
def no_folders_remain(tmp_path: Path) -> Iterator[None]:
    yield
    for folder in tmp_path.glob("copy-*"):
        shutil.rmtree(folder)
