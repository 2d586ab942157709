"""The headless command, on the real CT and on phantoms."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from lnsegfm.base.home import Home
from lnsegfm.cli import main
from lnsegfm.images.geometry import Geometry
from lnsegfm.inputs.reading import read_ct
from lnsegfm.jobs.job_spec import CaseRef, JobSpec
from lnsegfm.jobs.job_store import JobStore
from lnsegfm.jobs.job_writer import JobWriter
from lnsegfm.models.model_store import ModelStore
from lnsegfm.phantom import make_case
from tiny_models import make_model

QUICK = ["--device", "cpu", "--quality", "fast", "-m", "phantom-demonstration"]


def phantom_pair(folder: Path, seed: int) -> tuple[Path, Path]:
    case = make_case("hospital", seed, size=(64, 64, 24))
    paths = folder / f"ct-{seed}.nrrd", folder / f"labels-{seed}.nrrd"
    for image, path in zip((case.ct, case.labels), paths, strict=True):
        sitk.WriteImage(image, str(path))
    return paths


def test_a_real_dicom_series_is_segmented_on_its_own_grid(own_home: Home, real_ct: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.nii.gz"
    assert main(["segment", str(real_ct), "-o", str(output), *QUICK]) == 0
    ct, labels = read_ct(real_ct), sitk.ReadImage(str(output))
    # NIfTI keeps its affine as float32.
    assert Geometry.of(labels).matches(Geometry.of(ct), tolerance_mm=1e-2)
    assert set(np.unique(sitk.GetArrayFromImage(labels))) <= {0, 1}


def test_segmenting_writes_labels_and_measurements(
    own_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = make_case("source", 11)
    sitk.WriteImage(case.ct, str(tmp_path / "ct.nrrd"))
    nodes = tmp_path / "nodes.csv"
    command = ["segment", str(tmp_path / "ct.nrrd"), "-o", str(tmp_path / "l.nrrd"), "--nodes", str(nodes)]
    assert main([*command, *QUICK]) == 0
    rows = list(csv.DictReader(nodes.open(encoding="utf-8-sig")))
    assert f"{len(rows)} lymph nodes" in capsys.readouterr().out
    assert rows
    assert all(0 < float(row["short_axis_mm"]) <= float(row["long_axis_mm"]) for row in rows)
    assert {row["side"] for row in rows} <= {"left", "right", ""}
    assert all(0.5 <= float(row["confidence"]) <= 1 and -200 < float(row["mean_hu"]) < 200 for row in rows)
    assert Geometry.of(sitk.ReadImage(str(tmp_path / "l.nrrd"))) == Geometry.of(case.ct)


def test_region_smallest_node_and_probability_are_chosen_on_the_command_line(
    own_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ct = make_case("source", 31, size=(56, 56, 24), spacing=(3.2, 3.2, 4.0)).ct
    sitk.WriteImage(ct, str(tmp_path / "ct.nrrd"))
    files = tmp_path / "labels.nii.gz", tmp_path / "nodes.csv", tmp_path / "probability.nrrd"
    command = ["segment", str(tmp_path / "ct.nrrd"), *QUICK, "--region", "body", "--min-short-axis", "9"]
    outputs = ["-o", str(files[0]), "--nodes", str(files[1]), "--probability", str(files[2])]
    assert main([*command, *outputs]) == 0
    assert "expected benefit" in capsys.readouterr().out
    labels, probability = (sitk.ReadImage(str(path)) for path in (files[0], files[2]))
    assert Geometry.of(probability) == Geometry.of(ct)
    found, likely = sitk.GetArrayFromImage(labels) > 0, sitk.GetArrayFromImage(probability) >= 128
    assert found.any()
    assert not (found & ~likely).any()
    rows = list(csv.DictReader(files[1].open(encoding="utf-8-sig")))
    assert rows
    assert all(float(row["short_axis_mm"]) >= 9 for row in rows)


@pytest.mark.parametrize("name", ["probability.png", "folder.nrrd"])
def test_an_impossible_file_for_the_probability_is_refused_before_the_work(
    own_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "folder.nrrd").mkdir()
    command = ["segment", str(tmp_path / "ct.nrrd"), "-o", str(tmp_path / "labels.nrrd")]
    assert main([*command, "--probability", str(tmp_path / name)]) == 1
    assert name in capsys.readouterr().err


@pytest.mark.parametrize("name", ["labels.dcm", "folder.nrrd"])
def test_an_impossible_output_is_refused_before_the_work(
    own_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (tmp_path / "folder.nrrd").mkdir()
    # The CT does not exist: the refusal of the output must come first.
    assert main(["segment", str(tmp_path / "ct.nrrd"), "-o", str(tmp_path / name), *QUICK]) == 1
    assert f"{name}" in capsys.readouterr().err


def test_a_model_is_installed_for_the_voxel_order_it_was_trained_in(own_home: Home, tmp_path: Path) -> None:
    source = make_model(tmp_path / "results")
    assert main(["models", "install", str(source), "--orientation", "RAS", "--name", "Ours"]) == 0
    assert ModelStore(own_home.models).get("ours").card.orientation == "RAS"
    assert main(["models", "install", str(source), "--orientation", "RRS"]) == 1


def test_what_a_running_job_needs_is_not_removed(own_home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    job = JobStore(own_home.jobs).create(JobSpec("phantom-demonstration", "ab", (CaseRef("case-0001", 1),)))
    with JobWriter(job.path):
        assert main(["models", "remove", "phantom-demonstration"]) == 1
        assert main(["cases", "remove", "case-0001"]) == 1
        assert capsys.readouterr().err.count(f"{job.id} works with it") == 2


def test_a_model_travels_as_zip_folder_and_checkpoint(
    own_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "model.zip"
    assert main(["models", "export", "phantom-demonstration", "-o", str(archive)]) == 0
    with zipfile.ZipFile(archive) as content:
        content.extractall(tmp_path / "extracted")
    checkpoint = next((tmp_path / "extracted").rglob("checkpoint_final.pth"))
    bare = tmp_path / "checkpoint_best.pth"
    bare.write_bytes(checkpoint.read_bytes())
    store = ModelStore(own_home.models)
    capsys.readouterr()
    for source in (archive, tmp_path / "extracted", bare):
        assert main(["models", "install", str(source)]) == 0
        said = capsys.readouterr().out
        assert "is installed already, as phantom-demonstration" in said and len(store.list()) == 1
    for source in (archive, tmp_path / "extracted", bare):
        assert main(["models", "remove", store.list()[0].id]) == 0
        assert main(["models", "install", str(source), "--name", f"from {source.name}"]) == 0
        assert main(["models", "list"]) == 0
        assert f"from {source.name}" in capsys.readouterr().out
        assert main(["models", "verify", store.list()[0].id]) == 0
    assert [model.id for model in store.list()] == ["from-checkpoint-best-pth"]


def test_a_removed_demonstration_model_stays_removed(own_home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "remove", "phantom-demonstration"]) == 0
    assert main(["models", "list"]) == 0
    assert ModelStore(own_home.models).list() == []


def test_cases_are_added_and_adapted_to_and_the_job_is_listed(
    own_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in (1, 2):
        ct, labels = phantom_pair(tmp_path, seed)
        assert main(["cases", "add", str(ct), str(labels)]) == 0
    assert main(["cases", "use", "case-0002", "holdout"]) == 0
    command = ["adapt", "-m", "phantom-demonstration", "--preset", "short", "--device", "cpu", "--name", "Ours"]
    assert main([*command, "--epochs", "1", "--iterations-per-epoch", "2"]) == 0
    printed = capsys.readouterr().out
    assert "Hold-out DSC" in printed
    assert main(["jobs", "list"]) == 0
    assert "done" in capsys.readouterr().out
    assert "ours" in [model.id for model in ModelStore(own_home.models).list()]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["segment", "nowhere", "-o", "x.nrrd"], "nowhere"),
        (["models", "install", "nowhere"], "nowhere"),
        (["adapt", "-m", "unknown"], "unknown"),
        (["adapt", "-m", "phantom-demonstration"], "cases"),
        (["jobs", "watch", "job-9"], "job-9"),
    ],
)
def test_bad_input_is_refused_with_its_name_and_no_traceback(
    own_home: Home, command: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command) == 1
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error


def test_jobs_alone_lists_them(own_home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs"]) == 0
    assert capsys.readouterr().out == ""


def test_without_any_model_segmenting_says_how_to_get_one(
    own_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "remove", "phantom-demonstration"]) == 0
    assert main(["segment", str(tmp_path), "-o", str(tmp_path / "o.nrrd")]) == 1
    assert "models install" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_told_before_the_work(
    own_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["segment", str(tmp_path / "no.nrrd"), "-o", str(tmp_path / "file" / "o.nrrd")]) == 1
    assert "o.nrrd cannot be written" in capsys.readouterr().err


def test_a_removed_case_comes_back_and_a_deleted_one_leaves_nothing(own_home: Home, tmp_path: Path) -> None:
    assert main(["cases", "add", *map(str, phantom_pair(tmp_path, 1))]) == 0
    assert main(["cases", "remove", "case-0001"]) == 0
    assert main(["cases", "restore", "case-0001"]) == 0
    assert main(["cases", "remove", "case-0001", "--forever"]) == 0
    assert not list(own_home.cases.rglob("image.nrrd"))
    assert main(["cases", "restore", "case-0001"]) == 1
