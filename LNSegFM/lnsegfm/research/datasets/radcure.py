"""RADCURE: a folder per patient with a DICOM CT and an RT structure set, or released lymph node masks beside it.

Layout of TCIA's download (doi:10.7937/J47W-NM11)::

    RADCURE/
        RADCURE-0005/STUDY/SERIES/*.dcm    CT
        RADCURE-0005/STUDY/SERIES/*.dcm    RTSTRUCT: GTVp, GTVn, ... and organs at risk
    masks/
        RADCURE-0005.nii.gz                the masks of all visible lymph nodes, where there are
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from lnsegfm.base.errors import UserError
from lnsegfm.formats.given_files import check_file
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.input_options import ONLY_CERTAIN, InputOptions
from lnsegfm.inputs.reading_apart import read_ct
from lnsegfm.research.datasets.candidates import NODE, Candidate, LabelledCt, listed, subfolders
from lnsegfm.research.datasets.contours import rasterise
from lnsegfm.research.datasets.dicom_folder import CtSeries, choose_series, read_dicom_folder
from lnsegfm.research.datasets.label_files import known_values, labels_from_files, stem
from lnsegfm.research.datasets.research_packages import research_package
from lnsegfm.research.datasets.structure_set import StructureSet, read_structure_set

# GTVn, GTVn1, GTV_N_left, LN, LN2; not GTVnx and GTVnp, the primary tumour of the nasopharynx, and not LN_Neck_II,
# TG-263's name of a nodal level, which is mostly healthy tissue.
STRUCTURES = ("GTVn", "GTVn[!xp]*", "GTV[ _-]n", "GTV[ _-]n[!xp]*", "LN", "LN[0-9]*")


def candidates(
    source: Path, *, structures: Sequence[str] = STRUCTURES, masks: Path | None = None,
    options: InputOptions = InputOptions(),
) -> list[Candidate]:
    """List the patients.

    Args:
        source: The folder of the patients' folders.
        structures: Patterns of the names of the structures that are lymph nodes.
        masks: Folder of masks, ``PATIENT.nii.gz`` or ``PATIENT_*.nii.gz``, that are used instead of structure sets;
            by default masks beside the patients' folders or in them are.
        options: What the user says of masks that are not certain; without values all but 0 is lymph node.

    Raises:
        UserError: No patient folders there, or pydicom or scikit-image are not installed.
    """
    for name in ("pydicom", "skimage.draw"):
        research_package(name)
    folders = subfolders(source, "PATIENT/*.dcm")
    if masks is not None:
        known = _label_files(masks)
        return [
            RadcureCase(folder, tuple(structures), _of(folder.name, known), wants_mask=True, options=options)
            for folder in folders
        ]
    beside = _label_files(source)
    return [
        RadcureCase(
            folder, tuple(structures), (*_of(folder.name, beside), *(path for _, path in _label_files(folder))),
            options=options,
        )
        for folder in folders
    ]


@dataclass(frozen=True)
class RadcureCase:
    """One patient.

    Args:
        folder: Its folder.
        structures: Patterns of the names of the structures that are lymph nodes.
        masks: Released masks of this patient.
        wants_mask: The structure set does not replace a missing mask.
        options: What the user says of masks that are not certain.
    """

    folder: Path
    structures: tuple[str, ...]
    masks: tuple[Path, ...]
    wants_mask: bool = False
    options: InputOptions = ONLY_CERTAIN

    @property
    def name(self) -> str:
        """Name of the patient's folder."""
        return self.folder.name

    def opened(self) -> _Opened:
        """Look into the patient's folder."""
        return _Opened(self)


class _Opened:
    def __init__(self, case: RadcureCase) -> None:
        self._case = case
        self._found = read_dicom_folder(case.folder)

        for path in case.masks:
            check_file(path, within=path.parent)

    def sources(self) -> dict[str, Sequence[Path]]:
        try:
            images = self._series.files
        except UserError:
            # It is not clear which is meant.
            images = [path for series in self._found.series.values() for path in series.files]
        labels = self._case.masks or self._found.structure_sets
        return {role: files for role, files in (("image", images), ("labels", labels)) if files}

    def load(self) -> LabelledCt:
        series, masks = self._series, self._case.masks
        if len(masks) > 1:
            raise UserError(f"There are {len(masks)} masks of this patient.")
        if self._case.wants_mask and not masks:
            raise UserError("There is no mask of this patient.")
        if self._drawn is None and not masks:
            raise UserError("There is no structure set (RTSTRUCT) and no mask.")
        said: list[str] = []
        options = known_values(self._case.options)
        ct = read_ct(series.folder, series=series.uid, warnings=said, assume_hu=options.assume_hu)
        if self._drawn is None or masks:
            labels, done = labels_from_files(masks, ct, options=options)
        else:
            labels, done = _drawn_nodes(self._drawn, self._case.structures, Geometry.of(ct))
        return LabelledCt(ct, labels, [*said, *done])

    @cached_property
    def _drawn(self) -> StructureSet | None:
        paths = self._found.structure_sets
        if len(paths) > 1 and not self._case.masks:
            raise UserError(f"There are {len(paths)} structure sets (RTSTRUCT).")
        if len(paths) != 1:
            return None
        return read_structure_set(paths[0], self._case.structures)

    @cached_property
    def _series(self) -> CtSeries:
        return choose_series(self._found, self._drawn)


def _drawn_nodes(drawn: StructureSet, patterns: Sequence[str], grid: Geometry) -> tuple[np.ndarray, list[str]]:
    if not drawn.contours:
        names = ", ".join(f'"{name}"' for name in drawn.names)
        raise UserError(
            f"None of its {len(drawn.names)} structures is a lymph node by the names {' or '.join(patterns)}.",
            f"Its structures are {names}." if names else "", "Choose by --structure.",
        )
    filled = [contours for contours in drawn.contours if contours]
    nodes = np.zeros(grid.size[::-1], np.uint8)
    for contours in filled:
        nodes[rasterise(contours, grid)] = NODE
    done = [f"Contours of {len(filled)} structures were turned into voxels."]
    if len(filled) < len(drawn.contours):
        done.append(f"{len(drawn.contours) - len(filled)} structures of a matching name had no contours.")
    return nodes, done


def _label_files(folder: Path) -> list[tuple[str, Path]]:
    return [(name, path) for path in listed(folder) if (name := stem(path)) is not None]


def _of(patient: str, files: Sequence[tuple[str, Path]]) -> tuple[Path, ...]:
    """Return the files that are named after a patient; RADCURE-1 is not RADCURE-10."""
    return tuple(
        path for name, path in files if name.startswith(patient) and not name[len(patient) :][:1].isalnum()
    )
