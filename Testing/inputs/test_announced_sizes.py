"""Sizes that a header announces: refused before anything is allocated for what cannot be there."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from made_scan import image, scan, write_enhanced, write_slices
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGExtended12Bit

from lnsegfm.base.errors import UserError
from lnsegfm.inputs.reading import read_ct

MEMORY = 1 << 20


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr("lnsegfm.inputs.reading._execute", lambda path, image_io: found.append(path.name))
    return found


@pytest.fixture
def small_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a computer with 1 MiB left."""
    monkeypatch.setattr("lnsegfm.formats.announced_size.memory_bytes", lambda: MEMORY)


def written(path: Path, *, compress: bool) -> Path:
    sitk.WriteImage(image(scan()[0]), str(path), useCompression=compress)
    return path


def announce(path: Path, size: tuple[int, int, int]) -> None:
    """Let the header of a file of 40 x 36 x 16 voxels announce another size."""
    content = path.read_bytes()
    if path.name.endswith(".nii.gz"):
        content = gzip.decompress(content)
    changes = {
        b"sizes: 40 36 16": b"sizes: %d %d %d" % size, b"DimSize = 40 36 16": b"DimSize = %d %d %d" % size,
        struct.pack("<4h", 3, 40, 36, 16): struct.pack("<4h", 3, *size),
    }
    (old,) = [each for each in changes if each in content]
    content = content.replace(old, changes[old])
    path.write_bytes(gzip.compress(content) if path.name.endswith(".nii.gz") else content)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz", "ct.nrrd", "ct.mha"])
def test_far_more_voxels_than_the_file_can_hold_are_refused(
    tmp_path: Path, asked: list[str], name: str, compress: bool
) -> None:
    path = written(tmp_path / name, compress=compress)
    announce(path, (30_000, 30_000, 30_000))
    with pytest.raises(UserError, match=rf"{name} is damaged. It is cut short"):
        read_ct(path)
    assert asked == []


@pytest.mark.parametrize("name", ["ct.nii.gz", "ct.nrrd", "ct.mha"])
def test_more_compressed_voxels_than_the_memory_holds_are_refused(
    tmp_path: Path, asked: list[str], small_memory: None, name: str
) -> None:
    zeros = sitk.Image((128, 128, 64), sitk.sitkInt16)
    sitk.WriteImage(zeros, str(tmp_path / name), useCompression=True)
    assert (tmp_path / name).stat().st_size < 8192
    with pytest.raises(UserError, match=rf"{name} is too large.*128 x 128 x 64 voxels, 2 MB"):
        read_ct(tmp_path / name)
    assert asked == []


def bomb(path: Path) -> None:
    """Put 64 MB of zeros behind the voxels of a compressed file."""
    content = path.read_bytes()
    if path.suffix == ".mha":
        head, _, data = content.partition(b"ElementDataFile = LOCAL\n")
        packed = zlib.compress(zlib.decompress(data) + bytes(64 << 20))
        head = head.replace(str(len(data)).encode(), str(len(packed)).encode())
        path.write_bytes(head + b"ElementDataFile = LOCAL\n" + packed)
        return
    at = content.find(b"\n\n") + 2 if path.suffix == ".nrrd" else 0
    path.write_bytes(content[:at] + gzip.compress(gzip.decompress(content[at:]) + bytes(64 << 20)))


@pytest.mark.parametrize("name", ["ct.nii.gz", "ct.nrrd", "ct.mha"])
def test_compressed_data_is_read_no_further_than_announced(
    tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = written(tmp_path / name, compress=True)
    bomb(path)
    inflated = 0
    original = gzip.GzipFile.read

    def counted(self: gzip.GzipFile, size: int | None = -1) -> bytes:
        nonlocal inflated
        block = original(self, size)
        inflated += len(block)
        return block

    monkeypatch.setattr(gzip.GzipFile, "read", counted)
    with pytest.raises(UserError, match="part of the scan would be left out"):
        read_ct(path)
    assert inflated <= 4 << 20 and asked == []


@pytest.mark.parametrize("line", [b"CompressedDataSize = 99999999999999", b"ElementNumberOfChannels = 99999999"])
def test_metaimages_that_announce_more_bytes_are_refused(tmp_path: Path, asked: list[str], line: bytes) -> None:
    path = written(tmp_path / "ct.mha", compress=True)
    key = line.split(b" = ")[0]
    lines = [each for each in path.read_bytes().split(b"\n", 13) if not each.startswith(key)]
    path.write_bytes(b"\n".join([lines[0], line, *lines[1:]]))
    with pytest.raises(UserError, match=r"ct\.mha is damaged"):
        read_ct(path)
    assert asked == []


# DICOM


@pytest.mark.parametrize("frames", [2_000_000_000, 70_000])
def test_more_frames_than_pixels_are_refused(tmp_path: Path, frames: int) -> None:
    made = write_enhanced(tmp_path / "ct.dcm")
    made.NumberOfFrames = frames
    pydicom.dcmwrite(tmp_path / "ct.dcm", made, enforce_file_format=True)
    with pytest.raises(UserError, match=r"ct\.dcm"):
        read_ct(tmp_path / "ct.dcm")


def encapsulated(path: Path, frame: bytes, *, frames: int = 0) -> None:
    dataset = pydicom.dcmread(path)
    dataset.PixelData = pydicom.encaps.encapsulate([frame])
    dataset.file_meta.TransferSyntaxUID, dataset["PixelData"].VR = JPEGExtended12Bit, "OB"
    if frames:
        dataset.NumberOfFrames = frames
    dataset.save_as(path)


def test_more_compressed_frames_than_there_are_items_are_refused(tmp_path: Path) -> None:
    path = write_slices(tmp_path)[3]
    encapsulated(path, b"\xff\xd8\xff\xd9", frames=5000)
    with pytest.raises(UserError, match=r"slice03\.dcm.*announces 5000 frames"):
        read_ct(tmp_path)


def test_a_compressed_stream_of_another_size_than_its_header_is_refused(tmp_path: Path) -> None:
    path = write_slices(tmp_path)[3]
    start_of_frame = b"\xff\xc1\0\x0b\x0c" + struct.pack(">HH", 65_000, 64_000) + b"\x01\x01\x11\0"
    encapsulated(path, b"\xff\xd8\xff\xfe\0\x04hi" + start_of_frame + b"\xff\xd9")
    with pytest.raises(UserError, match=r"slice03\.dcm.*compressed pixels are 64000 x 65000"):
        read_ct(tmp_path)


def test_a_volume_larger_than_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_slices(tmp_path)
    monkeypatch.setattr("lnsegfm.formats.announced_size.memory_bytes", lambda: 10_000)
    with pytest.raises(UserError, match=r"is too large.*40 x 36 x 16 voxels"):
        read_ct(tmp_path)


def test_a_deflated_file_is_inflated_no_further_than_the_memory(tmp_path: Path, small_memory: None) -> None:
    path = write_slices(tmp_path)[3]
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.PixelData = np.zeros(4 << 20, np.uint8).tobytes()
    dataset.save_as(path, enforce_file_format=True)
    assert path.stat().st_size < 16_384
    with pytest.raises(UserError, match=r"slice03\.dcm is too large"):
        read_ct(tmp_path)
