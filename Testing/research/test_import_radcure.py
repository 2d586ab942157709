"""``lnsegfm import radcure``: DICOM CT with structure sets or masks, with the defects they come with."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_slices import stack, write_series
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid
from test_import_files import files, imported, labels, put, run

from lnsegfm.inputs.reading import read_ct

SQUARE = ((-8.0, 21.0), (-7.0, 21.0), (-7.0, 22.5), (-8.0, 22.5))
"""A closed contour in mm on the slices of `stack`, whose pixels are 0.5 mm wide and begin at (-10, 20)."""


def square(*heights: float) -> list[list[tuple[float, float, float]]]:
    return [[(x, y, z) for x, y in SQUARE] for z in heights]


def write_structure_set(
    path: Path,
    structures: Mapping[str, Sequence[Sequence[tuple[float, float, float]]]],
    *,
    series: str = "1.2.3",
    frame: str = "",
    kind: str = "CLOSED_PLANAR",
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = RTStructureSetStorage, generate_uid()
    dataset.Modality, dataset.SeriesInstanceUID = "RTSTRUCT", generate_uid()
    dataset.PatientName, dataset.PatientID = "Doe^Jane", "MRN4711"
    referenced, study, frames = Dataset(), Dataset(), Dataset()
    referenced.SeriesInstanceUID = series
    study.RTReferencedSeriesSequence = [referenced]
    frames.FrameOfReferenceUID, frames.RTReferencedStudySequence = frame or "9.9", [study]
    dataset.ReferencedFrameOfReferenceSequence = [frames]
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(structures.items(), 1):
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, drawn.ReferencedROINumber = number, name, number
        drawn.ContourSequence = []
        for points in contours:
            contour = Dataset()
            contour.ContourGeometricType = kind
            contour.NumberOfContourPoints = len(points)
            contour.ContourData = [f"{value:.3f}" for point in points for value in point]
            drawn.ContourSequence.append(contour)
        dataset.StructureSetROISequence.append(roi)
        dataset.ROIContourSequence.append(drawn)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)


def write_ct(folder: Path, count: int, *, uid: str = "1.2.3", frame: str = "") -> np.ndarray:
    """Write a CT of as many slices, different for each count, in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    values = write_series(folder, stack(count), uid=uid)
    for path in folder.iterdir() if frame else ():
        dataset = pydicom.dcmread(path)
        dataset.FrameOfReferenceUID = frame
        dataset.save_as(path)
    return values


def patient(source: Path, name: str, count: int, structures: Mapping[str, Sequence] | None = None) -> Path:
    folder = source / name / "1.2 study"
    write_ct(folder / "ct", count)
    drawn = {"GTVp": square(-50.0), "GTVn": square(-47.5, -45.0)} if structures is None else structures
    write_structure_set(folder / "rtstruct" / "1-1.dcm", drawn)
    return folder


def expected(count: int, *slices: int) -> np.ndarray:
    array = np.zeros((count, 8, 8), np.uint8)
    array[list(slices), 2:6, 4:7] = 1
    return array


def test_contours_of_lymph_nodes_become_labels_on_the_ct(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "raw"
    folder = patient(
        source, "RADCURE-0005", 6,
        {"GTVp": square(-50.0), "gtvn_L": square(-47.5, -45.0), "GTVn2": square(-42.5), "GTVnx": square(-40.0)},
    )
    assert run("radcure", source, out) == 0
    case = imported(out).cases[0]
    assert np.array_equal(labels(out, case.id), expected(6, 1, 2, 3))
    image = sitk.ReadImage(str(out / "Dataset501_Test" / "imagesTr" / f"{case.id}_0000.nii.gz"))
    assert np.array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(read_ct(folder / "ct")))
    assert {each.role: each.files for each in case.sources} == {"image": 6, "labels": 1}
    assert case.done[-1] == "Contours of 2 structures were turned into voxels."


def test_structures_are_chosen_by_pattern(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "raw"
    patient(source, "p", 6, {"Node left": square(-50.0), "GTVn": square(-40.0)})
    assert run("radcure", source, out, "--structure", "node *") == 0
    assert np.array_equal(labels(out, "radcure_0001"), expected(6, 0))


def test_of_several_series_the_one_is_taken_that_the_structure_set_names(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "raw"
    for name, reference in (("by_series", {"series": "1.2.4"}), ("by_frame", {"series": "7.7", "frame": "5.5"})):
        folder = source / name
        write_ct(folder / "all", 4, uid="1.2.3", frame="5.4")
        # Both in one folder.
        write_series(folder / "all", stack(6 if name == "by_series" else 7), uid="1.2.4")
        for path in (folder / "all").glob("1.2.4*"):
            dataset = pydicom.dcmread(path)
            dataset.FrameOfReferenceUID = "5.5"
            dataset.save_as(path)
        write_structure_set(folder / "rt.dcm", {"GTVn": square(-47.5)}, **reference)
    assert run("radcure", source, out) == 0
    assert [case.size[2] for case in imported(out).cases] == [7, 6]


def test_each_defect_of_a_patient_is_a_line_of_the_manifest_and_the_rest_is_imported(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "raw"
    patient(source, "01_good", 5)
    patient(source, "02_wrong_name", 6, {"PTV Doe": square(-50.0), "LN_Neck_II": square(-50.0)})
    patient(source, "03_empty", 7, {"GTVn": []})
    (patient(source, "04_no_set", 8) / "rtstruct" / "1-1.dcm").unlink()
    write_structure_set(patient(source, "05_two_sets", 9) / "again.dcm", {"GTVn": square(-50.0)})
    next((patient(source, "06_slice_missing", 10) / "ct").glob("*-4.dcm")).unlink()
    write_structure_set(patient(source, "07_other_ct", 11) / "rtstruct" / "1-1.dcm", {"GTVn": square(-50)}, series="8")
    patient(source, "08_between_slices", 12, {"GTVn": square(-48.7)})
    folder = patient(source, "09_two_series", 13)
    write_ct(folder / "other", 14, uid="1.2.4")
    (folder / "rtstruct" / "1-1.dcm").unlink()
    write_structure_set(source / "10_no_ct" / "rt.dcm", {"GTVn": square(-50.0)})
    marker = patient(source, "11_points", 15) / "rtstruct" / "1-1.dcm"
    write_structure_set(marker, {"GTVn": square(-50.0)}, kind="POINT")
    cut = patient(source, "12_cut", 16) / "rtstruct" / "1-1.dcm"
    cut.write_bytes(cut.read_bytes()[:-60])
    header = next((patient(source, "13_damaged_header", 17) / "ct").iterdir())
    # The first element's value has four bytes, not two.
    header.write_bytes(header.read_bytes().replace(b"UL\x04\0", b"UL\x02\0", 1))
    (source / "LICENSE.txt").write_text("not DICOM")
    assert run("radcure", source, out) == 0
    manifest = imported(out)
    assert [case.id for case in manifest.cases][:1] == ["radcure_0001"]
    reasons = {dropped.position: dropped.reason for dropped in manifest.dropped}
    texts = {
        2: "None of its 2 structures", 3: "No lymph node", 4: "no structure set", 5: "2 structure sets",
        6: "Slices are missing", 7: "another CT", 8: "between two slices", 9: "2 CT series", 10: "no CT series",
        11: "No lymph node", 12: "The structure set cannot be read", 13: "A DICOM file cannot be read",
    }  # fmt: skip
    for position, text in texts.items():
        assert text in reasons[position], position
    assert set(reasons) == set(texts)


def test_nothing_written_holds_a_name_or_tag_of_the_patient(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "raw"
    patient(source, "MRN4711 Doe", 5)
    patient(source, "MRN4712 Doe", 6, {"Doe left node": square(-50.0)})
    folder = source / "MRN4713"
    write_ct(folder, 7)
    write_series(folder, stack(8), uid="1.2.840.4")
    assert run("radcure", source, out) == 0
    for path, content in files(out).items():
        text = path.encode() + content + (gzip.decompress(content) if path.endswith(".gz") else b"")
        assert not any(word in text for word in (b"Doe", b"MRN", b"1.2.3", b"1.2.840", b"study", b"series 1"))


def test_released_masks_beside_the_patients_or_elsewhere_replace_structure_sets(tmp_path: Path) -> None:
    for place, options in ((".", []), ("../masks", ["--masks", str(tmp_path / "masks")])):
        source, out = tmp_path / "source", tmp_path / f"raw{len(options)}"
        for name, count in (("RADCURE-1", 5), ("RADCURE-10", 6)):
            folder = patient(source, name, count)
            grid = read_ct(folder / "ct")
            mask = sitk.GetImageFromArray(expected(count, 0))
            mask.CopyInformation(grid)
            put(source / place / f"{name}_LN.nii.gz", mask)
        assert run("radcure", source, out, *options) == 0
        assert np.array_equal(labels(out, "radcure_0001"), expected(5, 0))
        assert np.array_equal(labels(out, "radcure_0002"), expected(6, 0))
        for path in source.glob("*.nii.gz"):
            path.unlink()


def test_a_patient_without_the_wanted_mask_is_left_out(tmp_path: Path) -> None:
    source, out = tmp_path / "source", tmp_path / "raw"
    patient(source, "a", 5)
    patient(source, "b", 6)
    mask = sitk.GetImageFromArray(expected(5, 0))
    mask.CopyInformation(read_ct(source / "a" / "1.2 study" / "ct"))
    put(tmp_path / "masks" / "a.nii.gz", mask)
    assert run("radcure", source, out, "--masks", str(tmp_path / "masks")) == 0
    assert [dropped.reason for dropped in imported(out).dropped] == ["There is no mask of this patient."]


@pytest.mark.parametrize("name", ["pydicom", "skimage.draw"])
def test_a_missing_package_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    patient(tmp_path / "source", "a", 5)
    monkeypatch.setitem(sys.modules, name, None)
    assert run("radcure", tmp_path / "source", tmp_path / "raw") == 1
    assert "pip install -e '.[research]'" in capsys.readouterr().err
    assert not (tmp_path / "raw").exists()
