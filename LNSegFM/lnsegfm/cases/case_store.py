"""The store of corrected cases: a CT and every label version that was ever accepted for it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lnsegfm.base import disk
from lnsegfm.base.errors import UserError
from lnsegfm.base.files import new_folder, write_json
from lnsegfm.base.locks import FileLock, LockHeld
from lnsegfm.cases.case_info import CASE, IGNORE, IMAGE, USES, CaseInfo, LabelVersion, label_name
from lnsegfm.evaluation.metrics import dice
from lnsegfm.formats.image_files import write_image
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.hounsfield import check_hu
from lnsegfm.images.input_options import ONLY_CERTAIN, InputOptions, Notes
from lnsegfm.images.label_grids import label_on_grid
from lnsegfm.images.orientation import axis_map, reorient
from lnsegfm.images.volume_checks import check_ct
from lnsegfm.inputs.labels_on_ct import lymph_nodes_on
from lnsegfm.lymph_nodes.plausibility import implausible_in
from lnsegfm.lymph_nodes.vanishing import extents_of

_ID = re.compile(r"case-(\d{4,})")
_LABEL = re.compile(r"label-(\d{4,})\.nrrd")
_WAIT_S = 60.0


@dataclass(frozen=True)
class _Draft:
    """What is known of a correction besides its voxels, and what is said of it."""

    model: str
    model_sha256: str
    no_nodes: bool
    note: str
    ignore: int | None = None
    label: sitk.Image | None = None
    options: InputOptions = ONLY_CERTAIN
    names: Mapping[str, tuple[int, ...]] | None = None
    notes: list[str] = field(default_factory=list)


class CaseStore:
    """Cases below one folder; several processes may use it at once.

    Labels are stored as 0 (background), 1 (lymph node) and `lnsegfm.cases.case_info.IGNORE` (not reviewed). What of
    a label image is lymph node, and where it lies, must be certain, see `lnsegfm.inputs.labels_on_ct.lymph_nodes_on`.
    Nothing is stored of where a CT or label came from: no header entries, no file names.

    Args:
        root: Folder of the cases; made when the first one is accepted.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def list(self) -> list[CaseInfo]:
        """Return the cases in the order of their ids; folders that are unfinished or unreadable are left out."""
        found = []
        for _, folder in sorted(_numbered(self.root, _ID)):
            try:
                found.append(CaseInfo.read(folder))
            except UserError:
                continue
        return found

    def get(self, case_id: str) -> CaseInfo:
        """Return one case.

        Raises:
            UserError: There is none of this id, or it cannot be read.
        """
        folder = self.root / case_id
        if not _ID.fullmatch(case_id) or not (folder / CASE).is_file():
            known = ", ".join(case.id for case in self.list()) or "none"
            raise UserError(f"There is no case '{case_id}'.", f"There are: {known}.", "Choose one of these.")
        return CaseInfo.read(folder)

    def find(self, image: sitk.Image) -> CaseInfo | None:
        """Return the case of this very CT, however its voxels are ordered; None when it is not stored."""
        return self._find(*_scan_key(image))

    def accept(
        self,
        image: sitk.Image,
        label: sitk.Image,
        *,
        case_id: str | None = None,
        draft_model: str = "",
        draft_model_sha256: str = "",
        no_nodes: bool = False,
        note: str = "",
        ignore: int | None = None,
        draft_label: sitk.Image | None = None,
        input_options: InputOptions = InputOptions(),
        names: Mapping[str, tuple[int, ...]] | None = None,
        notes: Notes | None = None,
    ) -> CaseInfo:
        """Store a correction: as a further label version when this CT is stored already, else as a new case.

        Args:
            image: The CT.
            label: The corrected labels, on the CT's grid or one that shares its voxels, see
                `lnsegfm.inputs.labels_on_ct.lymph_nodes_on`.
            case_id: The case this must be a correction of; None to find it by the CT.
            draft_model: Id of the model that made the first draft.
            draft_model_sha256: SHA-256 of that model.
            no_nodes: The user states that the CT shows no lymph nodes; the label must be empty then, and only then.
            note: The user's own words; stored as they are, so no patient names here.
            ignore: Value of ``label`` where the CT was not reviewed; such a case can be used for training only.
            draft_label: The labels as the model drew them, on a grid as that of ``label``; only their Dice is kept.
            input_options: What the user says of labels that are not certain.
            names: Label values by name, as ``dataset.json`` has them.
            notes: Gets what was done to the labels and left out of them, and which of them cannot be lymph nodes, a
                sentence each.

        Raises:
            PlacementError: It is not certain where the labels lie.
            UserError: Not a CT, labels of which it is not certain what is a lymph node or that cannot be any, a label
                that is empty against or full in spite of ``no_nodes``, a label that does not fit the CT, or a CT that
                is not the one of ``case_id``.
        """
        draft = _Draft(
            draft_model, draft_model_sha256, no_nodes, note, ignore, draft_label, input_options, names,
            [] if notes is None else notes,
        )
        return self._accept(image, label, draft, case_id)[0]

    def accept_once(
        self,
        image: sitk.Image,
        label: sitk.Image,
        *,
        ignore: int | None = None,
        draft_model: str = "",
        draft_model_sha256: str = "",
        input_options: InputOptions = InputOptions(),
        names: Mapping[str, tuple[int, ...]] | None = None,
        notes: Notes | None = None,
    ) -> tuple[CaseInfo, bool]:
        """Store a correction as `accept`, unless the same CT has a version with the very same labels.

        Returns:
            The case, and whether anything was stored.
        """
        draft = _Draft(
            draft_model, draft_model_sha256, False, "", ignore, None, input_options, names,
            [] if notes is None else notes,
        )
        return self._accept(image, label, draft, None, once=True)

    def set_use(self, case_id: str, use: str) -> CaseInfo:
        """Put a case into training, hold it out, or leave it out.

        Args:
            case_id: The case.
            use: One of `lnsegfm.cases.case_info.USES`.

        Raises:
            UserError: Unknown case or use.
        """
        if use not in USES:
            raise UserError(f"Unknown use '{use}'.", f"Known are {', '.join(USES)}.", "Choose one of these.")
        self.get(case_id)
        with self._locked(case_id):
            info = replace(self.get(case_id), use=use)
            check_measurable(info, info.latest.partial)
            write_json(info.path / CASE, info.to_json())
        return info

    def remove(self, case_id: str, *, forever: bool = False) -> None:
        """Move a case into the trash, from which `restore` brings it back.

        Args:
            case_id: The case.
            forever: Delete its CT and labels from the disk instead.
        """
        self.get(case_id)
        with self._locked(case_id):
            disk.make_folder(self._trash)
            disk.replace(self.get(case_id).path, self._trash / case_id)
            if forever:
                disk.remove_tree(self._trash / case_id)

    def restore(self, case_id: str) -> CaseInfo:
        """Bring a removed case back.

        Raises:
            UserError: It is not in the trash.
        """
        removed = self._removed(case_id)
        with self._locked(case_id):
            disk.replace(removed, self.root / case_id)
        return self.get(case_id)

    def forget(self, case_id: str) -> None:
        """Delete a removed case from the disk; nothing brings it back.

        Raises:
            UserError: It is not in the trash.
        """
        removed = self._removed(case_id)
        with self._locked(case_id):
            disk.remove_tree(removed)

    @property
    def removed(self) -> tuple[str, ...]:
        """Ids of the cases in the trash, in their order."""
        return tuple(folder.name for _, folder in sorted(_numbered(self._trash, _ID)))

    @property
    def _trash(self) -> Path:
        return self.root / ".trash"

    def _removed(self, case_id: str) -> Path:
        if not _ID.fullmatch(case_id) or not (self._trash / case_id / CASE).is_file():
            raise UserError(f"There is no removed case '{case_id}'.")
        return self._trash / case_id

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        # Beside the cases, not in them: Windows does not move a folder that holds an open file.
        try:
            with FileLock(self.root / ".locks" / f"{name}.lock", wait_s=_WAIT_S):
                yield
        except LockHeld as error:
            raise UserError(
                "The case store is busy.", f"Another process has been changing '{name}' for {_WAIT_S:.0f} s.",
                "Try again when it is done.",
            ) from error

    def _accept(
        self, image: sitk.Image, label: sitk.Image, draft: _Draft, case_id: str | None, *, once: bool = False
    ) -> tuple[CaseInfo, bool]:
        check_ct(image)
        key, grid = _scan_key(image)
        if case_id is not None and not _is_scan_of(self.get(case_id), key, grid):
            raise UserError(
                f"This is not the CT of the case '{case_id}'.", "Its voxels or its grid differ from the stored CT.",
                "Choose the CT the case was made from, or accept it as a new case.",
            )
        # Creating is locked as a whole, or two processes would store the same CT as two cases.
        with self._locked("new-case"):
            known = self.get(case_id) if case_id is not None else self._find(key, grid)
            if known is None:
                check_hu(image, assume_hu=draft.options.assume_hu, notes=draft.notes)
            array = _checked_label(image, label, draft)
            created = None if known is not None else self._create(image, array, draft, key)
        if known is not None:
            info, is_new = self._add_version(known.id, _in_order_of(known.geometry, image, array), draft, once)
        else:
            assert created is not None
            info, is_new = created, True
        if is_new:
            draft.notes.extend(implausible_in(image, array == 1))
        return info, is_new

    def _find(self, key: str, grid: Geometry) -> CaseInfo | None:
        return next((case for case in self.list() if _is_scan_of(case, key, grid)), None)

    def _create(self, image: sitk.Image, array: np.ndarray, draft: _Draft, key: str) -> CaseInfo:
        # Only the holder of the lock makes such folders: these are what killed processes left behind.
        for rest in self.root.glob(".tmp-*"):
            disk.remove_tree(rest)
        case_id = f"case-{self._free_number():04d}"
        with self._locked(case_id), new_folder(self.root / case_id) as staging:
            precise = image.GetPixelID() == sitk.sitkFloat64
            write_image(sitk.Cast(image, sitk.sitkFloat32) if precise else image, staging / IMAGE)
            info = CaseInfo(
                case_id, staging, _now(), "train", draft.model, draft.model_sha256, (), Geometry.of(image), key
            )
            self._write_version(info, 1, array, draft)
        return self.get(case_id)

    def _add_version(self, case_id: str, array: np.ndarray, draft: _Draft, once: bool) -> tuple[CaseInfo, bool]:
        with self._locked(case_id):
            info = self.get(case_id)
            if once and any(np.array_equal(_read_label(info, version), array) for version in info.versions):
                return info, False
            check_measurable(info, bool((array == IGNORE).any()))
            # A crash may have left a label that no case.json mentions; its number is not used again.
            taken = [number for number, _ in _numbered(info.path, _LABEL)]
            return self._write_version(info, 1 + max(taken, default=0), array, draft), True

    def _write_version(self, info: CaseInfo, number: int, array: np.ndarray, draft: _Draft) -> CaseInfo:
        labels = info.geometry.put_on(sitk.GetImageFromArray(array))
        write_image(labels, info.path / label_name(number))
        extents = extents_of(labels == 1)
        version = LabelVersion(
            number, _now(), len(extents), int(np.count_nonzero(array == 1)), draft.note, draft.no_nodes,
            bool((array == IGNORE).any()), _draft_dice(draft, info.geometry, array), extents,
        )
        info = replace(info, versions=(*info.versions, version))
        write_json(info.path / CASE, info.to_json())
        return info

    def _free_number(self) -> int:
        # The locks stay when the trash is emptied: an id in a model's lineage must not come to mean another case.
        known = [(self.root, _ID), (self._trash, _ID), (self.root / ".locks", re.compile(r"case-(\d{4,})\.lock"))]
        return 1 + max((number for folder, names in known for number, _ in _numbered(folder, names)), default=0)


def _scan_key(image: sitk.Image) -> tuple[str, Geometry]:
    """Hash of the voxels in anatomical order, and the grid in that order."""
    ordered, _ = reorient(image)
    digest = hashlib.sha256(str(ordered.GetSize()).encode())
    for plane in sitk.GetArrayViewFromImage(ordered):
        # One type for all, so that a CT that was saved as float is still the same; + 0 turns -0.0 into 0.0.
        digest.update((np.ascontiguousarray(plane, dtype="<f4") + np.float32(0)).tobytes())
    return digest.hexdigest(), Geometry.of(ordered)


def _is_scan_of(case: CaseInfo, key: str, grid: Geometry) -> bool:
    return case.origin_key == key and axis_map(case.geometry.direction).apply_geometry(case.geometry).matches(grid)


def check_measurable(info: CaseInfo, partial: bool) -> None:
    """Refuse a use for which the labels must tell of the whole CT.

    Args:
        info: The case, with the use that is wanted.
        partial: Whether only a part of the CT was reviewed for the labels.

    Raises:
        UserError: The use is ``holdout`` or ``reference``, and the labels are partial.
    """
    measured = {"holdout": "hold-out", "reference": "reference"}
    if partial and info.use in measured:
        raise UserError(
            f"The case '{info.id}' cannot be a {measured[info.use]} case.",
            "Only part of its CT was reviewed, so it is not known what a model should find in the rest.",
            "Use it for training, or correct the whole CT.",
        )


def _checked_label(image: sitk.Image, label: sitk.Image, draft: _Draft) -> np.ndarray:
    """Return the labels to be stored, uint8, shape (z, y, x) of the CT: 0, 1 and `IGNORE`."""
    placed = lymph_nodes_on(image, label, draft.options, names=draft.names, ignore=draft.ignore)
    array, no_nodes = placed.array, draft.no_nodes
    draft.notes.extend(placed.notes)
    if no_nodes and array.any():
        raise UserError(
            "The case was not stored.",
            f"It was said to show no lymph nodes, but {np.count_nonzero(array)} voxels are labelled.",
            "Delete the segments, or do not state that there are no nodes.",
        )
    if not no_nodes and not array.any():
        raise UserError(
            "The case was not stored.", " ".join(["The segmentation is empty.", *placed.notes]),
            "Segment the lymph nodes, or state that the CT shows none.",
        )
    if placed.seen is not None:
        array[~placed.seen] = IGNORE
    return array


def _in_order_of(grid: Geometry, image: sitk.Image, array: np.ndarray) -> np.ndarray:
    """Return labels of a CT in the voxel order in which the same CT is stored."""
    own = Geometry.of(image)
    to_grid = axis_map(grid.direction).invert(axis_map(own.direction).apply(array))
    return np.ascontiguousarray(to_grid)


def _draft_dice(draft: _Draft, grid: Geometry, corrected: np.ndarray) -> float | None:
    if draft.label is None:
        return None
    seen = corrected != IGNORE
    drawn = label_on_grid(draft.label, grid, placement=draft.options.placement)
    return dice(drawn[seen] != 0, corrected[seen] == 1)


def _read_label(info: CaseInfo, version: LabelVersion) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(info.label_path(version.number))))


def _numbered(folder: Path, names: re.Pattern[str]) -> list[tuple[int, Path]]:
    if not folder.is_dir():
        return []
    found = ((names.fullmatch(path.name), path) for path in folder.iterdir())
    return [(int(match.group(1)), path) for match, path in found if match]


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
