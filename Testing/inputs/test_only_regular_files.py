"""Pipes, devices, links out of a folder, folders and empty files: refused by name, and nothing waits for them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import SimpleITK as sitk
from made_scan import image, scan, write_slices

from lnsegfm.base.errors import UserError
from lnsegfm.inputs.label_reading import read_labels
from lnsegfm.inputs.reading import read_ct
from lnsegfm.segmentation.batch_inputs import find_all_inputs, find_inputs
from lnsegfm.segmentation.file_requests import check_exists

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")


def written(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image(scan()[0]), str(path))
    return path


@pytest.mark.parametrize("name", ["ct.nii.gz", "ct.nrrd", "ct.mhd", "ct.dcm", "ct"])
def test_a_pipe_is_refused_as_ct_and_as_labels(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    os.mkfifo(path)
    for read in (read_ct, read_labels, check_exists):
        with pytest.raises(UserError, match=rf"{name} cannot be read. It is a pipe, not a regular file"):
            read(path)


def test_a_device_is_refused() -> None:
    with pytest.raises(UserError, match=r"null cannot be read\. It is a device"):
        read_ct(Path(os.devnull))


@pytest.mark.parametrize("name", ["slice99.dcm", "IM0099"])
def test_a_pipe_among_slices_is_named_and_not_passed_over(tmp_path: Path, name: str) -> None:
    write_slices(tmp_path)
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match=f"{name} cannot be read. It is a pipe"):
        read_ct(tmp_path)


def test_links_among_slices_stay_within_their_folder(tmp_path: Path) -> None:
    slices = write_slices(tmp_path / "series")
    store = tmp_path / "store.dcm"
    within, outside = slices[3], slices[5]
    within.rename(within.with_name("other.dcm"))
    within.symlink_to("other.dcm")
    (tmp_path / "series" / "other.dcm").rename(tmp_path / "series" / ".kept")
    within.unlink()
    within.symlink_to(".kept")
    assert read_ct(tmp_path / "series").GetSize() == (40, 36, 16)
    outside.rename(store)
    outside.symlink_to(store)
    with pytest.raises(UserError, match=rf"{outside.name} cannot be read. It is a link that leads out of the folder"):
        read_ct(tmp_path / "series")


def test_a_link_among_slices_that_is_none_by_its_name_is_not_followed(tmp_path: Path) -> None:
    write_slices(tmp_path / "series")
    (tmp_path / "series" / "notes.txt").symlink_to("/etc/hostname")
    assert read_ct(tmp_path / "series").GetSize() == (40, 36, 16)


def test_what_the_user_names_may_be_a_link_to_anywhere(tmp_path: Path) -> None:
    store = written(tmp_path / "store" / "scan.nrrd")
    (tmp_path / "ct.nrrd").symlink_to(store)
    write_slices(tmp_path / "store" / "series")
    (tmp_path / "series").symlink_to(tmp_path / "store" / "series")
    assert read_ct(tmp_path / "ct.nrrd").GetSize() == read_ct(tmp_path / "series").GetSize()
    (found,) = find_all_inputs([tmp_path / "ct.nrrd"])
    assert found.problem is None


def test_of_a_folder_of_scans_only_regular_files_within_it_are_segmented(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    written(folder / "good.nrrd")
    (folder / "within.nrrd").symlink_to("good.nrrd")
    (folder / "outside.nrrd").symlink_to(written(tmp_path / "other.nrrd"))
    os.mkfifo(folder / "pipe.nii.gz")
    os.mkfifo(folder / "IM0001")
    told = {each.path.name: each.problem.why if each.problem else "" for each in find_inputs(folder)}
    assert told["good.nrrd"] == told["within.nrrd"] == ""
    assert "leads out of the folder scans" in told["outside.nrrd"] and "a pipe" in told["pipe.nii.gz"]
    assert "IM0001" not in told


def test_links_in_a_circle_and_names_that_are_too_long_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.nrrd").symlink_to("a.nrrd")
    for path in (tmp_path / "a.nrrd", tmp_path / f"{'x' * 300}.nrrd"):
        with pytest.raises(UserError, match=r"cannot be read"):
            read_labels(path)


@pytest.mark.parametrize("name", ["ct.nii.gz", "ct.nrrd"])
def test_a_folder_with_the_name_of_an_image_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    for read in (read_ct, read_labels):
        with pytest.raises(UserError, match=name):
            read(tmp_path / name)
