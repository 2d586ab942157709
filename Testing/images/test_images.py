"""Images: any CT is read on its own grid, and what is no CT is refused with the reason."""

from __future__ import annotations

import gzip
import multiprocessing
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.formats.image_files import write_image
from lnsegfm.images.geometry import Geometry, labels_on
from lnsegfm.images.volume_checks import check_ct
from lnsegfm.inputs.reading import read_ct

REAL_SERIES = Path(__file__).resolve().parents[3] / "shared" / "data" / "ct_dicom"
OBLIQUE = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)
SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")


def ct(dtype: type = np.int16, *, size: tuple[int, int, int] = (6, 5, 4)) -> sitk.Image:
    array = np.random.default_rng(0).integers(-1000, 1000, size[::-1]).astype(dtype)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.7, 0.9, 2.5))
    image.SetOrigin((-120.25, 33.5, -700.125))
    image.SetDirection(OBLIQUE)
    return image


def same(image: sitk.Image, other: sitk.Image) -> bool:
    return Geometry.of(image).matches(Geometry.of(other)) and np.array_equal(
        sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(other)
    )


# Files


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_a_ct_keeps_values_type_and_grid_through_a_file(tmp_path: Path, suffix: str, dtype: type) -> None:
    image = ct(dtype)
    path = tmp_path / "new" / f"scan{suffix}"
    write_image(image, path)
    found = read_ct(path)
    assert same(found, image)
    assert found.GetPixelID() == image.GetPixelID()
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("dtype", "shift", "expected"),
    [
        (np.int32, 0, sitk.sitkInt16),
        (np.float64, 0, sitk.sitkFloat32),
        (np.uint16, 1000, sitk.sitkInt16),
        (np.int32, 100_000, sitk.sitkFloat32),
    ],
)
def test_other_number_types_become_int16_where_they_fit_else_float32(
    tmp_path: Path, dtype: type, shift: int, expected: int
) -> None:
    array = (np.random.default_rng(0).integers(-1000, 1000, (3, 4, 5)) + shift).astype(dtype)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / "scan.nrrd"))
    found = read_ct(tmp_path / "scan.nrrd", assume_hu=True)
    assert found.GetPixelID() == expected
    assert np.array_equal(sitk.GetArrayFromImage(found), array)


def test_a_file_holds_nothing_of_the_patient(tmp_path: Path) -> None:
    image = ct()
    image.SetMetaData("0010|0010", "Doe^Jane")
    write_image(image, tmp_path / "scan.nrrd", compress=False)
    assert b"Doe" not in (tmp_path / "scan.nrrd").read_bytes()
    assert image.GetMetaData("0010|0010") == "Doe^Jane"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_is_reported_and_leaves_the_old_file(tmp_path: Path, suffix: str) -> None:
    """A real failure to write, by the operating system's limit on the size of files."""
    pytest.importorskip("resource", reason="only POSIX limits the size of files")
    path = tmp_path / f"scan{suffix}"
    write_image(ct(), path)
    before = path.read_bytes()
    # In a process of its own: the limit would hold for the test run's own output file as well.
    writer = multiprocessing.get_context("spawn").Process(target=_write_with_little_room, args=(path,))
    writer.start()
    writer.join()
    assert writer.exitcode == 0
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def _write_with_little_room(path: Path) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    with pytest.raises(UserError, match="could not be written"):
        write_image(ct(size=(40, 40, 40)), path)


@pytest.mark.parametrize("name", ["scan.nhdr", "scan.mhd", "scan.png", "scan"])
def test_other_formats_are_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"\.nrrd, \.nii\.gz"):
        write_image(ct(), tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_what_is_not_there_or_no_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        read_ct(tmp_path / "scan.nii.gz")
    for name in ("notes.txt", "scan.nii.gz", "scan.nrrd", "scan.dcm"):
        (tmp_path / name).write_text("not an image")
        with pytest.raises(UserError, match="cannot be read as an image"):
            read_ct(tmp_path / name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="No DICOM images"):
        read_ct(tmp_path / "empty")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("cut", [40, 200, 0.5])
def test_a_truncated_file_is_refused(tmp_path: Path, suffix: str, compress: bool, cut: float) -> None:
    path = tmp_path / f"scan{suffix}"
    write_image(ct(size=(20, 20, 20)), path, compress=compress)
    whole = path.read_bytes()
    path.write_bytes(whole[: -int(cut if cut > 1 else cut * len(whole))])
    with pytest.raises(UserError, match=r"cannot be read|damaged"):
        read_ct(path)


@pytest.mark.parametrize("order", ["<", ">"])
def test_nifti_files_of_other_programs_are_understood(tmp_path: Path, order: str) -> None:
    values = np.random.default_rng(0).integers(-1000, 1000, (4, 5, 6)).astype(f"{order}i2")
    header = bytearray(352)
    struct.pack_into(f"{order}i", header, 0, 348)
    struct.pack_into(f"{order}8h2h", header, 40, 3, 6, 5, 4, 1, 1, 1, 1, 0, 0)
    struct.pack_into(f"{order}2h", header, 70, 4, 16)
    struct.pack_into(f"{order}9f", header, 76, 1, 1, 1, 1, 1, 1, 1, 1, 352)
    header[344:348] = b"n+1\0"
    whole = bytes(header) + values.tobytes()
    (tmp_path / "scan.nii").write_bytes(whole)
    assert np.array_equal(sitk.GetArrayFromImage(read_ct(tmp_path / "scan.nii")), values)
    # Blocks compressed one by one, as bgzip does.
    (tmp_path / "blocks.nii.gz").write_bytes(
        gzip.compress(whole[:400]) + gzip.compress(whole[400:]) + gzip.compress(b"")
    )
    assert np.array_equal(sitk.GetArrayFromImage(read_ct(tmp_path / "blocks.nii.gz")), values)
    (tmp_path / "scan.nii").write_bytes(whole[:-1])
    with pytest.raises(UserError, match="damaged"):
        read_ct(tmp_path / "scan.nii")


# What is no CT


def with_value(value: float) -> sitk.Image:
    image = ct(np.float32)
    image[1, 2, 3] = value
    return image


def sheared() -> sitk.Image:
    image = ct()
    image.SetDirection((1, 0, 0, 0, 1, 0.3, 0, 0, 1))
    return image


BAD: dict[str, tuple[Callable[[], sitk.Image], str]] = {
    "2D": (lambda: sitk.Image([5, 5], sitk.sitkInt16), "not a single 3D volume"),
    "4D": (lambda: sitk.Image([5, 5, 5, 3], sitk.sitkInt16), "not a single 3D volume"),
    "vector": (lambda: sitk.Image([5, 5, 5], sitk.sitkVectorUInt8, 3), "not a scalar volume"),
    "complex": (lambda: sitk.Image([5, 5, 5], sitk.sitkComplexFloat32), "not a scalar volume"),
    "one slice": (lambda: ct(size=(6, 5, 1)), "fewer than two slices"),
    "one row": (lambda: ct(size=(6, 1, 5)), "fewer than two slices"),
    "NaN": (lambda: with_value(np.nan), "not finite.*1 of 120"),
    "infinite": (lambda: with_value(np.inf), "not finite"),
    "minus infinite": (lambda: with_value(-np.inf), "not finite"),
    "constant": (lambda: sitk.Image([5, 5, 5], sitk.sitkInt16) - 1000, "empty.*-1000"),
    "sheared": (sheared, "sheared"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_ct_is_refused_with_reason_and_advice(name: str) -> None:
    make, text = BAD[name]
    with pytest.raises(UserError, match=text) as caught:
        check_ct(make())
    assert caught.value.what and caught.value.why and caught.value.todo


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_voxels_that_are_not_numbers_are_found_in_every_format(tmp_path: Path, suffix: str, dtype: type) -> None:
    """SimpleITK reads NaN from NIfTI as 0, which would pass for soft tissue."""
    image = ct(dtype)
    sitk.WriteImage(image, str(tmp_path / f"fine{suffix}"))
    assert same(read_ct(tmp_path / f"fine{suffix}"), sitk.Cast(image, sitk.sitkFloat32))
    image[1, 2, 3], image[2, 2, 2] = np.nan, np.inf
    sitk.WriteImage(image, str(tmp_path / f"scan{suffix}"))
    with pytest.raises(UserError, match="2 of 120 voxels are NaN or infinite"):
        read_ct(tmp_path / f"scan{suffix}")


@pytest.mark.parametrize("name", ["4D", "vector", "one slice", "NaN", "constant"])
def test_what_is_no_ct_is_refused_from_a_file_too(tmp_path: Path, name: str) -> None:
    make, text = BAD[name]
    sitk.WriteImage(make(), str(tmp_path / "scan.nrrd"))
    with pytest.raises(UserError, match=text):
        read_ct(tmp_path / "scan.nrrd")


# Grids


def test_labels_get_exactly_the_grid_of_the_image() -> None:
    image = ct()
    array = np.random.default_rng(1).integers(0, 2, (4, 5, 6))
    labels = labels_on(image, array)
    assert Geometry.of(labels) == Geometry.of(image)
    assert labels.GetPixelID() == sitk.sitkUInt8
    assert np.array_equal(sitk.GetArrayFromImage(labels), array)
    with pytest.raises(ValueError, match="do not fit"):
        labels_on(image, array.transpose())


def test_geometry_positions_are_those_of_simpleitk() -> None:
    image = ct()
    indices = np.array([[0, 0, 0], [5, 4, 3], [1, 2, 3]])
    expected = [image.TransformIndexToPhysicalPoint(index.tolist()) for index in indices]
    assert np.allclose(Geometry.of(image).positions(indices), expected)


def test_grids_match_within_the_tolerance_at_every_corner() -> None:
    grid = Geometry.of(ct(size=(400, 400, 100)))
    moved = ct(size=(400, 400, 100))
    moved.SetOrigin((-120.255, 33.5, -700.125))
    assert grid.matches(Geometry.of(moved))
    assert not grid.matches(Geometry.of(moved), tolerance_mm=0.001)
    moved = ct(size=(400, 400, 100))
    moved.SetSpacing((0.7001, 0.9, 2.5))  # 0.04 mm at the far corner
    assert not grid.matches(Geometry.of(moved))
    assert not grid.matches(Geometry.of(ct(size=(400, 400, 99))))
