"""Getting ready before the first segmentation: it finds everything loaded, and gives the same labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from lnsegfm.base.background import Progress
from lnsegfm.base.errors import UserError
from lnsegfm.base.home import Home
from lnsegfm.engine.inference import operations
from lnsegfm.engine.inference.operations import Operations
from lnsegfm.jobs.job_store import JobStore
from lnsegfm.phantom import make_case
from lnsegfm.segmentation.segment_options import SegmentOptions
from lnsegfm.session import Session
from lnsegfm.session.segmenting import SegmentChoices

MODEL = "phantom-demonstration"


def never() -> bool:
    return False


def segment(worker: Operations, folder: Path) -> np.ndarray:
    ct, labels = folder / "ct.nrrd", folder / "labels.nrrd"
    if not ct.exists():
        sitk.WriteImage(make_case("source", 7, size=(64, 64, 24), spacing=(2.0, 2.0, 3.0)).ct, str(ct))
    arguments = {**SegmentOptions(MODEL, quality="fast").to_json(), "image": str(ct), "output": str(labels)}
    worker.segment(arguments, lambda progress: None, never)
    return sitk.GetArrayFromImage(sitk.ReadImage(str(labels)))


def test_a_segmentation_finds_the_model_loaded_and_gives_the_same_labels(
    own_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = segment(Operations(own_home), tmp_path)
    assert expected.any()
    made: list[Any] = []
    plain = operations.Predictor
    monkeypatch.setattr(operations, "Predictor", lambda *each: made.append(each) or plain(*each))
    worker, said = Operations(own_home), list[Progress]()
    assert worker.warm_up(SegmentOptions(MODEL, quality="fast").to_json(), said.append, never) == {}
    assert len(made) == 1 and [each.message for each in said] == ["Loading the model"]
    assert np.array_equal(segment(worker, tmp_path), expected)
    assert len(made) == 1


def test_packages_alone_are_imported_without_options(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "Predictor", lambda *each: pytest.fail("a model was loaded"))
    assert Operations(own_home).warm_up({}, lambda progress: None, never) == {}


def test_a_session_is_warm_before_it_is_asked(own_home: Home) -> None:
    with Session(own_home) as session:
        session.warm_up(SegmentChoices(MODEL))
        assert session.worker.busy
        # Whatever comes next waits for it.
        assert session.worker.request("devices").wait(120)["device"]
        assert session.worker.running


def test_a_model_that_is_not_there_is_left_to_the_segmentation(own_home: Home, tmp_path: Path) -> None:
    with Session(own_home) as session:
        session.warm_up(SegmentChoices("nothing"))
        assert not session.worker.running
        sitk.WriteImage(sitk.Image(4, 4, 4, sitk.sitkInt16), str(tmp_path / "ct.nrrd"))
        with pytest.raises(UserError, match="nothing"):
            session.segment(tmp_path / "ct.nrrd", tmp_path / "labels.nrrd", SegmentChoices("nothing"))


def test_memory_is_left_to_a_job(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    class Active:
        active = True

    class Job:
        def status(self) -> Active:
            return Active()

    monkeypatch.setattr(JobStore, "list", lambda self: [Job()])
    with Session(own_home) as session:
        session.warm_up(SegmentChoices(MODEL))
        assert not session.worker.running and not session.worker.busy
