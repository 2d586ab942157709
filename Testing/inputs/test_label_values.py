"""Which values of a label file are lymph nodes: by the names of segments, or as the user says."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from labelled_scan import ORIGIN, SPACING, VOXELS, ct, on_grid, put, structures, truth, with_segments

from lnsegfm.base.errors import UserError
from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.cli import main
from lnsegfm.formats.image_files import write_image
from lnsegfm.images.input_options import InputOptions
from lnsegfm.images.number_note import NUMBERED
from lnsegfm.inputs.label_names import meaning
from lnsegfm.inputs.label_reading import read_labels
from lnsegfm.inputs.labels_on_ct import PlacedLabels, lymph_nodes_on

NAMED = [{"Name": name, "LabelValue": value} for value, name in enumerate(("Lymph node", "Carotid artery", "Heart"), 1)]
TISSUE = "TerminologyEntry:Segmentation category and type - 3D Slicer General Anatomy list~SCT^85756007^Tissue"


def placed(path: Path, options: InputOptions = InputOptions()) -> PlacedLabels:
    return lymph_nodes_on(ct(), read_labels(path), options)


@pytest.mark.parametrize(
    ("name", "means"),
    [
        *((name, "lymph node") for name in (
            "Lymph node", "lymph nodes", "LYMPH NODE 3", "lymphnode", "LN", "LN_1", "LNs", "nodes", "nodal", "GTVn",
            "GTVnd", "GTV_N_left", "Lymphatic", "Lymphknoten", "lymph_node_12",
        )),
        *((name, "other") for name in (
            "Carotid artery", "Heart", "GTVnx", "GTVp", "AV node", "nodule", "LN_Neck_II", "Lymphatic vessel",
            "CTV nodal",
        )),
        *((name, "unnamed") for name in ("", "Segment_1", "label 3", "1", "tumor", "foreground")),
    ],
)  # fmt: skip
def test_names_mean_lymph_nodes_something_else_or_nothing(name: str, means: str) -> None:
    assert meaning(name) == means


def test_segments_called_lymph_node_are_taken_and_the_others_left_out_by_name(tmp_path: Path) -> None:
    path = put(tmp_path, "labels.seg.nrrd", with_segments(on_grid(structures()), NAMED))
    found = placed(path)
    expected = (structures() == 1).astype(np.uint8)
    assert np.array_equal(found.array, expected)
    assert "Left out: 'Carotid artery' (240 voxels), 'Heart' (" in " ".join(found.notes)
    both = placed(path, InputOptions(values="1,2"))
    assert both.array.sum() == expected.sum() + 240


def test_several_lymph_node_segments_in_several_layers_become_one_label(tmp_path: Path) -> None:
    labels = truth()
    second = np.zeros_like(labels)
    second[10, 20:24, 11:15] = 1
    layers = sitk.Compose(on_grid(labels), on_grid(second + 2 * (structures() == 2).astype(np.uint8)))
    segments = [
        {"Name": "LN 1", "LabelValue": 1, "Layer": 0}, {"Name": "LN 2", "LabelValue": 1, "Layer": 1},
        {"Name": "Vein", "LabelValue": 2, "Layer": 1},
    ]  # fmt: skip
    found = placed(put(tmp_path, "labels.seg.nrrd", with_segments(layers, segments)))
    assert np.array_equal(found.array, labels | second) and "Left out: 'Vein'" in found.notes[1]


@pytest.mark.parametrize(
    "tags", [f"{TISSUE}~SCT^59441001^Lymph node~^^~", f"{TISSUE}~SCT^85756007^Tissue~^^~"]
)
def test_the_terminology_of_a_segment_counts_and_a_sole_segment_without_a_telling_name_is_taken(
    tmp_path: Path, tags: str
) -> None:
    segments = [{"Name": "Segment_1", "LabelValue": 1, "Tags": tags}]
    found = placed(put(tmp_path, "labels.seg.nrrd", with_segments(on_grid(truth()), segments)))
    assert found.array.sum() == VOXELS and "'Segment_1'" in found.notes[0]


@pytest.mark.parametrize("tags", ["", f"{TISSUE}~SCT^80891009^Heart~^^~"])
def test_segments_of_other_names_alone_are_refused_with_their_names(tmp_path: Path, tags: str) -> None:
    segments = [{"Name": "Segment_1" if tags else "Heart", "LabelValue": 1, "Tags": tags}]
    path = put(tmp_path, "labels.seg.nrrd", with_segments(on_grid(truth()), segments))
    with pytest.raises(UserError, match=r"called a lymph node: '\w+' \(254 voxels\)"):
        placed(path)
    assert placed(path, InputOptions(values="all")).array.sum() == VOXELS


def test_several_unnamed_values_are_refused_with_counts_and_hu_until_the_user_says(tmp_path: Path) -> None:
    path = put(tmp_path, "labels.nii.gz", on_grid(structures()))
    with pytest.raises(UserError, match=r"value 1 \(\d+ voxels, mean 8\d HU\), value 2 \(240 voxels, mean") as refused:
        placed(path)
    assert "--label-values" in refused.value.todo
    assert np.array_equal(placed(path, InputOptions(values="1")).array, structures() == 1)
    assert np.array_equal(placed(path, InputOptions(values="all")).array, structures() != 0)
    with pytest.raises(UserError, match="None of the values 7"):
        placed(path, InputOptions(values="7"))
    with pytest.raises(UserError, match="not valid label values"):
        InputOptions(values="1,x")


@pytest.mark.parametrize("name", ["numbers.nii.gz", "numbers.nrrd", "numbers.mha"])
def test_numbers_of_lymph_nodes_that_lnsegfm_wrote_need_no_word(tmp_path: Path, name: str) -> None:
    numbers = sitk.ConnectedComponent(on_grid(truth()))
    write_image(sitk.Cast(numbers, sitk.sitkUInt8), tmp_path / name, notes=NUMBERED)
    assert np.array_equal(placed(tmp_path / name).array, truth())


@pytest.mark.parametrize("value", [1.0, 255.0, 3.0])
def test_a_sole_value_is_lymph_node_whatever_it_is_also_in_a_float_image(tmp_path: Path, value: float) -> None:
    found = placed(put(tmp_path, "mask.nii.gz", on_grid(truth() * np.float32(value))))
    assert np.array_equal(found.array, truth())


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (truth().astype(np.int16) * 2 - 1, r"value -1\. Their values are -1 \(55042 voxels\), 1 \(254 voxels\)"),
        (truth().astype(np.int16) * -3, "negative value -3"),
        (truth() * np.float32(0.5), "not whole"),
    ],
)
def test_negative_and_broken_values_are_refused(array: np.ndarray, said: str) -> None:
    with pytest.raises(UserError, match=said):
        lymph_nodes_on(ct(), on_grid(array))


def test_labels_with_a_list_axis_of_one_are_read(tmp_path: Path) -> None:
    steps = " ".join(f"({','.join(str(s if r == a else 0) for r in range(3))})" for a, s in enumerate(SPACING))
    header = (
        "NRRD0004\ntype: uchar\ndimension: 4\nspace: left-posterior-superior\nsizes: 1 48 48 24\n"
        f"space directions: none {steps}\nkinds: list domain domain domain\nencoding: raw\n"
        f"space origin: ({','.join(map(str, ORIGIN))})\n\n"
    )
    (tmp_path / "labels.nrrd").write_bytes(header.encode() + truth().tobytes())
    assert np.array_equal(placed(tmp_path / "labels.nrrd").array, truth())


LABELS = {"background": 0, "Lymph node": 1, "Carotid artery": 2, "Heart": 3}


@pytest.mark.parametrize("labels", [LABELS, {str(value): name for name, value in LABELS.items()}])
@pytest.mark.parametrize("command", ["add", "import", "import folder"])
def test_the_names_of_dataset_json_tell_which_label_is_the_lymph_nodes(
    command: str, labels: dict[str, object], own_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = put(tmp_path / "raw" / "imagesTr", "a_0000.nii.gz", ct())
    label = put(tmp_path / "raw" / "labelsTr", "a.nii.gz", on_grid(structures()))
    (tmp_path / "raw" / "dataset.json").write_text(json.dumps({"labels": labels}))
    raw = str(tmp_path / "raw")
    assert main({
        "add": ["cases", "add", str(image), str(label)], "import": ["cases", "import", raw],
        "import folder": ["import", "folder", raw, "--out", str(tmp_path / "out")],
    }[command]) == 0  # fmt: skip
    told = capsys.readouterr().out
    assert "Left out: 'Carotid artery' (240 voxels)" in told and f"{(structures() == 1).sum()} voxels" in told
    if command == "import folder":
        (stored,) = (tmp_path / "out").rglob("labelsTr/*.nii.gz")
        assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(stored))), structures() == 1)
        assert "Carotid" not in next((tmp_path / "out").rglob("manifest.json")).read_text()
    else:
        (case,) = CaseStore(own_home.cases).list()
        assert case.latest.foreground_voxels == np.count_nonzero(structures() == 1)
