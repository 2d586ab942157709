"""``lnsegfm segment`` and ``lnsegfm measure``; a script plays the process that runs the network."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import SimpleITK as sitk
from played_worker import WORKER, write_ct

from lnsegfm.base.home import Home
from lnsegfm.cli import main
from lnsegfm.models.model_store import ModelStore
from lnsegfm.session import Session
from service_home import BASE, add_model

OF_THE_MODEL = 'ModelStore(Home.default().models).get(arguments["model"]).sha256'
START = """
import sys
from lnsegfm.base.home import Home
from lnsegfm.models.model_store import ModelStore
with open(sys.argv[1], "a") as stream:
    stream.write("started\\n")
"""


@pytest.fixture
def started(own_home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with a line for each worker process that was started."""
    script, starts = tmp_path / "worker.py", tmp_path / "starts"
    script.write_text(START + WORKER.replace('"model_sha256": MODEL', f'"model_sha256": {OF_THE_MODEL}'))
    command = [sys.executable, str(script), str(starts)]
    monkeypatch.setattr("lnsegfm.cli.terminal.Session", lambda: Session(worker_command=command))
    return starts


@pytest.fixture
def ours(own_home: Home, started: Path) -> str:
    """Id of a foundation model, which is the default model."""
    return add_model(own_home, "Ours", kind="foundation", parent="").id


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    return write_ct(tmp_path / "in" / "ct.nrrd")


def as_json(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> Any:
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out)


# What is refused before any work


@pytest.mark.parametrize("output", ["l.nrrd", "results"])
@pytest.mark.parametrize("model", [[], ["-m", BASE], ["-m", "unknown"]])
def test_a_missing_ct_is_said_first_and_before_a_worker_starts(
    started: Path, tmp_path: Path, output: str, model: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["segment", str(tmp_path / "no.nrrd"), "-o", str(tmp_path / output), *model]) == 1
    assert "no.nrrd does not exist" in capsys.readouterr().err
    assert not started.exists()


@pytest.mark.parametrize(
    "arguments", [["segment", "no.nrrd", "-o", "l.nrrd"], ["segment", "no", "-o", "results"], ["measure", "no", "no"],
                  ["segment", "no.nrrd", "-o", "l.nrrd", "--device", "tpu"]], ids=" ".join,
)  # fmt: skip
def test_a_refusal_takes_no_torch_and_no_simpleitk(own_home: Home, arguments: list[str]) -> None:
    code = (
        "import sys; from lnsegfm.cli import main; assert main(sys.argv[1:]) == 1; "
        "print([name for name in ('torch', 'SimpleITK', 'scipy', 'nnunetv2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_fresh_install_refuses_the_demonstration_unless_it_is_named(
    started: Path, ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "l.nrrd"
    assert main(["segment", str(ct), "-o", str(labels)]) == 1
    assert "No model for patients is installed" in capsys.readouterr().err
    assert not started.exists() and not labels.exists()
    assert main(["segment", str(ct), "-o", str(labels), "-m", "phantom", "--quiet"]) == 0
    printed = capsys.readouterr()
    assert "synthetic scans only" in printed.err and printed.out == ""
    assert any("synthetic" in text for text in json.loads((tmp_path / "l.segmentation.json").read_text())["warnings"])


def test_a_rejected_model_needs_the_users_word(
    own_home: Home, ours: str, ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = add_model(own_home, "Other")
    ModelStore(own_home.models).reject(other.id)
    command = ["segment", str(ct), "-o", str(tmp_path / "l.nrrd"), "-m", other.id]
    assert main(command) == 1
    assert "--rejected" in capsys.readouterr().err
    assert main([*command, "--rejected"]) == 0
    assert "was rejected" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--device", "tpu"], "There is no device 'tpu'"), (["--device", "cuda:"], "There is no device 'cuda:'"),
     (["--min-short-axis", "-1"], "smallest short axis"), (["--probability", "p.png"], "p.png")],
)  # fmt: skip
def test_impossible_options_are_refused_before_a_worker_starts(
    ours: str, started: Path, ct: Path, tmp_path: Path, options: list[str], said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["segment", str(ct), "-o", str(tmp_path / "l.nrrd"), *options]) == 1
    assert said in capsys.readouterr().err and not started.exists()


@pytest.mark.parametrize("options", [["--probability", "p.nrrd"], ["--series", "1.2"]])
def test_what_is_for_one_ct_is_refused_for_several(
    ours: str, ct: Path, tmp_path: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["segment", str(ct.parent), "-o", str(tmp_path / "out"), *options]) == 1
    assert f"{options[0]} is for one CT only" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["labels.dcm", "labels.png", "l.nrrd"])
def test_the_results_of_several_cts_need_a_folder(
    ours: str, ct: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["segment", str(ct), str(ct), "-o", str(tmp_path / name)]) == 1
    assert f"{name} is no folder" in capsys.readouterr().err


# One CT


def test_the_default_model_segments_and_leaves_its_provenance(
    ours: str, own_home: Home, ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out" / "labels.nii.gz"
    found = as_json(capsys, "segment", ct, "-o", out, "--measurements", tmp_path / "out" / "table.csv")
    (row,) = found["results"]
    assert (found["failed"], row["state"], row["model"], len(row["lymph_nodes"])) == (0, "segmented", ours, 1)
    made = json.loads((tmp_path / "out" / "labels.segmentation.json").read_text())
    assert (made["model"], made["model_sha256"]) == (ours, ModelStore(own_home.models).get(ours).sha256)
    assert sitk.GetArrayFromImage(sitk.ReadImage(str(out))).sum() == 3 * 5 * 6
    assert len(list(csv.DictReader((tmp_path / "out" / "table.csv").open(encoding="utf-8-sig")))) == 1


def test_quiet_says_warnings_alone(
    ours: str, ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["segment", str(ct), "-o", str(tmp_path / "l.nrrd"), "-q"]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "Warning: The image's modality is MR, not CT.\n")


@pytest.mark.parametrize("device", ["cuda:1", "cuda", "mps", "auto"])
def test_every_kind_of_device_reaches_the_worker(ours: str, ct: Path, tmp_path: Path, device: str) -> None:
    assert main(["segment", str(ct), "-o", str(tmp_path / "l.nrrd"), "--device", device]) == 0


def test_without_a_terminal_the_progress_of_a_ct_is_few_lines(
    ours: str, ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["segment", str(ct), "-o", str(tmp_path / "l.nrrd")]) == 0
    printed = capsys.readouterr()
    assert len((printed.out + printed.err).splitlines()) < 40


def test_ctrl_c_cancels_and_leaves_no_voxels(
    ours: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    endless, out = write_ct(tmp_path / "endless.nrrd", brightest=3100), tmp_path / "out"
    out.mkdir()
    sleep = time.sleep

    def interrupt(seconds: float) -> None:
        sleep(seconds)
        if list(out.glob(".tmp-*")):
            raise KeyboardInterrupt

    monkeypatch.setattr("lnsegfm.segmentation.segment_files.time.sleep", interrupt)
    assert main(["segment", str(endless), "-o", str(out / "l.nrrd")]) == 130
    assert "cancelled" in capsys.readouterr().err
    assert list(out.iterdir()) == []


# Several CTs


def test_a_folder_is_segmented_by_one_worker_and_continues_where_it_stopped(
    ours: str, started: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("anna_0000.nii.gz", "anna_0001.nii.gz", "sub/berta_0000.nrrd"):
        write_ct(tmp_path / "in" / name)
    table = tmp_path / "table.csv"
    command = ["segment", tmp_path / "in", "-o", tmp_path / "out", "--measurements", table]
    first = as_json(capsys, *command)
    assert [row["state"] for row in first["results"]] == ["segmented", "segmented"]
    assert (tmp_path / "out" / "anna.nii.gz").is_file() and (tmp_path / "out" / "sub" / "berta.nrrd").is_file()
    assert started.read_text().count("started") == 1
    written = table.read_text("utf-8-sig")
    assert [row["case"] for row in csv.DictReader(written.splitlines())] == ["anna.nii.gz", "sub/berta.nrrd"]
    (tmp_path / "out" / "anna.segmentation.json").unlink()
    (tmp_path / "out" / "anna.nii.gz").unlink()
    again = as_json(capsys, *command)
    assert [row["state"] for row in again["results"]] == ["segmented", "skipped"]
    # What was done before is neither lost from the table nor from the JSON.
    assert table.read_text("utf-8-sig") == written
    assert again["results"][1]["lymph_nodes"] == first["results"][1]["lymph_nodes"]
    assert set(again["results"][0]) == set(again["results"][1]) == set(first["results"][0])


def test_several_inputs_files_and_folders_are_one_batch(
    ours: str, started: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [write_ct(tmp_path / "a" / "one_0000.nrrd"), write_ct(tmp_path / "b" / "two.mha")]
    write_ct(tmp_path / "c" / "three.nii.gz")
    command = ["segment", *files, tmp_path / "c", "-o", tmp_path / "out.2026"]
    (tmp_path / "out.2026").mkdir()
    assert [row["state"] for row in as_json(capsys, *command)["results"]] == ["segmented"] * 3
    assert started.read_text().count("started") == 1
    labels = {path.name for path in (tmp_path / "out.2026").iterdir() if path.suffix != ".json"}
    assert labels == {"one.nrrd", "two.nrrd", "three.nii.gz"}
    assert [row["state"] for row in as_json(capsys, *command)["results"]] == ["skipped"] * 3
    assert main([*map(str, command)]) == 0
    assert capsys.readouterr().out.count("done already") == 3


def test_two_files_of_one_name_do_not_replace_each_others_result(
    ours: str, started: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(write_ct(tmp_path / place / "ct.nrrd")) for place in ("anna", "berta")]
    assert main(["segment", *files, "-o", str(tmp_path / "out")]) == 1
    assert "Two scans would have the same result" in capsys.readouterr().err
    assert not started.exists() and not (tmp_path / "out").exists()


def test_a_ct_that_fails_does_not_keep_the_others_from_it(
    ours: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ct(tmp_path / "in" / "good.nrrd")
    (tmp_path / "in" / "bad.nrrd").write_bytes(b"no image")
    told = as_json(capsys, "segment", tmp_path / "in", "-o", tmp_path / "out", code=1)
    assert [(row["state"], Path(row["ct"]).name) for row in told["results"]] == [
        ("failed", "bad.nrrd"), ("segmented", "good.nrrd"),
    ]  # fmt: skip
    assert told["failed"] == 1 and "Broken" in told["results"][0]["reason"]


def test_the_warning_of_the_model_is_said_once(
    started: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two", "three"):
        write_ct(tmp_path / "in" / f"{name}.nrrd")
    assert main(["segment", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "-m", BASE]) == 0
    error = capsys.readouterr().err
    assert error.count("synthetic scans only") == 1 and error.count("modality is MR") == 3


# Measuring


def test_measuring_prints_a_table_and_json(
    own_home: Home, ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = tmp_path / "labels.nrrd"
    sitk.WriteImage(sitk.Cast(sitk.ReadImage(str(ct)) > 500, sitk.sitkUInt8), str(labels))
    assert main(["measure", str(ct), str(labels), "-q"]) == 0
    printed = capsys.readouterr()
    assert "are air, fat or bone" in printed.err
    header, row = printed.out.splitlines()
    assert header.startswith("NUMBER  SHORT AXIS (MM)") and row.startswith("1 ")
    (told,) = as_json(capsys, "measure", ct, labels, "-o", tmp_path / "table.csv")
    assert told["mean_hu"] == 800 and len(told["centroid_ras"]) == 3
    assert (tmp_path / "table.csv").is_file()


def test_a_table_never_replaces_what_it_measures(
    own_home: Home, ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = ct.read_bytes()
    assert main(["measure", str(ct), str(ct), "-o", str(ct)]) == 1
    assert "one of the inputs" in capsys.readouterr().err and ct.read_bytes() == before


@pytest.mark.parametrize("missing", [0, 1])
def test_missing_files_are_named(
    own_home: Home, ct: Path, missing: int, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(ct), str(ct)]
    paths[missing] = "gone.nrrd"
    assert main(["measure", *paths]) == 1
    error = capsys.readouterr().err
    assert ("The CT", "The labels")[missing] in error and "gone.nrrd does not exist" in error
