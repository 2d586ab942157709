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
from lnsegfm.images.geometry import Geometry, labels_on
from lnsegfm.images.image_files import write_image
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


def write_series(
    folder: Path,
    positions: list[tuple[float, float, float]],
    *,
    uid: str = "1.2.3",
    modality: str = "CT",
    direction: tuple[float, ...] = (1, 0, 0, 0, 1, 0),
    size: int = 8,
    name: str = "",
    sop: str = "",
) -> np.ndarray:
    """Write one DICOM file a position, numbered from the last position, and return the HU by position."""
    folder.mkdir(exist_ok=True)
    values = np.random.default_rng(len(positions)).integers(-1000, 1000, (len(positions), size, size)).astype(np.int16)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for number in reversed(range(len(positions))):
        image = sitk.GetImageFromArray(values[number][None])
        image.SetSpacing((0.5, 0.5, 1.0))
        header = {
            "0008|0060": modality,
            "0020|000e": uid,
            "0020|000d": "1.2",
            "0008|0018": f"{sop or uid}.{number + 1}",
            "0008|103e": f"series {uid}",
            "0010|0010": "Doe^Jane",
            "0020|0013": str(len(positions) - number),
            "0020|0032": "\\".join(f"{value:.4f}" for value in positions[number]),
            "0020|0037": "\\".join(f"{value:.6f}" for value in direction),
            # SimpleITK stores HU less the intercept.
            "0028|1052": "-1024",
            "0028|1053": "1",
        }
        for key, value in header.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{name or uid}-{len(positions) - 1 - number}.dcm"))
        writer.Execute(image)
    return values


def rewrite(folder: Path, old: bytes, new: bytes) -> None:
    """Change the bytes of all files, for headers that SimpleITK does not write."""
    for path in folder.iterdir():
        content = path.read_bytes()
        assert content.count(old) == 1
        path.write_bytes(content.replace(old, new))


def stack(count: int, gap: float = 2.5, start: float = -50.0) -> list[tuple[float, float, float]]:
    return [(-10.0, 20.0, start + gap * number) for number in range(count)]


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


# DICOM


@pytest.mark.skipif(not REAL_SERIES.is_dir(), reason=f"no CT series at {REAL_SERIES}")
def test_a_real_ct_series_is_read_in_hu_on_its_own_grid() -> None:
    warnings: list[str] = []
    image = read_ct(REAL_SERIES, warnings=warnings)
    assert warnings == []
    assert image.GetSize() == (512, 512, 20)
    assert image.GetSpacing() == pytest.approx((0.9765625, 0.9765625, 2.0))
    assert image.GetOrigin() == pytest.approx((-249.51171875, -437.51171875, -804.5))
    values = sitk.GetArrayViewFromImage(image)
    assert image.GetPixelID() == sitk.sitkInt16
    assert values.min() == -1024 and 200 < values.max() < 4000


def test_slices_are_ordered_by_position_and_rescaled(tmp_path: Path) -> None:
    slices = write_series(tmp_path / "s", stack(5))
    image = read_ct(tmp_path / "s")
    assert np.array_equal(sitk.GetArrayFromImage(image), slices)
    assert image.GetSpacing() == pytest.approx((0.5, 0.5, 2.5))
    assert image.GetOrigin() == pytest.approx((-10.0, 20.0, -50.0))
    assert image.GetPixelID() == sitk.sitkInt16


def test_a_fractional_rescale_slope_gives_float(tmp_path: Path) -> None:
    slices = write_series(tmp_path / "s", stack(3))
    rewrite(tmp_path / "s", b"\x28\x00\x53\x10\x02\0\0\x001 ", b"\x28\x00\x53\x10\x04\0\0\x000.5 ")
    image = read_ct(tmp_path / "s")
    assert image.GetPixelID() == sitk.sitkFloat32
    assert np.allclose(sitk.GetArrayFromImage(image), (slices + 1024) * 0.5 - 1024)


def test_an_oblique_series_lies_where_its_headers_say(tmp_path: Path) -> None:
    # Rows to the patient's front left, columns down: a coronal-like stack.
    row, column = np.array([0.8, -0.6, 0.0]), np.array([0.0, 0.0, -1.0])
    normal = np.cross(row, column)
    positions = [tuple(np.array([5.0, 6.0, 7.0]) + 1.5 * number * normal) for number in range(4)]
    slices = write_series(tmp_path / "s", positions, direction=(*row, *column))
    image = read_ct(tmp_path / "s")
    assert np.array_equal(sitk.GetArrayFromImage(image), slices)
    for number, position in enumerate(positions):
        assert image.TransformIndexToPhysicalPoint((0, 0, number)) == pytest.approx(position, abs=1e-3)
    assert image.TransformIndexToPhysicalPoint((4, 0, 0)) == pytest.approx(np.array(positions[0]) + 2 * row, abs=1e-3)


def test_positions_rounded_to_a_tenth_of_a_mm_are_regular(tmp_path: Path) -> None:
    write_series(tmp_path / "s", [(0.0, 0.0, round(0.625 * number, 1)) for number in range(9)])
    assert read_ct(tmp_path / "s").GetSpacing()[2] == pytest.approx(0.625)


def test_a_missing_slice_is_named(tmp_path: Path) -> None:
    positions = stack(6)
    del positions[3]
    write_series(tmp_path / "s", positions)
    with pytest.raises(UserError, match=r"missing.*gap of 5\.00 mm between the slices at -45\.0 mm and -40\.0 mm"):
        read_ct(tmp_path / "s")


def test_a_missing_slice_is_found_in_an_oblique_stack_of_four(tmp_path: Path) -> None:
    positions = [(0.0, -2.0 * number, 0.0) for number in (0, 1, 3, 4)]
    write_series(tmp_path / "s", positions, direction=(1, 0, 0, 0, 0, -1))
    with pytest.raises(UserError, match=r"missing|evenly"):
        read_ct(tmp_path / "s")


def test_irregular_spacing_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "s", stack(4, 2.0, 0.0) + stack(4, 2.6, 8.6))
    with pytest.raises(UserError, match="not evenly spaced"):
        read_ct(tmp_path / "s")


@pytest.mark.parametrize("positions", [stack(4) + stack(4), [(0.0, 0.0, 0.0)] * 3], ids=["two phases", "no positions"])
def test_several_images_at_one_position_are_refused(
    tmp_path: Path, positions: list[tuple[float, float, float]]
) -> None:
    write_series(tmp_path / "s", positions)
    with pytest.raises(UserError, match="same position"):
        read_ct(tmp_path / "s")


def test_a_tilted_gantry_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "s", [(0.0, 0.6 * number, 2.0 * number) for number in range(5)])
    with pytest.raises(UserError, match="tilted gantry"):
        read_ct(tmp_path / "s")


def test_images_of_another_size_in_the_series_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "s", stack(4))
    write_series(tmp_path / "s", stack(1, start=0.0), size=10, name="scout", sop="1.2.3.99")
    with pytest.raises(UserError, match="differ in size"):
        read_ct(tmp_path / "s")


def test_several_series_are_listed_to_choose_from(tmp_path: Path) -> None:
    write_series(tmp_path / "s", stack(3), uid="1.2.3")
    other = write_series(tmp_path / "s", stack(5), uid="1.2.4")
    with pytest.raises(UserError, match="several DICOM series") as caught:
        read_ct(tmp_path / "s")
    assert '1.2.3: 3 slices, CT, "series 1.2.3"' in caught.value.why
    assert '1.2.4: 5 slices, CT, "series 1.2.4"' in caught.value.why
    assert "Doe" not in str(caught.value)
    assert np.array_equal(sitk.GetArrayFromImage(read_ct(tmp_path / "s", series="1.2.4")), other)
    with pytest.raises(UserError, match=r"1\.2\.9 is not in this folder"):
        read_ct(tmp_path / "s", series="1.2.9")


def test_a_scout_and_another_modality_beside_the_ct_do_not_matter(tmp_path: Path) -> None:
    slices = write_series(tmp_path / "s", stack(4), uid="1.2.3")
    write_series(tmp_path / "s", stack(1), uid="1.2.4")
    write_series(tmp_path / "s", stack(4), uid="1.2.5", modality="MR")
    (tmp_path / "s" / "README.txt").write_text("exported")
    assert np.array_equal(sitk.GetArrayFromImage(read_ct(tmp_path / "s")), slices)


def test_another_modality_is_read_with_a_warning(tmp_path: Path) -> None:
    write_series(tmp_path / "s", stack(3), modality="MR")
    warnings: list[str] = []
    read_ct(tmp_path / "s", warnings=warnings)
    assert "The series' modality is MR, not CT; the models are made for CT." in warnings


def test_a_single_slice_is_refused_as_file_and_as_folder(tmp_path: Path) -> None:
    write_series(tmp_path / "s", stack(1))
    for path in (tmp_path / "s", tmp_path / "s" / "1.2.3-0.dcm"):
        with pytest.raises(UserError, match="fewer than two slices"):
            read_ct(path)


def test_an_inverted_grey_scale_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "s", stack(3))
    rewrite(tmp_path / "s", b"MONOCHROME2", b"MONOCHROME1")
    for path in (tmp_path / "s", tmp_path / "s" / "1.2.3-0.dcm"):
        with pytest.raises(UserError, match="MONOCHROME1"):
            read_ct(path)


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
