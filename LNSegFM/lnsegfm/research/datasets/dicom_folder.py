"""What DICOM objects lie in a patient's folder, and the CT series a structure set was drawn on."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lnsegfm.base.errors import UserError
from lnsegfm.base.serving.process_server import Arguments, Report
from lnsegfm.dicom.headers import check_deflated, is_foreign
from lnsegfm.formats.given_files import open_given
from lnsegfm.inputs.reading_apart import ask
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
    """Look into every DICOM file below a folder, in the process that reads files; others are passed over.

    Raises:
        UserError: A DICOM file is damaged, what may be one may not be opened, or the process died over the folder.
    """
    answer = ask(f"{__name__}:found", folder)
    series = {uid: CtSeries(uid, frame, [Path(path) for path in paths]) for uid, frame, paths in answer["series"]}
    return DicomFolder(series, [Path(path) for path in answer["structure_sets"]])


def found(arguments: Arguments, report: Report, is_cancelled: Any) -> dict[str, Any]:
    """Answer `read_dicom_folder` in that process."""
    del report, is_cancelled
    folder = Path(arguments["path"])
    series: dict[str, tuple[str, str, list[str]]] = {}
    structure_sets = []
    for path in sorted(path for path in folder.rglob("*") if not path.is_dir()):
        header = None if is_foreign(path) else _header(path, folder)
        if header is None:
            continue
        modality, uid = str(header.get("Modality", "")), str(header.get("SeriesInstanceUID", ""))
        if modality == "RTSTRUCT":
            structure_sets.append(str(path))
        elif modality == "CT":
            series.setdefault(uid, (uid, str(header.get("FrameOfReferenceUID", "")), []))[2].append(str(path))
    return {"series": list(series.values()), "structure_sets": structure_sets}


def _header(path: Path, folder: Path) -> Any:
    pydicom = research_package("pydicom")
    with open_given(path, within=folder) as stream:
        try:
            check_deflated(path, stream)
            return pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=_TAGS)
        except pydicom.errors.InvalidDicomError:
            return None
        except UserError:
            raise
        except Exception as error:
            # As in `read_structure_set`.
            raise damaged("A DICOM file") from error


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
