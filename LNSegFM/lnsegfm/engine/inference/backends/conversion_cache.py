"""Converted models beside the installed ones: a folder in the model's own, which goes with it and is never exported.

``models/<id>/openvino-<key>/`` holds ``fold_<n>.xml`` and ``.bin`` of every fold and ``conversion.json`` with their
SHA-256. The key is made of the model's SHA-256, the patch and the versions that took part: what they do not fit is not
found, and is removed when its successor comes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import torch

from lnsegfm.base import disk, schema
from lnsegfm.base.files import read_json, sha256, write_json
from lnsegfm.base.schema import Limits
from lnsegfm.base.work_folders import work_folder
from lnsegfm.models.model_card import ModelInfo

PREFIX = "openvino-"
RECORD = "conversion.json"
# Changes when models are converted in another way.
_FORMAT = 1


@dataclass(frozen=True)
class Conversion:
    """What ``conversion.json`` says.

    Args:
        mirror_axes: Spatial axes (0 = z) that the model was trained to be mirrored along.
        differences: By fold, how much the logits differ from PyTorch's, see `conversion.check`.
        files: SHA-256 by file name.
    """

    mirror_axes: Annotated[tuple[Annotated[int, Limits(0, 2)], ...], Limits(length=3)]
    differences: tuple[float, ...]
    files: dict[str, Annotated[str, Limits(pattern="[0-9a-f]{64}")]]


class ConversionCache:
    """Finds and keeps what was converted of one model.

    Args:
        model: The installed model.
        patch: Its patch ``(z, y, x)``.
        version: Version of OpenVINO.
    """

    def __init__(self, model: ModelInfo, patch: tuple[int, ...], version: str) -> None:
        facts = [_FORMAT, model.sha256, model.card.configuration, list(model.card.folds), list(patch), version,
                 torch.__version__]  # fmt: skip
        key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
        self._model, self.folder = model, model.path / f"{PREFIX}{key}"

    def find(self) -> Conversion | None:
        """Return what is known of the conversion; None where there is none, or it is damaged in any way."""
        expected = {f"{fold_name(number)}{suffix}" for number in self._folds() for suffix in (".xml", ".bin")}
        try:
            found = schema.read(Conversion, read_json(self.folder / RECORD))
            whole = set(found.files) == expected and all(
                sha256(self.folder / name) == digest for name, digest in found.files.items()
            )
        except (OSError, ValueError):
            return None
        return found if whole else None

    def make(self, fill: Callable[[Path, int], float], mirror_axes: tuple[int, ...], elsewhere: Path) -> Path:
        """Convert all folds and keep the result.

        Args:
            fill: Writes the fold of that place into a folder, under `fold_name`; returns how much it differs.
            mirror_axes: See `Conversion`.
            elsewhere: An empty folder for the result where the store cannot take it.

        Returns:
            The folder with the converted folds.
        """
        try:
            with work_folder(self._model.path.parent) as work:
                staging = work / "converted"
                disk.make_folder(staging)
                self._fill(staging, fill, mirror_axes)
                disk.sync_tree(staging)
                if self.find() is None:  # another process may have been faster
                    for earlier in self._model.path.glob(f"{PREFIX}*"):
                        disk.remove_tree(earlier)
                    disk.replace(staging, self.folder)
            return self.folder
        except OSError:
            # It cannot be written to, the disk is full, or the model was removed in the meantime.
            self._fill(elsewhere, fill, mirror_axes)
            return elsewhere

    def _fill(self, folder: Path, fill: Callable[[Path, int], float], mirror_axes: tuple[int, ...]) -> None:
        differences = tuple(fill(folder, number) for number in self._folds())
        files = {path.name: sha256(path) for path in sorted(folder.iterdir())}
        write_json(folder / RECORD, asdict(Conversion(mirror_axes, differences, files)))

    def _folds(self) -> range:
        return range(len(self._model.card.folds))


def fold_name(number: int) -> str:
    """Return the name of a converted fold's files, without suffix."""
    return f"fold_{number}"
