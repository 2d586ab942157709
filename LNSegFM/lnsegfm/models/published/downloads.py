"""Downloads over HTTP that survive cut connections, a cancel and the end of Slicer."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lnsegfm.base import disk
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.failures import as_user_error
from lnsegfm.base.files import read_json, sha256, write_atomic, write_json
from lnsegfm.base.reasons.network_errors import network_reason
from lnsegfm.base.wording import data_size

Report = Callable[[float | None, str], object]

# Small, since what has come over of a block is lost when the connection breaks.
_BLOCK = 1 << 17
# Seconds to connect, and between two blocks.
_TIMEOUT_S = (15.0, 60.0)
_ATTEMPTS = 5
_ABSENT = {403, 404, 410}
_BUSY = {429, 500, 502, 503, 504}
_NOTHING_LEFT = 416


def download(
    url: str, target: Path, *, expected: str = "", progress: Report = lambda fraction, message: None,
    is_cancelled: Callable[[], bool] = lambda: False, pause_s: float = 2.0,
) -> str:
    """Download one file; what an earlier call has got of it is not fetched again.

    Proxies are those of the environment and of the system's settings, as requests finds them.

    Args:
        url: Address, http or https.
        target: Where the file is put when it is complete; until then its beginning lies beside it as ``.part``.
        expected: Published SHA-256, lower-case hex; empty where none is published.
        progress: Called with the share done, None while the size is not known, and a text.
        is_cancelled: Asked for every block; on a cancel the beginning is kept.
        pause_s: Seconds to wait before the first new attempt after a cut connection; they grow with each.

    Returns:
        SHA-256 of the file.

    Raises:
        UserError: The server, the network, the disk or a SHA-256 that is not the expected one; the message says which.
        Cancelled: `is_cancelled` said so.
    """
    transfer = _Transfer(url, target, progress, is_cancelled)
    transfer.run(pause_s)
    digest = sha256(transfer.part)
    if expected and digest != expected:
        transfer.forget()
        raise UserError(
            f"{target.name} is not the file that was published.",
            f"Its SHA-256 is {digest}, the published one is {expected}.",
            "It was deleted. Try again; when it happens twice, ask the publisher of the model.",
        )
    write_atomic(target, lambda temporary: disk.replace(transfer.part, temporary))
    transfer.forget()
    return digest


class _Transfer:
    """The beginning of a file that has come over so far, and the way to get the rest."""

    def __init__(self, url: str, target: Path, progress: Report, is_cancelled: Callable[[], bool]) -> None:
        self._url, self._name = url, target.name
        self._progress, self._is_cancelled = progress, is_cancelled
        self.part = target.with_name(f"{target.name}.part")
        self._notes = target.with_name(f"{target.name}.part.json")
        disk.make_folder(target.parent)

    def run(self, pause_s: float) -> None:
        """Fetch until the file is complete; give up after some attempts in a row that brought nothing."""
        import requests  # here: Slicer imports this file at its start, and requests takes a while

        idle = 0
        with requests.Session() as session:
            while True:
                before = self._size()
                try:
                    if self._fetch(session):
                        return
                    error: OSError = requests.ConnectionError("The connection broke before the end of the file")
                except OSError as caught:  # those of requests as well as those of the disk
                    if not _may_pass(caught):
                        raise self._failure(caught) from caught
                    error = caught
                idle = 0 if self._size() > before else idle + 1
                if idle >= _ATTEMPTS:
                    raise self._failure(error) from error
                self._wait(pause_s * (idle + 1))

    def forget(self) -> None:
        """Delete what there is of the file."""
        disk.remove_file(self.part)
        disk.remove_file(self._notes)

    def _fetch(self, session: Any) -> bool:
        """Ask once for what is missing; return whether the file is complete."""
        headers, start = {"Accept-Encoding": "identity"}, self._size()
        known = self._known()
        if start and known.get("tag"):
            # If-Range: a file that was replaced on the server comes whole.
            headers.update({"Range": f"bytes={start}-", "If-Range": known["tag"]})
        elif start:
            self.forget()
            start = 0
        with session.get(self._url, headers=headers, stream=True, timeout=_TIMEOUT_S) as answer:
            if answer.status_code == _NOTHING_LEFT:
                if known.get("size") == start:
                    return True
                self.forget()
                return False
            self._check(answer)
            resumed = answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")
            if resumed and _tag_of(answer.headers) not in ("", known["tag"]):
                # A server that does not know If-Range continues with whatever file it has now.
                self.forget()
                return False
            start = start if resumed else 0
            length = int(answer.headers["Content-Length"]) if "Content-Length" in answer.headers else None
            size = None if length is None else start + length
            self._note(answer.headers, size)
            self._check_space(size, start)
            self._receive(answer, start, size)
        return size is None or self._size() == size

    def _receive(self, answer: Any, start: int, size: int | None) -> None:
        done = start
        with open(self.part, "ab" if start else "wb") as stream:
            for block in answer.iter_content(_BLOCK):
                if self._is_cancelled():
                    raise Cancelled
                stream.write(block)
                done += len(block)
                of = f" of {data_size(size)}" if size else ""
                self._progress(done / size if size else None, f"Downloading {self._name}: {data_size(done)}{of}")

    def _check(self, answer: Any) -> None:
        if answer.status_code in _ABSENT:
            raise UserError(
                f"{self._name} could not be downloaded.", f"The server answered {answer.status_code} {answer.reason}.",
                "It may have been moved: look at the publisher's page, or import the model from disk.",
            )
        answer.raise_for_status()
        if "text/html" in answer.headers.get("Content-Type", ""):
            raise UserError(
                f"{self._name} could not be downloaded.",
                "A web page came instead of the file, as from a proxy or a network that asks for a login.",
                "Open the address in a browser to see what it says, or import the model from disk.",
            )

    def _check_space(self, size: int | None, start: int) -> None:
        free = shutil.disk_usage(self.part.parent).free
        if size is not None and size - start > free:
            raise UserError(
                f"The disk has no room for {self._name}.",
                f"{data_size(size - start)} are needed, {data_size(free)} are free.", "Free some disk space.",
            )

    def _failure(self, error: Exception) -> UserError:
        what = f"{self._name} could not be downloaded."
        reason = network_reason(f"{type(error).__name__}: {error}")
        if reason is None:
            return as_user_error(error, what)
        return UserError(what, reason[0], f"{reason[1]} What has come over so far is kept.")

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _known(self) -> dict[str, Any]:
        try:
            notes = read_json(self._notes)
        except (OSError, ValueError):
            return {}
        return notes if isinstance(notes, dict) and notes.get("url") == self._url else {}

    def _note(self, headers: Any, size: int | None) -> None:
        write_json(self._notes, {"url": self._url, "tag": _tag_of(headers), "size": size})

    def _wait(self, seconds: float) -> None:
        self._progress(None, f"Waiting for the server of {self._name}")
        end = time.monotonic() + seconds
        while True:
            if self._is_cancelled():
                raise Cancelled
            if time.monotonic() >= end:
                return
            time.sleep(min(0.1, seconds))


def _tag_of(headers: Any) -> str:
    """Return what tells a version of the file from others; empty where the server does not say."""
    tag = str(headers.get("ETag", ""))
    # A weak tag does not promise the same bytes.
    return str(headers.get("Last-Modified", "")) if not tag or tag.startswith("W/") else tag


def _may_pass(error: OSError) -> bool:
    """Tell whether a new attempt may help; against a proxy or a certificate it only makes the user wait."""
    import requests

    if isinstance(error, (requests.exceptions.ProxyError, requests.exceptions.SSLError)):
        return False
    if isinstance(error, requests.HTTPError):
        return error.response is not None and error.response.status_code in _BUSY
    return isinstance(
        error, (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
    )
