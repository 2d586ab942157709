"""A folder of DICOM slices as one volume: order, values, grid, and series to choose from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_slices import rewrite, stack, write_series

from lnsegfm.base.errors import UserError
from lnsegfm.inputs.reading import read_ct

REAL_SERIES = Path(__file__).resolve().parents[3] / "shared" / "data" / "ct_dicom"


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
