"""Damaged cases and models hide nothing, are told with the reason by every list, and can be removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from damage import DAMAGE
from lnsegfm.base.errors import UserError
from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.cli import main
from lnsegfm.models.model_choice import default_model, model_for_segmentation
from lnsegfm.models.model_store import ModelStore
from lnsegfm.session import Session
from service_home import BASE, add_model


@pytest.fixture(params=DAMAGE)
def damaged_case(stored_cases: CaseStore, request: pytest.FixtureRequest) -> str:
    DAMAGE[request.param](stored_cases.root / "case-0002" / "case.json")
    return "case-0002"


@pytest.fixture(params=DAMAGE)
def damaged_model(own_home: Home, request: pytest.FixtureRequest) -> str:
    model = add_model(own_home, "Ours")
    DAMAGE[request.param](model.path / "model.json")
    return model.id


def test_a_damaged_case_is_told_and_can_be_removed(own_home: Home, damaged_case: str) -> None:
    cases = Session().cases
    assert [case.id for case in cases.list()] == ["case-0001", "case-0003"]
    (found,) = cases.damaged()
    assert (found.id, found.path.name) == (damaged_case, damaged_case) and "case.json" in found.why
    stored = Session().read_stored()
    assert [each.id for each in stored.damaged_cases] == [damaged_case] and len(stored.cases) == 2
    with pytest.raises(UserError, match=damaged_case):
        cases.get(damaged_case)
    with pytest.raises(UserError, match=damaged_case):
        cases.set_use(["case-0001", damaged_case], "holdout")
    assert cases.get("case-0001").use == "train"
    cases.remove(damaged_case)
    assert cases.damaged() == [] and cases.store.removed == (damaged_case,)
    with pytest.raises(UserError):
        cases.restore(damaged_case)
    assert cases.store.removed == (damaged_case,), "It is refused before anything is moved."
    cases.forget(damaged_case)
    assert not list(own_home.cases.rglob(f"{damaged_case}/*"))


def test_a_damaged_case_can_be_deleted_forever(own_home: Home, damaged_case: str) -> None:
    assert main(["cases", "remove", damaged_case, "--forever"]) == 0
    assert sorted(path.name for path in own_home.cases.glob("case-*")) == ["case-0001", "case-0003"]
    assert not list((own_home.cases / ".trash").iterdir())


def test_the_list_of_cases_names_a_damaged_one(damaged_case: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cases", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(row["id"], row["state"]) for row in rows] == [
        ("case-0001", "sound"), (damaged_case, "damaged"), ("case-0003", "sound")
    ]  # fmt: skip
    assert "case.json" in rows[1]["reason"] and rows[0]["reason"] is None and rows[1]["use"] is None
    assert main(["cases", "list"]) == 0
    assert "damaged: case.json" in capsys.readouterr().out


def test_a_damaged_model_is_told_and_can_be_removed(own_home: Home, damaged_model: str) -> None:
    models = Session().models
    assert [model.id for model in models.list()] == [BASE]
    (found,) = models.damaged()
    assert found.id == damaged_model and "model.json" in found.why
    assert [each.id for each in models.look().damaged] == [damaged_model]
    assert [each.id for each in Session().read_stored().damaged_models] == [damaged_model]
    with pytest.raises(UserError, match=damaged_model):
        models.get(damaged_model)
    assert main(["models", "remove", damaged_model]) == 0
    assert models.damaged() == [] and not (own_home.models / damaged_model).exists()


def test_the_list_of_models_names_a_damaged_one(damaged_model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "list", "--json"]) == 0
    rows = {row["id"]: row for row in json.loads(capsys.readouterr().out)}
    assert (rows[BASE]["state"], rows[damaged_model]["state"]) == ("sound", "damaged")
    assert "model.json" in rows[damaged_model]["reason"] and rows[damaged_model]["name"] is None
    assert main(["models", "list"]) == 0
    assert "damaged" in capsys.readouterr().out


def test_a_damaged_default_model_is_not_replaced_unnoticed(
    own_home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    add_model(own_home, "Foundation", kind="foundation", parent="")
    ours, store = add_model(own_home, "Ours"), ModelStore(own_home.models)
    store.set_default(ours.id)
    (ours.path / "model.json").write_bytes(b"{")
    assert default_model(store) is None
    with pytest.raises(UserError, match="'ours' is damaged") as caught:
        model_for_segmentation(store)
    assert caught.value.todo
    assert main(["models", "list"]) == 0
    assert "'ours' is damaged" in capsys.readouterr().err
    store.remove(ours.id)
    chosen = default_model(store)
    assert chosen is not None and chosen.id == "foundation"


def test_a_damaged_demonstration_model_that_was_removed_comes_back(own_home: Home) -> None:
    path = own_home.models / BASE / "model.json"
    Session().models.reject(BASE)
    path.write_bytes(b"{")
    Session().models.remove(BASE)
    assert [model.id for model in Session().models.list()] == [BASE]
    assert not Session().models.is_rejected(BASE)


@pytest.mark.parametrize("model_id", ["", ".", "..", "../cases", ".used", "notes.txt", "a\0b", "fold/x"])
def test_what_is_no_model_of_the_store_is_not_removed(own_home: Home, model_id: str) -> None:
    (own_home.models / "notes.txt").write_text("mine")
    (own_home.models / ".used").mkdir(exist_ok=True)
    before = sorted(own_home.root.rglob("*"))
    with pytest.raises(UserError, match="not installed"):
        ModelStore(own_home.models).remove(model_id)
    assert sorted(own_home.root.rglob("*")) == before


def test_a_link_in_the_place_of_a_model_is_removed_and_what_it_points_to_stays(
    own_home: Home, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "mine.txt").write_text("mine")
    (own_home.models / "link").symlink_to(tmp_path / "elsewhere")
    ModelStore(own_home.models).remove("link")
    assert (tmp_path / "elsewhere" / "mine.txt").is_file() and not (own_home.models / "link").is_symlink()
