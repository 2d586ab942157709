"""Names of segments as clinics write them: lymph nodes, what is none, and what must be asked about."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from made_scan import image, scan

from lnsegfm.base.errors import UserError
from lnsegfm.cases.case_import import import_folder
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.input_options import InputOptions
from lnsegfm.images.label_grids import label_on_grid
from lnsegfm.inputs.dataset_labels import DatasetLabels
from lnsegfm.inputs.label_names import meaning
from lnsegfm.inputs.label_structures import choose_lymph_nodes

NAMES = {
    "lymph node": [
        "Lymph node", "lymph nodes", "LN", "LN_3", "LNs right", "Lymph node No. 2", "cervical node no 3", "GTVn",
        "GTVnd", "GTV_N_left", "nodal mass", "lymphadenopathy", "Adenopathy left", "LYMPH NODE 12", "node 4",
        "Carotid node", "LymphNode3",
    ],
    "other": [
        "Not a lymph node", "lymph node false positive", "Reactive nodes - exclude", "GTVn_excluded", "Heberden node",
        "Tonsil (lymphoid)", "Lymph_node_bed_resected", "deep lobe node of parotid", "lymphangioma", "lymphedema",
        "AV node", "CTV nodal", "lymphatic vessel", "Implausible 3", "Carotid artery", "Heart", "no lymph node",
        "LN_FP", "LymphNodeExcluded",
    ],
    "unclear": ["lymph nodes level 2R", "vein near LN", "lymphoma"],
    "unnamed": ["Segment_1", "label", "tumor", ""],
}  # fmt: skip


@pytest.mark.parametrize(("expected", "name"), [(means, name) for means, names in NAMES.items() for name in names])
def test_names_are_understood(expected: str, name: str) -> None:
    assert meaning(name) == expected


def test_a_name_that_says_something_else_beats_the_code_of_the_terminology() -> None:
    assert meaning("Segment_1", "59441001", "Lymph node") == "lymph node"
    assert meaning("Finding A", "59441001", "Lymph node") == "lymph node"
    for name in ("Implausible 3", "Jugular vein", "Vena jugularis", "Thyroid", "GTVp", "false positive", "exclude"):
        assert meaning(name, "59441001", "Lymph node") == "other"


def named(*segments: tuple[str, int, int]) -> sitk.Image:
    labels = image(scan()[1])
    for number, (name, value, layer) in enumerate(segments):
        for key, text in (("Name", name), ("LabelValue", str(value)), ("Layer", str(layer))):
            labels.SetMetaData(f"Segment{number}_{key}", text)
    return labels


@pytest.mark.parametrize(
    ("segments", "why"),
    [
        ([("Carotid artery", 1, 0), ("Lymph node", 1, 0)], "two names: 'Carotid artery' and 'Lymph node'"),
        ([("Lymph node", 1, 2)], "layer 2, and there are 1"),
        ([("lymph nodes level 2R", 1, 0)], "not clear whether these are lymph nodes: 'lymph nodes level 2R'"),
    ],
)
def test_names_that_leave_it_open_are_refused(segments: list[tuple[str, int, int]], why: str) -> None:
    with pytest.raises(UserError, match=why):
        choose_lymph_nodes(named(*segments))


def test_a_value_with_two_names_is_taken_where_the_user_names_it() -> None:
    labels = named(("Carotid artery", 1, 0), ("Lymph node", 1, 0))
    chosen = choose_lymph_nodes(labels, InputOptions(values="1"))
    assert sitk.GetArrayFromImage(chosen.image).sum() == np.count_nonzero(scan()[1] == 1)


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_mask_that_is_not_finite_is_refused_as_well(value: float) -> None:
    labels = scan()[1].astype(np.float32)
    labels[0, 0, 0] = value
    with pytest.raises(UserError, match="NaN or infinite"):
        label_on_grid(image(labels), Geometry.of(image(labels)))


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_labels_that_are_not_finite_are_refused_as_labels(value: float) -> None:
    labels = scan()[1].astype(np.float32)
    labels[0, 0, 0] = value
    with pytest.raises(UserError, match="NaN or infinite") as caught:
        choose_lymph_nodes(image(labels))
    assert "1000 HU" not in str(caught.value)


def test_a_pair_that_breaks_the_reader_does_not_stop_the_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, array, end in (("imagesTr", scan()[0], "_0000"), ("labelsTr", scan()[1], "")):
        (tmp_path / "raw" / folder).mkdir(parents=True)
        for name in ("a", "b"):
            sitk.WriteImage(image(array), str(tmp_path / "raw" / folder / f"{name}{end}.nii.gz"))
    (tmp_path / "raw" / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "lymph node": 1}}))
    from lnsegfm.cases import case_import

    read_labels = case_import.read_labels

    def breaks(path: Path, notes: list[str], **more: Any) -> sitk.Image:
        if path.name.startswith("a"):
            raise OverflowError("as some library may")
        return read_labels(path, notes, **more)

    monkeypatch.setattr(case_import, "read_labels", breaks)
    report = import_folder(CaseStore(tmp_path / "cases"), tmp_path / "raw")
    assert [name for name, _ in report.stored] == ["b"]
    assert [(name, "as some library may" in reason) for name, reason in report.skipped] == [("a", True)]


@pytest.mark.parametrize(
    "labels", [{"lymph node": 1.5}, {"lymph node": True}, {"lymph node": 10**30}, {"lymph node": {"a": 1}}, [1, 2], "1"]
)
def test_a_dataset_json_of_other_values_is_refused(tmp_path: Path, labels: object) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels, "name": "kept out", "numTraining": 3}))
    with pytest.raises(UserError, match=r"dataset\.json: 'labels"):
        DatasetLabels.read(tmp_path / "dataset.json")
