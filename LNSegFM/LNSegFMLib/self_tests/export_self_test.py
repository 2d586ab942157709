"""The part of the self-test that exports: files always, DICOM objects where the extensions for them are there."""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import slicer

from lnsegfm.base.errors import UserError
from lnsegfm.images.geometry import Geometry
from lnsegfm.lymph_nodes.measurement_table import write_csv
from LNSegFMLib.scene.dicom_exports import RTSTRUCT, SEG, DicomFormat, export_dicom, is_available
from LNSegFMLib.scene.exports import table_rows, write_numbers
from LNSegFMLib.scene.segmentation_bench import Workbench
from LNSegFMLib.scene.segments.segmentations import Labelmap, add_segmentation
from LNSegFMLib.scene.volumes import image_reader

_WAIT_S = 120.0
_SCALAR_PLUGIN = "DICOMScalarVolumePlugin"
_NO_SERIES = "The phantom could not be written and loaded as a DICOM series."
_SEE_LOG = "See the errors above in Slicer's log."


def check_exports(test: Any, bench: Workbench, segmentation_node: Any, volume_node: Any) -> None:
    """Write labelmap, measurements and DICOM objects and read them back; what cannot be done here says why.

    Args:
        test: The running test, for its assertions and messages.
        bench: Measures.
        segmentation_node: Measured lymph nodes, a segment each.
        volume_node: Their CT.
    """
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        measured = bench.measure(segmentation_node, volume_node).wait(_WAIT_S)
        count = sum(len(nodes) for nodes in measured.values())
        path = Path(folder) / "labels.nrrd"
        write_numbers(segmentation_node, volume_node, path, measured).wait(_WAIT_S)
        labels, ct = sitk.ReadImage(str(path)), image_reader(volume_node)()
        test.assertTrue(Geometry.of(labels).matches(Geometry.of(ct)))
        test.assertEqual(len(np.unique(sitk.GetArrayViewFromImage(labels))), count + 1)
        write_csv(table_rows(segmentation_node, measured), Path(folder) / "nodes.csv")
        test.assertEqual(len((Path(folder) / "nodes.csv").read_text(encoding="utf-8-sig").splitlines()), count + 1)
    for kind in (SEG, RTSTRUCT):
        reason = _why_not(kind)
        if reason:
            test.delayDisplay(f"Skipped: {kind.name}, for {reason}")
        else:
            with _nothing_left_behind(), _in_own_database(volume_node) as (loaded, output):
                _check_dicom(test, kind, loaded, output)


@contextmanager
def _nothing_left_behind() -> Iterator[None]:
    """Remove the volumes and segmentations that come into the scene; the rest of the self-test counts its own."""
    classes = ("vtkMRMLSegmentationNode", "vtkMRMLScalarVolumeNode")
    before = {node.GetID() for name in classes for node in slicer.util.getNodesByClass(name)}
    try:
        yield
    finally:
        for node in [node for name in classes for node in slicer.util.getNodesByClass(name)]:
            if node.GetID() not in before:
                slicer.mrmlScene.RemoveNode(node)


def _why_not(kind: DicomFormat) -> str:
    if not is_available(kind):
        return f"the extension {kind.extension} is not installed."
    if importlib.util.find_spec("DICOMLib") is None or _SCALAR_PLUGIN not in slicer.modules.dicomPlugins:
        return "Slicer's DICOM module is not there."
    return ""


def _check_dicom(test: Any, kind: DicomFormat, volume_node: Any, folder: Path) -> None:
    array = np.zeros(volume_node.GetImageData().GetDimensions()[::-1], np.uint8)
    array[tuple(slice(length // 3, length // 2) for length in array.shape)] = 1
    segmentation_node = add_segmentation(Labelmap(array, (0, 0, 0), (1,)), volume_node, "Node {}".format, "Nodes")
    files = export_dicom(kind, segmentation_node, volume_node, folder)
    test.assertTrue(any(path.stat().st_size > 0 for path in files))
    test.delayDisplay(f"{kind.name}: {len(files)} files")


@contextmanager
def _in_own_database(volume_node: Any) -> Iterator[tuple[Any, Path]]:
    """Make a DICOM series of a volume, load it from a database of its own; yield that and a folder for files."""
    utilities: Any = importlib.import_module("DICOMLib.DICOMUtils")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        series, output = Path(folder) / "series", Path(folder) / "output"
        series.mkdir()
        output.mkdir()
        _write_series(volume_node, series)
        with utilities.TemporaryDICOMDatabase() as database:
            yield _loaded(utilities, database, series), output


def _loaded(utilities: Any, database: Any, series: Path) -> Any:
    """Return the volume node of a series that was put into a database and loaded from there."""
    if not utilities.importDicom(str(series), database):
        raise UserError(_NO_SERIES, "Slicer could not put it into a database.", _SEE_LOG)
    patients = list(database.patients())
    found = [slicer.mrmlScene.GetNodeByID(each) for patient in patients for each in utilities.loadPatientByUID(patient)]
    volumes = [node for node in found if node is not None and node.IsA("vtkMRMLScalarVolumeNode")]
    if not volumes:
        raise UserError(
            _NO_SERIES,
            f"The database has {len(patients)} patients, from which {len(found)} nodes were loaded, and no volume.",
            _SEE_LOG,
        )
    return volumes[0]


def _write_series(volume_node: Any, folder: Path) -> None:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Phantom")
    item = hierarchy.GetItemByDataNode(volume_node)
    hierarchy.SetItemParent(item, hierarchy.CreateStudyItem(patient, "Self-test"))
    plugin = slicer.modules.dicomPlugins[_SCALAR_PLUGIN]()
    exportables = plugin.examineForExport(item)
    for exportable in exportables:
        exportable.directory = str(folder)
        exportable.setTag("PatientName", "Phantom")
        exportable.setTag("PatientID", "Phantom")
    if not exportables:
        raise UserError(_NO_SERIES, f"{_SCALAR_PLUGIN} does not offer to export the phantom.", _SEE_LOG)
    message = plugin.export(exportables)
    if message or not any(folder.iterdir()):
        raise UserError(_NO_SERIES, message or f"{_SCALAR_PLUGIN} wrote no files.", _SEE_LOG)
