"""The corrected cases of a session: list, accept, import, sort, remove and restore them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path

import SimpleITK as sitk

from lnsegfm.base.errors import Cancelled
from lnsegfm.base.home import Home
from lnsegfm.base.prefixes import resolve
from lnsegfm.cases.case_advice import Finding, advise
from lnsegfm.cases.case_import import ImportReport, import_folder
from lnsegfm.cases.case_info import USES, CaseInfo
from lnsegfm.cases.case_labels import check_measurable
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.images.input_options import InputOptions, Notes
from lnsegfm.jobs.job_store import JobStore
from lnsegfm.jobs.stored import ImportPair
from lnsegfm.models.damaged import Damaged
from lnsegfm.session.removal import refuse_while_used
from lnsegfm.session.waiting import IsCancelled, Report, never, no_report

Cases = list[CaseInfo]
AllDamaged = list[Damaged]
_log = logging.getLogger(__name__)


class CasesPart:
    """The cases of one home. Every id may be a beginning that only one case has.

    Args:
        home: Tells where they lie, at each call.
    """

    def __init__(self, home: Callable[[], Home]) -> None:
        self._home = home
        self._begun: set[Path] = set()

    @property
    def store(self) -> CaseStore:
        """The store below. When it is first asked for, deletions go on whose processes were killed."""
        store = CaseStore(self._home().cases)
        if store.root not in self._begun:
            self._begun.add(store.root)
            store.finish_deletions()
        return store

    def list(self) -> Cases:
        """Return the cases in the order of their ids; without those that cannot be read, see `damaged`."""
        return self.store.list()

    def survey(self) -> tuple[Cases, AllDamaged]:
        """Return what `list` and `damaged` do, read once."""
        return self.store.survey()

    def damaged(self) -> AllDamaged:
        """Return what lies among the cases and cannot be read, by id; `remove` takes it, too."""
        return self.store.damaged()

    def get(self, case_id: str) -> CaseInfo:
        """Return one case.

        Raises:
            UserError: There is none of this id, or several begin so.
        """
        return self.store.get(self.resolve(case_id))

    def resolve(self, case_id: str) -> str:
        """Return the whole id of which ``case_id`` is the beginning, see `lnsegfm.base.prefixes.resolve`."""
        cases, damaged = self.store.survey()
        return resolve(case_id, [*(case.id for case in cases), *(each.id for each in damaged)], "case")

    def advise(self) -> Sequence[Finding]:
        """Return what is to be said of the cases as they are sorted now, the gravest first."""
        return advise(self.list())

    # Cases come in

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
        notes: Notes | None = None,
    ) -> CaseInfo:
        """Store a CT with its corrected labels, see `lnsegfm.cases.case_store.CaseStore.accept`.

        Args:
            image: The CT in HU.
            label: The labels, on the CT's grid or one that shares its voxels; one value, or segments with names.
            case_id: The case this must be a correction of; None to find it by the CT.
            draft_model: Id of the model that made the first draft.
            draft_model_sha256: SHA-256 of that model.
            no_nodes: The user states that the CT shows no lymph nodes; the labels must be empty then, and only then.
            note: The user's own words; no patient names.
            ignore: Value of ``label`` where the CT was not reviewed.
            draft_label: The labels as the model drew them; only their Dice is kept.
            input_options: What the user says of labels that are not certain.
            notes: Gets what was done to the labels and left out of them, a sentence each.

        Raises:
            UserError: The labels are not certain, cannot be lymph nodes, or do not fit; the message says how.
        """
        return self.store.accept(
            image, label, case_id=self.resolve(case_id) if case_id else None, draft_model=draft_model,
            draft_model_sha256=draft_model_sha256, no_nodes=no_nodes, note=note, ignore=ignore, draft_label=draft_label,
            input_options=input_options, notes=notes,
        )

    def accept_once(
        self, image: sitk.Image, label: sitk.Image, *, ignore: int | None = None, draft_model: str = "",
        draft_model_sha256: str = "", input_options: InputOptions = InputOptions(), notes: Notes | None = None,
    ) -> tuple[CaseInfo, bool]:
        """Store as `accept`, unless the same CT has these very labels already.

        Returns:
            The case, and whether anything was stored.
        """
        return self.store.accept_once(
            image, label, ignore=ignore, draft_model=draft_model, draft_model_sha256=draft_model_sha256,
            input_options=input_options, notes=notes,
        )

    def add(
        self, ct: Path, labels: Path, *, no_nodes: bool = False, note: str = "",
        input_options: InputOptions = InputOptions(), notes: Notes | None = None,
    ) -> CaseInfo:
        """Store a CT and its corrected labels from files, as `accept`.

        Names of segments in the label file, or else in nnU-Net's ``dataset.json`` in its folder or the one above, tell
        which values are lymph nodes.

        Args:
            ct: Folder of a DICOM series, or a file that SimpleITK reads.
            labels: Label file, also Slicer's ``.seg.nrrd`` or a DICOM segmentation (SEG).
            no_nodes: The CT shows no lymph nodes; the labels are empty.
            note: The user's own words; no patient names.
            input_options: What the user says of labels that are not certain.
            notes: Gets what was done to the labels and left out of them, a sentence each; None logs it.

        Raises:
            UserError: A file cannot be read, or as `accept`.
        """
        from lnsegfm.inputs.dataset_labels import DatasetLabels
        from lnsegfm.inputs.reading_apart import read_ct, read_labels

        said: Notes = [] if notes is None else notes
        image = read_ct(ct, warnings=said, assume_hu=input_options.assume_hu)
        label = read_labels(labels, said)
        named = DatasetLabels.beside(Path(labels))
        case = self.store.accept(
            image, label, no_nodes=no_nodes, note=note, ignore=None if named is None else named.ignore,
            names=None if named is None else named.structures, input_options=input_options, notes=said,
        )
        for text in said if notes is None else ():
            _log.warning(text)
        return case

    def import_folder(
        self, folder: Path | str, *, progress: Report = no_report, is_cancelled: IsCancelled = never,
        input_options: InputOptions = InputOptions(), names: Collection[str] | None = None,
    ) -> ImportReport:
        """Import the pairs of a folder in nnU-Net's raw layout; bad pairs are reported, the others imported.

        Args:
            folder: The folder with ``imagesTr`` and ``labelsTr``.
            progress: Called with the share done and a text.
            is_cancelled: Asked between two pairs; what was imported until then stays.
            input_options: What the user says of labels that are not certain.
            names: The pairs to import; None for all.

        Raises:
            UserError: It is not such a folder, or none of its structures is called a lymph node.
            Cancelled: The user cancelled.
        """
        return import_folder(
            self.store, Path(folder), progress=progress, is_cancelled=is_cancelled, input_options=input_options,
            names=names,
        )

    def import_pairs(
        self, pairs: Sequence[ImportPair], *, progress: Report = no_report, is_cancelled: IsCancelled = never,
        input_options: InputOptions = InputOptions(),
    ) -> ImportReport:
        """Import CTs with their labels; bad pairs are reported, the others imported.

        Args:
            pairs: What is to be imported.
            progress: Called with the share done and a text.
            is_cancelled: Asked between two pairs; what was imported until then stays.
            input_options: What the user says of labels that are not certain.

        Raises:
            Cancelled: The user cancelled.
        """
        report = ImportReport()
        for number, pair in enumerate(pairs):
            if is_cancelled():
                raise Cancelled
            progress(number / len(pairs), f"{number + 1} of {len(pairs)}")
            report.take(
                pair.name, self.store, pair.read, input_options, draft_model=pair.draft_model,
                draft_model_sha256=pair.draft_model_sha256, told=pair.notes,
            )
        return report

    # Cases are sorted, go and come back

    def set_use(self, case_ids: str | Sequence[str], use: str) -> Cases:
        """Use cases for training, hold them out, use them as reference, or leave them out.

        Every case is checked before the first one is changed.

        Args:
            case_ids: One id or several.
            use: One of `lnsegfm.cases.case_info.USES`: ``train``, ``holdout``, ``reference`` (the base model's own
                domain, to measure what it forgets) or ``excluded``.

        Returns:
            The cases as they are now.

        Raises:
            UserError: Unknown case or use, or a case of which only a part was reviewed is to be measured on.
        """
        cases = [self.get(case_id) for case_id in _several(case_ids)]
        if use in USES:
            for case in cases:
                check_measurable(replace(case, use=use), case.latest.partial)
        return [self.store.set_use(case.id, use) for case in cases]

    def remove(self, case_ids: str | Sequence[str], *, forever: bool = False) -> Sequence[str]:
        """Move cases into the trash, from which `restore` brings them back; damaged ones as well.

        Args:
            case_ids: One id or several.
            forever: Delete their CTs and labels from the disk instead, and what jobs left of their voxels.

        Returns:
            Their whole ids.

        Raises:
            UserError: Unknown case, or a running job needs it; then none is removed.
        """
        jobs = JobStore(self._home().jobs)
        ids, damaged = [self.resolve(case_id) for case_id in _several(case_ids)], {each.id for each in self.damaged()}
        for case_id in ids:
            refuse_while_used(f"case '{case_id}'", jobs.users_of(case=case_id))
            if case_id not in damaged:
                self.store.get(case_id)
        if forever:
            # First: once a case is gone, nobody would ask again for what is left of it elsewhere.
            jobs.forget_voxels()
        for case_id in ids:
            self.store.remove(case_id, forever=forever)
        return ids

    def restore(self, case_ids: str | Sequence[str]) -> Cases:
        """Bring removed cases back.

        Raises:
            UserError: One is not in the trash.
        """
        store = self.store
        return [store.restore(resolve(case_id, store.removed, "removed case")) for case_id in _several(case_ids)]

    def forget(self, case_id: str) -> None:
        """Delete a removed case from the disk, and what jobs left of its voxels; nothing brings it back.

        Raises:
            UserError: It is not in the trash.
        """
        whole = resolve(case_id, self.store.removed, "removed case")
        JobStore(self._home().jobs).forget_voxels()
        self.store.forget(whole)

    def thumbnail(self, case: CaseInfo | str) -> str:
        """Return the file of a case's thumbnail, see `lnsegfm.jobs.comparison_pictures.thumbnail`.

        Raises:
            UserError: The case cannot be read.
        """
        from lnsegfm.jobs.comparison_pictures import thumbnail

        return str(thumbnail(self.get(case) if isinstance(case, str) else case))


def _several(ids: str | Sequence[str]) -> Sequence[str]:
    return [ids] if isinstance(ids, str) else list(dict.fromkeys(ids))
