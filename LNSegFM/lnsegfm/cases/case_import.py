"""Importing pairs of CT and label from a folder in nnU-Net's raw layout."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import SimpleITK as sitk

from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.failures import as_user_error
from lnsegfm.cases.case_info import CaseInfo
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.formats.given_files import check_file
from lnsegfm.images.input_options import InputOptions, Notes
from lnsegfm.images.label_grids import PlacementError
from lnsegfm.inputs.dataset_labels import DATASET, DatasetLabels
from lnsegfm.inputs.label_names import meaning
from lnsegfm.inputs.reading_apart import read_ct, read_labels

_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
_KNOWN = "It is stored already"
_CHANNEL = re.compile(r"(?P<name>.+)_(?P<channel>\d{4})")


@dataclass
class ImportReport:
    """What became of the pairs of a folder.

    Names are for the user's eyes; nothing of them is stored.

    Args:
        stored: Name of each pair that was stored, and the id of the case that got its labels as a new version.
        skipped: Name and reason of each pair that was left out.
        notes: What was done to the labels of each pair that was stored, a sentence each, by name.
        uncertain: Of the pairs that were left out, by name, those of which the user can say more: where the labels
            lie, or what the ``kind`` of the error says.
    """

    stored: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    notes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    uncertain: dict[str, UserError] = field(default_factory=dict)

    @property
    def imported(self) -> list[str]:
        """Ids of the cases that got a new label version, in the order of the pairs."""
        return [case_id for _, case_id in self.stored]

    def take(
        self, name: str, store: CaseStore, read: Callable[[Notes], tuple[sitk.Image, sitk.Image]],
        options: InputOptions = InputOptions(), *, labels: DatasetLabels | None = None, draft_model: str = "",
        draft_model_sha256: str = "", told: Sequence[str] = (),
    ) -> None:
        """Store a pair unless it is stored already, and note what became of it; what is refused is noted as well.

        Args:
            name: What the user calls the pair.
            store: Where it goes.
            read: Reads the CT and the labels; what it notes is told with the pair.
            options: What the user says of labels that are not certain.
            labels: Names of the label values.
            draft_model: Id of the model that made the first draft.
            draft_model_sha256: SHA-256 of that model.
            told: What is known already of what was done to the labels.
        """
        notes = list(told)
        try:
            image, label = read(notes)
            info, is_new = store.accept_once(
                image, label, ignore=None if labels is None else labels.ignore, draft_model=draft_model,
                draft_model_sha256=draft_model_sha256, input_options=options,
                names=None if labels is None else labels.structures, notes=notes,
            )
        except Cancelled:
            raise
        except Exception as problem:  # one bad pair must not keep the others out
            error = as_user_error(problem, "The pair could not be imported.")
            self.skipped.append((name, " ".join([str(error), *told])))
            if isinstance(error, PlacementError) or error.kind:
                self.uncertain[name] = error
            return
        if is_new:
            self.stored.append((name, info.id))
            self.notes[name] = (stored_sentence(info), *notes)
        else:
            self.skipped.append((name, f"{_KNOWN}, as {info.id}."))

    @property
    def nothing_usable(self) -> bool:
        """Whether pairs were left out, and none was stored, now or before."""
        known = any(reason.startswith(_KNOWN) for _, reason in self.skipped)
        return bool(self.skipped) and not self.stored and not known

    def add(self, later: ImportReport) -> None:
        """Take in what became of pairs in a later attempt."""
        again = {name for name, _ in (*later.stored, *later.skipped)}
        self.skipped[:] = [(name, reason) for name, reason in self.skipped if name not in again] + later.skipped
        self.stored += later.stored
        self.notes.update(later.notes)
        self.uncertain = {name: error for name, error in self.uncertain.items() if name not in again} | later.uncertain


def stored_sentence(info: CaseInfo) -> str:
    """Say what the newest label version of a case holds."""
    latest = info.latest
    return f"{latest.foreground_voxels} voxels in {latest.nodes} lymph nodes, label version {latest.number}."


def import_folder(
    store: CaseStore,
    folder: Path,
    *,
    progress: Callable[[float, str], object] | None = None,
    is_cancelled: Callable[[], bool] | None = None,
    input_options: InputOptions = InputOptions(),
    names: Collection[str] | None = None,
) -> ImportReport:
    """Import ``imagesTr/NAME_0000.*`` with ``labelsTr/NAME.*``; bad pairs are reported, the others imported.

    Args:
        store: Where the cases go.
        folder: The folder with ``imagesTr`` and ``labelsTr``; a ``dataset.json`` is read where there is one.
        progress: Called with the share done and a text.
        is_cancelled: Asked often; what was imported until then stays.
        input_options: What the user says of labels that are not certain.
        names: The pairs to import; None for all.

    Raises:
        UserError: Not such a folder, or one none of whose structures is called a lymph node.
        Cancelled: The user cancelled.
    """
    raw = RawFolder.read(folder, input_options)
    report = ImportReport(skipped=list(raw.skipped) if names is None else [])
    pairs = {name: pair for name, pair in raw.pairs.items() if names is None or name in names}
    for number, (name, pair) in enumerate(pairs.items()):
        if is_cancelled is not None and is_cancelled():
            raise Cancelled
        if progress is not None:
            progress(number / len(pairs), f"{number + 1} of {len(pairs)}")
        read = partial(pair.read, input_options, is_cancelled=is_cancelled)
        report.take(name, store, read, input_options, labels=raw.labels)
    return report


@dataclass(frozen=True)
class RawPair:
    """The files of one case of a folder in nnU-Net's raw layout, and that folder."""

    image: Path
    label: Path
    folder: Path

    def read(
        self, options: InputOptions, notes: Notes, *, is_cancelled: Callable[[], bool] | None = None
    ) -> tuple[sitk.Image, sitk.Image]:
        """Read CT and labels, in the process that reads files.

        Args:
            options: What the user says of them.
            notes: Gets a text for each oddity.
            is_cancelled: Asked often.

        Raises:
            UserError: One cannot be read, or is a link that leads out of the folder.
            Cancelled: It was cancelled.
        """
        for path in (self.image, self.label):
            check_file(path, within=self.folder)
        asked = is_cancelled or (lambda: False)
        ct = read_ct(self.image, warnings=notes, assume_hu=options.assume_hu, is_cancelled=asked)
        return ct, read_labels(self.label, notes, is_cancelled=asked)


@dataclass(frozen=True)
class RawFolder:
    """What there is in a folder in nnU-Net's raw layout.

    Args:
        pairs: The usable pairs by name, in the order of the names.
        skipped: Name and reason of what is no pair.
        labels: What ``dataset.json`` says of the labels; None where there is none.
    """

    pairs: Mapping[str, RawPair]
    skipped: tuple[tuple[str, str], ...]
    labels: DatasetLabels | None

    @property
    def ignore(self) -> int | None:
        """Value of the label 'ignore'; None where there is none."""
        return None if self.labels is None else self.labels.ignore

    @classmethod
    def read(cls, folder: Path, options: InputOptions = InputOptions()) -> RawFolder:
        """List a folder; no image is opened.

        Args:
            folder: The folder.
            options: What the user says of the labels.

        Raises:
            UserError: Not such a folder, or one none of whose several structures is called a lymph node.
        """
        images, labels = _files(folder, "imagesTr"), _files(folder, "labelsTr")
        channels: dict[str, dict[str, Path]] = {}
        pairs, skipped = {}, []
        for stem, path in images.items():
            match = _CHANNEL.fullmatch(stem)
            if match is None:
                skipped.append((path.name, "Its name does not end in _0000, as nnU-Net's image files do."))
            else:
                channels.setdefault(match["name"], {})[match["channel"]] = path
        skipped += [(name, "There is a label but no image.") for name in sorted(labels.keys() - channels.keys())]
        for name, files in sorted(channels.items()):
            if set(files) != {"0000"}:
                skipped.append((name, f"It has the channels {', '.join(sorted(files))}; a CT has only 0000."))
            elif name not in labels:
                skipped.append((name, "There is an image but no label."))
            else:
                pairs[name] = RawPair(files["0000"], labels[name], folder)
        return cls(pairs, tuple(skipped), _dataset_labels(folder, options))


def _files(folder: Path, name: str) -> dict[str, Path]:
    if not (folder / name).is_dir():
        raise UserError(
            "The folder cannot be imported.", f"It has no folder '{name}'.",
            "Choose a folder in nnU-Net's raw layout: imagesTr/NAME_0000.nii.gz and labelsTr/NAME.nii.gz.",
        )
    found: dict[str, Path] = {}
    for path in sorted((folder / name).iterdir()):
        ending = next((ending for ending in _ENDINGS if path.name.lower().endswith(ending)), None)
        if ending is not None and not path.name.startswith("."):
            found.setdefault(path.name[: -len(ending)], path)
    return found


def _dataset_labels(folder: Path, options: InputOptions) -> DatasetLabels | None:
    """Read ``dataset.json``; a data set of several structures without a lymph node is refused as a whole."""
    path = folder / DATASET
    if not path.is_file():
        return None
    labels = DatasetLabels.read(path)
    labels.check_ct(folder)
    means = [meaning(name) for name in labels.structures]
    if not options.values and len(means) > 1 and "lymph node" not in means:
        raise UserError(
            "The folder cannot be imported.",
            f"None of its structures is called a lymph node: {', '.join(labels.structures)}.",
            "Choose by the values, as in --label-values 1,2 - or all.",
        )
    return labels
