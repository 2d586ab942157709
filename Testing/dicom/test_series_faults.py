"""DICOM slices that lack something or contradict each other, one to a file or many: read right, said, or refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from made_scan import AXIAL, ORIGIN, ROD, SIZE, SPACING, rod_of, scan, write_enhanced, write_slices
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import JPEGExtended12Bit, RLELossless

from lnsegfm.base.errors import UserError
from lnsegfm.dicom.series import list_series
from lnsegfm.inputs.reading import read_ct

EXPECTED_ROD = [10.0 * number for number in range(SIZE[2])]


def without(*tags: str, only: int | None = None) -> Callable[[Dataset, int], None]:
    def edit(dataset: Dataset, number: int) -> None:
        if only is None or number == only:
            for tag in tags:
                delattr(dataset, tag)

    return edit


def setting(only: int | None = None, **elements: object) -> Callable[[Dataset, int], None]:
    def edit(dataset: Dataset, number: int) -> None:
        if only is None or number == only:
            for name, value in elements.items():
                setattr(dataset, name, value)

    return edit


def check_whole(ct: sitk.Image) -> None:
    assert ct.GetSize() == SIZE and ct.GetSpacing() == SPACING and ct.GetOrigin() == pytest.approx(ORIGIN)
    assert np.array_equal(sitk.GetArrayFromImage(ct), scan()[0])


def test_a_sound_series_and_a_sound_enhanced_ct_are_the_same_scan(tmp_path: Path) -> None:
    write_slices(tmp_path / "classic")
    (tmp_path / "enhanced").mkdir()
    write_enhanced(tmp_path / "enhanced" / "ct.dcm")
    for path in (tmp_path / "classic", tmp_path / "enhanced", tmp_path / "enhanced" / "ct.dcm"):
        warnings: list[str] = []
        check_whole(read_ct(path, warnings=warnings))
        assert warnings == []


# Order, gaps, duplicates


def test_frames_in_any_order_are_sorted_by_position(tmp_path: Path) -> None:
    order = [int(number) for number in np.random.default_rng(3).permutation(SIZE[2])]
    write_enhanced(tmp_path / "ct.dcm", order)
    check_whole(read_ct(tmp_path / "ct.dcm"))


def test_frames_over_several_files_make_up_one_volume(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "a.dcm", range(9, SIZE[2]))
    write_enhanced(tmp_path / "b.dcm", range(9))
    check_whole(read_ct(tmp_path))


def test_missing_frames_are_refused(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "ct.dcm", [*range(6), *range(9, SIZE[2])])
    with pytest.raises(UserError, match=r"missing.*gap of 12\.00 mm"):
        read_ct(tmp_path / "ct.dcm")


def test_two_phases_in_one_file_are_refused(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "ct.dcm", [*range(8), *range(8)])
    with pytest.raises(UserError, match="same position"):
        read_ct(tmp_path / "ct.dcm")


def test_frames_in_another_plane_are_refused(tmp_path: Path) -> None:
    def tilt(group: Dataset, number: int) -> None:
        if number == 5:
            other = Dataset()
            other.ImageOrientationPatient = [1, 0, 0, 0, 0.9689, 0.2474]
            group.PlaneOrientationSequence = Items([other])

    write_enhanced(tmp_path / "ct.dcm", edit=tilt)
    with pytest.raises(UserError, match="orientation"):
        read_ct(tmp_path / "ct.dcm")


# Rescale


def test_each_slice_is_rescaled_by_its_own_slope_and_intercept(tmp_path: Path) -> None:
    def rescale(dataset: Dataset, number: int) -> None:
        if number % 2:
            stored = np.frombuffer(dataset.PixelData, "<u2").astype(int)
            dataset.RescaleSlope, dataset.RescaleIntercept = 2, -1000
            dataset.PixelData = ((stored - 1024 + 1000) // 2).clip(0).astype("<u2").tobytes()

    write_slices(tmp_path, rescale)
    rod = rod_of(read_ct(tmp_path))
    assert rod == pytest.approx(EXPECTED_ROD, abs=1)


def test_each_frame_is_rescaled_by_its_own_slope_and_intercept(tmp_path: Path) -> None:
    def shift(group: Dataset, number: int) -> None:
        own = Dataset()
        own.RescaleSlope, own.RescaleIntercept, own.RescaleType = 1, -1024 + number, "HU"
        group.PixelValueTransformationSequence = Items([own])

    write_enhanced(tmp_path / "ct.dcm", edit=shift)
    assert rod_of(read_ct(tmp_path / "ct.dcm")) == [value + number for number, value in enumerate(EXPECTED_ROD)]


def test_one_slice_without_rescale_is_refused_by_its_name(tmp_path: Path) -> None:
    write_slices(tmp_path, without("RescaleSlope", "RescaleIntercept", only=10))
    with pytest.raises(UserError, match=r"1 of 16 slices have no RescaleSlope.*slice10\.dcm"):
        read_ct(tmp_path)


def test_no_rescale_at_all_is_said(tmp_path: Path) -> None:
    def signed(dataset: Dataset, number: int) -> None:
        without("RescaleSlope", "RescaleIntercept", "RescaleType")(dataset, number)
        dataset.PixelRepresentation, dataset.PixelData = 1, scan()[0][number].tobytes()

    write_slices(tmp_path, signed)
    warnings: list[str] = []
    check_whole(read_ct(tmp_path, warnings=warnings))
    assert len(warnings) == 1 and "no RescaleSlope" in warnings[0]


def test_another_unit_is_said_and_two_units_are_refused(tmp_path: Path) -> None:
    write_slices(tmp_path / "one", setting(RescaleType="US"))
    warnings: list[str] = []
    read_ct(tmp_path / "one", warnings=warnings)
    assert any("RescaleType is US" in text for text in warnings)
    write_slices(tmp_path / "two", setting(only=3, RescaleType="US"))
    with pytest.raises(UserError, match="RescaleType is HU and US"):
        read_ct(tmp_path / "two")


def test_a_modality_table_is_applied(tmp_path: Path) -> None:
    def tabled(dataset: Dataset, number: int) -> None:
        without("RescaleSlope", "RescaleIntercept", "RescaleType")(dataset, number)
        table = Dataset()
        table.LUTDescriptor, table.ModalityLUTType = [4096, 0, 16], "HU"
        table.add_new("LUTData", "US", [value * 2 for value in range(4096)])
        dataset.ModalityLUTSequence = Items([table])

    write_slices(tmp_path, tabled)
    image = read_ct(tmp_path, assume_hu=True)
    assert np.array_equal(sitk.GetArrayFromImage(image), 2 * (scan()[0].astype(int) + 1024))


def test_bits_above_the_stored_ones_do_not_count(tmp_path: Path) -> None:
    def overlaid(dataset: Dataset, number: int) -> None:
        dataset.BitsStored, dataset.HighBit = 12, 11
        dataset.PixelData = (np.frombuffer(dataset.PixelData, "<u2") | 0x8000).tobytes()

    write_slices(tmp_path, overlaid)
    check_whole(read_ct(tmp_path))


# What is missing


@pytest.mark.parametrize("tag", ["PixelSpacing", "ImageOrientationPatient", "ImagePositionPatient"])
@pytest.mark.parametrize("only", [None, 7])
def test_missing_geometry_is_refused(tmp_path: Path, tag: str, only: int | None) -> None:
    write_slices(tmp_path, without(tag, only=only))
    where = "all" if only is None else "1 of 16"
    with pytest.raises(UserError, match=f"{tag} is missing or unreadable in {where} slices"):
        read_ct(tmp_path)


@pytest.mark.parametrize("spacing", [[0, 2], [-2, 2]])
def test_impossible_pixel_spacing_is_refused(tmp_path: Path, spacing: list[float]) -> None:
    write_slices(tmp_path, setting(PixelSpacing=spacing))
    with pytest.raises(UserError, match="PixelSpacing is"):
        read_ct(tmp_path)


def test_axes_that_are_no_axes_are_refused(tmp_path: Path) -> None:
    write_slices(tmp_path, setting(ImageOrientationPatient=[1, 0, 0, 0.7, 0.7, 0]))
    with pytest.raises(UserError, match="perpendicular"):
        read_ct(tmp_path)


# Damaged files


@pytest.mark.parametrize("length", [0, 100, 300, 700])
def test_a_slice_that_ends_within_its_header_is_named(tmp_path: Path, length: int) -> None:
    path = write_slices(tmp_path)[-1]
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UserError, match=r"slice15\.dcm"):
        read_ct(tmp_path)


def test_a_slice_that_ends_within_its_pixels_is_named(tmp_path: Path) -> None:
    path = write_slices(tmp_path)[4]
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(UserError, match=r"slice04\.dcm.*too little pixel data: 2680 of 2880"):
        read_ct(tmp_path)


def test_too_little_pixel_data_in_a_whole_file_is_named(tmp_path: Path) -> None:
    write_slices(tmp_path, lambda made, number: number == 11 and setattr(made, "PixelData", made.PixelData[:1000]))
    with pytest.raises(UserError, match=r"slice11\.dcm.*too little pixel data: 1000 of 2880 bytes"):
        read_ct(tmp_path)


def test_a_slice_without_pixels_is_named(tmp_path: Path) -> None:
    write_slices(tmp_path, without("PixelData", only=2))
    with pytest.raises(UserError, match=r"slice02\.dcm.*no pixel data"):
        read_ct(tmp_path)


def test_too_few_frames_are_refused(tmp_path: Path) -> None:
    made = write_enhanced(tmp_path / "ct.dcm")
    made.PixelData = made.PixelData[: len(made.PixelData) // 2]
    pydicom.dcmwrite(tmp_path / "ct.dcm", made, enforce_file_format=True)
    with pytest.raises(UserError, match=r"ct\.dcm.*too little pixel data"):
        read_ct(tmp_path / "ct.dcm")


def test_compressed_slices_are_read(tmp_path: Path) -> None:
    for path in write_slices(tmp_path):
        dataset = pydicom.dcmread(path)
        dataset.compress(RLELossless)
        dataset.save_as(path)
    check_whole(read_ct(tmp_path))


def test_a_compressed_slice_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    path = write_slices(tmp_path)[9]
    dataset = pydicom.dcmread(path)
    dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8" + b"\0" * 60])
    dataset.file_meta.TransferSyntaxUID, dataset["PixelData"].VR = JPEGExtended12Bit, "OB"
    dataset.save_as(path)
    with pytest.raises(UserError, match=r"slice09\.dcm.*compressed pixels end too early"):
        read_ct(tmp_path)


def test_files_that_are_no_dicom_are_named_but_do_no_harm(tmp_path: Path) -> None:
    write_slices(tmp_path)
    (tmp_path / "notes.txt").write_text("exported")
    (tmp_path / "IM0099").write_bytes(b"something else")
    warnings: list[str] = []
    check_whole(read_ct(tmp_path, warnings=warnings))
    assert len(warnings) == 1 and "IM0099" in warnings[0] and "notes" not in warnings[0]


def test_the_constants_of_the_scan_are_what_the_tests_take_them_for() -> None:
    assert [int(value) for value in scan()[0][:, ROD[1], ROD[0]]] == EXPECTED_ROD and AXIAL[0] == 1


def test_a_compressed_enhanced_ct_is_the_same_scan(tmp_path: Path) -> None:
    order = [int(number) for number in np.random.default_rng(5).permutation(SIZE[2])]
    write_enhanced(tmp_path / "ct.dcm", order)
    dataset = pydicom.dcmread(tmp_path / "ct.dcm")
    dataset.compress(RLELossless)
    dataset.save_as(tmp_path / "ct.dcm")
    check_whole(read_ct(tmp_path / "ct.dcm"))


# One scan of one patient


@pytest.mark.parametrize("tag", ["PatientID", "StudyInstanceUID", "FrameOfReferenceUID"])
def test_a_slice_of_somebody_else_is_refused_by_its_name(tmp_path: Path, tag: str) -> None:
    write_slices(tmp_path, setting(only=11, **{tag: "1.2.3"}))
    with pytest.raises(UserError, match=r"several .*1 of 16 differ, first slice11\.dcm") as caught:
        read_ct(tmp_path)
    assert "MADE-UP" not in str(caught.value)


def test_a_slice_of_another_series_is_said(tmp_path: Path) -> None:
    write_slices(tmp_path, setting(only=15, SeriesInstanceUID="1.2.3"))
    warnings: list[str] = []
    assert read_ct(tmp_path, warnings=warnings).GetSize()[2] == 15
    assert warnings == ["Left out, for it belongs to another series, although it has the same plane: 'slice15.dcm'."]


def test_another_kernel_is_said_and_another_modality_refused(tmp_path: Path) -> None:
    kernels = ["B70", *["B31f"] * 15]
    write_slices(tmp_path / "kernel", lambda made, number: setattr(made, "ConvolutionKernel", kernels[number]))
    warnings: list[str] = []
    read_ct(tmp_path / "kernel", warnings=warnings)
    assert warnings == ["The slices of the series have different convolution kernels: B31f; B70."]
    write_slices(tmp_path / "modality", setting(only=4, Modality="MR"))
    with pytest.raises(UserError, match="modalities CT and MR"):
        read_ct(tmp_path / "modality")


def test_a_frame_without_the_rescale_of_the_others_does_not_take_that_of_the_file(tmp_path: Path) -> None:
    def own(group: Dataset, number: int) -> None:
        if number != 5:
            item = Dataset()
            item.RescaleSlope, item.RescaleIntercept, item.RescaleType = 1, -1024, "HU"
            group.PixelValueTransformationSequence = Items([item])

    made = write_enhanced(tmp_path / "ct.dcm", edit=own)
    del made.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence
    made.RescaleSlope, made.RescaleIntercept = 1, 0
    pydicom.dcmwrite(tmp_path / "ct.dcm", made, enforce_file_format=True)
    with pytest.raises(UserError, match="1 of 16 slices have no RescaleSlope"):
        read_ct(tmp_path / "ct.dcm")


def test_one_slice_of_another_scale_is_refused_until_the_user_says_that_it_is_right(tmp_path: Path) -> None:
    write_slices(tmp_path, setting(only=9, RescaleIntercept=0))
    with pytest.raises(UserError, match=r"Slice 9 \(from 0\) differs from both its neighbours by 10\d\d HU"):
        read_ct(tmp_path)
    assert rod_of(read_ct(tmp_path, assume_hu=True))[9] == 90 + 1024


def test_bits_that_do_not_end_at_the_lowest_are_refused(tmp_path: Path) -> None:
    write_slices(tmp_path, setting(only=3, BitsStored=12, HighBit=15))
    with pytest.raises(UserError, match=r"slice03\.dcm.*HighBit is 15"):
        read_ct(tmp_path)


def test_more_pixels_than_announced_are_refused(tmp_path: Path) -> None:
    write_slices(tmp_path, lambda made, number: number == 6 and setattr(made, "PixelData", 2 * made.PixelData))
    with pytest.raises(UserError, match=r"slice06\.dcm"):
        read_ct(tmp_path)


def test_a_file_without_preamble_is_read(tmp_path: Path) -> None:
    for path in write_slices(tmp_path):
        dataset = pydicom.dcmread(path)
        del dataset.file_meta
        dataset.preamble = None
        dataset.save_as(path, implicit_vr=True, little_endian=True, enforce_file_format=False)
        assert path.read_bytes()[128:132] != b"DICM"
    check_whole(read_ct(tmp_path))


def test_other_objects_and_hidden_files_beside_the_slices_do_no_harm(tmp_path: Path) -> None:
    path = write_slices(tmp_path)[0]
    protocol = pydicom.dcmread(path)
    protocol.file_meta.MediaStorageSOPClassUID = protocol.SOPClassUID = "1.2.840.10008.5.1.4.1.1.200.2"
    for tag in ("Rows", "Columns", "PixelData"):
        delattr(protocol, tag)
    protocol.save_as(tmp_path / "protocol.dcm")
    (tmp_path / "._slice00.dcm").write_bytes(b"\0\5\x16\7")
    warnings: list[str] = []
    check_whole(read_ct(tmp_path, warnings=warnings))
    assert warnings == [] and len(list_series(tmp_path)) == 1
