"""What is damaged or left over, in the panels of both modules: shown with the reason, and removed by clicks."""

# ruff: noqa: F811 - the fixtures are imported
from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("PySide6")
pytest.importorskip("vtk")

from panel_host import FakeHost, fake_host

import standin
from finetune_panel import Panel, app, case_template, cases, home, opened, panel  # noqa: F401
from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.models.model_card import ModelCard, ModelInfo
from lnsegfm.models.model_store import ModelStore


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("LNSEGFM_HOME", str(tmp_path / "own home"))
    return Home.default()


@pytest.fixture
def host(own: Home) -> Iterator[FakeHost]:
    with fake_host() as host:
        yield host


def add_model(home: Home, name: str, parent: ModelInfo | None = None) -> ModelInfo:
    def fill(folder: Path) -> ModelCard:
        for file in ("plans.json", "dataset.json", "fold_all/checkpoint_final.pth"):
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(f'{{"of": "{name}"}}')
        origin = {} if parent is None else {"parent": parent.id, "parent_sha256": parent.sha256}
        return ModelCard(name, "adapted" if parent else "foundation", "PlainConvUNet", "3d_fullres", ("all",), **origin)

    return ModelStore(home.models).add(name, fill)


def models_section(host: FakeHost) -> Any:
    from LNSegFMLib.panels.models.models_section import ModelsSection

    section = host.add(ModelsSection, install=lambda path: None)
    standin.start().process_events()
    standin.start().click(section.ui.modelsCollapsibleButton)
    return section


def setup_section(host: FakeHost) -> Any:
    from LNSegFMLib.panels.models.setup_section import SetupSection

    section = host.add(SetupSection)
    standin.start().process_events()
    if section.ui.setupCollapsibleButton.collapsed:
        standin.start().click(section.ui.setupCollapsibleButton)
    return section


def installed(section: Any) -> list[str]:
    top = section.ui.modelTree.invisibleRootItem().child(0)
    return [top.child(row).text(0) for row in range(top.childCount())]


def choose(section: Any, name: str) -> None:
    top = section.ui.modelTree.invisibleRootItem().child(0)
    row = next(top.child(row) for row in range(top.childCount()) if top.child(row).text(0) == name)
    section.ui.modelTree.setCurrentItem(row)
    standin.start().process_events()


def test_a_damaged_model_is_listed_with_the_reason_and_can_be_removed(host: FakeHost, own: Home) -> None:
    add_model(own, "Sound")
    (add_model(own, "Bad").path / "model.json").write_bytes(b"\0" * 100)
    app, section = standin.start(), models_section(host)
    assert installed(section) == ["Sound", "bad (damaged)"]
    choose(section, "bad (damaged)")
    ui = section.ui
    assert "cannot be used, only removed" in ui.modelDetailLabel.text and "model.json" in ui.modelDetailLabel.text
    assert ui.removeModelButton.enabled and not ui.useModelButton.enabled and not ui.exportModelButton.enabled
    app.answers.append(False)
    app.click(ui.removeModelButton)
    assert "It is damaged" in app.dialogs[-1][1] and (own.models / "bad").is_dir()
    app.click(ui.removeModelButton)
    assert not (own.models / "bad").exists() and host.changes == 1
    section.update()
    assert installed(section) == ["Sound"]


def test_a_damaged_default_model_is_told(host: FakeHost, own: Home) -> None:
    model = add_model(own, "Ours")
    ModelStore(own.models).set_default(model.id)
    (model.path / "model.json").write_bytes(b"{")
    section = models_section(host)
    assert "The default model 'ours' is damaged." in section.ui.modelDetailLabel.text


def test_a_stranger_with_the_parents_id_is_not_named_as_the_parent(host: FakeHost, own: Home) -> None:
    store, parent = ModelStore(own.models), add_model(own, "Base")
    add_model(own, "Child", parent)
    section = models_section(host)
    choose(section, "Base")
    assert installed(section) == ["Base"], "The child hangs below it."
    store.remove(parent.id)
    add_model(own, "Stranger").path.rename(own.models / parent.id)
    section.update()
    assert installed(section) == ["Child", "Stranger"]
    choose(section, "Child")
    assert "adapted from a model that is not installed" in section.ui.modelDetailLabel.text


def rest_of(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "image.nrrd").write_bytes(b"voxels")
    for path in (folder / "image.nrrd", folder):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    return folder


def wait(section: Any) -> None:
    app = standin.start()
    for _ in range(3):  # what follows on one work may be another
        app.wait_until(lambda: not section._bar.busy and not section.host.work, 60, "the work")
        app.process_events()


def test_setup_deletes_what_a_killed_process_has_left(host: FakeHost, own: Home) -> None:
    rest, app, section = rest_of(own.exchange / ".tmp-abcdef"), standin.start(), setup_section(host)
    app.answers.append(False)
    app.click(section.ui.leftoversButton)
    wait(section)
    assert "patients' images" in app.dialogs[-1][1] and ".tmp-abcdef" in app.dialogs[-1][1] and rest.is_dir()
    app.click(section.ui.leftoversButton)
    wait(section)
    assert not rest.exists() and section.ui.setupWorkLabel.text.startswith("Deleted: 1 ")
    app.click(section.ui.leftoversButton)
    wait(section)
    assert section.ui.setupWorkLabel.text == "Nothing is left over." and host.errors == []


def test_setup_asks_on_its_own_about_removed_cases(host: FakeHost, own: Home) -> None:
    rest, case = rest_of(own.exchange / ".tmp-abcdef"), rest_of(own.cases / ".trash" / "case-0001")
    app, section = standin.start(), setup_section(host)
    app.answers.extend([True, False])
    app.click(section.ui.leftoversButton)
    wait(section)
    assert "in the trash" in app.dialogs[-1][1] and not rest.exists() and case.is_dir()
    app.click(section.ui.leftoversButton)
    wait(section)
    assert not case.exists()


def test_a_damaged_case_is_in_the_table_and_can_be_removed(opened: Panel, cases: CaseStore) -> None:
    ui, path = opened.ui, cases.root / "case-0002" / "case.json"
    path.write_bytes(b"[" * 100_000)
    opened.widget.refresh()
    opened.until(lambda: ui.casesTable.item(2, 1).text() == "damaged", "the damaged case")
    assert ui.casesTable.rowCount == 3 and ui.casesTable.item(2, 0).text() == "case-0002"
    opened.app.select_row(ui.casesTable, 2)
    assert "case-0002 is damaged" in ui.caseDetailsLabel.text and "case.json" in ui.caseDetailsLabel.text
    assert ui.removeCaseButton.enabled and not ui.showCaseButton.enabled
    opened.app.answers.append(False)
    opened.click("removeCaseButton")
    assert "It is damaged" in opened.app.dialogs[-1][1] and path.is_file()
    opened.click("removeCaseButton")
    opened.until(lambda: ui.casesTable.rowCount == 2, "the removal")
    assert not path.exists() and cases.removed == () and len(cases.list()) == 2
