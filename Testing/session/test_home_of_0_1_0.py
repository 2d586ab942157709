"""A home that version 0.1.0 wrote opens as it is: its models, cases, corrections and jobs."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.base.home import Home
from lnsegfm.session import AdaptOptions, Session

WRITTEN = Path(__file__).parent / "home-0.1.0"


@pytest.fixture
def session(tmp_path: Path) -> Session:
    shutil.copytree(WRITTEN, tmp_path / "home")
    return Session(Home(tmp_path / "home"))


def test_models_keep_their_family_and_what_was_decided_on_them(session: Session) -> None:
    models = {model.id: model for model in session.models.list()}
    assert {"base", "ours", "bad"} <= set(models)
    assert (models["ours"].card.parent, models["ours"].card.parent_sha256) == ("base", models["base"].sha256)
    assert session.models.default == models["ours"]
    assert session.models.is_rejected("bad") and not session.models.is_rejected("base")
    for model_id in ("base", "ours", "bad"):
        assert session.models.verify(model_id) == models[model_id]
    assert session.models.roll_back("ours").id == "base"


def test_cases_keep_their_use_and_every_label_version(session: Session) -> None:
    train, holdout = session.cases.list()
    assert [(case.id, case.use, len(case.versions)) for case in (train, holdout)] == [
        ("case-0001", "train", 1), ("case-0002", "holdout", 2),
    ]  # fmt: skip
    image = sitk.ReadImage(str(holdout.image_path))
    first, second = (sitk.GetArrayFromImage(sitk.ReadImage(str(holdout.label_path(number)))) for number in (1, 2))
    assert np.array_equal(first > 0, sitk.GetArrayFromImage(image) > 0)
    assert (first != second).sum() == 1
    assert train.draft_model == "base"


def test_a_ct_that_was_stored_before_is_the_same_case(session: Session) -> None:
    case = session.cases.get("case-0001")
    image, label = (sitk.ReadImage(str(path)) for path in (case.image_path, case.label_path()))
    label[0, 0, 0] = 1
    # It has no air, which is asked about when a CT is new.
    accepted = session.cases.accept(image, label)
    assert (accepted.id, len(accepted.versions)) == ("case-0001", 2)


def test_jobs_are_listed_watched_and_removed(session: Session) -> None:
    jobs = {job.state: job for job in session.jobs.list()}
    assert set(jobs) == {"done", "created"}
    done = session.jobs.view(jobs["done"].id)
    assert (done.status.model_id, done.status.waits_for, len(done.rows)) == ("ours", "", 1)
    assert (done.spec.base_folds, done.spec.compare_with, done.spec.epochs) == ("first", "ensemble", 2)
    session.jobs.remove(jobs["created"].id)
    assert [job.id for job in session.jobs.list()] == [jobs["done"].id]


def test_the_next_adaptation_goes_by_what_was_stored(session: Session) -> None:
    estimate = session.estimate(AdaptOptions(preset="short"))
    assert estimate.model.id == "ours"
    assert [(ref.id, ref.version) for ref in (*estimate.spec.cases, *estimate.spec.holdout)] == [
        ("case-0001", 1), ("case-0002", 2),
    ]  # fmt: skip
    with pytest.raises(UserError, match="was rejected"):
        session.estimate(AdaptOptions(base_model="bad"))
