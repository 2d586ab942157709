"""DICOM RT structure sets: which CT they were drawn on, and the contours of their structures.

DICOM PS3.3, C.8.8.5 (Structure Set Module) and C.8.8.6 (ROI Contour Module).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lnsegfm.base.errors import UserError
from lnsegfm.base.serving.process_server import Arguments, Report
from lnsegfm.dicom.headers import check_deflated
from lnsegfm.formats.given_files import open_given
from lnsegfm.inputs.reading_apart import ask
from lnsegfm.research.datasets.candidates import matches
from lnsegfm.research.datasets.research_packages import research_package

_ROIS, _CONTOURS = "StructureSetROISequence", "ROIContourSequence"
_FRAMES, _STUDIES = "ReferencedFrameOfReferenceSequence", "RTReferencedStudySequence"
_SERIES = "RTReferencedSeriesSequence"
_CLOSED = {"CLOSED_PLANAR", "CLOSEDPLANAR_XOR"}


@dataclass(frozen=True)
class StructureSet:
    """What is needed of an RTSTRUCT file.

    Args:
        series: Series Instance UIDs of the images it refers to.
        frames: UIDs of the frames of reference it refers to.
        names: Names of all its structures.
        contours: Closed contours of each wanted structure, points in mm, LPS, shape (n, 3) each; may be none.
    """

    series: frozenset[str]
    frames: frozenset[str]
    names: tuple[str, ...]
    contours: tuple[tuple[np.ndarray, ...], ...]


def read_structure_set(path: Path, patterns: Sequence[str]) -> StructureSet:
    """Read an RTSTRUCT file, in the process that reads files.

    Args:
        path: The file.
        patterns: Names of the structures whose contours are needed, see `lnsegfm.research.datasets.candidates.matches`;
            decoding all of them takes seconds.

    Raises:
        UserError: It cannot be read, or pydicom is not installed.
    """
    answer = ask(f"{__name__}:content", path, patterns=list(patterns))
    return StructureSet(
        frozenset(answer["series"]), frozenset(answer["frames"]), tuple(answer["names"]),
        tuple(tuple(np.asarray(points, float).reshape(-1, 3) for points in each) for each in answer["contours"]),
    )


def content(arguments: Arguments, report: Report, is_cancelled: Any) -> dict[str, Any]:
    """Answer `read_structure_set` in that process."""
    del report, is_cancelled
    pydicom = research_package("pydicom")
    path, patterns = Path(arguments["path"]), arguments["patterns"]
    try:
        with open_given(path) as stream:
            check_deflated(path, stream)
            dataset = pydicom.dcmread(stream)
        names = {int(roi.ROINumber): str(roi.get("ROIName", "")).strip() for roi in _items(dataset, _ROIS)}
        drawn = {int(roi.ReferencedROINumber): roi for roi in _items(dataset, _CONTOURS)}
        contours = [
            _contours(drawn[number]) if number in drawn else []
            for number, name in names.items() if matches(name, patterns)
        ]
        frames = _items(dataset, _FRAMES)
        series = [each for frame in frames for study in _items(frame, _STUDIES) for each in _items(study, _SERIES)]
        return {
            "series": [str(each.get("SeriesInstanceUID", "")) for each in series],
            "frames": [str(each.get("FrameOfReferenceUID", "")) for each in frames],
            "names": list(names.values()), "contours": contours,
        }
    except UserError:
        raise
    except Exception as error:
        # Damage shows as nearly any exception, depending on the byte it hit.
        raise damaged("The structure set") from error


def damaged(what: str) -> UserError:
    """Return the refusal of a DICOM file that pydicom could not make sense of."""
    return UserError(
        f"{what} cannot be read.", "It is damaged, or lacks an entry that DICOM requires.", "Export or copy it again."
    )


def _items(dataset: Any, sequence: str) -> list[Any]:
    # Absent and empty sequences are the same.
    return list(dataset.get(sequence, None) or [])


def _contours(roi: Any) -> list[list[float]]:
    found = []
    for contour in _items(roi, "ContourSequence"):
        # Points and open lines (markers, wires) enclose nothing.
        if str(contour.get("ContourGeometricType", "CLOSED_PLANAR")) in _CLOSED:
            points = np.asarray(contour.get("ContourData", None) or [], float).reshape(-1, 3)
            if len(points) > 2:
                found.append(points.ravel().tolist())
    return found
