"""Getting a published model onto this disk, ready to be installed."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from lnsegfm.base import disk
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.files import read_json, sha256, write_json
from lnsegfm.base.home import Home
from lnsegfm.base.wording import data_size
from lnsegfm.models.published.downloads import download
from lnsegfm.models.published.drive import Drive, DriveFile

Report = Callable[[float | None, str], object]

_LEDGER = "hashes.json"
# What a model consists of; the folders of trainings hold pictures and logs besides.
_WANTED = (".pth", ".json", ".zip")
_UNWANTED = re.compile(r"validation|progress|debug\.json$|fingerprint")
_UNFINISHED = re.compile(r"checkpoint_(best|latest)\.pth$")
_WEIGHTS = (".pth", ".zip")


@dataclass(frozen=True)
class Fetched:
    """A model that was downloaded.

    Args:
        source: Folder or file to install from.
        hashes: SHA-256 by file.
        changed: Files whose SHA-256 is not the one that was recorded at the first download; none is published.
    """

    source: Path
    hashes: dict[str, str]
    changed: tuple[str, ...]


class ModelDownloads:
    """The room for downloads below a home, and the hashes of all that was ever fetched.

    Args:
        home: The user's home.
    """

    def __init__(self, home: Home) -> None:
        self._room = home.root / "downloads"

    def recorded(self, model_id: str) -> dict[str, str]:
        """Return the SHA-256 by file that was recorded when a published model was first downloaded."""
        try:
            return dict(read_json(self._room / _LEDGER)[model_id]["files"])
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def fetch(
        self, entry: dict[str, Any], drive: Drive, *, progress: Report = lambda fraction, message: None,
        is_cancelled: Callable[[], bool] = lambda: False,
    ) -> Fetched:
        """Download a published model, or what is missing of it.

        Args:
            entry: Its entry in ``Models.json``.
            drive: Google Drive.
            progress: Called with the share done and a text.
            is_cancelled: Asked often; what has come over is kept for the next time.

        Raises:
            UserError: It is not found, cannot be fetched, or a file's SHA-256 is not the published one.
            Cancelled: `is_cancelled` said so.
        """
        folder = self._room / str(entry["id"])
        published = {name: str(digest) for name, digest in entry.get("sha256", {}).items()}
        url = str(entry["download"])
        if "drive_names" in entry:
            source = self._from_drive(entry, drive, folder, progress, is_cancelled)
        else:
            source = folder / (PurePosixPath(unquote(urlsplit(url).path)).name or "model.zip")
            if not source.exists():
                expected = published.get(source.name, "")
                download(url, source, expected=expected, progress=progress, is_cancelled=is_cancelled)
        progress(None, "Checking what was downloaded")
        hashes = {path.relative_to(folder).as_posix(): sha256(path) for path in _files_of(folder)}
        self._check(str(entry["name"]), hashes, published, folder)
        return Fetched(source, hashes, self._record(str(entry["id"]), hashes, published))

    def accept(self, model_id: str, fetched: Fetched) -> None:
        """Record the hashes of these files in place of the earlier ones, since the user trusts them."""
        self._write(model_id, fetched.hashes)

    def clear(self, model_id: str) -> None:
        """Delete the downloaded files of a model; what is recorded of them stays."""
        with suppress(OSError):
            disk.remove_tree(self._room / model_id)

    def _from_drive(
        self, entry: dict[str, Any], drive: Drive, folder: Path, progress: Report, is_cancelled: Callable[[], bool]
    ) -> Path:
        progress(None, "Looking into the folder on Google Drive")
        files = files_of_model(drive.files(str(entry["download"])), entry)
        # Next to the weights, the other files are nothing; they come last, when the weights are known to be there.
        files = sorted(files, key=lambda file: not file.path.endswith(_WEIGHTS))
        heavy = sum(file.path.endswith(_WEIGHTS) for file in files)
        for number, file in enumerate(files, start=1):
            if is_cancelled():
                raise Cancelled
            target = folder.joinpath(*PurePosixPath(file.path).parts)
            name, before = f"{target.name} (file {number} of {len(files)})", number - 1

            def moved(done: int, size: int | None, name: str = name, before: int = before) -> None:
                share = min(1.0, (before + done / size) / heavy) if size else None
                of = f" of {data_size(size)}" if size else ""
                progress(share, f"Downloading {name}: {data_size(done)}{of}")

            if not target.exists():
                disk.make_folder(target.parent)
                drive.fetch(file, target, moved, is_cancelled)
        weights = [file.path for file in files if file.path.endswith(_WEIGHTS)]
        described = any(PurePosixPath(file.path).name == "plans.json" for file in files)
        return folder if described or len(weights) > 1 else folder / weights[0]

    def _check(self, name: str, hashes: dict[str, str], published: dict[str, str], folder: Path) -> None:
        for file, digest in published.items():
            if hashes.get(file) != digest:
                disk.remove_file(folder / file)
                raise UserError(
                    f"What was downloaded of '{name}' is not what was published.",
                    f"The SHA-256 of {file} differs from the published one.",
                    "It was deleted. Try again; when it happens twice, ask the publisher of the model.",
                )

    def _record(self, model_id: str, hashes: dict[str, str], published: dict[str, str]) -> tuple[str, ...]:
        before = self.recorded(model_id)
        if not before:
            self._write(model_id, hashes)
            return ()
        return tuple(sorted(
            file for file, digest in hashes.items() if file not in published and before.get(file) != digest
        ))  # fmt: skip

    def _write(self, model_id: str, hashes: dict[str, str]) -> None:
        try:
            ledger = dict(read_json(self._room / _LEDGER))
        except (OSError, ValueError, TypeError):
            ledger = {}
        ledger[model_id] = {"files": hashes, "recorded": datetime.now(timezone.utc).date().isoformat()}
        write_json(self._room / _LEDGER, ledger)


def files_of_model(files: list[DriveFile], entry: dict[str, Any]) -> list[DriveFile]:
    """Choose the files of one model from a folder that holds several.

    A path belongs to the model of which it contains a name: ``drive_names`` of the entry, but none of ``other_names``,
    compared by letters and digits alone.

    Raises:
        UserError: None of the paths does; the message names the folders that are there.
    """
    inside = [file for file in files if ".." not in PurePosixPath(file.path).parts and not file.path.startswith("/")]
    chosen = [
        file
        for file in inside
        if file.path.endswith(_WANTED) and not _UNWANTED.search(file.path)
        if _contains(file.path, entry["drive_names"]) and not _contains(file.path, entry.get("other_names", ()))
    ]
    if any(file.path.endswith("checkpoint_final.pth") for file in chosen):
        chosen = [file for file in chosen if not _UNFINISHED.search(file.path)]
    if not any(file.path.endswith(_WEIGHTS) for file in chosen):
        there = sorted({PurePosixPath(file.path).parts[0] for file in files})
        raise UserError(
            f"'{entry['name']}' was not found where it is published.",
            f"The folder holds {', '.join(there) or 'nothing'}.",
            "Open the page in a browser, download the model there and import it from disk.",
        )
    return chosen


def _contains(path: str, names: Any) -> bool:
    letters = re.sub(r"[^a-z0-9]", "", path.lower())
    return any(re.sub(r"[^a-z0-9]", "", name.lower()) in letters for name in names)


def _files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in _WANTED)
