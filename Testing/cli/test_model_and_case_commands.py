"""``lnsegfm models`` and ``lnsegfm cases``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import SimpleITK as sitk

from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.cli import main
from lnsegfm.models.model_store import ModelStore
from lnsegfm.phantom import make_case
from service_home import BASE, add_model


def test_models_are_accepted_rejected_and_rolled_back(own_home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    add_model(own_home, "First")
    add_model(own_home, "Second", parent="first")
    store = ModelStore(own_home.models)
    assert main(["models", "default"]) == 0
    assert BASE in capsys.readouterr().out
    assert main(["models", "accept", "sec"]) == 0
    assert store.default_id == "second"
    assert main(["models", "reject", "second"]) == 0
    assert store.default_id == "first"
    assert main(["models", "list"]) == 0
    lines = {line.split()[0]: line.split()[2] for line in capsys.readouterr().out.splitlines() if "adapted" in line}
    assert lines["first"] == "default" and lines["second"] == "rejected"
    assert main(["models", "roll-back"]) == 0
    assert store.default_id == BASE
    assert main(["models", "roll-back"]) == 1
    assert main(["models", "default", "first", "--json"]) == 0
    assert store.default_id == "first"


def test_models_are_renamed(own_home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "rename", "phantom", "Our name"]) == 0
    assert ModelStore(own_home.models).get(BASE).name == "Our name"
    assert main(["models", "rename", "phantom", " "]) == 1


@pytest.mark.parametrize("published", ["unknown", "ln-seg-fm"])
def test_only_published_models_are_downloaded(
    own_home: Home, published: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "download", published]) == 1
    assert "ln-seg-fm-nnunet" in capsys.readouterr().err


def test_a_missing_model_file_is_said_before_torch_is_loaded(
    own_home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LNSEGFM_PYTHON", "/nowhere/python")
    assert main(["models", "install", "missing.zip"]) == 1
    assert "missing.zip" in capsys.readouterr().err


def raw_folder(folder: Path) -> Path:
    for name, seed in (("anna", 1), ("berta", 2)):
        phantom = make_case("hospital", seed, size=(32, 32, 16), spacing=(4, 4, 6))
        for part, image, file in (
            ("imagesTr", phantom.ct, f"{name}_0000.nrrd"), ("labelsTr", phantom.labels, f"{name}.nrrd"),
        ):  # fmt: skip
            (folder / part).mkdir(parents=True, exist_ok=True)
            sitk.WriteImage(image, str(folder / part / file))
    (folder / "imagesTr" / "clara_0000.nrrd").write_bytes((folder / "imagesTr" / "anna_0000.nrrd").read_bytes())
    return folder


def test_imported_cases_are_shown_beside_their_file_names(
    own_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = raw_folder(tmp_path / "raw")
    assert main(["cases", "import", str(folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "case-0001  anna: 31 voxels in 3 lymph nodes, label version 1."
    assert lines[1].startswith("case-0002  berta: ")
    assert lines[2].startswith("Left out clara")
    assert main(["cases", "import", str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["imported"] == [] and {each["name"] for each in told["skipped"]} == {"anna", "berta", "clara"}
    assert "anna" not in "".join(path.read_text("latin-1") for path in own_home.cases.rglob("*.json"))


def test_many_cases_get_a_use_reference_among_them(
    stored_cases: CaseStore, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cases", "use", "case-0001", "case-0002", "reference"]) == 0
    assert "case-0002 is now 'reference'" in capsys.readouterr().out
    assert [case.use for case in stored_cases.list()] == ["reference", "reference", "train"]
    assert main(["cases", "use", "case-0003", "case-9", "holdout"]) == 1
    assert stored_cases.get("case-0003").use == "train"


def test_many_cases_are_removed_and_restored(stored_cases: CaseStore) -> None:
    assert main(["cases", "remove", "case-0001", "case-0002"]) == 0
    assert [case.id for case in stored_cases.list()] == ["case-0003"]
    assert main(["cases", "restore", "case-0001", "case-0002"]) == 0
    assert len(stored_cases.list()) == 3
