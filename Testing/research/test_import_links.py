"""Imports of public datasets: what leads out of the source or is no file is left out by name, the rest comes in."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from made_scan import image, scan

from lnsegfm.base.errors import UserError
from lnsegfm.cli import main
from lnsegfm.research.datasets.dicom_folder import read_dicom_folder
from lnsegfm.research.datasets.structure_set import read_structure_set

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")


def put(path: Path, number: int, *, labels: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image(scan()[1] if labels else scan()[0] + np.int16(number)), str(path))
    return path


@pytest.mark.parametrize("command", ["import", "cases"])
def test_links_out_of_the_source_and_pipes_are_left_out_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setenv("LNSEGFM_HOME", str(tmp_path / "home"))
    source = tmp_path / "source"
    for number, name in enumerate(("good", "outside", "pipe")):
        put(source / "imagesTr" / f"{name}_0000.nrrd", number)
        put(source / "labelsTr" / f"{name}.nrrd", number, labels=True)
    outside, pipe = source / "imagesTr" / "outside_0000.nrrd", source / "labelsTr" / "pipe.nrrd"
    outside.unlink()
    outside.symlink_to(put(tmp_path / "other_patient.nrrd", 7))
    pipe.unlink()
    os.mkfifo(pipe)
    words = {
        "import": ["import", "folder", str(source), "--out", str(tmp_path / "out")],
        "cases": ["cases", "import", str(source)],
    }[command]
    assert main([*words, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    left_out = {each["name"]: each["reason"] for each in told["left_out" if command == "import" else "skipped"]}
    assert [each["name"] for each in told["imported"]] == ["good"]
    assert "leads out of the folder source" in left_out["outside"] and "It is a pipe" in left_out["pipe"]


def test_a_patients_folder_of_dicom_files_may_hold_no_pipe_and_no_link_out_of_it(tmp_path: Path) -> None:
    (tmp_path / "patient").mkdir()
    (tmp_path / "other.dcm").write_bytes(b"\0" * 128 + b"DICM")
    (tmp_path / "patient" / "notes.txt").symlink_to("/etc/hostname")
    assert read_dicom_folder(tmp_path / "patient").series == {}
    (tmp_path / "patient" / "a.dcm").symlink_to(tmp_path / "other.dcm")
    with pytest.raises(UserError, match=r"a\.dcm cannot be read.*link that leads out of the folder patient"):
        read_dicom_folder(tmp_path / "patient")
    (tmp_path / "patient" / "a.dcm").unlink()
    os.mkfifo(tmp_path / "patient" / "a.dcm")
    with pytest.raises(UserError, match=r"a\.dcm cannot be read\. It is a pipe"):
        read_dicom_folder(tmp_path / "patient")
    with pytest.raises(UserError, match=r"a\.dcm cannot be read\. It is a pipe"):
        read_structure_set(tmp_path / "patient" / "a.dcm", ["GTVn"])
