"""No command replaces what it reads, nor a file that it did not write, unless it is asked to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import SimpleITK as sitk
from made_scan import image, scan

from lnsegfm.base.home import Home
from lnsegfm.cli import main


@pytest.fixture
def ct(own_home: Home, tmp_path: Path) -> Path:
    for name, array in (("ct.mhd", scan()[0]), ("labels.nrrd", scan()[1])):
        (tmp_path / "data").mkdir(exist_ok=True)
        sitk.WriteImage(image(array), str(tmp_path / "data" / name))
    return tmp_path / "data" / "ct.mhd"


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main([str(word) for word in words]) == 1
    return capsys.readouterr().err


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_measure_replaces_tables_alone(ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, table = ct.with_name("labels.nrrd"), tmp_path / "table.csv"
    before = content(ct.parent)
    os.link(ct, tmp_path / "hard.csv")
    for output in (ct, labels, ct.with_name("ct.raw"), tmp_path / "hard.csv"):
        words = ("measure", ct, labels, "-o", output, "--overwrite")
        assert "is one of the inputs" in refused(capsys, *words)
    assert content(ct.parent) == before
    table.write_text("patient,remark\n")
    assert "table.csv exists already" in refused(capsys, "measure", ct, labels, "-o", table)
    assert table.read_text() == "patient,remark\n"
    assert main(["measure", str(ct), str(labels), "-o", str(table), "--overwrite"]) == 0
    assert main(["measure", str(ct), str(labels), "-o", str(table)]) == 0


def test_evaluate_replaces_reports_alone(ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, out = ct.with_name("labels.nrrd"), tmp_path / "scores"
    out.mkdir()
    (out / "summary.md").write_text("# My own summary")
    assert "summary.md exists already" in refused(capsys, "evaluate", labels, labels, "--out", out)
    assert content(out) == {"summary.md": b"# My own summary"}
    assert main(["evaluate", str(labels), str(labels), "--out", str(out), "--overwrite"]) == 0
    assert main(["evaluate", str(labels), str(labels), "--out", str(out)]) == 0
    truth = labels.rename(out / "cases.csv")
    assert "cases.csv is one of the inputs" in refused(
        capsys, "evaluate", truth, truth, "--out", out, "--overwrite"
    )


def test_export_replaces_no_file_of_a_model(own_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (model,) = [path for path in own_home.models.iterdir() if path.is_dir() and not path.name.startswith(".")]
    plans = model / "plans.json"
    before = plans.read_bytes()
    assert "is one of the inputs" in refused(capsys, "models", "export", model.name, "-o", plans, "--overwrite")
    assert plans.read_bytes() == before
    (tmp_path / "model.zip").write_bytes(b"of somebody else")
    assert "exists already" in refused(capsys, "models", "export", model.name, "-o", tmp_path / "model.zip")
    assert main(["models", "export", model.name, "-o", str(tmp_path / "model.zip"), "--overwrite"]) == 0


def test_one_of_several_cts_is_never_replaced_by_the_result_of_another(
    ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "scans"
    for name in ("a_0000.nrrd", "sub/b.nrrd"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        sitk.WriteImage(image(scan()[0]), str(folder / name))
    other = (folder / "sub" / "b.nrrd").rename(folder / "sub" / "a.nrrd")
    before = other.read_bytes()
    words = ("segment", folder, "-o", folder / "sub", "--overwrite", "--model", "phantom", "--quality", "fast")
    told = refused(capsys, *words)
    assert "a.nrrd is one of the inputs" in told and other.read_bytes() == before


def test_the_table_of_several_cts_is_none_of_them(
    ct: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    twice = "is asked for twice"
    for table, why in ((ct, "is one of the inputs"), (out / "ct.nrrd", twice), (out / "CT.segmentation.json", twice)):
        words = ("segment", ct, "-o", out, "--model", "phantom", "--measurements", table)
        assert why in refused(capsys, *words, "--overwrite")


def test_an_experiment_is_not_begun_among_files_of_others(
    own_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lnsegfm.base.errors import UserError
    from lnsegfm.research.benchmark.benchmark_config import read_config
    from lnsegfm.research.benchmark.experiment_record import check_grown

    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "report.md").write_text("My own report")
    config = read_config(Path(__file__).parents[2] / "docs" / "experiments" / "phantom.toml")
    with pytest.raises(UserError, match=r"report\.md, which would lie among its results"):
        check_grown(tmp_path / "results", config)
