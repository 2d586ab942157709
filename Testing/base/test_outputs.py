"""What may be written over: never an input or another output, and nothing of others without being asked to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lnsegfm.base.errors import UserError
from lnsegfm.base.outputs import check_outputs


@pytest.fixture
def ct(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "ct.nrrd"
    path.write_bytes(b"voxels")
    return path


def aliases(ct: Path) -> list[Path]:
    """Return other names of a file: a link, a hard link, through a linked folder, by detours."""
    folder = ct.parent.parent
    (folder / "link.nrrd").symlink_to(ct)
    os.link(ct, folder / "hard.nrrd")
    (folder / "linked").symlink_to(ct.parent, target_is_directory=True)
    return [
        folder / "link.nrrd", folder / "hard.nrrd", folder / "linked" / "ct.nrrd", folder / "in" / ".." / "in" / ct.name
    ]


def test_an_output_is_no_input_by_whatever_name(ct: Path) -> None:
    for output in [ct, ct.with_name("CT.NRRD"), *aliases(ct)]:
        for inputs in ([ct], [ct.parent]):
            if output.name == "CT.NRRD" and inputs == [ct.parent]:
                continue  # another file, where names of another case are other names
            with pytest.raises(UserError, match="is one of the inputs"):
                check_outputs([output], inputs, overwrite=True)
    assert ct.read_bytes() == b"voxels"


def test_two_outputs_are_two_files(tmp_path: Path, ct: Path) -> None:
    pairs = [("a.csv", "a.csv"), ("a.csv", "A.CSV"), ("u\u0308.csv", "\xfc.csv"), ("in/b.csv", "linked/b.csv")]
    aliases(ct)
    for names in [*pairs, ("link.nrrd", "hard.nrrd")]:
        with pytest.raises(UserError, match="is asked for twice"):
            check_outputs([tmp_path / name for name in names], overwrite=True)
    with pytest.raises(UserError, match="is asked for twice"):
        check_outputs([ct, ct], overwrite=True)
    check_outputs([tmp_path / "a.csv", tmp_path / "b.csv"])


def test_files_of_others_are_replaced_only_when_asked_for(ct: Path) -> None:
    with pytest.raises(UserError, match=r"ct\.nrrd exists already.*--overwrite"):
        check_outputs([ct])
    check_outputs([ct], overwrite=True)
    check_outputs([ct], wrote=lambda path: path == ct)
    assert ct.read_bytes() == b"voxels"
