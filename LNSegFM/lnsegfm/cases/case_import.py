"""Importing pairs of CT and label from a folder in nnU-Net's raw layout."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.files import read_json
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.inputs.reading import read_ct, read_labels

_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
_CHANNEL = re.compile(r"(?P<name>.+)_(?P<channel>\d{4})")


@dataclass
class ImportReport:
    """What became of the pairs of a folder.

    Names are for the user's eyes; nothing of them is stored.

    Args:
        stored: Name of each pair that was stored, and the id of the case that got its labels as a new version.
        skipped: Name and reason of each pair that was left out.
    """

    stored: list[tuple[str, str]] = field(default_factory=list)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    @property
    def imported(self) -> list[str]:
        """Ids of the cases that got a new label version, in the order of the pairs."""
        return [case_id for _, case_id in self.stored]


def import_folder(
    store: CaseStore,
    folder: Path,
    *,
    progress: Callable[[float, str], object] | None = None,
    is_cancelled: Callable[[], bool] | None = None,
) -> ImportReport:
    """Import ``imagesTr/NAME_0000.*`` with ``labelsTr/NAME.*``; bad pairs are reported, the others imported.

    Args:
        store: Where the cases go.
        folder: The folder with ``imagesTr`` and ``labelsTr``; a ``dataset.json`` is read where there is one.
        progress: Called with the share done and a text.
        is_cancelled: Asked between two pairs; what was imported until then stays.

    Raises:
        UserError: Not such a folder, or one whose labels are several structures.
        Cancelled: The user cancelled.
    """
    raw = RawFolder.read(folder)
    report = ImportReport(skipped=list(raw.skipped))
    for number, (name, pair) in enumerate(raw.pairs.items()):
        if is_cancelled is not None and is_cancelled():
            raise Cancelled
        if progress is not None:
            progress(number / len(raw.pairs), f"{number + 1} of {len(raw.pairs)}")
        try:
            report.stored.append((name, _import_pair(store, pair, raw.ignore)))
        except UserError as error:
            report.skipped.append((name, str(error)))
    return report


@dataclass(frozen=True)
class RawPair:
    """The files of one case of a folder in nnU-Net's raw layout."""

    image: Path
    label: Path


@dataclass(frozen=True)
class RawFolder:
    """What there is in a folder in nnU-Net's raw layout.

    Args:
        pairs: The usable pairs by name, in the order of the names.
        skipped: Name and reason of what is no pair.
        ignore: Value of the label 'ignore'; None where there is none.
    """

    pairs: Mapping[str, RawPair]
    skipped: tuple[tuple[str, str], ...]
    ignore: int | None

    @classmethod
    def read(cls, folder: Path) -> RawFolder:
        """List a folder; no image is opened.

        Raises:
            UserError: Not such a folder, or one whose labels are several structures.
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
                pairs[name] = RawPair(files["0000"], labels[name])
        return cls(pairs, tuple(skipped), _ignore_label(folder))


def _import_pair(store: CaseStore, pair: RawPair, ignore: int | None) -> str:
    info, is_new = store.accept_once(read_ct(pair.image), read_labels(pair.label), ignore=ignore)
    if not is_new:
        raise UserError(f"It is stored already, as {info.id}.")
    return info.id


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


def _ignore_label(folder: Path) -> int | None:
    """Value of the label 'ignore'; refuses a data set of several structures, which would all become lymph nodes."""
    path = folder / "dataset.json"
    if not path.is_file():
        return None
    try:
        labels: dict[str, Any] = dict(read_json(path).get("labels", {}))
    except (OSError, json.JSONDecodeError, AttributeError, TypeError, ValueError) as error:
        raise UserError(
            "The folder cannot be imported.", f"dataset.json: {error}.", "Correct dataset.json or remove it."
        ) from error
    ignore = labels.pop("ignore", None)
    structures = [name for name, value in labels.items() if value not in (0, "0") and name not in ("0", "background")]
    if len(structures) > 1:
        raise UserError(
            "The folder cannot be imported.", f"Its labels are several structures: {', '.join(structures)}.",
            "Export a data set whose only label is lymph node.",
        )
    return ignore if isinstance(ignore, int) else None

