"""The models of a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.home import Home
from lnsegfm.jobs.job_spec import CaseRef, JobSpec
from lnsegfm.jobs.job_store import JobStore
from lnsegfm.jobs.job_writer import JobWriter
from lnsegfm.models.model_store import ModelStore
from lnsegfm.models.published.drive import DriveFile
from lnsegfm.session import Session
from service_home import BASE, add_model
from tiny_models import make_model, zip_model


def test_a_session_works_on_the_home_it_is_given(own_home: Home, tmp_path: Path) -> None:
    other = Home(tmp_path / "other")
    add_model(own_home, "Ours")
    assert [model.id for model in Session(other).models.list()] == [BASE]
    assert [model.id for model in Session().models.list()] == [BASE, "ours"]


def test_a_session_without_a_home_of_its_own_starts_another_worker_in_another_home(
    own_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Session() as session:
        first = session.worker
        assert session.worker is first and not session.worker_busy
        monkeypatch.setenv("LNSEGFM_HOME", str(tmp_path / "other"))
        assert session.worker is not first


def test_the_models_are_told_with_what_was_decided_on_them(own_home: Home) -> None:
    models = Session().models
    add_model(own_home, "Adapted")
    models.reject(BASE)
    there = models.look()
    assert [model.id for model in there.models] == [BASE, "adapted"]
    assert (there.rejected, there.default, there.accepted) == ({BASE}, "", "")
    models.accept("adapted")
    assert (models.look().default, models.look().accepted) == ("adapted", "adapted")
    assert [model.id for model in models.descendants(BASE)] == ["adapted"]


class TestDefault:
    def test_it_is_the_accepted_one_and_never_a_rejected_or_unaccepted_one(self, own_home: Home) -> None:
        models = Session().models
        assert models.default is not None and models.default.id == BASE
        adapted = add_model(own_home, "Adapted")
        assert models.default.id == BASE
        foundation = add_model(own_home, "Foundation", kind="foundation", parent="")
        assert models.default.id == foundation.id
        models.accept("adap")
        assert models.default.id == adapted.id == models.chosen().id
        models.reject(adapted.id)
        assert models.is_rejected("adapted")
        assert models.default.id == BASE

    def test_without_a_usable_one_it_says_what_to_do(self, own_home: Home) -> None:
        models = Session().models
        models.remove(BASE)
        with pytest.raises(UserError, match=r"no model to begin with.*No model is installed"):
            models.chosen()

    def test_rolling_back_goes_to_the_parent_or_a_named_ancestor(self, own_home: Home) -> None:
        models = Session().models
        add_model(own_home, "First")
        add_model(own_home, "Second", parent="first")
        models.accept("second")
        assert models.roll_back().id == "first"
        assert models.default_id == "first"
        assert models.roll_back("second", to="phantom").id == BASE
        with pytest.raises(UserError, match="nothing to go back to"):
            models.roll_back(BASE)
        with pytest.raises(UserError, match="was not adapted from"):
            models.roll_back("first", to="second")


class TestIds:
    def test_a_beginning_is_enough_where_only_one_has_it(self, own_home: Home) -> None:
        add_model(own_home, "Ours north")
        add_model(own_home, "Ours south")
        models = Session().models
        assert models.get("ours-n").id == "ours-north"
        with pytest.raises(UserError, match="ours-north, ours-south"):
            models.get("ours")
        with pytest.raises(UserError, match="not installed"):
            models.get("theirs")

    def test_a_whole_id_counts_although_another_begins_with_it(self, own_home: Home) -> None:
        add_model(own_home, "Ours")
        add_model(own_home, "Ours")
        assert {model.id for model in Session().models.list()} >= {"ours", "ours-2"}
        assert Session().models.get("ours").id == "ours"


class TestInstall:
    def test_it_is_done_by_the_worker_process_with_all_that_was_asked(self, own_home: Home, tmp_path: Path) -> None:
        source = make_model(tmp_path / "results")
        told: list[str] = []
        with Session() as session:
            found = session.models.install(
                source, name="Ours", orientation="RAS", progress=lambda fraction, text: told.append(text)
            )
            model = found.model
            assert found.is_new
            assert (model.id, model.card.orientation) == ("ours", "RAS")
            with pytest.raises(UserError, match="RRS"):
                session.models.install(source, orientation="RRS")
            with pytest.raises(Cancelled):
                session.models.install(source, is_cancelled=lambda: True)
        assert [each.id for each in ModelStore(own_home.models).list()] == [BASE, "ours"]
        assert "Checking the model" in told

    def test_it_goes_into_the_session_s_home(self, own_home: Home, tmp_path: Path) -> None:
        source, other = make_model(tmp_path / "results"), Home(tmp_path / "other")
        with Session(other) as session:
            model = session.models.install(source).model
        assert model.path.is_relative_to(other.root)

    def test_a_missing_file_is_refused_before_a_process_starts(self, own_home: Home) -> None:
        session = Session(worker_command=["/nowhere"])
        with pytest.raises(UserError, match="does not exist"):
            session.models.install("missing.zip")

    def test_a_published_model_is_downloaded_and_installed_under_its_name(
        self, own_home: Home, tmp_path: Path
    ) -> None:
        archive = zip_model(make_model(tmp_path / "results"), tmp_path / "model.zip")

        class Drive:
            def files(self, folder_url: str) -> list[DriveFile]:
                return [DriveFile("1", "nnUNet/model.zip")]

            def fetch(self, file: DriveFile, target: Path, moved: object, is_cancelled: object) -> None:
                target.write_bytes(archive.read_bytes())

        with Session() as session:
            model = session.models.download("ln-seg-fm-nnunet", drive=Drive()).model
        assert model.name == "LN-Seg-FM nnU-Net"
        assert not list((own_home.root / "downloads").rglob("*.zip"))

    @pytest.mark.parametrize(("published", "said"), [("unknown", "no published"), (BASE, "no published")])
    def test_what_cannot_be_downloaded_is_refused(self, own_home: Home, published: str, said: str) -> None:
        with pytest.raises(UserError, match=said):
            Session().models.download(published)


def test_published_models_name_what_this_version_can_install(own_home: Home) -> None:
    published = {model.id: model for model in Session().models.published()}
    assert published["ln-seg-fm-nnunet"].supported and published["ln-seg-fm-nnunet"].page.startswith("https://")
    assert published[BASE].page == ""


def test_rename_export_and_removal(own_home: Home, tmp_path: Path) -> None:
    models = Session().models
    add_model(own_home, "Ours")
    assert models.rename("our", "Theirs").name == "Theirs"
    written = models.export("ours", tmp_path / "ours.zip")
    assert written.path.is_file() and written.stock
    job = JobStore(own_home.jobs).create(JobSpec("ours", "ab", (CaseRef("case-0001", 1),)))
    with JobWriter(job.path), pytest.raises(UserError, match=f"{job.id} works with it"):
        models.remove("our")
    assert [model.id for model in models.remove(BASE)] == ["ours"]
    assert models.verify("ours").id == "ours"
