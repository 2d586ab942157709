"""Which model was adapted from which, when ids and files have changed in between."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lnsegfm.base.errors import UserError
from lnsegfm.models.ancestry import parent_id
from lnsegfm.models.exported_models import settled
from lnsegfm.models.model_card import CARD, ModelCard, ModelInfo
from lnsegfm.models.model_store import ModelStore
from lnsegfm.models.model_tree import Branch, family_tree


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


def added(store: ModelStore, name: str, parent: ModelInfo | None = None, **changes: Any) -> ModelInfo:
    """Add a model of its own content, which its name tells."""
    origin = {} if parent is None else {"parent": parent.id, "parent_sha256": parent.sha256}
    values: dict[str, Any] = {
        "name": name, "kind": "foundation" if parent is None else "adapted", "architecture": "PlainConvUNet",
        "configuration": "3d_fullres", "folds": ("0",), **origin,
    }  # fmt: skip

    def fill(folder: Path) -> ModelCard:
        for file in ("plans.json", "dataset.json", "fold_0/checkpoint_final.pth"):
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(changes.get("content", name))
        return ModelCard(**{**values, **{key: value for key, value in changes.items() if key != "content"}})

    return store.add(name, fill)


def of_0_1_0(model: ModelInfo) -> None:
    """Give a model the card that it would have had before cards told the parent's SHA-256."""
    path = model.path / CARD
    values = json.loads(path.read_text())
    del values["parent_sha256"]
    path.write_text(json.dumps(values))


def put_in_place(store: ModelStore, stranger: ModelInfo, model_id: str) -> None:
    """Bring a model under an id that another one had, as earlier versions did and as a user may by hand."""
    shutil.move(stranger.path, store.root / model_id)


def ids(branches: list[Branch]) -> list[Any]:
    return [(branch.model.id, ids(list(branch.children))) for branch in branches]


def test_a_stranger_with_the_parents_id_is_no_ancestor(store: ModelStore) -> None:
    base = added(store, "base")
    child = added(store, "child", base)
    store.set_default(child.id)
    store.remove(base.id)
    put_in_place(store, added(store, "stranger"), base.id)
    assert store.get(base.id).name == "stranger"
    assert store.ancestors(child.id) == store.descendants(base.id) == []
    assert ids(family_tree(store.list())) == [("child", []), ("base", [])]
    assert parent_id(store.list(), child.card, child.id) == ""
    store.reject(child.id)
    assert store.default_id == "", "A stranger must not become the default."


def test_the_parent_is_found_under_another_id(store: ModelStore) -> None:
    base = added(store, "base")
    child = added(store, "child", base)
    grandchild = added(store, "grandchild", child)
    store.set_default(grandchild.id)
    store.remove(base.id)
    again = added(store, "base")
    assert again.sha256 == base.sha256 and again.id == "base-2"
    assert [model.id for model in store.ancestors(grandchild.id)] == ["child", "base-2"]
    assert [model.id for model in store.descendants("base-2")] == ["child", "grandchild"]
    assert ids(family_tree(store.list())) == [("base-2", [("child", [("grandchild", [])])])]
    store.reject(child.id)
    store.reject(grandchild.id)
    assert store.default_id == "base-2"


def test_cards_without_the_parents_sha256_are_followed_by_id(store: ModelStore) -> None:
    base = added(store, "base")
    child = added(store, "child", base)
    of_0_1_0(child)
    assert [model.id for model in store.ancestors(child.id)] == ["base"]
    assert [model.id for model in store.descendants("base")] == ["child"]
    store.remove("base")
    stranger = added(store, "base", content="something else")
    assert stranger.id == "base-2" and store.ancestors(child.id) == []


def test_an_id_that_an_installed_card_takes_for_its_parents_is_not_given_to_a_stranger(store: ModelStore) -> None:
    elsewhere = ModelStore(store.root.with_name("elsewhere"))
    parent = added(elsewhere, "neck")
    child = added(store, "child", parent)
    of_0_1_0(child)
    assert added(store, "neck").id == "neck-2", "It is not known whether it is that parent."
    other = added(store, "other child", replace(parent, id="axilla"))
    assert added(store, "axilla", content="neck").id == "axilla", "It is that very parent."
    assert [model.id for model in store.ancestors(other.id)] == ["axilla"]


@pytest.mark.parametrize("mark", [".rejected-base", ".removed-base", ".used/base"])
def test_an_id_that_the_store_has_a_mark_of_is_not_given_again(store: ModelStore, mark: str) -> None:
    path = store.root / mark
    path.parent.mkdir(parents=True)
    path.touch()
    model = added(store, "base")
    assert model.id == "base-2" and not store.is_rejected(model.id)


def test_a_child_that_its_adaptation_did_not_change_has_its_parent_and_no_other_one(store: ModelStore) -> None:
    base = added(store, "base")
    first, second = (added(store, name, base, content="base") for name in ("first", "second"))
    assert first.sha256 == second.sha256 == base.sha256
    for model in (first, second):
        assert [each.id for each in store.ancestors(model.id)] == ["base"]
    store.remove("base")
    assert store.ancestors(first.id) == store.ancestors(second.id) == []


def test_an_imported_card_names_the_parent_as_this_store_knows_it(store: ModelStore) -> None:
    base = added(store, "base")
    card = replace(base.card, parent="theirs", parent_sha256=base.sha256)
    assert settled(card, store.list()).parent == "base"
    assert settled(replace(card, parent_sha256="ab" * 32), store.list()).parent == "theirs"
    assert settled(replace(card, parent="base", parent_sha256="ab" * 32), store.list()).parent == ""


def test_a_default_that_version_0_1_0_was_killed_while_rejecting_has_its_heir(store: ModelStore) -> None:
    base = added(store, "base")
    child = added(store, "child", base)
    (store.root / ".default").write_text(child.id)
    (store.root / f".rejected-{child.id}").touch()
    assert store.default_id == base.id and store.is_rejected(child.id)
    store.rename(child.id, "Still rejected")
    store.set_default(base.id)
    assert store.default_id == base.id and store.rejected() == {child.id}
    assert not list(store.root.glob(".rejected-*")) and not (store.root / ".default").exists()


@pytest.mark.parametrize("content", [b"", b"\0" * 64, b"{", b"[]", b'{"default": 3}', b'{"rejected": "base"}'])
def test_no_other_model_takes_the_default_while_the_decisions_cannot_be_read(
    store: ModelStore, content: bytes
) -> None:
    from lnsegfm.models.model_choice import default_model, model_for_segmentation

    base, other = added(store, "base"), added(store, "other")
    store.reject(base.id)
    (store.root / ".decisions.json").write_bytes(content)
    assert store.list() == [base, other] and store.default_id == "" and default_model(store) is None
    with pytest.raises(UserError, match="accepted or rejected") as caught:
        model_for_segmentation(store)
    assert caught.value.todo
    assert "accepted or rejected" in model_for_segmentation(store, other.id)[1][0]
    store.set_default(other.id)
    assert store.problem is None and default_model(store) == other
