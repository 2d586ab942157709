"""Lymph nodes as DICOM objects, through the plugins of Slicer's DICOM module that other extensions bring."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import slicer
import vtk
from slicer.i18n import tr as _

from lnsegfm.base.errors import UserError
from LNSegFMLib.scene.drafts import accepted_case_of, draft_of
from LNSegFMLib.scene.segments.lymph_node_records import records_of
from LNSegFMLib.scene.segments.segmentations import segments_without
from LNSegFMLib.scene.segments.terminology import LYMPH_NODE
from LNSegFMLib.scene.transforms import DICOM_INSTANCES, check_transform

_ALGORITHM_TYPE = "DICOM.SegmentAlgorithmType"
_ALGORITHM_NAME = "DICOM.SegmentAlgorithmName"
# What DICOM allows for a name of this kind (LO).
_LONGEST_NAME = 64
_GENERIC_TISSUE = "~SCT^85756007^Tissue~SCT^85756007^Tissue~"
_PATIENT_TAGS = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "PatientComments")
_STUDY_TAGS = ("StudyInstanceUID", "StudyID", "StudyDate", "StudyTime", "StudyDescription")


@dataclass(frozen=True)
class DicomFormat:
    """A kind of DICOM object.

    Args:
        name: As users know it.
        plugin: Name of the plugin of Slicer's DICOM module that writes it.
        extension: The extension of Slicer that brings the plugin.
        with_volume: Whether the plugin wants the CT as well and writes a copy of it.
    """

    name: str
    plugin: str
    extension: str
    with_volume: bool


SEG = DicomFormat("DICOM SEG", "DICOMSegmentationPlugin", "QuantitativeReporting", False)
RTSTRUCT = DicomFormat("RTSTRUCT", "DicomRtImportExportPlugin", "SlicerRT", True)


def is_available(kind: DicomFormat) -> bool:
    """Tell whether this Slicer has the plugin."""
    return kind.plugin in getattr(slicer.modules, "dicomPlugins", {})


def export_dicom(
    kind: DicomFormat, segmentation_node: Any, volume_node: Any, folder: Path, without: Collection[str] = ()
) -> list[Path]:
    """Write a segmentation as a DICOM object; blocks, since Slicer's plugins work on the main thread.

    Every segment gets what the object has to say of it: the model as its algorithm, and the codes of a lymph node where
    it has none.

    Args:
        kind: `SEG` or `RTSTRUCT`.
        segmentation_node: vtkMRMLSegmentationNode with segments.
        volume_node: The CT, loaded from Slicer's DICOM database.
        folder: Existing folder for the files.
        without: Ids of segments to leave out, such as those of `segments_apart`.

    Returns:
        The files that were written.

    Raises:
        UserError: The extension is missing, the CT is not from the DICOM database, or the plugin failed.
    """
    if not is_available(kind):
        raise UserError(
            _("{format} cannot be written by this Slicer.").format(format=kind.name),
            _("This requires the extension {extension}, which is not installed.").format(extension=kind.extension),
            _("Install it (View > Extensions Manager), restart Slicer and try again; or export a labelmap."),
        )
    check_transform(volume_node)
    _check_source(kind, volume_node)
    describe_segments(segmentation_node)
    plugin = slicer.modules.dicomPlugins[kind.plugin]()
    exportables = []
    before = set(folder.rglob("*"))
    with segments_without(segmentation_node, volume_node, without) as exported_node:
        # The CT comes first: the plugin for RTSTRUCT takes patient and study from the first one.
        for node in ([volume_node] if kind.with_volume else []) + [exported_node]:
            exportables += _exportables(plugin, node, volume_node, folder)
        message = plugin.export(exportables) if exportables else ""
    written = sorted(path for path in set(folder.rglob("*")) - before if path.is_file())
    if message or not written:
        raise UserError(
            _("{format} could not be written.").format(format=kind.name),
            message or _("The CT's files are not all in Slicer's DICOM database."),
            _("Import the CT's DICOM files into the database again, load it from there, and segment it."),
        )
    return written


def describe_segments(segmentation_node: Any) -> None:
    """Note on each segment which algorithm made it, and that it is a lymph node where nothing more special is said."""
    model, _sha256 = draft_of(segmentation_node)
    seen = {record.segment_id for record in records_of(segmentation_node) if record.reviewed}
    accepted = bool(accepted_case_of(segmentation_node))
    segmentation = segmentation_node.GetSegmentation()
    for segment_id in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(segment_id)
        kind = "MANUAL" if not model else "SEMIAUTOMATIC" if accepted or segment_id in seen else "AUTOMATIC"
        segment.SetTag(_ALGORITHM_TYPE, kind)
        if model:
            segment.SetTag(_ALGORITHM_NAME, f"LN-Seg-FM, model {model}"[:_LONGEST_NAME])
        else:
            segment.RemoveTag(_ALGORITHM_NAME)
        codes = vtk.reference("")
        tag = segment.GetTerminologyEntryTagName()
        if not segment.GetTag(tag, codes) or not str(codes) or _GENERIC_TISSUE in str(codes):
            segment.SetTag(tag, LYMPH_NODE)


def _check_source(kind: DicomFormat, volume_node: Any) -> None:
    ids = (volume_node.GetAttribute(DICOM_INSTANCES) or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    if not ids or database is None or not all(database.fileForInstance(each) for each in ids):
        raise UserError(
            _("{format} needs the CT's own DICOM files.").format(format=kind.name),
            _("This CT was not loaded from Slicer's DICOM database, its files are no longer in it, or a transform was "
              "hardened, so that they have another grid."),
            _("Import its DICOM files (Add DICOM data), load it from there and segment it; or export a labelmap."),
        )


def _exportables(plugin: Any, node: Any, volume_node: Any, folder: Path) -> list[Any]:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    found = list(plugin.examineForExport(hierarchy.GetItemByDataNode(node)))
    tags = _tags(hierarchy, hierarchy.GetItemByDataNode(volume_node))
    for exportable in found:
        exportable.directory = str(folder)
        for name, value in tags.items():
            exportable.setTag(name, value)
        if node is not volume_node:
            exportable.setTag("SeriesDescription", "LN-Seg-FM lymph nodes")
    return found


def _tags(hierarchy: Any, volume_item: int) -> dict[str, str]:
    """Return what the CT's patient and study say of themselves, as Slicer's own export dialog fills it in."""
    constants = slicer.vtkMRMLSubjectHierarchyConstants
    prefix, found = constants.GetDICOMAttributePrefix(), {}
    for level, names in (
        (constants.GetDICOMLevelPatient(), _PATIENT_TAGS), (constants.GetDICOMLevelStudy(), _STUDY_TAGS)
    ):
        item = hierarchy.GetItemAncestorAtLevel(volume_item, level)
        if item != slicer.vtkMRMLSubjectHierarchyNode.GetInvalidItemID():
            values = {name: hierarchy.GetItemAttribute(item, prefix + name) for name in names}
            found.update({name: value for name, value in values.items() if value})
    return found
