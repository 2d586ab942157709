"""Rejected models are marked in every list, are never the default, and are asked about; adapted ones have own names."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finetune_panel import (  # noqa: F401 - fixtures
    Panel,
    adapted,
    app,
    case_template,
    cases,
    home,
    opened,
    panel,
)
from lnsegfm.base.home import Home
from lnsegfm.cli import main
from lnsegfm.models.model_card import ModelCard, ModelInfo
from lnsegfm.models.model_choice import default_model
from lnsegfm.models.model_names import adapted_name, unique_name
from lnsegfm.models.model_store import ModelStore


def add_child(store: ModelStore, parent: ModelInfo, name: str) -> ModelInfo:
    def fill(folder: Path) -> ModelCard:
        shutil.copytree(parent.path, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("model.json"))
        return replace(parent.card, name=name, kind="adapted", parent=parent.id, parent_sha256=parent.sha256)

    return store.add(name, fill)


def test_names_tell_origin_method_cases_and_date(own_home: Home) -> None:
    store = ModelStore(own_home.models)
    base = store.list()[0]
    first = adapted_name(base, store.list(), "DGST", 5, "2026-11-30")
    assert first == f"{base.name}, DGST, 5 cases, 2026-11-30"
    child = add_child(store, base, unique_name(first, store.list()))
    second = adapted_name(child, store.list(), "DGST", 5, "2026-11-30")
    assert second == first and unique_name(second, store.list()) == f"{first} (2)"
    add_child(store, child, f"{first} (2)")
    assert unique_name(second, store.list()) == f"{first} (3)"
    assert adapted_name(child, store.list(), "LoRA", 1, "2026-12-01").endswith("LoRA, 1 case, 2026-12-01")


def test_the_model_to_begin_with_is_never_a_rejected_one(own_home: Home) -> None:
    store = ModelStore(own_home.models)
    base = store.list()[0]
    child = add_child(store, base, "Ours")
    store.set_default(child.id)
    assert default_model(store) == child
    store.reject(child.id)
    assert default_model(store) == base and store.rejected() == {child.id}
    store.reject(base.id)
    assert default_model(store) is None


def test_the_command_line_marks_and_refuses_rejected_models(
    own_home: Home, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    store = ModelStore(own_home.models)
    child = add_child(store, store.list()[0], "Ours")
    store.reject(child.id)
    assert main(["models", "list"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith(child.id))
    assert line.split()[2] == "rejected"
    assert main(["adapt", "--model", child.id]) != 0
    assert "was rejected after its evaluation" in capsys.readouterr().err
    assert main(["adapt", "--model", child.id, "--rejected"]) != 0
    assert "rejected" not in capsys.readouterr().err  # there are no cases
    target = str(tmp_path / "labels.nrrd")
    (tmp_path / "ct.nrrd").touch()
    assert main(["segment", str(tmp_path / "ct.nrrd"), "-o", target, "--model", child.id]) != 0
    assert "was rejected after its evaluation" in capsys.readouterr().err


def test_a_model_that_is_rejected_leaves_the_plan(opened: Panel, adapted: Any) -> None:  # noqa: F811
    opened.start()
    box = opened.ui.modelComboBox
    opened.choose("modelComboBox", adapted.id)
    opened.click("rejectButton")
    opened.until(lambda: box.currentData != adapted.id, "another base model")
    assert box.itemText(box.findData(adapted.id)) == f"{adapted.name} (rejected)"
    count = len(list(opened.home.jobs.glob("job-*")))
    opened.choose("modelComboBox", adapted.id)
    opened.app.answers.append(False)
    opened.click("startButton")
    assert "was rejected after its evaluation" in opened.app.dialogs[-1][1]
    opened.app.process_events(0.2)
    assert len(list(opened.home.jobs.glob("job-*"))) == count
    opened.click("startButton")
    opened.until(lambda: len(list(opened.home.jobs.glob("job-*"))) == count + 1, "the job")
    opened.until_state("done")


def test_the_model_selector_marks_and_asks(app: Any, own_home: Home) -> None:  # noqa: F811
    from lnsegfm_panel import MODULE

    store = ModelStore(own_home.models)
    base = store.list()[0]
    child = add_child(store, base, "Ours")
    store.reject(child.id)
    widget = app.load_module(MODULE)
    selector = widget.ui.modelSelector
    assert selector.currentData == base.id
    assert selector.itemText(selector.findData(child.id)) == "Ours (rejected)"
    app.choose(selector, "Ours (rejected)")
    app.dialogs.clear()
    app.answers.append(False)
    widget.segment.on_segment()
    assert "was rejected after its evaluation" in app.dialogs[-1][1]
    app.unload_module("LNSegFM")
    app.close_scene()
