"""DICOM segmentations: read with the names of their segments, or refused with a way out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from labelled_scan import ORIGIN, SPACING, ct, structures, truth
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from lnsegfm.base.errors import UserError
from lnsegfm.inputs.dicom_segmentation import SEGMENTATION_STORAGE
from lnsegfm.inputs.label_reading import read_labels
from lnsegfm.inputs.labels_on_ct import lymph_nodes_on


def item(**values: Any) -> Dataset:
    made = Dataset()
    for name, value in values.items():
        setattr(made, name, value)
    return made


def write_seg(path: Path, masks: Mapping[str, np.ndarray], *, code: str = "", kind: str = "BINARY") -> Path:
    """Write the slices of each mask that are not empty, as most programs do."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = SEGMENTATION_STORAGE
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = generate_uid(entropy_srcs=["seg"])
    made.Modality, made.SegmentationType, made.PatientName = "SEG", kind, "Made^Up"
    made.Rows = made.Columns = 48
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 1, 1, 0, 0
    made.SharedFunctionalGroupsSequence = [item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        PixelMeasuresSequence=[item(PixelSpacing=list(SPACING[:2]), SliceThickness=3.0, SpacingBetweenSlices=3.0)],
    )]  # fmt: skip
    made.SegmentSequence = [
        item(SegmentNumber=number, SegmentLabel=name, SegmentedPropertyTypeCodeSequence=[
            item(CodingSchemeDesignator="SCT", CodeValue=code, CodeMeaning="Something") if code else Dataset()
        ])
        for number, name in enumerate(masks, 1)
    ]  # fmt: skip
    frames = [(number, z, mask[z]) for number, mask in enumerate(masks.values(), 1) for z in range(24) if mask[z].any()]
    made.NumberOfFrames = len(frames)
    made.PerFrameFunctionalGroupsSequence = [
        item(
            PlanePositionSequence=[item(ImagePositionPatient=[*ORIGIN[:2], ORIGIN[2] + SPACING[2] * z])],
            SegmentIdentificationSequence=[item(ReferencedSegmentNumber=number)],
        )
        for number, z, _plane in frames
    ]
    bits = np.concatenate([plane.astype(np.uint8).ravel() for _number, _z, plane in frames])
    packed = np.packbits(bits, bitorder="little").tobytes()
    made.PixelData = packed + b"\0" * (len(packed) % 2)
    pydicom.dcmwrite(path, made, enforce_file_format=True)
    return path


def test_the_lymph_node_segments_are_taken_by_name_also_where_segments_overlap(tmp_path: Path) -> None:
    around = np.zeros((24, 48, 48), bool)
    around[8:12, 18:26, 8:16] = True
    masks = {"Carotid artery": structures() == 2, "LN 1": truth() == 1, "Neck": around}
    found = lymph_nodes_on(ct(), read_labels(write_seg(tmp_path / "seg.dcm", masks)))
    assert np.array_equal(found.array, truth())
    assert found.notes[1] == "Left out: 'Carotid artery' (240 voxels), 'Neck' (256 voxels)."


def test_slices_without_any_segment_may_be_left_out(tmp_path: Path) -> None:
    apart = truth()
    apart[10:14] = 0
    found = lymph_nodes_on(ct(), read_labels(write_seg(tmp_path / "seg", {"Lymph node": apart})))
    assert np.array_equal(found.array, apart)


def test_the_code_of_a_lymph_node_counts_without_a_name(tmp_path: Path) -> None:
    path = write_seg(tmp_path / "seg.dcm", {"Finding A": truth(), "Finding B": structures() == 2}, code="59441001")
    assert lymph_nodes_on(ct(), read_labels(path)).array.sum() == (truth() | (structures() == 2)).sum()


def test_a_fractional_segmentation_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = write_seg(tmp_path / "seg.dcm", {"Lymph node": truth()}, kind="FRACTIONAL")
    with pytest.raises(UserError, match="only BINARY") as refused:
        read_labels(path)
    assert "Convert it" in refused.value.todo


def test_slices_that_are_not_evenly_spaced_are_refused(tmp_path: Path) -> None:
    path = write_seg(tmp_path / "seg.dcm", {"Lymph node": truth()})
    made = pydicom.dcmread(path)
    made.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient[2] += 0.7
    made.save_as(path)
    with pytest.raises(UserError, match="regular grid"):
        read_labels(path)


def test_another_dicom_file_and_a_damaged_one_are_named(tmp_path: Path) -> None:
    path = write_seg(tmp_path / "seg.dcm", {"Lymph node": truth()})
    made = pydicom.dcmread(path)
    made.SOPClassUID, made.Modality = CTImageStorage, "CT"
    made.save_as(tmp_path / "ct.dcm")
    with pytest.raises(UserError, match=r"ct\.dcm is DICOM, but no segmentation .* modality is CT"):
        read_labels(tmp_path / "ct.dcm")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(UserError, match="DICOM segmentation cannot be used"):
        read_labels(path)


def test_a_grid_larger_than_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_seg(tmp_path / "seg.dcm", {"Lymph node": truth()})
    monkeypatch.setattr("lnsegfm.formats.announced_size.memory_bytes", lambda: 64 << 20)
    read_labels(path)
    made = pydicom.dcmread(path)
    made.PerFrameFunctionalGroupsSequence[-1].PlanePositionSequence[0].ImagePositionPatient[2] += 30_000
    made.save_as(path)
    with pytest.raises(UserError, match=r"seg\.dcm is too large"):
        read_labels(path)


def test_more_frames_than_pixels_are_refused(tmp_path: Path) -> None:
    path = write_seg(tmp_path / "seg.dcm", {"Lymph node": truth()})
    made = pydicom.dcmread(path)
    made.NumberOfFrames = 100_000
    made.save_as(path)
    with pytest.raises(UserError, match="pixel data is cut short"):
        read_labels(path)
