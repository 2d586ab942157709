"""The section Export: what other programs get is what the scene shows, to the voxel and to the millimetre."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from panel_host import FakeHost, fake_host

import standin
from lnsegfm.base.errors import UserError
from lnsegfm.images.geometry import Geometry
from lnsegfm.lymph_nodes.instances import measure
from lnsegfm.lymph_nodes.measurement_table import HEADER, MeasuredNode, as_text
from lnsegfm.lymph_nodes.numbered_labels import number_image

SHAPE = (12, 16, 20)
# The first box is the larger one, the second the smaller one; they touch.
BOXES = ((slice(1, 6), slice(2, 8), slice(3, 12)), (slice(6, 8), slice(2, 8), slice(3, 8)))
OBLIQUE = sitk.VersorTransform((0.3, -0.2, 0.9), 0.7).GetMatrix()
FLIPPED = (0, 0, -1, 1, 0, 0, 0, -1, 0)
STRAIGHT = (1, 0, 0, 0, 1, 0, 0, 0, 1)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHost]:
    monkeypatch.setenv("LNSEGFM_HOME", str(tmp_path / "home"))
    with fake_host() as host:
        yield host


def expected() -> np.ndarray:
    array = np.zeros(SHAPE, np.uint8)
    for value, box in enumerate(BOXES, start=1):
        array[box] = value
    return array


def image(direction: tuple[float, ...] = OBLIQUE) -> sitk.Image:
    array = np.full(SHAPE, -100, np.int16)
    array[expected() > 0] = 60
    result = sitk.GetImageFromArray(array)
    result.SetSpacing((0.8, 1.1, 2.5))
    result.SetOrigin((-40.0, 25.0, 310.5))
    result.SetDirection(direction)
    return result


def add_pair(host: FakeHost, direction: tuple[float, ...] = OBLIQUE, *, transform: bool = False) -> tuple[Any, Any]:
    """A CT and a segmentation of two nodes that touch, chosen in the panel."""
    import slicer

    from LNSegFMLib.scene.segments.segmentations import Labelmap, add_segmentation
    from LNSegFMLib.scene.volumes import add_volume

    volume = add_volume(image(direction), "Neck CT")
    if transform:
        parent = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        matrix = slicer.vtkMRMLSliceNode().GetXYToRAS()
        matrix.Identity()
        matrix.SetElement(0, 3, 17.0)
        parent.SetMatrixTransformToParent(matrix)
        volume.SetAndObserveTransformNodeID(parent.GetID())
    labelmap = Labelmap(expected(), (0, 0, 0), (1, 2))
    segmentation = add_segmentation(labelmap, volume, lambda number: f"Lymph node {number}", "Neck nodes")
    host.parameter_node.SetNodeReferenceID("Volume", volume.GetID())
    host.parameter_node.SetNodeReferenceID("Segmentation", segmentation.GetID())
    return segmentation, volume


def section_of(host: FakeHost) -> Any:
    from LNSegFMLib.panels.reviewing.export_section import ExportSection
    from LNSegFMLib.scene.segmentation_bench import Workbench

    section = host.add(ExportSection, bench=Workbench())
    app = standin.start()
    app.process_events()
    app.click(section.ui.exportCollapsibleButton)
    return section


def finish(section: Any) -> None:
    app = standin.start()
    for _ in range(2):  # what follows on one work may be another
        app.wait_until(lambda: not section._bar.busy and not section.host.work, 60, "the work")
        app.process_events()


def export_to(section: Any, path: Path, button: Any) -> None:
    app = standin.start()
    app.answers.append(str(path))
    app.click(button)
    finish(section)


def labels_in(path: Path) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


class TestLabelmap:
    @pytest.mark.parametrize("direction", [STRAIGHT, FLIPPED, OBLIQUE], ids=["straight", "flipped", "oblique"])
    @pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
    def test_numbers_lie_on_the_grid_of_the_ct(
        self, host: FakeHost, tmp_path: Path, direction: tuple[float, ...], ending: str
    ) -> None:
        add_pair(host, direction)
        section, path = section_of(host), tmp_path / f"labels{ending}"
        export_to(section, path, section.ui.exportLabelmapButton)
        written = sitk.ReadImage(str(path))
        assert Geometry.of(written).matches(Geometry.of(image(direction)))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(written), expected())
        assert section.ui.exportResultLabel.text == f"labels{ending} was saved." and host.errors == []

    def test_one_label_for_all(self, host: FakeHost, tmp_path: Path) -> None:
        add_pair(host)
        section = section_of(host)
        standin.start().choose(section.ui.exportLabelsSelector, "1 for all lymph nodes")
        export_to(section, tmp_path / "all.nrrd", section.ui.exportLabelmapButton)
        np.testing.assert_array_equal(labels_in(tmp_path / "all.nrrd"), expected() > 0)

    def test_ct_and_segmentation_under_one_transform_are_written_in_the_cts_own_frame(
        self, host: FakeHost, tmp_path: Path
    ) -> None:
        add_pair(host, transform=True)
        section = section_of(host)
        export_to(section, tmp_path / "moved.nrrd", section.ui.exportLabelmapButton)
        assert Geometry.of(sitk.ReadImage(str(tmp_path / "moved.nrrd"))).matches(Geometry.of(image()))
        np.testing.assert_array_equal(labels_in(tmp_path / "moved.nrrd"), expected())

    def test_file_says_nothing_of_the_patient(self, host: FakeHost, tmp_path: Path) -> None:
        segmentation, volume = add_pair(host)
        for node in (segmentation, volume):
            node.SetName("MUSTERMANN^ERIKA")
            node.SetAttribute("DICOM.PatientName", "MUSTERMANN^ERIKA")
        section = section_of(host)
        export_to(section, tmp_path / "out.nrrd", section.ui.exportLabelmapButton)
        assert b"MUSTERMANN" not in (tmp_path / "out.nrrd").read_bytes()

    def test_ending_is_added_where_there_is_none(self, host: FakeHost, tmp_path: Path) -> None:
        add_pair(host)
        section = section_of(host)
        export_to(section, tmp_path / "labels", section.ui.exportLabelmapButton)
        assert (tmp_path / "labels.nii.gz").is_file()

    def test_earlier_file_survives_an_export_that_fails(
        self, host: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        add_pair(host)
        (tmp_path / "labels.nrrd").write_bytes(b"earlier")

        def fail(*arguments: Any, **options: Any) -> None:
            raise RuntimeError("itk::ERROR: no space")

        monkeypatch.setattr(sitk, "WriteImage", fail)
        section = section_of(host)
        export_to(section, tmp_path / "labels.nrrd", section.ui.exportLabelmapButton)
        assert (tmp_path / "labels.nrrd").read_bytes() == b"earlier"
        assert "could not be written" in host.errors[0].what and len(list(tmp_path.glob("*labels*"))) == 1

    def test_dialog_that_is_cancelled_writes_nothing(self, host: FakeHost, tmp_path: Path) -> None:
        add_pair(host)
        section = section_of(host)
        standin.start().click(section.ui.exportLabelmapButton)
        assert not section._bar.busy and section.ui.exportResultLabel.isHidden()

    def test_segmentation_that_is_removed_meanwhile_is_told(self, host: FakeHost, tmp_path: Path) -> None:
        import slicer

        segmentation, _volume = add_pair(host)
        section, app = section_of(host), standin.start()
        app.answers.append(str(tmp_path / "out.nrrd"))
        app.click(section.ui.exportLabelmapButton)
        slicer.mrmlScene.RemoveNode(segmentation)
        finish(section)
        assert not (tmp_path / "out.nrrd").exists()

    def test_more_than_255_nodes_keep_their_numbers(self) -> None:
        array = np.zeros((1, 1, 601), np.uint8)
        array[0, 0, ::2] = 1
        labels = sitk.GetImageFromArray(array)
        written, shared = number_image({"one": labels}, Geometry.of(labels), {"one": list(range(1, 302))})
        assert written.GetPixelID() == sitk.sitkUInt16 and shared == 0
        assert sorted(set(sitk.GetArrayFromImage(written).ravel().tolist())) == list(range(302))

    def test_voxels_of_two_segments_keep_the_first_number(self) -> None:
        labels = sitk.GetImageFromArray(np.ones((2, 2, 2), np.uint8))
        written, shared = number_image({"a": labels, "b": labels}, Geometry.of(labels), {"a": [7], "b": [9]})
        assert set(sitk.GetArrayFromImage(written).ravel().tolist()) == {7} and shared == 8

    def test_segmentation_that_has_changed_is_not_numbered_wrongly(self) -> None:
        labels = sitk.GetImageFromArray(np.ones((2, 2, 2), np.uint8))
        with pytest.raises(UserError, match="changed since"):
            number_image({"a": labels}, Geometry.of(labels), {"a": []})

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(axis=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1), angle=st.floats(0, 6.2),
           spacing=st.tuples(*[st.floats(0.3, 6)] * 3))  # fmt: skip
    def test_numbers_agree_with_the_measurements_on_any_grid(
        self, axis: tuple[float, ...], angle: float, spacing: tuple[float, ...]
    ) -> None:
        labels = sitk.GetImageFromArray((expected() == 1).astype(np.uint8))
        other = sitk.GetImageFromArray((np.roll(expected(), 5, axis=2) == 2).astype(np.uint8))
        for each in (labels, other):
            each.SetDirection(sitk.VersorTransform(axis, angle).GetMatrix())
            each.SetSpacing(spacing)
        written, _shared = number_image({"a": labels, "b": other}, Geometry.of(labels), {"a": [1], "b": [2]})
        array = sitk.GetArrayFromImage(written)
        volume = np.prod(spacing)
        for number, source in ((1, labels), (2, other)):
            (node,) = measure(source)[1]
            assert np.isclose(np.count_nonzero(array == number) * volume, node.volume_mm3, rtol=1e-3)


class TestMeasurements:
    def rows(self, path: Path) -> list[dict[str, str]]:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return list(csv.DictReader(stream))

    def test_csv_has_a_line_for_each_node(self, host: FakeHost, tmp_path: Path) -> None:
        add_pair(host)
        section = section_of(host)
        export_to(section, tmp_path / "nodes", section.ui.exportCsvButton)
        rows = self.rows(tmp_path / "nodes.csv")
        assert tuple(rows[0]) == HEADER
        assert [row["number"] for row in rows] == ["1", "2"]
        assert [row["segment"] for row in rows] == ["Lymph node 1", "Lymph node 2"]
        volume = np.count_nonzero(expected() == 1) * 0.8 * 1.1 * 2.5
        assert float(rows[0]["volume_mm3"]) == pytest.approx(volume, abs=0.1)
        assert float(rows[0]["mean_hu"]) == 60.0 and rows[0]["reviewed"] == "no"
        assert section.ui.exportResultLabel.text == "nodes.csv was saved."

    def test_what_was_reviewed_and_the_models_confidence_are_kept(self, host: FakeHost, tmp_path: Path) -> None:
        from dataclasses import replace

        from LNSegFMLib.scene.segmentation_bench import Workbench
        from LNSegFMLib.scene.segments.lymph_node_records import records_of, set_reviewed, store_records

        segmentation, volume = add_pair(host)
        measured = Workbench().measure(segmentation, volume).wait(60)
        known = {key: [replace(node, confidence=0.9) for node in nodes] for key, nodes in measured.items()}
        store_records(segmentation, known)
        set_reviewed(segmentation, records_of(segmentation)[0], True)
        section = section_of(host)
        export_to(section, tmp_path / "nodes.csv", section.ui.exportCsvButton)
        rows = self.rows(tmp_path / "nodes.csv")
        assert [row["reviewed"] for row in rows] == ["yes", "no"] and rows[0]["confidence"] == "0.900"

    def test_numbers_of_table_and_labelmap_agree(self, host: FakeHost, tmp_path: Path) -> None:
        add_pair(host)
        section = section_of(host)
        export_to(section, tmp_path / "nodes.csv", section.ui.exportCsvButton)
        export_to(section, tmp_path / "nodes.nrrd", section.ui.exportLabelmapButton)
        array = labels_in(tmp_path / "nodes.nrrd")
        for row in self.rows(tmp_path / "nodes.csv"):
            volume = np.count_nonzero(array == int(row["number"])) * 0.8 * 1.1 * 2.5
            assert float(row["volume_mm3"]) == pytest.approx(volume, abs=0.1)

    def test_copy_puts_the_table_into_the_clipboard(self, host: FakeHost) -> None:
        import slicer

        add_pair(host)
        section = section_of(host)
        standin.start().click(section.ui.copyMeasurementsButton)
        finish(section)
        lines = slicer.app.clipboard().text().splitlines()
        assert lines[0].split("\t") == list(HEADER) and len(lines) == 3
        assert section.ui.exportResultLabel.text == "2 lymph nodes copied to the clipboard."

    def test_names_that_a_spreadsheet_would_compute_are_quoted(self) -> None:
        (node,) = measure(sitk.GetImageFromArray(np.ones((2, 2, 2), np.uint8)))[1]
        assert ",'=1+1," in as_text([MeasuredNode(node, "=1+1", False)])

    def test_segmentation_without_nodes_gives_a_header_alone(self, host: FakeHost, tmp_path: Path) -> None:
        segmentation, _volume = add_pair(host)
        segmentation.GetSegmentation().RemoveAllSegments()
        section = section_of(host)
        export_to(section, tmp_path / "none.csv", section.ui.exportCsvButton)
        export_to(section, tmp_path / "none.nrrd", section.ui.exportLabelmapButton)
        assert self.rows(tmp_path / "none.csv") == [] and not labels_in(tmp_path / "none.nrrd").any()


class FakeExportable:
    def __init__(self, item: int) -> None:
        self.directory = ""
        self.item = item
        self.tags: dict[str, str] = {}

    def setTag(self, name: str, value: str) -> None:
        self.tags[name] = value


class FakePlugin:
    """What a plugin of Slicer's DICOM module does, and what it was asked."""

    message = ""
    writes = True
    exported: list[FakeExportable]

    def examineForExport(self, item: int) -> list[FakeExportable]:
        return [FakeExportable(item)]

    def export(self, exportables: list[FakeExportable]) -> str:
        type(self).exported = exportables
        if type(self).writes:
            (Path(exportables[0].directory) / "out.dcm").touch()
        return type(self).message


class FakeDatabase:
    def fileForInstance(self, uid: str) -> str:
        return "/dicom/1.dcm" if uid == "1.2.3" else ""


@pytest.fixture
def plugin(host: FakeHost, monkeypatch: pytest.MonkeyPatch) -> type[FakePlugin]:
    import slicer

    kind = type("Plugin", (FakePlugin,), {"exported": []})
    plugins = {"DICOMSegmentationPlugin": kind, "DicomRtImportExportPlugin": kind}
    monkeypatch.setattr(slicer.modules, "dicomPlugins", plugins, raising=False)
    monkeypatch.setattr(slicer, "dicomDatabase", FakeDatabase(), raising=False)
    return kind


def put_under_patient(*nodes: Any) -> None:
    """Put nodes under a patient and study, as when they come from DICOM."""
    import slicer

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "P")
    hierarchy.SetItemAttribute(patient, "DICOM.PatientID", "4711")
    study = hierarchy.CreateStudyItem(patient, "S")
    hierarchy.SetItemAttribute(study, "DICOM.StudyDate", "20260101")
    for node in nodes:
        hierarchy.CreateItem(study, node)


def tag_of(segment: Any, name: str) -> str:
    import vtk

    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else ""


class TestDicom:
    @pytest.mark.parametrize(
        ("button", "extension"), [("exportSegButton", "QuantitativeReporting"), ("exportRtstructButton", "SlicerRT")]
    )
    def test_missing_extension_is_named(self, host: FakeHost, button: str, extension: str) -> None:
        add_pair(host)
        section = section_of(host)
        standin.start().click(getattr(section.ui, button))
        assert extension in host.errors[0].why and "Extensions Manager" in host.errors[0].todo

    def test_ct_that_is_not_from_dicom_is_refused(
        self, host: FakeHost, plugin: type[FakePlugin], tmp_path: Path
    ) -> None:
        add_pair(host)
        section = section_of(host)
        export_to(section, tmp_path, section.ui.exportSegButton)
        assert "not loaded from Slicer's DICOM database" in host.errors[0].why and plugin.exported == []

    def test_seg_says_which_model_made_it_and_what_it_shows(
        self, host: FakeHost, plugin: type[FakePlugin], tmp_path: Path
    ) -> None:
        from LNSegFMLib.scene.drafts import set_draft

        segmentation, volume = add_pair(host)
        volume.SetAttribute("DICOM.instanceUIDs", "1.2.3")
        put_under_patient(segmentation, volume)
        set_draft(segmentation, "ln-seg-fm-nnunet", "5a" * 32, 0.0)
        added = segmentation.GetSegmentation().AddEmptySegment("", "mine")
        section = section_of(host)
        export_to(section, tmp_path, section.ui.exportSegButton)
        assert host.errors == [] and section.ui.exportResultLabel.text == "DICOM SEG was saved; files: 1."
        (exported,) = plugin.exported
        assert exported.tags["PatientID"] == "4711" and exported.tags["StudyDate"] == "20260101"
        for segment_id in (*segmentation.GetSegmentation().GetSegmentIDs(), added):
            segment = segmentation.GetSegmentation().GetSegment(segment_id)
            assert tag_of(segment, "DICOM.SegmentAlgorithmType") == "AUTOMATIC"
            assert tag_of(segment, "DICOM.SegmentAlgorithmName") == "LN-Seg-FM, model ln-seg-fm-nnunet"
            assert "59441001" in tag_of(segment, segment.GetTerminologyEntryTagName())

    def test_what_a_person_has_reviewed_or_drawn_is_not_called_automatic(
        self, host: FakeHost, plugin: type[FakePlugin]
    ) -> None:
        from LNSegFMLib.scene.dicom_exports import describe_segments
        from LNSegFMLib.scene.drafts import set_draft
        from LNSegFMLib.scene.segmentation_bench import Workbench
        from LNSegFMLib.scene.segments.lymph_node_records import records_of, set_reviewed, store_records

        segmentation, volume = add_pair(host)
        first = segmentation.GetSegmentation().GetNthSegment(0)
        describe_segments(segmentation)
        assert tag_of(first, "DICOM.SegmentAlgorithmType") == "MANUAL"
        set_draft(segmentation, "m", "5a" * 32, 0.0)
        store_records(segmentation, Workbench().measure(segmentation, volume).wait(60))
        set_reviewed(segmentation, records_of(segmentation)[0], True)
        describe_segments(segmentation)
        second = segmentation.GetSegmentation().GetNthSegment(1)
        assert tag_of(first, "DICOM.SegmentAlgorithmType") == "SEMIAUTOMATIC"
        assert tag_of(second, "DICOM.SegmentAlgorithmType") == "AUTOMATIC"

    def test_rtstruct_gets_the_ct_first(self, host: FakeHost, plugin: type[FakePlugin], tmp_path: Path) -> None:
        import slicer

        segmentation, volume = add_pair(host)
        volume.SetAttribute("DICOM.instanceUIDs", "1.2.3")
        put_under_patient(segmentation, volume)
        section = section_of(host)
        export_to(section, tmp_path, section.ui.exportRtstructButton)
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
        items = [hierarchy.GetItemByDataNode(node) for node in (volume, segmentation)]
        assert [each.item for each in plugin.exported] == items
        assert "copy of the CT" in section.ui.exportResultLabel.text

    @pytest.mark.parametrize(("message", "writes"), [("itkimage2segimage failed", True), ("", False)])
    def test_failure_of_the_plugin_is_told(
        self, host: FakeHost, plugin: type[FakePlugin], tmp_path: Path, message: str, writes: bool
    ) -> None:
        segmentation, volume = add_pair(host)
        put_under_patient(segmentation, volume)
        volume.SetAttribute("DICOM.instanceUIDs", "1.2.3")
        plugin.message, plugin.writes = message, writes
        section = section_of(host)
        export_to(section, tmp_path, section.ui.exportSegButton)
        assert "could not be written" in host.errors[0].what and message in host.errors[0].why


def test_nothing_can_be_exported_before_something_is_chosen(host: FakeHost) -> None:
    section = section_of(host)
    assert not section.ui.exportLabelmapButton.enabled
    assert section.ui.exportSourceLabel.text == "Select a segmentation and its CT first."
    add_pair(host)
    host.update()
    assert section.ui.exportLabelmapButton.enabled
    assert section.ui.exportSourceLabel.text == "Neck nodes, on the grid of Neck CT."


def test_self_test_exports_and_says_what_it_skips(host: FakeHost) -> None:
    from unittest import TestCase

    from LNSegFMLib.scene.segmentation_bench import Workbench
    from LNSegFMLib.self_tests.export_self_test import check_exports

    class Recorder(TestCase):
        said: list[str]

        def delayDisplay(self, text: str) -> None:
            self.said.append(text)

    test = Recorder()
    test.said = []
    check_exports(test, Workbench(), *add_pair(host))
    assert test.said == [
        "Skipped: DICOM SEG, for the extension QuantitativeReporting is not installed.",
        "Skipped: RTSTRUCT, for the extension SlicerRT is not installed.",
    ]
