"""Folders of Google Drive that anybody may read, through gdown."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.failures import as_user_error
from lnsegfm.base.reasons.network_errors import network_reason

Moved = Callable[[int, "int | None"], None]
"""Called with the bytes that have come over of a file and its size, None while that is not known."""

# Seconds to connect, and between two blocks.
_TIMEOUT_S = (15.0, 60.0)
_RETRIES = 3


@dataclass(frozen=True)
class DriveFile:
    """A file of a folder: its id in Drive and its path below the folder."""

    id: str
    path: str


class Drive(Protocol):
    """What is needed of Google Drive."""

    def files(self, folder_url: str) -> list[DriveFile]:
        """Return the files below a folder."""

    def fetch(self, file: DriveFile, target: Path, moved: Moved, is_cancelled: Callable[[], bool]) -> None:
        """Bring a file over; one that was begun before continues where it stopped, as far as Drive allows it."""


class GdownDrive:
    """Google Drive through gdown, which has to be installed.

    Proxies are those of the environment and of the system's settings. Nothing of a Google account is used or stored.
    """

    def files(self, folder_url: str) -> list[DriveFile]:
        """Return the files below a folder.

        Raises:
            UserError: Google could not be reached, or does not show the folder.
        """
        import gdown

        try:
            found: list[Any] = gdown.download_folder(
                folder_url, skip_download=True, quiet=True, use_cookies=False, timeout=_TIMEOUT_S
            )
        except Exception as error:  # gdown's own, those of requests, and those of a page that has changed
            raise _failure("The folder with the models", error) from error
        return [DriveFile(each.id, each.path.replace("\\", "/")) for each in found]

    def fetch(self, file: DriveFile, target: Path, moved: Moved, is_cancelled: Callable[[], bool]) -> None:
        """Bring a file over.

        Raises:
            UserError: Google could not be reached, or does not give the file; that happens when many people want it.
            Cancelled: `is_cancelled` said so; what has come over is kept.
        """
        import gdown

        cancel = threading.Event()

        def note(done: int, size: int | None) -> None:
            moved(done, size)
            if is_cancelled():
                cancel.set()

        try:
            gdown.download(
                id=file.id, output=str(target), quiet=True, use_cookies=False, resume=True, progress=note,
                timeout=_TIMEOUT_S, retries=_RETRIES, cancel=cancel,
            )
        except Exception as error:  # as above
            if cancel.is_set():
                raise Cancelled from error
            raise _failure(Path(file.path).name, error) from error


def _failure(name: str, error: Exception) -> UserError:
    what = f"{name} could not be downloaded from Google Drive."
    reason = network_reason(f"{type(error).__name__}: {error}")
    if reason is not None:
        return UserError(what, *reason)
    if type(error).__name__ in ("DownloadError", "FileURLRetrievalError"):
        return UserError(
            what, "Google does not give it at the moment; it limits how often a file may be fetched in a day.",
            "Try again tomorrow, or open the page in a browser, download the model there and import it from disk.",
        )
    return as_user_error(error, what)
