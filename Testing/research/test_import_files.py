"""``lnsegfm import`` of image files: SegRap2023, LNQ2023 and plain folders, with the defects they come with."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import sha256
from lnsegfm.base.locks import FileLock
from lnsegfm.cli import main
from lnsegfm.formats.image_files import write_image
from lnsegfm.images.geometry import Geometry
from lnsegfm.research.datasets.manifest import Manifest

PATIENT = "Doe_Jane_1970"


def on_grid(array: np.ndarray, *, spacing: tuple[float, float, float] = (0.9, 0.9, 3.0)) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetOrigin((-12.5, 30.25, -700.0))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    return image


def ct(seed: int, *, dtype: type = np.int16) -> sitk.Image:
    return on_grid(np.random.default_rng(seed).integers(-1000, 1000, (6, 10, 12)).astype(dtype))


def nodes(*, value: int = 1) -> sitk.Image:
    array = np.zeros((6, 10, 12), np.uint8)
    array[2:4, 3:6, 4:8] = value
    return on_grid(array)


def on_finer_grid(label: sitk.Image) -> sitk.Image:
    """Half the voxel size in plane, and an origin off the CT's voxels."""
    x, y, z = label.GetSize()
    origin = label.TransformContinuousIndexToPhysicalPoint((-0.2, -0.2, 0.0))
    spacing = (0.45, 0.45, 3.0)
    return sitk.Resample(
        label, (2 * x, 2 * y, z), sitk.Transform(), sitk.sitkNearestNeighbor, origin, spacing, label.GetDirection()
    )


def put(path: Path, image: sitk.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))


def run(kind: str, source: Path, out: Path, *options: str) -> int:
    return main(["import", kind, str(source), "--out", str(out), "--name", "Dataset501_Test", *options])


def imported(out: Path) -> Manifest:
    return Manifest.read(out / "Dataset501_Test")


def labels(out: Path, case_id: str) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(out / "Dataset501_Test" / "labelsTr" / f"{case_id}.nii.gz")))


def dataset_json(out: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((out / "Dataset501_Test" / "dataset.json").read_text())
    return content


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_segrap(source: Path, name: str, seed: int, *, label: sitk.Image | None = None) -> Path:
    put(source / name / "image.nii.gz", ct(seed))
    put(source / name / "image_contrast.nii.gz", ct(seed + 100))
    put(source / name / "GTVp.nii.gz", nodes())
    put(source / name / "Brain.nii.gz", nodes())
    put(source / name / "GTVnd.nii.gz", nodes() if label is None else label)
    return source / name


# SegRap2023


def test_segrap_becomes_a_raw_dataset_that_tells_where_each_case_came_from(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "raw"
    training = source / "SegRap2023_Training_Set_120cases"
    for seed, name in enumerate(("segrap_0000", "segrap_0001")):
        write_segrap(training, name, seed)
    # Beside it in the release: corrected organs at risk, no images.
    put(source / "SegRap2023_Training_Set_120cases_Update_Labels" / "segrap_0000" / "Brain.nii.gz", nodes())
    assert run("segrap2023", source, out) == 0
    manifest = imported(out)
    assert [case.id for case in manifest.cases] == ["segrap2023_0001", "segrap2023_0002"]
    assert manifest.dropped == ()
    by_role = {each.role: each.sha256 for each in manifest.cases[1].sources}
    assert by_role == {
        "image": sha256(training / "segrap_0001" / "image.nii.gz"),
        "labels": sha256(training / "segrap_0001" / "GTVnd.nii.gz"),
    }
    assert manifest.cases[0].size == (12, 10, 6) and manifest.cases[0].spacing_mm == pytest.approx((0.9, 0.9, 3.0))
    assert dataset_json(out) == {
        "name": "SegRap2023", "channel_names": {"0": "CT"}, "labels": {"background": 0, "lymph node": 1},
        "numTraining": 2, "file_ending": ".nii.gz",
    }  # fmt: skip
    image = sitk.ReadImage(str(out / "Dataset501_Test" / "imagesTr" / "segrap2023_0001_0000.nii.gz"))
    assert image.GetPixelID() == sitk.sitkInt16
    assert Geometry.of(image).matches(Geometry.of(ct(0)))
    assert np.array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(ct(0)))
    assert np.array_equal(labels(out, "segrap2023_0001"), sitk.GetArrayFromImage(nodes()))


def test_the_contrast_ct_and_other_structures_can_be_chosen(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "raw"
    write_segrap(source, "a", 1)
    other = np.zeros((6, 10, 12), np.uint8)
    other[0, 0, 0] = 1
    put(source / "a" / "LN_2.nii.gz", on_grid(other))
    assert run("segrap2023", source, out, "--contrast", "--structure", "gtvnd", "--structure", "ln*") == 0
    image = sitk.ReadImage(str(out / "Dataset501_Test" / "imagesTr" / "segrap2023_0001_0000.nii.gz"))
    assert np.array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(ct(101)))
    assert np.array_equal(labels(out, "segrap2023_0001"), sitk.GetArrayFromImage(nodes()) | other)
    assert "2 structures were merged." in imported(out).cases[0].done


def test_each_defect_is_a_line_of_the_manifest_and_the_rest_is_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "source", tmp_path / "raw"
    flat = ct(6) * 0
    write_segrap(source, "01_good", 1)
    write_segrap(source, "02_other_grid", 2, label=on_finer_grid(nodes()))
    (write_segrap(source, "03_no_image", 3) / "image.nii.gz").unlink()
    write_segrap(source, "04_empty", 4, label=nodes(value=0))
    (write_segrap(source, "05_wrong_name", 5) / "GTVnd.nii.gz").rename(source / "05_wrong_name" / "nodes.nii.gz")
    put(write_segrap(source, "06_flat", 6) / "image.nii.gz", flat)
    (write_segrap(source, f"07_{PATIENT}", 7) / "image.nii.gz").write_bytes(b"not an image")
    put(write_segrap(source, "08_again", 8) / "image.nii.gz", ct(1))
    far = nodes()
    far.SetOrigin((900, 900, 900))
    write_segrap(source, "09_elsewhere", 9, label=far)
    write_segrap(source, "10_good", 10)
    assert run("segrap2023", source, out, "--label-grid", "own") == 0
    manifest = imported(out)
    assert [case.id for case in manifest.cases] == ["segrap2023_0001", "segrap2023_0002", "segrap2023_0010"]
    assert "another grid" in manifest.cases[1].done[0]
    reasons = {dropped.position: dropped.reason for dropped in manifest.dropped}
    expected = {
        3: "There is no CT.", 4: "No lymph node is labelled.", 5: "of the name GTVnd",
        6: "All its voxels have the value 0", 7: "[file] cannot be read as an image.",
        8: "the same CT as that of segrap2023_0001", 9: "do not overlap",
    }  # fmt: skip
    assert set(reasons) == set(expected)
    for position, text in expected.items():
        assert text in reasons[position]
    assert all(dropped.sources for dropped in manifest.dropped)
    said = capsys.readouterr()
    assert "3 cases, 7 left out" in said.out
    assert f"Left out 07_{PATIENT}: image.nii.gz cannot be read" in said.err


def test_what_was_imported_is_told_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "source", tmp_path / "raw"
    write_segrap(source, "01_good", 1)
    (write_segrap(source, "02_bad", 2) / "image.nii.gz").unlink()
    assert run("segrap2023", source, out, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["cases"], told["partial"], [each["name"] for each in told["left_out"]]) == (1, 0, ["02_bad"])
    assert Path(told["manifest"]).is_file() and told["dataset"] == "Dataset501_Test"


def test_nothing_written_holds_a_name_of_the_source(tmp_path: Path) -> None:
    source, out = tmp_path / "Ward 7 export", tmp_path / "raw"
    for number, defect in enumerate((b"", b"not an image")):
        name = f"{PATIENT}_{number}"
        write_segrap(source, name, number)
        if defect:
            (source / name / "image.nii.gz").write_bytes(defect)
    damaged = source / f"{PATIENT}_2" / "image.nii.gz"
    write_segrap(source, damaged.parent.name, 2)
    damaged.write_bytes(damaged.read_bytes()[:-100])
    assert run("segrap2023", source, out) == 0
    assert len(imported(out).dropped) == 2
    for path in (path for path in out.rglob("*") if path.is_file()):
        assert PATIENT not in str(path.relative_to(out))
        content = path.read_bytes()
        text = content + (gzip.decompress(content) if path.name.endswith(".gz") else b"")
        assert not any(word in text for word in (b"Doe", b"1970", b"Ward", b"segrap_0", str(tmp_path).encode()))


# LNQ2023


def write_lnq(source: Path, name: str, seed: int, *, label: sitk.Image | None = None) -> None:
    put(source / f"lnq2023-{name}-ct.nrrd", ct(seed))
    put(source / f"lnq2023-{name}-seg.nrrd", nodes() if label is None else label)


def test_training_cases_of_lnq_know_nothing_outside_their_nodes_and_are_marked(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "raw"
    write_lnq(source / "test", "test-0001", 1)
    write_lnq(source / "train", "train-0001", 2)
    write_lnq(source / "val", "val-0001", 3)
    assert run("lnq2023", source, out) == 0
    assert [case.partial for case in imported(out).cases] == [False, True, False]
    truth = sitk.GetArrayFromImage(nodes())
    assert np.array_equal(labels(out, "lnq2023_0001"), truth)
    assert np.array_equal(labels(out, "lnq2023_0002"), np.where(truth == 1, 1, 2))
    assert dataset_json(out)["labels"] == {"background": 0, "lymph node": 1, "ignore": 2}


@pytest.mark.parametrize("text", ["0002\n", "case,voxels\nlnq2023-train-0002,12\n", "# complete\ntrain-0002\n"])
def test_a_list_names_the_complete_training_cases(tmp_path: Path, text: str) -> None:
    source, out = tmp_path / "source", tmp_path / "raw"
    for number in (1, 2):
        write_lnq(source, f"train-000{number}", number)
    (tmp_path / "complete.csv").write_text(text)
    assert run("lnq2023", source, out, "--complete", str(tmp_path / "complete.csv")) == 0
    assert [case.partial for case in imported(out).cases] == [True, False]


@pytest.mark.parametrize(("text", "said"), [("0009\n", "lnq2023-train-0009"), ("0001\nall others\n", "Line 2")])
def test_a_list_that_does_not_fit_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    write_lnq(tmp_path / "source", "train-0001", 1)
    (tmp_path / "complete.txt").write_text(text)
    assert run("lnq2023", tmp_path / "source", tmp_path / "raw", "--complete", str(tmp_path / "complete.txt")) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "raw").exists()


def test_segmentations_of_lnq_with_several_values_layers_or_another_grid_become_one_label(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "raw"
    two = nodes()
    two[0, 0, 0] = 5
    cropped = sitk.RegionOfInterest(nodes(), (6, 5, 3), (3, 2, 1))
    layers = sitk.Compose(nodes(), nodes(value=0), nodes())
    nan = sitk.Cast(ct(8), sitk.sitkFloat32)
    nan[1, 1, 1] = np.nan
    for number, label in enumerate((two, cropped, on_finer_grid(nodes()), layers), 1):
        write_lnq(source, f"test-000{number}", number, label=label)
    write_lnq(source, "test-0008", 8)
    put(source / "lnq2023-test-0008-ct.nrrd", nan)
    put(source / "lnq2023-test-0009-ct.nrrd", ct(9))
    assert run("lnq2023", source, out, "--label-grid", "own") == 0
    truth = sitk.GetArrayFromImage(nodes())
    corner = truth.copy()
    corner[0, 0, 0] = 1
    assert np.array_equal(labels(out, "lnq2023_0001"), corner)
    for number in (2, 3, 4):
        assert np.array_equal(labels(out, f"lnq2023_000{number}"), truth), number
    told = ("values were reduced", "another grid", "another grid", "3 layers")
    assert all(text in case.done[0] for text, case in zip(told, imported(out).cases, strict=True))
    not_finite, missing = (dropped.reason for dropped in imported(out).dropped)
    assert "1 of 720 voxels are NaN" in not_finite and missing == "There is no segmentation."


# Folders


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("imagesTr/{}_0000.nii.gz", "labelsTr/{}.nii.gz"),
        ("images/{}.nrrd", "labels/{}.mha"),
        ("{}.nii.gz", "{}_seg.nii.gz"),
        ("{}.nrrd", "{}.seg.nrrd"),
        ("{}-ct.nrrd", "{}-Label.nii"),
        ("{}/ct.nii.gz", "{}/mask.nii.gz"),
    ],
)
def test_pairs_are_found_in_each_documented_layout(tmp_path: Path, image: str, label: str) -> None:
    source, out = tmp_path / "source", tmp_path / "raw"
    for seed, name in enumerate(("x.1_", "y")):
        put(source / image.format(name), ct(seed))
        put(source / label.format(name), nodes(value=3))
    assert run("folder", source, out) == 0
    assert [case.id for case in imported(out).cases] == ["case_0001", "case_0002"]
    assert labels(out, "case_0002").max() == 1


def test_a_raw_dataset_keeps_what_it_ignores_and_only_the_chosen_label(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "raw"
    label = nodes(value=2)
    label[0, 0, 0] = 1
    label[1, 0, 0] = 3
    put(source / "imagesTr" / "a_0000.nii.gz", ct(1))
    put(source / "labelsTr" / "a.nii.gz", label)
    names = {"background": 0, "tumour": 1, "GTV 2": 2, "ignore": 3}
    (source / "dataset.json").write_text(json.dumps({"labels": names}))
    assert run("folder", source, out) == 1
    assert run("folder", source, out, "--structure", "gtv*") == 0
    truth = sitk.GetArrayFromImage(nodes())
    truth[0, 0, 1] = 2
    assert np.array_equal(labels(out, "case_0001"), truth)
    assert imported(out).cases[0].partial


def test_pairs_that_are_no_pairs_are_left_out(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "raw"
    for name, image in (("a", ct(1)), ("a_seg", nodes()), ("b", ct(2)), ("c_seg", nodes()), ("d", ct(4))):
        put(source / f"{name}.nii.gz", image)
    put(source / "d_seg.nii.gz", nodes())
    put(source / "d_label.nii.gz", nodes())
    assert run("folder", source, out) == 0
    assert [dropped.reason for dropped in imported(out).dropped] == [
        "There is no segmentation.", "There is no CT.", "There are 2 segmentations of this name.",
    ]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_whole_numbers_are_stored_as_int16_and_others_as_they_are(tmp_path: Path, dtype: type) -> None:
    source, out = tmp_path / "source", tmp_path / "raw"
    put(source / "a.nrrd", ct(1, dtype=dtype))
    put(source / "b.nrrd", ct(2, dtype=np.float32) + 0.25)
    for name in "ab":
        put(source / f"{name}_seg.nrrd", nodes())
    assert run("folder", source, out) == 0
    stored = [sitk.ReadImage(str(path)) for path in sorted((out / "Dataset501_Test" / "imagesTr").iterdir())]
    assert [image.GetPixelID() for image in stored] == [sitk.sitkInt16, sitk.sitkFloat32]
    assert np.array_equal(sitk.GetArrayFromImage(stored[0]), sitk.GetArrayFromImage(ct(1)))


# Continuing, and refusing


class Killed(BaseException):
    """Not an error the program may handle."""


def kill_after(monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    """Stop the import at a write of an image, with the temporary file that a killed process leaves."""
    left = [writes]

    def write(image: sitk.Image, path: Path) -> None:
        if not left[0]:
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.parent / f".tmp-1234-{path.name}").write_bytes(b"half")
            raise Killed
        left[0] -= 1
        write_image(image, path)

    monkeypatch.setattr("lnsegfm.research.datasets.raw_layout.write_image", write)


@pytest.mark.parametrize("writes", range(6))
def test_a_killed_import_goes_on_and_gives_what_an_uninterrupted_one_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    source = tmp_path / "source"
    for number in range(1, 5):
        write_lnq(source, f"train-000{number}", number, label=nodes(value=0 if number == 2 else 1))
    assert run("lnq2023", source, tmp_path / "whole") == 0
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, writes)
        run("lnq2023", source, tmp_path / "raw")
    with pytest.raises(UserError, match="not complete"):
        imported(tmp_path / "raw")
    finished = {path: path.stat().st_mtime_ns for path in (tmp_path / "raw").rglob("*.nii.gz") if path.name[0] != "."}
    assert run("lnq2023", source, tmp_path / "raw") == 0
    assert files(tmp_path / "raw") == files(tmp_path / "whole")
    recorded = sorted(finished)[: writes // 2]
    assert all(path.stat().st_mtime_ns == finished[path] for path in recorded if "imagesTr" in str(path))


def test_a_source_that_changed_meanwhile_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, out = tmp_path / "source", tmp_path / "raw"
    for number in (1, 2):
        write_lnq(source, f"test-000{number}", number)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(patch, 3)
        run("lnq2023", source, out)
    put(source / "lnq2023-test-0001-seg.nrrd", nodes(value=0))
    assert run("lnq2023", source, out) == 0
    assert [case.id for case in imported(out).cases] == ["lnq2023_0002"]
    assert len(list((out / "Dataset501_Test").rglob("*.nii.gz"))) == 2


def test_an_import_that_is_complete_is_left_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lnq(tmp_path / "source", "test-0001", 1)
    assert run("lnq2023", tmp_path / "source", tmp_path / "raw") == 0
    before = files(tmp_path / "raw")
    assert run("lnq2023", tmp_path / "source", tmp_path / "raw") == 0
    assert "1 cases, 0 left out" in capsys.readouterr().out
    assert files(tmp_path / "raw") == before


def test_a_folder_of_something_else_is_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = tmp_path / "source", tmp_path / "raw"
    write_segrap(source, "a", 1)
    (out / "Dataset501_Test").mkdir(parents=True)
    (out / "Dataset501_Test" / "mine.txt").write_text("mine")
    assert run("segrap2023", source, out) == 1
    assert "holds files that no import wrote" in capsys.readouterr().err
    assert list(files(out)) == [str(Path("Dataset501_Test", "mine.txt"))]
    (out / "Dataset501_Test" / "mine.txt").unlink()
    assert run("segrap2023", source, out) == 0
    before = files(out)
    assert run("segrap2023", source, out, "--contrast") == 1
    assert "Choose another --name" in capsys.readouterr().err
    assert files(out) == before


def test_an_import_without_any_case_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lnq(tmp_path / "source", "test-0001", 1, label=nodes(value=0))
    assert run("lnq2023", tmp_path / "source", tmp_path / "raw") == 1
    assert "No case was imported" in capsys.readouterr().err
    assert not (tmp_path / "raw" / "Dataset501_Test").exists()


def test_two_imports_do_not_write_the_same_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lnq(tmp_path / "source", "test-0001", 1)
    with FileLock(tmp_path / "raw" / "Dataset501_Test" / ".import" / "lock"):
        assert run("lnq2023", tmp_path / "source", tmp_path / "raw") == 1
    assert "Another process is writing it" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["segrap2023", "lnq2023", "radcure", "folder"])
def test_a_source_that_is_not_there_or_of_another_kind_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    (tmp_path / "empty").mkdir()
    for source in (tmp_path / "missing", tmp_path / "empty"):
        assert run(kind, source, tmp_path / "raw") == 1
        assert "The source cannot be imported." in capsys.readouterr().err


def test_a_name_that_nnunet_would_not_find_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_lnq(tmp_path / "source", "test-0001", 1)
    command = ["import", "lnq2023", str(tmp_path / "source"), "--out", str(tmp_path), "--name", "../LNQ"]
    assert main(command) == 1
    assert "Dataset501_LymphNodes" in capsys.readouterr().err
