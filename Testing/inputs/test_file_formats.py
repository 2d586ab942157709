"""Files are told by their content; damaged ones and those of other formats are refused by name."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from made_scan import image, scan

from lnsegfm.base.errors import UserError
from lnsegfm.inputs.reading import read_ct


def written(path: Path, *, compress: bool = False) -> Path:
    sitk.WriteImage(image(scan()[0]), str(path), useCompression=compress)
    return path


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_truncated_files_are_refused_by_name(tmp_path: Path, suffix: str, compress: bool, share: float) -> None:
    path = written(tmp_path / f"ct{suffix}", compress=compress)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=rf"ct{suffix}") as caught:
        read_ct(path)
    assert "No such file" not in str(caught.value)


@pytest.mark.parametrize(("header", "data"), [("ct.hdr", "ct.img"), ("ct.mhd", "ct.raw"), ("ct.nhdr", "ct.raw")])
def test_truncated_data_files_are_refused(tmp_path: Path, header: str, data: str) -> None:
    written(tmp_path / header)
    path = tmp_path / data
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match="23040 of 46080 bytes"):
        read_ct(tmp_path / header)


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha"])
def test_slices_that_the_header_does_not_announce_are_refused(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"ct{suffix}")
    path.write_bytes(path.read_bytes() + b"\0" * 100)
    assert read_ct(path).GetSize()[2] == 16
    path.write_bytes(path.read_bytes() + scan()[0][:8].tobytes())
    with pytest.raises(UserError, match="part of the scan would be left out"):
        read_ct(path)


def test_voxels_within_the_header_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "ct.nii")
    content = bytearray(path.read_bytes())
    content[108:112] = np.float32(0).tobytes()
    path.write_bytes(content)
    with pytest.raises(UserError, match="begin at byte 0, within its header"):
        read_ct(path)


@pytest.mark.parametrize("suffix", [".nii.gz", ".mha"])
def test_compressed_voxels_that_were_damaged_are_refused(tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"ct{suffix}", compress=True)
    content = bytearray(path.read_bytes())
    content[-3000] ^= 4
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"ct{suffix} is damaged"):
        read_ct(path)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"ElementDataFile = LOCAL", b"ElementDataFile = LIST", "several files"),
        (b"ElementDataFile = LOCAL", b"ElementDataFile = ct%03d.raw", "several files"),
        (b"BinaryData = True", b"BinaryData = False", "as text"),
        (b"CompressedDataSize", b"Comment", "no CompressedDataSize"),
    ],
)
def test_metaimages_that_are_stored_in_other_ways_are_refused(
    tmp_path: Path, old: bytes, new: bytes, why: str
) -> None:
    path = written(tmp_path / "ct.mha", compress=True)
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    with pytest.raises(UserError, match=why):
        read_ct(path)


def test_a_pair_of_nifti_files_is_read(tmp_path: Path) -> None:
    written(tmp_path / "ct.hdr")
    assert np.array_equal(sitk.GetArrayFromImage(read_ct(tmp_path / "ct.hdr")), scan()[0])
    (tmp_path / "ct.img").unlink()
    with pytest.raises(UserError, match=r"ct\.img, which holds its voxels, is not beside it"):
        read_ct(tmp_path / "ct.hdr")


@pytest.mark.parametrize(
    ("suffix", "name"), [(".vtk", "a VTK file"), (".gipl", "a GIPL file"), (".tif", "a TIFF picture")]
)
@pytest.mark.parametrize("disguise", ["", ".nrrd", ".nii", ".mha"])
def test_formats_that_do_not_say_where_voxels_lie_are_refused(
    tmp_path: Path, suffix: str, name: str, disguise: str
) -> None:
    path = written(tmp_path / f"ct{suffix}")
    if disguise:
        path = path.rename(tmp_path / f"ct{disguise}")
    with pytest.raises(UserError, match=name):
        read_ct(path)


def test_analyze_and_nifti_2_are_refused(tmp_path: Path) -> None:
    nibabel.save(nibabel.Spm99AnalyzeImage(scan()[0].T, np.diag([2.0, 2.5, 3.0, 1.0])), tmp_path / "old.img")
    with pytest.raises(UserError, match=r"Analyze 7\.5"):
        read_ct(tmp_path / "old.hdr")
    nibabel.save(nibabel.Nifti2Image(scan()[0].T, np.diag([2.0, 2.5, 3.0, 1.0])), tmp_path / "new.nii")
    with pytest.raises(UserError, match="NIfTI-2"):
        read_ct(tmp_path / "new.nii")


@pytest.mark.parametrize("content", [b"", b"\0" * 600, b"hello", gzip.compress(b"hello", mtime=0), b"\x1f\x8b broken"])
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ct.nii.gz").write_bytes(content)
    with pytest.raises(UserError, match=r"ct\.nii\.gz"):
        read_ct(tmp_path / "ct.nii.gz")


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    path = written(tmp_path / "ct.nrrd").rename(tmp_path / "ct.nii")
    assert np.array_equal(sitk.GetArrayFromImage(read_ct(path)), scan()[0])


def test_names_that_are_not_utf_8_are_refused_before_a_library_sees_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("lnsegfm.inputs.reading._execute", lambda path, image_io: asked.append(str(path)))
    with pytest.raises(UserError, match=r"scan\\udcff\.nrrd cannot be read.*not UTF-8"):
        read_ct(Path(f"{tmp_path}/scan\udcff.nrrd"))
    assert asked == []
