"""Importing pairs from nnU-Net's raw layout."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from lnsegfm.base.background import Task
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.home import Home
from lnsegfm.cases.case_import import import_folder
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.research.datasets import folder_pairs
from lnsegfm.session.cases_part import CasesPart

SHAPE = (6, 8, 10)


def write_pair(folder: Path, name: str, *, seed: int = 0, ending: str = ".nii.gz", value: int = 1) -> None:
    ct = sitk.GetImageFromArray(np.random.default_rng(seed).integers(-1000, 1000, SHAPE).astype(np.int16))
    label = sitk.GetImageFromArray(np.zeros(SHAPE, np.uint8))
    for image in (ct, label):
        image.SetSpacing((1.0, 1.0, 3.0))
    label[3:5, 3:5, 2] = value
    for sub, image, stem in (("imagesTr", ct, f"{name}_0000"), ("labelsTr", label, name)):
        (folder / sub).mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(image, str(folder / sub / f"{stem}{ending}"))


@pytest.fixture
def store(tmp_path: Path) -> CaseStore:
    return CaseStore(tmp_path / "cases")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return tmp_path / "Dataset001_Nodes"


def test_good_pairs_of_any_format_become_cases(store: CaseStore, raw: Path) -> None:
    for seed, ending in enumerate((".nii.gz", ".nrrd", ".mha")):
        write_pair(raw, f"pa.tient_{seed}", seed=seed, ending=ending)
    report = import_folder(store, raw)
    assert report.imported == ["case-0001", "case-0002", "case-0003"] and report.skipped == []
    assert all(case.latest.nodes == 1 and case.use == "train" for case in store.list())


def test_bad_pairs_are_reported_with_their_reason_and_the_rest_is_imported(store: CaseStore, raw: Path) -> None:
    for seed, name in enumerate(("a_good", "b_empty", "c_damaged", "d_no_label", "e_no_image", "f_two", "g_good")):
        write_pair(raw, name, seed=seed, value=0 if name == "b_empty" else 1)
    (raw / "labelsTr" / "c_damaged.nii.gz").write_bytes(b"not an image")
    (raw / "labelsTr" / "d_no_label.nii.gz").unlink()
    (raw / "imagesTr" / "e_no_image_0000.nii.gz").unlink()
    (raw / "imagesTr" / "f_two_0000.nii.gz").with_name("f_two_0001.nii.gz").write_bytes(b"")
    (raw / "imagesTr" / "oddname.nii.gz").write_bytes(b"")
    (raw / "imagesTr" / "readme.txt").write_text("hello")
    report = import_folder(store, raw)
    assert len(report.imported) == 2
    reasons = dict(report.skipped)
    assert set(reasons) == {"b_empty", "c_damaged", "d_no_label", "e_no_image", "f_two", "oddname.nii.gz"}
    assert "empty" in reasons["b_empty"] and "cannot be read" in reasons["c_damaged"]
    assert "no label" in reasons["d_no_label"] and "no image" in reasons["e_no_image"]
    assert "0001" in reasons["f_two"] and "_0000" in reasons["oddname.nii.gz"]


def test_a_second_import_stores_nothing_and_says_why(store: CaseStore, raw: Path) -> None:
    write_pair(raw, "one")
    first = import_folder(store, raw)
    second = import_folder(store, raw)
    assert second.imported == [] and second.skipped == [("one", f"It is stored already, as {first.imported[0]}.")]
    assert len(store.get(first.imported[0]).versions) == 1


def test_another_label_of_a_stored_ct_becomes_its_next_version(store: CaseStore, raw: Path, tmp_path: Path) -> None:
    write_pair(raw, "one")
    import_folder(store, raw)
    label = sitk.ReadImage(str(raw / "labelsTr" / "one.nii.gz"))
    label[6, 6, 3] = 1
    sitk.WriteImage(label, str(raw / "labelsTr" / "one.nii.gz"))
    assert import_folder(store, raw).imported == ["case-0001"]
    assert [version.nodes for version in store.get("case-0001").versions] == [1, 2]


def test_partly_annotated_cases_are_imported_as_such(store: CaseStore, raw: Path) -> None:
    write_pair(raw, "part", seed=1)
    path = raw / "labelsTr" / "part.nii.gz"
    label = sitk.ReadImage(str(path))
    label[:, :, 5:] = 2
    sitk.WriteImage(label, str(path))
    write_pair(raw, "whole", seed=0)
    (raw / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "LN": 1, "ignore": 2}}))
    part, whole = (store.get(case_id) for case_id in import_folder(store, raw).imported)
    assert (part.latest.partial, whole.latest.partial) == (True, False)
    stored = sitk.GetArrayFromImage(sitk.ReadImage(str(part.label_path())))
    assert np.array_equal(stored, sitk.GetArrayFromImage(label))
    assert part.latest.foreground_voxels == np.count_nonzero(stored == 1)


def test_a_data_set_none_of_whose_structures_is_a_lymph_node_is_refused(store: CaseStore, raw: Path) -> None:
    write_pair(raw, "one")
    (raw / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "parotid": 1, "thyroid": 2}}))
    with pytest.raises(UserError, match="parotid, thyroid"):
        import_folder(store, raw)
    (raw / "dataset.json").write_text("{")
    with pytest.raises(UserError, match=r"dataset\.json"):
        import_folder(store, raw)


@pytest.mark.parametrize("key", ["channel_names", "modality"])
@pytest.mark.parametrize(("channel", "is_ct"), [("MRI", False), ("PET/CT", False), ("ct", True), ("CT (venous)", True)])
def test_a_data_set_of_another_modality_is_refused(
    key: str, channel: str, is_ct: bool, store: CaseStore, raw: Path
) -> None:
    write_pair(raw, "one")
    content = {key: {"0": channel}, "labels": {"background": 0, "lymph node": 1}}
    (raw / "dataset.json").write_text(json.dumps(content))
    if is_ct:
        assert import_folder(store, raw).imported == ["case-0001"] and folder_pairs.candidates(raw)
        return
    for read in (lambda: import_folder(store, raw), lambda: folder_pairs.candidates(raw)):
        with pytest.raises(UserError, match=f"no CTs but '{channel}'"):
            read()
    assert store.list() == []


def test_what_is_to_be_said_of_an_added_case_is_logged_where_nobody_takes_it(
    raw: Path, own_home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    write_pair(raw, "one")
    content = {"labels": {"background": 0, "lymph node": 1, "vein": 2}}
    (raw / "dataset.json").write_text(json.dumps(content))
    files = raw / "imagesTr" / "one_0000.nii.gz", raw / "labelsTr" / "one.nii.gz"
    cases = CasesPart(lambda: own_home)
    cases.add(*files)
    assert "Taken as lymph node: 'lymph node' (4 voxels)." in caplog.messages
    caplog.clear()
    notes: list[str] = []
    cases.add(*files, notes=notes)
    assert notes and not caplog.messages


def test_a_folder_in_another_layout_is_refused(store: CaseStore, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="imagesTr"):
        import_folder(store, tmp_path)


def test_an_import_runs_in_the_background_with_progress_and_can_be_cancelled(store: CaseStore, raw: Path) -> None:
    for seed in range(2):
        write_pair(raw, f"case{seed}", seed=seed)
    task = Task(import_folder, store, raw)
    assert len(task.wait(20).imported) == 2
    assert task.progress.message == "2 of 2"
    with pytest.raises(Cancelled):
        import_folder(store, raw, is_cancelled=lambda: True)
