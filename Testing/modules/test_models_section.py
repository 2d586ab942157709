"""The section Models: published and installed models, from a server of this test's own and a Drive that is none."""

from __future__ import annotations

import hashlib
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from panel_host import FakeHost, fake_host
from web_server import WebServer, web_server

import standin
from lnsegfm.base.background import Pending, Task
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.home import Home
from lnsegfm.jobs.job_spec import CaseRef, JobSpec
from lnsegfm.jobs.job_store import JobStore
from lnsegfm.jobs.job_writer import JobWriter
from lnsegfm.models.model_card import ModelCard, ModelInfo
from lnsegfm.models.model_store import ModelStore
from lnsegfm.models.model_tree import Branch, dice_change, family_tree
from lnsegfm.models.published.catalogue import published_models
from lnsegfm.models.published.drive import DriveFile, GdownDrive
from lnsegfm.models.published.model_download import ModelDownloads, files_of_model

CONTENT = b"weights" * 100_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
PUBLISHED = ["LN-Seg-FM nnU-Net", "LN-Seg-FM ResEnc M", "LN-Seg-FM ResEnc L", "LN-Seg-FM ResEnc XL",
             "LN-Seg-FM SwinUNETR", "LN-Seg-FM SwinUNETRv2"]  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("LNSEGFM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return Home.default()


@pytest.fixture
def site() -> Iterator[WebServer]:
    with web_server() as site:
        site.files["/model.zip"] = CONTENT
        yield site


@pytest.fixture
def host(home: Home) -> Iterator[FakeHost]:
    with fake_host() as host:
        yield host


def add_model(home: Home, name: str = "Base", **card: Any) -> str:
    def fill(folder: Path) -> ModelCard:
        for file in ("plans.json", "dataset.json", "fold_all/checkpoint_final.pth"):
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text('{"dataset_name": "Dataset001_LN"}')
        values = {"kind": "foundation", **card}
        return ModelCard(name, values.pop("kind"), "PlainConvUNet", "3d_fullres", ("all",), **values)

    return ModelStore(home.models).add(name, fill).id


def add_adapted(home: Home, name: str, parent: str, before: float = 0.21, after: float = 0.65, **card: Any) -> str:
    metrics = {"mean": {"before": {"dsc": before}, "after": {"dsc": after}}}
    lineage = {"method": "dgst"}
    return add_model(home, name, kind="adapted", parent=parent, metrics=metrics, lineage=lineage, **card)


class FakeDrive:
    """A folder of Drive in memory; it can be slow, be cut, and change."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.content = files
        self.fetched: list[str] = []
        self.error: UserError | None = None
        self.slow = False

    def files(self, folder_url: str) -> list[DriveFile]:
        assert folder_url.startswith("https://drive.google.com/drive/folders/")
        return [DriveFile(path, path) for path in self.content]

    def fetch(self, file: DriveFile, target: Path, moved: Any, is_cancelled: Callable[[], bool]) -> None:
        self.fetched.append(file.path)
        content = self.content[file.id]
        moved(len(content) // 2, len(content))
        if self.error is not None:
            raise self.error
        while self.slow:
            if is_cancelled():
                raise Cancelled
            time.sleep(0.01)
        target.write_bytes(content)


def folder_of_the_authors() -> dict[str, bytes]:
    files = {}
    for name in ("nnUNet_org", "ResEncM", "ResEncL", "ResEncXL", "SwinUNETR"):
        for file in ("plans.json", "dataset.json", "fold_all/checkpoint_final.pth", "fold_all/checkpoint_best.pth",
                     "fold_all/progress.png", "fold_all/validation/summary.json"):  # fmt: skip
            files[f"{name}/nnUNetTrainer__nnUNetPlans__3d_fullres/{file}"] = f"{name} {file}".encode()
    return files


class Installer:
    """What the worker does with a model; remembers what it was asked."""

    def __init__(self, home: Home) -> None:
        self.home, self.sources = home, list[str]()

    def __call__(self, source: str) -> Pending:
        self.sources.append(source)

        def install() -> dict[str, str]:
            if not Path(source).exists():
                raise UserError(f"{Path(source).name} cannot be installed as a model.", "It does not exist.")
            return {"model": add_model(self.home, Path(source).stem)}

        return Task(install)


def section_of(host: FakeHost, home: Home, **hooks: Any) -> Any:
    from LNSegFMLib.panels.models.models_section import ModelsSection

    section = host.add(ModelsSection, **{"install": Installer(home), **hooks})
    app = standin.start()
    app.process_events()
    app.click(section.ui.modelsCollapsibleButton)
    return section


def rows(section: Any) -> list[tuple[int, str, str, str]]:
    """(depth, name, DSC, date) of every row."""

    def walk(item: Any, depth: int) -> Iterator[tuple[int, str, str, str]]:
        for index in range(item.childCount()):
            child = item.child(index)
            yield (depth, child.text(0), child.text(1), child.text(2))
            yield from walk(child, depth + 1)

    return list(walk(section.ui.modelTree.invisibleRootItem(), 0))


def choose(section: Any, name: str, top: str = "") -> None:
    def find(item: Any) -> Any:
        for index in range(item.childCount()):
            child = item.child(index)
            found = child if child.text(0) == name else find(child)
            if found is not None:
                return found
        return None

    root = section.ui.modelTree.invisibleRootItem()
    item = find(root) if not top else find(next(root.child(i) for i in (0, 1) if root.child(i).text(0) == top))
    assert item is not None, f"there is no row {name}"
    section.ui.modelTree.setCurrentItem(item)
    standin.start().process_events()


def finish(section: Any) -> None:
    app = standin.start()
    for _ in range(2):  # what follows on one work may be another
        app.wait_until(lambda: not section._bar.busy and not section.host.work, 60, "the work")
        app.process_events()


def publish(monkeypatch: pytest.MonkeyPatch, **entry: Any) -> dict[str, Any]:
    """Let the catalogue hold one model, at an address of this test's server."""
    from LNSegFMLib.panels.models import models_section

    values = {
        "id": "served", "name": "Served", "kind": "foundation", "architecture": "PlainConvUNet", "internal_dice": 0.8,
        "training_vram_gb": 8.0, "patch_size": [80, 112, 224], "supported": True, **entry,
    }  # fmt: skip
    monkeypatch.setattr(models_section, "published_models", lambda: [values])
    return values


class TestTree:
    def test_shows_published_models_with_their_figures(self, host: FakeHost, home: Home) -> None:
        section = section_of(host, home)
        published = [row[1] for row in rows(section) if row[0] == 1]
        assert published == PUBLISHED
        assert (1, "LN-Seg-FM ResEnc L", "0.84", "") in rows(section)
        choose(section, "LN-Seg-FM ResEnc L")
        text = section.ui.modelDetailLabel.text
        assert all(words in text for words in ("DSC 0.8355", "22.6 GB", "80 × 112 × 224", "recorded at the first"))

    def test_models_that_cannot_be_installed_say_why(self, host: FakeHost, home: Home) -> None:
        section = section_of(host, home)
        choose(section, "LN-Seg-FM SwinUNETR")
        assert not section.ui.downloadModelButton.enabled
        assert "MONAI" in section.ui.modelDetailLabel.text

    def test_adapted_models_stand_below_what_they_come_from(self, host: FakeHost, home: Home) -> None:
        base = add_model(home)
        first = add_adapted(home, "First", base)
        add_adapted(home, "Second", first, 0.65, 0.7)
        ModelStore(home.models).set_default(first)
        today = ModelStore(home.models).get(base).created[:10]
        assert rows(section_of(host, home))[:4] == [
            (0, "Installed", "", ""), (1, "Base", "", today), (2, "First (default)", "0.21 → 0.65", today),
            (3, "Second", "0.65 → 0.70", today),
        ]  # fmt: skip

    def test_new_models_appear_and_the_choice_stays(self, host: FakeHost, home: Home) -> None:
        add_model(home)
        section = section_of(host, home)
        choose(section, "Base")
        add_model(home, "Another")
        host.models_changed()
        assert "Another" in [row[1] for row in rows(section)]
        assert section.ui.modelTree.currentItem().text(0) == "Base"

    def test_buttons_fit_what_is_chosen(self, host: FakeHost, home: Home) -> None:
        add_model(home)
        section = section_of(host, home)
        ui = section.ui
        assert not ui.removeModelButton.enabled and not ui.downloadModelButton.enabled
        choose(section, "Base")
        assert ui.removeModelButton.enabled and not ui.downloadModelButton.enabled
        choose(section, "LN-Seg-FM nnU-Net")
        assert not ui.removeModelButton.enabled and ui.downloadModelButton.enabled


class TestDownloadFromDrive:
    def test_model_is_fetched_installed_named_and_chosen(self, host: FakeHost, home: Home) -> None:
        drive, installer = FakeDrive(folder_of_the_authors()), Installer(home)
        section = section_of(host, home, install=installer, drive=drive)
        choose(section, "LN-Seg-FM nnU-Net")
        standin.start().click(section.ui.downloadModelButton)
        finish(section)
        assert sorted(path.rpartition("/")[2] for path in drive.fetched) == [
            "checkpoint_final.pth", "dataset.json", "plans.json"
        ]
        assert all(path.startswith("nnUNet_org/") for path in drive.fetched)
        assert host.errors == [] and len(host.used) == 1
        assert ModelStore(home.models).get(host.used[0]).name == "LN-Seg-FM nnU-Net"
        assert installer.sources == [str(home.root / "downloads" / "ln-seg-fm-nnunet")]
        assert not Path(installer.sources[0]).exists()

    def test_hash_is_recorded_at_the_first_download_and_shown(self, host: FakeHost, home: Home) -> None:
        section = section_of(host, home, drive=FakeDrive(folder_of_the_authors()))
        choose(section, "LN-Seg-FM ResEnc M")
        standin.start().click(section.ui.downloadModelButton)
        finish(section)
        choose(section, "LN-Seg-FM ResEnc M", "Published")
        assert "recorded at the first download" in section.ui.modelDetailLabel.text
        digest = hashlib.sha256(b"ResEncM fold_all/checkpoint_final.pth").hexdigest()
        assert digest in section.ui.modelDetailLabel.toolTip

    @pytest.mark.parametrize(("answer", "installed"), [(False, 1), (True, 2)])
    def test_file_that_is_not_the_recorded_one_is_asked_about(
        self, host: FakeHost, home: Home, answer: bool, installed: int
    ) -> None:
        drive, app = FakeDrive(folder_of_the_authors()), standin.start()
        section = section_of(host, home, drive=drive)
        choose(section, "LN-Seg-FM ResEnc M")
        app.click(section.ui.downloadModelButton)
        finish(section)
        for path in drive.content:
            drive.content[path] += b" new"
        choose(section, "LN-Seg-FM ResEnc M", "Published")
        app.answers.append(answer)
        app.click(section.ui.downloadModelButton)
        finish(section)
        assert "not the file that was downloaded the first time" in app.dialogs[-1][1]
        assert len(ModelStore(home.models).list()) == installed

    def test_cancel_keeps_the_files_that_are_complete(self, host: FakeHost, home: Home) -> None:
        drive, app = FakeDrive(folder_of_the_authors()), standin.start()
        section = section_of(host, home, drive=drive)
        choose(section, "LN-Seg-FM nnU-Net")
        drive.slow = True
        app.click(section.ui.downloadModelButton)
        app.wait_until(lambda: "file 1 of 3" in section.ui.modelsWorkLabel.text, 60, "the progress")
        assert 0 < section.ui.modelsProgressBar.value < 60 and not section.ui.downloadModelButton.enabled
        app.click(section.ui.modelsCancelButton)
        finish(section)
        assert section.ui.modelsWorkLabel.text == "Cancelled." and host.errors == []
        drive.slow = False
        app.click(section.ui.downloadModelButton)
        finish(section)
        assert len(ModelStore(home.models).list()) == 1

    def test_broken_download_goes_on_with_the_files_that_are_missing(self, host: FakeHost, home: Home) -> None:
        drive, app = FakeDrive(folder_of_the_authors()), standin.start()
        entry = next(each for each in published_models() if each["id"] == "ln-seg-fm-nnunet")
        downloads = ModelDownloads(home)
        fetch = drive.fetch

        def fail_at_second(file: DriveFile, target: Path, moved: Any, is_cancelled: Any) -> None:
            if drive.fetched:
                raise UserError("It was cut.")
            fetch(file, target, moved, is_cancelled)

        drive.fetch = fail_at_second  # type: ignore[method-assign]
        with pytest.raises(UserError):
            downloads.fetch(entry, drive)
        first = list(drive.fetched)
        drive.fetch = fetch  # type: ignore[method-assign]
        section = section_of(host, home, drive=drive)
        choose(section, "LN-Seg-FM nnU-Net")
        app.click(section.ui.downloadModelButton)
        finish(section)
        assert len(drive.fetched) == 3 and drive.fetched[:1] == first

    def test_error_of_drive_is_shown(self, host: FakeHost, home: Home) -> None:
        drive = FakeDrive(folder_of_the_authors())
        drive.error = UserError("Google does not give it.")
        section = section_of(host, home, drive=drive)
        choose(section, "LN-Seg-FM nnU-Net")
        standin.start().click(section.ui.downloadModelButton)
        finish(section)
        assert [error.what for error in host.errors] == ["Google does not give it."]
        assert section.ui.modelsWorkLabel.text == "Google does not give it."

    def test_gdown_is_installed_when_it_is_first_needed(
        self, host: FakeHost, home: Home, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from LNSegFMLib.panels.models import model_getter

        asked: list[Any] = []

        def start(log: Path, only: list[str]) -> Task:
            asked.append(only)
            return Task(list)

        monkeypatch.setattr(model_getter, "is_met", lambda requirement: False)
        monkeypatch.setattr(model_getter, "start_installation", start)
        monkeypatch.setattr(model_getter, "GdownDrive", lambda: FakeDrive(folder_of_the_authors()))
        section = section_of(host, home)
        choose(section, "LN-Seg-FM ResEnc XL")
        standin.start().click(section.ui.downloadModelButton)
        finish(section)
        assert asked == [["gdown>=6.5"]] and len(host.used) == 1

    def test_first_model_is_got_by_one_call(self, host: FakeHost, home: Home) -> None:
        section = section_of(host, home, drive=FakeDrive(folder_of_the_authors()))
        section.get_recommended()
        finish(section)
        assert [model.name for model in ModelStore(home.models).list()] == ["LN-Seg-FM nnU-Net"]

    @pytest.mark.parametrize(
        ("model_id", "folder"),
        [("ln-seg-fm-nnunet", "nnUNet_org"), ("ln-seg-fm-resenc-m", "ResEncM"), ("ln-seg-fm-resenc-l", "ResEncL"),
         ("ln-seg-fm-resenc-xl", "ResEncXL")],
    )  # fmt: skip
    def test_each_model_has_files_of_its_own(self, model_id: str, folder: str) -> None:
        entry = next(each for each in published_models() if each["id"] == model_id)
        files = files_of_model(FakeDrive(folder_of_the_authors()).files(entry["download"]), entry)
        assert {file.path.partition("/")[0] for file in files} == {folder}

    def test_folder_that_looks_otherwise_is_described(self) -> None:
        entry = published_models()[1]
        with pytest.raises(UserError, match=r"holds readme\.txt, weights"):
            files_of_model([DriveFile("1", "weights/a.pth"), DriveFile("2", "readme.txt")], entry)

    def test_path_that_leads_out_of_the_folder_is_not_followed(self) -> None:
        with pytest.raises(UserError):
            files_of_model([DriveFile("1", "../../nnUNet/checkpoint_final.pth")], published_models()[0])

    def test_bare_checkpoint_is_installed_as_a_file(self, home: Home) -> None:
        fetched = ModelDownloads(home).fetch(published_models()[1], FakeDrive({"ResEncM/checkpoint_final.pth": b"x"}))
        assert fetched.source.name == "checkpoint_final.pth"


def test_gdowns_errors_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    class FileURLRetrievalError(Exception):
        pass

    def download(**options: Any) -> None:
        assert options["resume"] and not options["use_cookies"]
        raise FileURLRetrievalError("Too many users have viewed or downloaded this file recently")

    module: Any = types.ModuleType("gdown")
    module.download = download
    monkeypatch.setitem(sys.modules, "gdown", module)
    with pytest.raises(UserError, match="limits how often"):
        GdownDrive().fetch(DriveFile("1", "a/b.pth"), tmp_path / "b.pth", lambda done, size: None, lambda: False)


def test_gdown_is_told_of_a_cancel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    def download(**options: Any) -> None:
        options["progress"](10, 100)
        if options["cancel"].is_set():
            raise RuntimeError("cancelled")

    module: Any = types.ModuleType("gdown")
    module.download = download
    monkeypatch.setitem(sys.modules, "gdown", module)
    with pytest.raises(Cancelled):
        GdownDrive().fetch(DriveFile("1", "b.pth"), tmp_path / "b.pth", lambda done, size: None, lambda: True)


class TestDownloadFromServer:
    def test_file_with_a_published_hash_is_fetched(
        self, host: FakeHost, home: Home, site: WebServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        publish(monkeypatch, download=f"{site.address}/model.zip", sha256={"model.zip": DIGEST})
        site.cut_after = [300_000]
        section = section_of(host, home)
        choose(section, "Served")
        assert f"{DIGEST[:12]}..., published" in section.ui.modelDetailLabel.text
        standin.start().click(section.ui.downloadModelButton)
        finish(section)
        assert host.errors == [] and len(host.used) == 1
        assert site.requests[1][1].startswith("bytes=")

    def test_wrong_hash_installs_nothing(
        self, host: FakeHost, home: Home, site: WebServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        publish(monkeypatch, download=f"{site.address}/model.zip", sha256={"model.zip": "ab" * 32})
        installer = Installer(home)
        section = section_of(host, home, install=installer)
        choose(section, "Served")
        standin.start().click(section.ui.downloadModelButton)
        finish(section)
        assert "not the file that was published" in host.errors[0].what and installer.sources == []

    def test_download_is_kept_while_packages_are_missing(
        self, host: FakeHost, home: Home, site: WebServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        publish(monkeypatch, download=f"{site.address}/model.zip")
        host.has_packages = False
        section = section_of(host, home)
        choose(section, "Served")
        app = standin.start()
        app.click(section.ui.downloadModelButton)
        finish(section)
        assert "see Setup" in section.ui.modelsWorkLabel.text
        host.has_packages = True
        app.click(section.ui.downloadModelButton)
        finish(section)
        assert len(site.requests) == 1 and len(host.used) == 1


class TestImport:
    def drop(self, section: Any, *paths: Path) -> None:
        from PySide6 import QtCore, QtGui, QtWidgets

        data = QtCore.QMimeData()
        data.setUrls([QtCore.QUrl.fromLocalFile(str(path)) for path in paths])
        for kind in (QtGui.QDragEnterEvent, QtGui.QDropEvent):
            place = QtCore.QPoint(5, 5) if kind is QtGui.QDragEnterEvent else QtCore.QPointF(5, 5)
            event = kind(
                place, QtCore.Qt.DropAction.CopyAction, data, QtCore.Qt.MouseButton.LeftButton,
                QtCore.Qt.KeyboardModifier.NoModifier,
            )
            QtWidgets.QApplication.sendEvent(section.ui.modelTree.viewport(), event)
            assert event.isAccepted()

    def test_dropped_files_and_folders_are_installed_one_after_the_other(
        self, host: FakeHost, home: Home, tmp_path: Path
    ) -> None:
        (tmp_path / "one.zip").touch()
        (tmp_path / "two").mkdir()
        section = section_of(host, home)
        self.drop(section, tmp_path / "one.zip", tmp_path / "two")
        finish(section)
        assert [model.name for model in ModelStore(home.models).list()] == ["one", "two"]
        assert [row[1] for row in rows(section)][:3] == ["Installed", "one", "two"]

    def test_one_that_cannot_be_installed_does_not_stop_the_others(
        self, host: FakeHost, home: Home, tmp_path: Path
    ) -> None:
        (tmp_path / "good.zip").touch()
        section = section_of(host, home)
        self.drop(section, tmp_path / "absent.zip", tmp_path / "good.zip")
        finish(section)
        assert [model.name for model in ModelStore(home.models).list()] == ["good"]
        assert len(host.errors) == 1

    def test_menu_asks_for_a_file(self, host: FakeHost, home: Home, tmp_path: Path) -> None:
        (tmp_path / "model.pth").touch()
        app, section = standin.start(), section_of(host, home)
        app.answers.append(str(tmp_path / "model.pth"))
        section.ui.importModelButton.menu().actions()[0].trigger()
        finish(section)
        assert len(host.used) == 1 and section.ui.modelsWorkLabel.text == "The model is installed."

    def test_the_same_model_twice_is_said(self, host: FakeHost, home: Home, tmp_path: Path) -> None:
        (tmp_path / "again.zip").touch()
        installed = add_model(home, "ours")
        answer = {"model": installed, "name": "ours", "is_new": False, "note": ""}
        section = section_of(host, home, install=lambda source: Task(lambda: answer))
        self.drop(section, tmp_path / "again.zip")
        finish(section)
        assert section.ui.modelsWorkLabel.text == f"The same model is already installed as 'ours' ({installed})."
        assert host.used == [installed]

    def test_why_a_models_own_description_was_not_used_is_said(
        self, host: FakeHost, home: Home, tmp_path: Path
    ) -> None:
        (tmp_path / "other.zip").touch()
        answer = {"model": add_model(home, "other"), "name": "other", "is_new": True, "note": "It is foreign."}
        section = section_of(host, home, install=lambda source: Task(lambda: answer))
        self.drop(section, tmp_path / "other.zip")
        finish(section)
        assert section.ui.modelsWorkLabel.text == "The model is installed. It is foreign."

    def test_using_a_rejected_model_is_asked_about(self, host: FakeHost, home: Home) -> None:
        store = ModelStore(home.models)
        store.reject(add_model(home, "ours"))
        app, section = standin.start(), section_of(host, home)
        choose(section, "ours (rejected)")
        assert "rejected" in section.ui.modelDetailLabel.text
        app.answers.extend([False, True])
        section.on_use()
        assert host.used == []
        section.on_use()
        assert host.used == [store.list()[0].id]

    def test_dialog_that_is_cancelled_does_nothing(self, host: FakeHost, home: Home) -> None:
        section = section_of(host, home)
        section.ui.importModelButton.menu().actions()[1].trigger()
        assert not section._bar.busy and host.errors == []


class TestInstalled:
    def test_use_chooses_the_model(self, host: FakeHost, home: Home) -> None:
        model_id = add_model(home)
        section = section_of(host, home)
        choose(section, "Base")
        standin.start().click(section.ui.useModelButton)
        assert host.used == [model_id]

    def test_rename_changes_the_name_alone(self, host: FakeHost, home: Home) -> None:
        base = add_model(home)
        child = add_adapted(home, "Child", base)
        digest = ModelStore(home.models).get(base).sha256
        app, section = standin.start(), section_of(host, home)
        choose(section, "Base")
        app.answers.append("  Clinic's own ")
        app.click(section.ui.renameModelButton)
        assert rows(section)[1][:2] == (1, "Clinic's own") and rows(section)[2][:2] == (2, "Child")
        renamed = ModelStore(home.models).verify(base)
        assert renamed.sha256 == digest and ModelStore(home.models).descendants(base)[0].id == child
        assert host.changes == 1

    def test_name_cannot_be_empty(self, host: FakeHost, home: Home) -> None:
        model_id = add_model(home)
        app, section = standin.start(), section_of(host, home)
        choose(section, "Base")
        app.answers.append("  ")
        app.click(section.ui.renameModelButton)
        with pytest.raises(UserError, match="name is empty"):
            ModelStore(home.models).rename(model_id, " ")
        assert ModelStore(home.models).get(model_id).name == "Base"

    def test_verify_finds_a_changed_file(self, host: FakeHost, home: Home) -> None:
        model_id = add_model(home)
        app, section = standin.start(), section_of(host, home)
        choose(section, "Base")
        app.click(section.ui.verifyModelButton)
        finish(section)
        assert section.ui.modelsWorkLabel.text == "All 3 files are unchanged since installation."
        (home.models / model_id / "plans.json").write_text("{}")
        app.click(section.ui.verifyModelButton)
        finish(section)
        assert "damaged" in host.errors[0].what and "plans.json" in host.errors[0].why

    def test_export_writes_a_zip_for_stock_nnunet(self, host: FakeHost, home: Home, tmp_path: Path) -> None:
        add_model(home)
        app, section = standin.start(), section_of(host, home)
        choose(section, "Base")
        app.answers.append(str(tmp_path / "out"))
        app.click(section.ui.exportModelButton)
        finish(section)
        with zipfile.ZipFile(tmp_path / "out.zip") as archive:
            plans = next(name for name in archive.namelist() if name.endswith("plans.json"))
        assert plans.startswith("Dataset001_LN/nnUNetTrainer__nnUNetPlans_base_")
        assert section.ui.modelsWorkLabel.text == "The model was exported."

    def test_export_says_that_adapters_need_this_extension(self, host: FakeHost, home: Home, tmp_path: Path) -> None:
        add_model(home, stock=False)
        app, section = standin.start(), section_of(host, home)
        choose(section, "Base")
        app.answers.append(False)
        app.click(section.ui.exportModelButton)
        assert "adapters" in app.dialogs[-1][1] and not section._bar.busy

    def test_remove_warns_of_descendants(self, host: FakeHost, home: Home) -> None:
        base = add_model(home)
        add_adapted(home, "Grandchild", add_adapted(home, "Child", base))
        app, section = standin.start(), section_of(host, home)
        choose(section, "Base")
        app.answers.append(False)
        app.click(section.ui.removeModelButton)
        assert "Child, Grandchild" in app.dialogs[-1][1]
        assert len(ModelStore(home.models).list()) == 3
        app.click(section.ui.removeModelButton)
        assert [row[:2] for row in rows(section)][:3] == [(0, "Installed"), (1, "Child"), (2, "Grandchild")]

    def test_model_that_segments_is_not_removed(self, host: FakeHost, home: Home) -> None:
        add_model(home)
        app = standin.start()
        section = section_of(host, home, in_use=lambda model_id: f"It segments with {model_id}.")
        choose(section, "Base")
        app.click(section.ui.removeModelButton)
        assert host.errors[0].why == "It segments with base." and app.dialogs == []
        assert len(ModelStore(home.models).list()) == 1

    def test_model_of_a_running_job_is_not_removed(self, host: FakeHost, home: Home) -> None:
        add_model(home)
        job = JobStore(home.jobs).create(JobSpec("base", "ab", (CaseRef("case-0001", 1),)))
        app, section = standin.start(), section_of(host, home)
        choose(section, "Base")
        with JobWriter(job.path):
            app.click(section.ui.removeModelButton)
        assert job.id in host.errors[0].why and len(ModelStore(home.models).list()) == 1


def info(model_id: str, parent: str = "", metrics: dict[str, Any] | None = None) -> ModelInfo:
    card = ModelCard(model_id, "adapted", "X", "3d", ("all",), parent=parent, metrics=metrics or {})
    return ModelInfo(model_id, Path(), card, "2026", {})


def ids(branches: list[Branch]) -> list[str]:
    return [name for branch in branches for name in (branch.model.id, *ids(list(branch.children)))]


@settings(max_examples=50)
@given(st.lists(st.integers(-1, 7), max_size=8))
def test_no_model_is_lost_from_the_tree_whatever_the_cards_say(parents: list[int]) -> None:
    models = [info(str(number), "" if parent < 0 else str(parent)) for number, parent in enumerate(parents)]
    assert sorted(ids(family_tree(models))) == sorted(model.id for model in models)


@pytest.mark.parametrize("metrics", [{}, {"mean": None}, {"mean": {"before": {"dsc": "x"}}}, {"mean": {"before": 1}}])
def test_metrics_that_are_not_there_are_no_change(metrics: dict[str, Any]) -> None:
    assert dice_change(info("a", metrics=metrics)) is None
