"""The cases of a session."""

from __future__ import annotations

from pathlib import Path

import pytest
import SimpleITK as sitk

from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.jobs.job_spec import CaseRef, JobSpec
from lnsegfm.jobs.job_store import JobStore
from lnsegfm.jobs.job_writer import JobWriter
from lnsegfm.jobs.stored import ImportPair
from lnsegfm.phantom import make_case
from lnsegfm.session import Session


def pair(seed: int) -> tuple[sitk.Image, sitk.Image]:
    phantom = make_case("hospital", seed, size=(32, 32, 16), spacing=(4, 4, 6))
    return phantom.ct, phantom.labels


def raw_folder(folder: Path, names: dict[str, int]) -> Path:
    for name, seed in names.items():
        ct, labels = pair(seed)
        for part, image, file in (("imagesTr", ct, f"{name}_0000.nrrd"), ("labelsTr", labels, f"{name}.nrrd")):
            (folder / part).mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(image, str(folder / part / file))
    return folder


def test_cases_come_from_memory_and_from_files(own_home: Home, tmp_path: Path) -> None:
    cases = Session().cases
    ct, labels = pair(1)
    case = cases.accept(ct, labels, note="first")
    assert cases.accept_once(ct, labels) == (case, False)
    for name, image in (("ct", ct), ("labels", labels)):
        sitk.WriteImage(image, str(tmp_path / f"{name}.nrrd"))
    again = cases.add(tmp_path / "ct.nrrd", tmp_path / "labels.nrrd")
    assert (again.id, again.latest.number) == (case.id, 2)
    assert Path(cases.thumbnail("case-0001")).is_file()


def test_an_import_tells_which_pair_became_which_case(own_home: Home, tmp_path: Path) -> None:
    folder = raw_folder(tmp_path, {"anna": 2, "berta": 1})
    told: list[float | None] = []
    report = Session().cases.import_folder(folder, progress=lambda fraction, text: told.append(fraction))
    assert report.stored == [("anna", "case-0001"), ("berta", "case-0002")]
    assert report.imported == ["case-0001", "case-0002"]
    assert told == [0.0, 0.5]


def test_pairs_in_memory_are_imported_and_bad_ones_reported(own_home: Home) -> None:
    ct, labels = pair(1)
    wrong = pair(2)[1][:10]
    pairs = [ImportPair("good", lambda: ct, lambda: labels), ImportPair("bad", lambda: ct, lambda: wrong * 0)]
    report = Session().cases.import_pairs([*pairs, pairs[0]])
    assert report.stored == [("good", "case-0001")]
    assert [name for name, _ in report.skipped] == ["bad", "good"]
    with pytest.raises(Cancelled):
        Session().cases.import_pairs(pairs, is_cancelled=lambda: True)


def test_many_cases_are_put_to_a_use_at_once_or_none(stored_cases: CaseStore, partial_case: str) -> None:
    cases = Session().cases
    assert [case.use for case in cases.set_use(["case-0001", "case-0002"], "reference")] == ["reference"] * 2
    with pytest.raises(UserError, match="cannot be a hold-out case"):
        cases.set_use(["case-0003", partial_case], "holdout")
    assert cases.get("case-0003").use == "train"
    with pytest.raises(UserError, match="test"):
        cases.set_use("case-0001", "test")
    with pytest.raises(UserError, match="case-0001, case-0002"):
        cases.set_use("case-000", "train")


def test_cases_are_removed_restored_and_forgotten(own_home: Home, stored_cases: CaseStore) -> None:
    cases = Session().cases
    assert cases.remove(["case-0001", "case-0002"]) == ["case-0001", "case-0002"]
    assert [case.id for case in cases.list()] == ["case-0003"]
    assert [case.id for case in cases.restore("case-0002")] == ["case-0002"]
    cases.forget("case-0001")
    with pytest.raises(UserError, match="no removed case"):
        cases.restore("case-0001")


def test_what_a_running_job_needs_is_kept_and_with_it_the_others(own_home: Home, stored_cases: CaseStore) -> None:
    job = JobStore(own_home.jobs).create(JobSpec("base", "ab", (CaseRef("case-0002", 1),)))
    with JobWriter(job.path), pytest.raises(UserError, match="works with it"):
        Session().cases.remove(["case-0001", "case-0002"])
    assert len(Session().cases.list()) == 3
