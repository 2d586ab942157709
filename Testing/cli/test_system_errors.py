"""What the operating system refuses: homes and files that cannot be used, and limits; said with what to do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import SimpleITK as sitk
from own_process import run_command

from lnsegfm.base.home import Home
from lnsegfm.phantom import make_case

pytestmark = pytest.mark.skipif(os.name == "nt", reason="limits and device files are POSIX")
LONG = "x" * 300
HOMES = [
    ("/dev/null", "file lies where a folder is needed"), ("/dev/null/home", "file lies where a folder is needed"),
    ("/proc/nowhere/home", "missing"), (f"TMP/{LONG}", "too long"), ("TMP/file", "file lies where a folder is needed"),
]  # fmt: skip


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    phantom = make_case("hospital", 3, size=(32, 32, 16), spacing=(4, 4, 6))
    paths = tmp_path / "ct.nrrd", tmp_path / "labels.nrrd"
    for image, path in zip((phantom.ct, phantom.labels), paths, strict=True):
        sitk.WriteImage(image, str(path))
    return paths


def refused(*arguments: object, limits: dict[str, int] | None = None) -> str:
    done = run_command(*arguments, limits=limits)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr and ".tmp-" not in done.stderr and "unexpected" not in done.stderr
    return done.stderr


@pytest.mark.parametrize(("home", "said"), HOMES, ids=lambda text: text[:30])
@pytest.mark.parametrize("command", ["models list", "models rename phantom x", "cases add CT LABELS"])
def test_a_home_that_cannot_be_used_is_named(
    tmp_path: Path, pair: tuple[Path, Path], home: str, said: str, command: str
) -> None:
    (tmp_path / "file").touch()
    folder = home.replace("TMP", str(tmp_path))
    words = [{"CT": str(pair[0]), "LABELS": str(pair[1])}.get(word, word) for word in command.split()]
    text = refused("--home", folder, *words)
    assert said in text and f"cases and jobs is {folder}." in text and "LNSEGFM_HOME" in text


@pytest.mark.parametrize("command", ["segment IN -o OUT", "segment CT -o IN", "models install IN", "measure IN LABELS"])
def test_a_path_that_is_too_long_is_said(own_home: Home, pair: tuple[Path, Path], command: str) -> None:
    folder = pair[0].parent
    places = {"IN": folder / f"{LONG}.nrrd", "OUT": folder / "out.nrrd", "CT": pair[0], "LABELS": pair[1]}
    assert "too long" in refused(*(places.get(word, word) for word in command.split())).lower()


def test_too_many_open_files_are_said(own_home: Home, pair: tuple[Path, Path]) -> None:
    command = ["segment", pair[0], "-o", pair[0].with_name("out.nrrd"), "-m", "phantom"]
    text = refused(*command, limits={"RLIMIT_NOFILE": 6})
    assert "Too many files are open" in text and "ulimit -n" in text
    assert not list(pair[0].parent.glob("*out*"))


@pytest.mark.parametrize("command", ["models list", "models export phantom -o OUT", "measure CT LABELS -o OUT"])
def test_a_file_that_may_not_grow_is_said(pair: tuple[Path, Path], tmp_path: Path, command: str) -> None:
    places = {"CT": pair[0], "LABELS": pair[1], "OUT": tmp_path / "out.csv"}
    words = [places.get(word, word) for word in command.split()]
    assert "became too large" in refused("--home", tmp_path / "home", *words, limits={"RLIMIT_FSIZE": 100})
    assert not (tmp_path / "out.csv").exists()
    assert [path.name for path in tmp_path.rglob(".tmp-*")] == []
