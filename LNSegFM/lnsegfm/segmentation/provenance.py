"""What made a segmentation: written beside its files, so that they can be told apart from those of others."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from lnsegfm import NOTICE, __version__
from lnsegfm.base import schema
from lnsegfm.base.files import read_json, sha256, write_json
from lnsegfm.formats.data_files import companions

FORMAT = "lnsegfm.segmentation/1"
_IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")


@dataclass(frozen=True)
class OutputFile:
    """A file that was written: its name, without folders, and its SHA-256."""

    file: str
    sha256: str


@dataclass(frozen=True)
class Provenance:
    """How a segmentation was made. It holds no name, id or date of a patient, and no path.

    Args:
        model: Id of the model.
        model_name: Its display name.
        model_kind: ``foundation``, ``adapted`` or ``demonstration``.
        model_sha256: Its SHA-256.
        request: What was asked for: quality, region, smallest short axis in mm.
        device: Where it ran, and why there.
        input_sha256: See `input_sha256`.
        outputs: The files that were written, by what they hold: ``labels``, ``probability``, ``measurements``.
        warnings: What was said of the input and the model.
        lymph_nodes: How many were found and are in the labels.
        measured: Their measurements, see `lnsegfm.lymph_nodes.instances.LymphNode.to_json`.
        implausible: The same of those that were left out of the labels, each with the reason.
        versions: Of the packages that took part.
        created: UTC time, ISO 8601.
    """

    model: str
    model_name: str
    model_kind: str
    model_sha256: str
    request: dict[str, Any]
    device: str
    input_sha256: str
    outputs: dict[str, OutputFile]
    warnings: tuple[str, ...] = ()
    lymph_nodes: int = 0
    measured: tuple[dict[str, Any], ...] = ()
    implausible: tuple[dict[str, Any], ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    created: str = ""

    def write(self, labels: Path) -> Path:
        """Write the provenance beside the labels and return its path."""
        path = sidecar_path(labels)
        created = self.created or datetime.now(timezone.utc).isoformat(timespec="seconds")
        write_json(path, {"format": FORMAT, "notice": NOTICE, **asdict(self), "created": created})
        return path

    @classmethod
    def read(cls, labels: Path) -> Provenance | None:
        """Return the provenance of labels; None where there is none, or none that this version can read."""
        try:
            values = schema.read(dict[str, Any], read_json(sidecar_path(labels)))
            if values.pop("format") != FORMAT:
                return None
            values.pop("notice", None)
            return schema.read(cls, values)
        except (OSError, ValueError, KeyError):
            return None

    def wrote(self, path: Path) -> bool:
        """Tell whether a file in the labels' folder is one of those that were written, unchanged since."""
        known = {each.file: each.sha256 for each in self.outputs.values()}
        return path.name in known and path.is_file() and sha256(path) == known[path.name]


def sidecar_path(labels: Path) -> Path:
    """Return where the provenance of labels lies: ``NAME.segmentation.json`` beside ``NAME.nii.gz``."""
    suffix = next((each for each in _IMAGE_SUFFIXES if labels.name.lower().endswith(each)), labels.suffix)
    return labels.with_name(f"{labels.name[: len(labels.name) - len(suffix)]}.segmentation.json")


def input_sha256(ct: Path) -> str:
    """Return the SHA-256 of a file; of a folder that of the sorted SHA-256 of its files, whatever their names.

    A header with its data file beside it counts as a folder of the two.
    """
    if ct.is_file() and not companions(ct):
        return sha256(ct)
    files = [path for path in ct.iterdir() if path.is_file()] if ct.is_dir() else [ct, *companions(ct)]
    digests = sorted(sha256(path) for path in files)
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def versions(of_worker: Mapping[str, str]) -> dict[str, str]:
    """Return the versions of this package and Python, and those that the worker told of its own packages."""
    return {"lnsegfm": __version__, "python": platform.python_version(), **of_worker}
