"""The store of corrected cases: a CT and every label version that was ever accepted for it."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lnsegfm.base import disk
from lnsegfm.base.errors import UserError
from lnsegfm.base.files import new_folder, write_json
from lnsegfm.cases.case_info import CASE, IGNORE, IMAGE, USES, CaseInfo, LabelVersion, label_name
from lnsegfm.cases.case_labels import Draft, check_measurable, checked_label, draft_dice, in_order_of
from lnsegfm.cases.case_trash import ID, CaseTrash, locked, numbered, used_numbers
from lnsegfm.formats.image_files import write_image
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.hounsfield import check_hu
from lnsegfm.images.input_options import InputOptions, Notes
from lnsegfm.images.orientation import axis_map, reorient
from lnsegfm.images.volume_checks import check_ct
from lnsegfm.lymph_nodes.plausibility import implausible_in
from lnsegfm.lymph_nodes.vanishing import extents_of
from lnsegfm.models.damaged import Damaged

_LABEL = re.compile(r"label-(\d{4,})\.nrrd")
# Inside the class below the name `list` is the method.
Cases = list[CaseInfo]
AllDamaged = list[Damaged]
Paths = list[Path]


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
        self._trash = CaseTrash(self.root)

    def list(self) -> Cases:
        """Return the cases in the order of their ids; without those that cannot be read, see `damaged`."""
        return self.survey()[0]

    def damaged(self) -> AllDamaged:
        """Return what cannot be read, by id; it can be removed."""
        return self.survey()[1]

    def survey(self) -> tuple[Cases, AllDamaged]:
        """Return the cases and what cannot be read, both in the order of their ids."""
        found, damaged = [], []
        for _, folder in sorted(numbered(self.root, ID)):
            try:
                found.append(CaseInfo.read(folder))
            except UserError as error:
                damaged.append(Damaged(folder.name, folder, error))
        return found, damaged

    def get(self, case_id: str) -> CaseInfo:
        """Return one case.

        Raises:
            UserError: There is none of this id, or it cannot be read.
        """
        return CaseInfo.read(self._place(case_id))

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
        draft = Draft(
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
        draft = Draft(
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
        with locked(self.root, case_id):
            info = replace(self.get(case_id), use=use)
            check_measurable(info, info.latest.partial)
            write_json(info.path / CASE, info.to_json())
        return info

    def remove(self, case_id: str, *, forever: bool = False) -> None:
        """Move a case into the trash, from which `restore` brings it back; also a damaged one.

        Args:
            case_id: The case.
            forever: Delete its CT and labels from the disk instead; `finish_deletions` ends what is cut short of it.

        Raises:
            UserError: There is none of this id.
        """
        self.finish_deletions()
        self._place(case_id)
        with locked(self.root, case_id):
            folder = self._place(case_id)
            if forever:
                self._trash.delete(folder)
            else:
                self._trash.take(folder)

    def restore(self, case_id: str) -> CaseInfo:
        """Bring a removed case back.

        Raises:
            UserError: It is not in the trash, or cannot be read.
        """
        self.finish_deletions()
        self._trash.find(case_id)
        with locked(self.root, case_id):
            removed = self._trash.find(case_id)
            CaseInfo.read(removed)
            disk.replace(removed, self.root / case_id)
            return self.get(case_id)

    def forget(self, case_id: str) -> None:
        """Delete a removed case from the disk; nothing brings it back.

        Raises:
            UserError: It is not in the trash.
        """
        self.finish_deletions()
        self._trash.find(case_id)
        with locked(self.root, case_id):
            self._trash.delete(self._trash.find(case_id))

    def finish_deletions(self) -> None:
        """Delete what killed processes have begun to delete; costs nothing where there is nothing. Never fails."""
        self._trash.finish()

    @property
    def deleting(self) -> Paths:
        """What of cases is being deleted at this moment, or was when its process was killed."""
        return self._trash.unfinished

    @property
    def removed(self) -> tuple[str, ...]:
        """Ids of the cases in the trash, in their order."""
        return self._trash.ids

    def _place(self, case_id: str) -> Path:
        """Return the folder of a case that may be damaged."""
        if not ID.fullmatch(case_id) or not os.path.lexists(self.root / case_id):
            known = ", ".join(case.id for case in self.list()) or "none"
            raise UserError(f"There is no case '{case_id}'.", f"There are: {known}.", "Choose one of these.")
        return self.root / case_id

    def _accept(
        self, image: sitk.Image, label: sitk.Image, draft: Draft, case_id: str | None, *, once: bool = False
    ) -> tuple[CaseInfo, bool]:
        check_ct(image)
        key, grid = _scan_key(image)
        if case_id is not None and not _is_scan_of(self.get(case_id), key, grid):
            raise UserError(
                f"This is not the CT of the case '{case_id}'.", "Its voxels or its grid differ from the stored CT.",
                "Choose the CT the case was made from, or accept it as a new case.",
            )
        # Creating is locked as a whole, or two processes would store the same CT as two cases.
        with locked(self.root, "new-case"):
            known = self.get(case_id) if case_id is not None else self._find(key, grid)
            if known is None:
                check_hu(image, assume_hu=draft.options.assume_hu, notes=draft.notes)
            array = checked_label(image, label, draft)
            created = None if known is not None else self._create(image, array, draft, key)
        if known is not None:
            info, is_new = self._add_version(known.id, in_order_of(known.geometry, image, array), draft, once)
        else:
            assert created is not None
            info, is_new = created, True
        if is_new:
            draft.notes.extend(implausible_in(image, array == 1))
        return info, is_new

    def _find(self, key: str, grid: Geometry) -> CaseInfo | None:
        return next((case for case in self.list() if _is_scan_of(case, key, grid)), None)

    def _create(self, image: sitk.Image, array: np.ndarray, draft: Draft, key: str) -> CaseInfo:
        # Only the holder of the lock makes such folders: these are what killed processes left behind.
        self.finish_deletions()
        for rest in self.root.glob(".tmp-*"):
            disk.remove_tree(rest)
        case_id = f"case-{1 + max(used_numbers(self.root), default=0):04d}"
        with locked(self.root, case_id), new_folder(self.root / case_id) as staging:
            precise = image.GetPixelID() == sitk.sitkFloat64
            write_image(sitk.Cast(image, sitk.sitkFloat32) if precise else image, staging / IMAGE)
            info = CaseInfo(
                case_id, staging, _now(), "train", draft.model, draft.model_sha256, (), Geometry.of(image), key
            )
            self._write_version(info, 1, array, draft)
        return self.get(case_id)

    def _add_version(self, case_id: str, array: np.ndarray, draft: Draft, once: bool) -> tuple[CaseInfo, bool]:
        with locked(self.root, case_id):
            info = self.get(case_id)
            if once and any(np.array_equal(_read_label(info, version), array) for version in info.versions):
                return info, False
            check_measurable(info, bool((array == IGNORE).any()))
            # A crash may have left a label that no case.json mentions; its number is not used again.
            taken = [number for number, _ in numbered(info.path, _LABEL)]
            return self._write_version(info, 1 + max(taken, default=0), array, draft), True

    def _write_version(self, info: CaseInfo, number: int, array: np.ndarray, draft: Draft) -> CaseInfo:
        labels = info.geometry.put_on(sitk.GetImageFromArray(array))
        write_image(labels, info.path / label_name(number))
        extents = extents_of(labels == 1)
        version = LabelVersion(
            number, _now(), len(extents), int(np.count_nonzero(array == 1)), draft.note, draft.no_nodes,
            bool((array == IGNORE).any()), draft_dice(draft, info.geometry, array), extents,
        )
        info = replace(info, versions=(*info.versions, version))
        write_json(info.path / CASE, info.to_json())
        return info


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


def _read_label(info: CaseInfo, version: LabelVersion) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(info.label_path(version.number))))


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
