"""Writing a dataset in nnU-Net's raw layout, case by case, so that a killed import continues where it was.

While it is being written the dataset folder holds ``.import/``: the settings, and one record per finished position.
``manifest.json`` is written last and makes the dataset complete. Format:
https://github.com/MIC-DKFZ/nnUNet/blob/master/documentation/dataset_format.md
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import read_json, write_json
from lnsegfm.base.locks import FileLock, LockHeld
from lnsegfm.cases.case_info import IGNORE
from lnsegfm.formats.image_files import write_image
from lnsegfm.images.geometry import labels_on
from lnsegfm.research.datasets.candidates import NODE, LabelledCt
from lnsegfm.research.datasets.manifest import MANIFEST, Dropped, Entry, Manifest, entry_from_json

_NAME = re.compile(r"Dataset\d{3}_[A-Za-z0-9][A-Za-z0-9_-]*")
_WORK, _SETTINGS, _LOCK = ".import", "settings.json", "lock"
_ENDING = ".nii.gz"
_CASE_FILE = re.compile(r"(?P<id>[a-z0-9]+_\d{4,}?)(_0000)?\.nii\.gz")


class RawDataset:
    """A dataset that is being written.

    Args:
        folder: Where it goes, ``.../DatasetNNN_NAME``.
        dataset: Name of the public dataset.
        settings: The import's choices; an import continues only with the same ones.
    """

    def __init__(self, folder: Path, dataset: str, settings: dict[str, Any]) -> None:
        if not _NAME.fullmatch(folder.name):
            raise UserError(
                f"'{folder.name}' is not a name of an nnU-Net dataset.",
                todo="Choose a name such as Dataset501_LymphNodes: three digits, then letters, digits, - and _.",
            )
        self.folder, self._dataset, self._settings = folder, dataset, settings

    def finished(self) -> Manifest | None:
        """Return the manifest where this very import was completed before.

        Raises:
            UserError: The folder holds something else, or an import with other settings.
        """
        if (self.folder / MANIFEST).is_file():
            manifest = Manifest.read(self.folder)
            self._check_same({"dataset": manifest.dataset, "settings": manifest.settings})
            return manifest
        if (self.folder / _WORK / _SETTINGS).is_file():
            self._check_same(read_json(self.folder / _WORK / _SETTINGS))
        elif self.folder.exists() and any(path.name != _WORK for path in self.folder.iterdir()):
            raise self._refusal("It holds files that no import wrote.")
        return None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Begin or continue; another process cannot write the same dataset meanwhile.

        Raises:
            UserError: Another process does.
        """
        try:
            with FileLock(self.folder / _WORK / _LOCK):
                write_json(self.folder / _WORK / _SETTINGS, self._identity)
                self._remove_unfinished()
                yield
        except LockHeld as error:
            raise self._refusal("Another process is writing it.") from error

    def recorded(self, case_id: str) -> Entry | None:
        """Return what an earlier, killed run recorded for a position of the source."""
        path = self._record(case_id)
        return entry_from_json(read_json(path)) if path.is_file() else None

    def record(self, case_id: str, entry: Entry) -> None:
        """Remember that a position of the source is done with."""
        if isinstance(entry, Dropped):
            # A case of an earlier run, whose source has changed since.
            self._image(case_id).unlink(missing_ok=True)
            self._labels(case_id).unlink(missing_ok=True)
        write_json(self._record(case_id), asdict(entry))

    def write_case(self, case_id: str, case: LabelledCt) -> None:
        """Write CT and labels.

        Raises:
            UserError: They cannot be written, as on a full disk.
        """
        write_image(_compact(case.ct), self._image(case_id))
        write_image(labels_on(case.ct, case.labels), self._labels(case_id))

    def finish(self, entries: list[Entry]) -> Manifest:
        """Write ``dataset.json`` and, last of all, the manifest; neither where there is no case."""
        manifest = Manifest.of(self._dataset, self._settings, entries)
        if manifest.cases:
            write_json(self.folder / "dataset.json", _dataset_json(manifest))
            manifest.write(self.folder)
        return manifest

    def clean_up(self) -> None:
        """Remove the records of a finished import; and its folders where it brought no case."""
        shutil.rmtree(self.folder / _WORK, ignore_errors=True)
        for folder in (self.folder / "imagesTr", self.folder / "labelsTr", self.folder):
            # Those that hold anything stay.
            with suppress(OSError):
                folder.rmdir()

    @property
    def _identity(self) -> dict[str, Any]:
        return {"dataset": self._dataset, "settings": self._settings}

    def _image(self, case_id: str) -> Path:
        return self.folder / "imagesTr" / f"{case_id}_0000{_ENDING}"

    def _labels(self, case_id: str) -> Path:
        return self.folder / "labelsTr" / f"{case_id}{_ENDING}"

    def _record(self, case_id: str) -> Path:
        return self.folder / _WORK / f"{case_id}.json"

    def _check_same(self, begun: dict[str, Any]) -> None:
        if begun != self._identity:
            raise self._refusal(f"It was imported from {begun.get('dataset')} with {begun.get('settings')}.")

    def _refusal(self, why: str) -> UserError:
        return UserError(
            f"{self.folder.name} cannot be written.", why, "Choose another --name or --out, or remove the folder."
        )

    def _remove_unfinished(self) -> None:
        """Remove what a killed run wrote of a case without recording it."""
        for path in [path for path in self.folder.rglob("*") if path.is_file()]:
            case = _CASE_FILE.fullmatch(path.name)
            if path.name.startswith(".tmp-") or (case and not self._record(case["id"]).is_file()):
                path.unlink()


def _compact(ct: sitk.Image) -> sitk.Image:
    """Return the CT as int16 where that loses nothing."""
    values = sitk.GetArrayViewFromImage(ct)
    limits = np.iinfo(np.int16)
    if values.dtype.kind != "f" or values.min() < limits.min or values.max() > limits.max:
        return ct
    return sitk.Cast(ct, sitk.sitkInt16) if np.array_equal(values, np.rint(values)) else ct


def _dataset_json(manifest: Manifest) -> dict[str, Any]:
    labels = {"background": 0, "lymph node": NODE}
    if any(case.partial for case in manifest.cases):
        labels["ignore"] = IGNORE
    return {
        "name": manifest.dataset,
        "channel_names": {"0": "CT"},
        "labels": labels,
        "numTraining": len(manifest.cases),
        "file_ending": _ENDING,
    }
