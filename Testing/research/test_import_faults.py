"""A case that breaks a library does not stop the import of a data set."""

from __future__ import annotations

from pathlib import Path

import pytest
import SimpleITK as sitk
from made_scan import image, scan

from lnsegfm.base.errors import Cancelled
from lnsegfm.cli import main
from lnsegfm.research.datasets import label_files


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder with two pairs that differ."""
    for number, name in enumerate(("a", "b")):
        folder = tmp_path / "source" / name
        folder.mkdir(parents=True)
        sitk.WriteImage(image(scan()[0] + number), str(folder / "ct.nii.gz"))
        sitk.WriteImage(image(scan()[1]), str(folder / "seg.nii.gz"))
    return tmp_path / "source"


def break_first(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    read_labels = label_files.read_labels

    def breaks(path: Path, notes: list[str]) -> sitk.Image:
        if path.parent.name == "a":
            raise error
        return read_labels(path, notes)

    monkeypatch.setattr(label_files, "read_labels", breaks)


@pytest.mark.parametrize("error", [KeyError("as some library may"), OverflowError("as some library may")])
def test_the_others_are_imported_and_the_reason_is_told(
    error: Exception, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    break_first(monkeypatch, error)
    assert main(["import", "folder", str(source), "--out", str(tmp_path / "out")]) == 0
    told = "".join(capsys.readouterr())
    assert "Left out a:" in told and "as some library may" in told
    assert len(list((tmp_path / "out").rglob("labelsTr/*.nii.gz"))) == 1


def test_cancelling_still_stops_it(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    break_first(monkeypatch, Cancelled())
    main(["import", "folder", str(source), "--out", str(tmp_path / "out")])
    assert not list((tmp_path / "out").rglob("labelsTr/*.nii.gz"))
