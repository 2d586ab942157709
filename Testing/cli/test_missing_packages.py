"""Commands on a computer that lacks a package: what is missing is said with what to type, or is not needed."""

from __future__ import annotations

from pathlib import Path

import pytest
import SimpleITK as sitk
from own_process import run_command, without

from lnsegfm.base.errors import UserError
from lnsegfm.base.failures import as_user_error
from lnsegfm.base.home import Home
from lnsegfm.phantom import make_case

PACKAGES = ("torch", "nnunetv2", "SimpleITK", "tqdm", "pydicom", "nibabel", "numpy", "scipy", "requests")
SEGMENT = "segment IN/ct.nrrd -o OUT/labels.nrrd -m phantom"
NEEDED = [
    *((package, SEGMENT) for package in ("torch", "nnunetv2", "SimpleITK", "tqdm", "pydicom", "nibabel", "numpy")),
    *((package, "cases add IN/ct.nrrd IN/labels.nrrd") for package in ("SimpleITK", "pydicom", "nibabel", "numpy")),
    *((package, "measure IN/ct.nrrd IN/labels.nrrd") for package in ("SimpleITK", "numpy")),
    *((package, "import folder IN --out OUT") for package in ("SimpleITK", "numpy")),
    ("torch", "models install IN"), ("numpy", "evaluate IN/labels.nrrd IN/labels.nrrd"),
]  # fmt: skip


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """With a CT and labels, and an empty one."""
    folders = tmp_path / "in", tmp_path / "out"
    for folder in folders:
        folder.mkdir()
    phantom = make_case("hospital", 3, size=(32, 32, 16), spacing=(4, 4, 6))
    sitk.WriteImage(phantom.ct, str(folders[0] / "ct.nrrd"))
    sitk.WriteImage(phantom.labels, str(folders[0] / "labels.nrrd"))
    return folders


@pytest.mark.parametrize(("package", "command"), NEEDED)
def test_a_command_says_which_package_is_missing_and_what_to_type(
    own_home: Home, tmp_path: Path, folders: tuple[Path, Path], package: str, command: str
) -> None:
    source, target = map(str, folders)
    words = [word.replace("IN", source, 1).replace("OUT", target, 1) for word in command.split()]
    done = run_command(*words, environment=without(package, tmp_path))
    assert done.returncode == 1
    assert f"{package} is missing" in done.stderr and "pip install" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert list(folders[1].rglob("*.nrrd")) == []


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize("command", ["--version", "--help", "models list", "jobs list --json"])
def test_what_needs_no_package_works_without_it(
    own_home: Home, tmp_path: Path, package: str, command: str
) -> None:
    done = run_command(*command.split(), environment=without(package, tmp_path))
    assert (done.returncode, "Traceback" in done.stderr) == (0, False) and done.stdout


def test_in_slicer_the_way_to_a_package_is_the_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = ModuleNotFoundError("No module named 'torch'", name="torch")
    assert as_user_error(missing).todo == 'Type: pip install "torch>=2.6,!=2.9.*"'
    monkeypatch.setenv("SLICER_HOME", "/slicer")
    assert "Setup" in as_user_error(missing).todo


@pytest.mark.parametrize(
    ("error", "what"),
    [(ImportError("libcudart.so.12: cannot open shared object file", name="torch"), "torch does not work"),
     (ImportError("cannot import name 'x' from 'nnunetv2.y'", name="nnunetv2.y"), "nnunetv2 does not work")],
)  # fmt: skip
def test_a_package_that_cannot_be_loaded_is_named(error: ImportError, what: str) -> None:
    found = as_user_error(error)
    assert what in found.what and str(error) in found.why and "pip install --force-reinstall" in found.todo


def test_a_module_of_our_own_is_no_package_to_install() -> None:
    found = as_user_error(ModuleNotFoundError("No module named 'lnsegfm.x'", name="lnsegfm.x"))
    assert isinstance(found, UserError) and "pip" not in found.todo
