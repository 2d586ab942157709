"""Headers that name another file for their voxels: only one beside them and of their name is opened."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from made_scan import image, scan

from lnsegfm.base.errors import UserError
from lnsegfm.inputs.reading import read_ct

HEADERS = {"ct.mhd": "ElementDataFile = ", "ct.nhdr": "data file: "}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that were given to the image library, for which it stands in."""
    found: list[str] = []

    def stand_in(path: Path, image_io: str) -> sitk.Image:
        found.append(path.name)
        return image(scan()[0])

    monkeypatch.setattr("lnsegfm.inputs.reading._execute", stand_in)
    return found


def written(folder: Path, header: str) -> Path:
    folder.mkdir(exist_ok=True)
    sitk.WriteImage(image(scan()[0]), str(folder / header))
    return folder / header


def point_to(header: Path, data: str) -> None:
    text, key = header.read_text(), HEADERS[header.name]
    assert f"{key}ct.raw" in text
    header.write_text(text.replace(f"{key}ct.raw", f"{key}{data}"))


@pytest.mark.parametrize("header", HEADERS)
def test_a_data_file_of_the_headers_name_is_read(tmp_path: Path, header: str) -> None:
    path = written(tmp_path, header)
    assert np.array_equal(sitk.GetArrayFromImage(read_ct(path)), scan()[0])


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize(
    "data",
    ["/etc/hostname", "../other/ct.raw", "sub/ct.raw", "C:\\ct.raw", "sub\\ct.raw", "file:///ct.raw", "other.raw",
     "ct.txt", "..", "LIST", "ct%03d.raw 1 3 1"],
)  # fmt: skip
def test_data_files_elsewhere_are_refused_unopened(
    tmp_path: Path, asked: list[str], header: str, data: str
) -> None:
    path = written(tmp_path / "own", header)
    written(tmp_path / "other", header)
    written(tmp_path / "own" / "sub", header)
    (tmp_path / "own" / "ct.raw").rename(tmp_path / "own" / "other.raw")
    point_to(path, data)
    with pytest.raises(UserError, match=rf"{header} cannot be read.*Its header says that its voxels are in"):
        read_ct(path)
    assert asked == []


@pytest.mark.parametrize("header", HEADERS)
def test_a_data_file_that_is_a_link_out_of_the_folder_is_refused(
    tmp_path: Path, asked: list[str], header: str
) -> None:
    path, other = written(tmp_path / "own", header), written(tmp_path / "other", header)
    (tmp_path / "own" / "ct.raw").unlink()
    (tmp_path / "own" / "ct.raw").symlink_to(other.with_name("ct.raw"))
    with pytest.raises(UserError, match=r"ct\.raw cannot be read.*link that leads out of the folder"):
        read_ct(path)
    # Both of a pair as links to one folder, as archives of links have them, lead to where the header leads.
    path.unlink()
    path.symlink_to(other)
    read_ct(path)
    assert asked == [header]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such pipes")
@pytest.mark.parametrize(("header", "data"), [("ct.mhd", "ct.raw"), ("ct.nhdr", "ct.raw"), ("ct.hdr", "ct.img")])
def test_a_data_file_that_is_a_pipe_is_refused(tmp_path: Path, asked: list[str], header: str, data: str) -> None:
    path = written(tmp_path, header)
    (tmp_path / data).unlink()
    os.mkfifo(tmp_path / data)
    with pytest.raises(UserError, match=rf"{data} cannot be read. It is a pipe"):
        read_ct(path)
    assert asked == []


@pytest.mark.parametrize(
    ("header", "line"),
    [("ct.mhd", "HeaderSize = 100\n"), ("ct.mhd", "HeaderSize = -1\n"), ("ct.nhdr", "byte skip: 10\n"),
     ("ct.nhdr", "byteskip: -1\n"), ("ct.nhdr", "line skip: 2\n")],
)  # fmt: skip
def test_headers_that_leave_out_a_part_of_their_data_are_refused(
    tmp_path: Path, asked: list[str], header: str, line: str
) -> None:
    path = written(tmp_path, header)
    path.write_text(path.read_text().replace(HEADERS[header], f"{line}{HEADERS[header]}"))
    with pytest.raises(UserError, match=rf"{header} cannot be read.*leave out a part of its data"):
        read_ct(path)
    assert asked == []


@pytest.mark.parametrize(
    ("header", "hidden"),
    [("ct.mhd", "elementdatafile = ct.raw\nElementDataFile = /etc/hostname"),
     ("ct.mhd", "Comment = x\rElementDataFile = /etc/hostname\nElementDataFile = ct.raw"),
     ("ct.mhd", "ElementDataFile: /etc/hostname\nElementDataFile = ct.raw"),
     ("ct.mhd", "Comment = " + "x" * 600 + "\nElementDataFile = ct.raw"),
     ("ct.nhdr", "content: x\rdata file: /etc/hostname\ndata file: ct.raw"),
     ("ct.nhdr", "DataFile: /etc/hostname")],
)  # fmt: skip
def test_data_files_that_only_the_library_would_see_are_refused(
    tmp_path: Path, asked: list[str], header: str, hidden: str
) -> None:
    path = written(tmp_path, header)
    path.write_bytes(path.read_bytes().replace(f"{HEADERS[header]}ct.raw".encode(), hidden.encode()))
    with pytest.raises(UserError, match=header):
        read_ct(path)
    assert asked == []
