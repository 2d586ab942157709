"""What DICOM objects lie in a patient's folder, and the CT series a structure set was drawn on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lnsegfm.base.errors import UserError
from lnsegfm.research.datasets.research_packages import research_package
from lnsegfm.research.datasets.structure_set import StructureSet, damaged

_TAGS = ["Modality", "SeriesInstanceUID", "FrameOfReferenceUID"]


@dataclass
class CtSeries:
    """The files of one CT series.

    Args:
        uid: Series Instance UID.
        frame: UID of its frame of reference.
        files: Its images, in the order of their names.
    """

    uid: str
    frame: str
    files: list[Path] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Folder of the files.

        Raises:
            UserError: They are spread over several.
        """
        folders = {path.parent for path in self.files}
        if len(folders) > 1:
            raise UserError(f"The slices of the CT are spread over {len(folders)} folders.")
        return folders.pop()


@dataclass(frozen=True)
class DicomFolder:
    """CT series and structure sets (RTSTRUCT) of one patient."""

    series: dict[str, CtSeries]
    structure_sets: list[Path]


def read_dicom_folder(folder: Path) -> DicomFolder:
    """Look into every DICOM file below a folder; others are passed over.

    Raises:
        UserError: A DICOM file is damaged, or pydicom is not installed.
    """
    pydicom = research_package("pydicom")
    series: dict[str, CtSeries] = {}
    structure_sets = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
        except pydicom.errors.InvalidDicomError:
            continue
        except Exception as error:
            # As in `read_structure_set`.
            raise damaged("A DICOM file") from error
        modality, uid = str(header.get("Modality", "")), str(header.get("SeriesInstanceUID", ""))
        if modality == "RTSTRUCT":
            structure_sets.append(path)
        elif modality == "CT":
            found = series.setdefault(uid, CtSeries(uid, str(header.get("FrameOfReferenceUID", ""))))
            found.files.append(path)
    return DicomFolder(series, structure_sets)


def choose_series(found: DicomFolder, drawn: StructureSet | None) -> CtSeries:
    """Return the CT the structure set names; without one, or without a name, the only one that can be meant.

    Raises:
        UserError: There is no CT, or several that can be meant, or not the one the structure set names.
    """
    if not found.series:
        raise UserError("There is no CT series.")
    named = [found.series[uid] for uid in sorted(drawn.series & found.series.keys())] if drawn else []
    in_frame = [each for each in found.series.values() if drawn and each.frame in drawn.frames]
    if drawn and not named and not in_frame:
        raise UserError("The structure set was drawn on another CT.", "The CT it refers to is not in the folder.")
    candidates = named or in_frame or list(found.series.values())
    if len(candidates) > 1:
        raise UserError(
            f"There are {len(candidates)} CT series.",
            "Nothing says on which of them the lymph nodes were drawn.", "Keep only that series.",
        )
    return candidates[0]
