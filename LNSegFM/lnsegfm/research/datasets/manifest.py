"""The manifest of an imported dataset: where each case came from, by hash, and what was left out and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import read_json, write_json

MANIFEST = "manifest.json"
FORMAT = 1


@dataclass(frozen=True)
class Source:
    """Files of the source that a case was made from, without their names, which may identify a patient.

    Args:
        role: ``image`` or ``labels``.
        files: How many files.
        sha256: SHA-256 of the file; of several files (a DICOM series), of their sorted hex SHA-256, one a line.
    """

    role: str
    files: int
    sha256: str


@dataclass(frozen=True)
class Case:
    """One imported case.

    Args:
        id: Name of its files in imagesTr and labelsTr.
        position: Its place in the source, in the order of the names there, from 1.
        partial: Not all its lymph nodes are labelled; it must never be a test case.
        size: Voxels along x, y, z.
        spacing_mm: Voxel spacing along x, y, z.
        voxels_sha256: SHA-256 of the CT's voxel values, by which duplicates are found.
        sources: What it was made from.
        done: What was done to image and labels, one sentence each.
    """

    id: str
    position: int
    partial: bool
    size: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    voxels_sha256: str
    sources: tuple[Source, ...]
    done: tuple[str, ...]


@dataclass(frozen=True)
class Dropped:
    """What stood at one position of the source and was left out."""

    position: int
    sources: tuple[Source, ...]
    reason: str


Entry = Case | Dropped


@dataclass(frozen=True)
class Manifest:
    """All that is known of an imported dataset.

    Args:
        dataset: Name of the public dataset, or ``folder``.
        settings: The import's choices, such as the structures taken as lymph node.
        cases: Imported cases, by position.
        dropped: What was left out, by position.
    """

    dataset: str
    settings: dict[str, Any]
    cases: tuple[Case, ...]
    dropped: tuple[Dropped, ...]

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest of a dataset in nnU-Net's raw layout.

        Raises:
            UserError: There is none, as in an unfinished import, or it was not written by this program.
        """
        if not (folder / MANIFEST).is_file():
            raise UserError(
                "The dataset is not complete.", f"{folder} has no {MANIFEST}.", "Run its 'lnsegfm import' again."
            )
        try:
            content = read_json(folder / MANIFEST)
            if content["format"] != FORMAT:
                raise ValueError(f"its format is {content['format']}, not {FORMAT}")
            entries = [entry_from_json(each) for each in (*content["cases"], *content["dropped"])]
            return cls.of(content["dataset"], content["settings"], entries)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{MANIFEST} cannot be read.", f"{type(error).__name__}: {error}.", "Import the dataset again."
            ) from error

    @classmethod
    def of(cls, dataset: str, settings: dict[str, Any], entries: list[Entry]) -> Manifest:
        """Sort the entries of an import."""
        ordered = sorted(entries, key=lambda each: each.position)
        cases = tuple(each for each in ordered if isinstance(each, Case))
        return cls(dataset, settings, cases, tuple(each for each in ordered if isinstance(each, Dropped)))

    def write(self, folder: Path) -> None:
        """Write ``manifest.json``, atomically."""
        write_json(folder / MANIFEST, {"format": FORMAT, **asdict(self)})


def entry_from_json(content: dict[str, Any]) -> Entry:
    """Rebuild an entry from ``dataclasses.asdict``."""
    sources = tuple(Source(**each) for each in content["sources"])
    if "id" not in content:
        return Dropped(content["position"], sources, content["reason"])
    lists = {name: tuple(content[name]) for name in ("size", "spacing_mm", "done")}
    return Case(**{**content, **lists, "sources": sources})
