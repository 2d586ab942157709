"""Reading in a process of its own: what a stranger's file does to a library, it does not do to Slicer.

`read_ct`, `read_labels` and `list_series` answer as their namesakes do that read in this process, with the same notes
and errors. When the process dies over a file, that file is refused, and the next one gets a fresh process.
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.base.serving.process_client import ProcessClient, ProcessEnded
from lnsegfm.base.wording import printable
from lnsegfm.formats.given_files import check_name
from lnsegfm.images.hounsfield import NotHounsfield
from lnsegfm.inputs.sent_image import restored

_MODULE = "lnsegfm.inputs.reader_process"
# A scan of gigabytes over a slow network takes minutes.
_LONGEST_S, _IDLE_S, _POLL_S = 1800.0, 60.0, 0.05
IsCancelled = Callable[[], bool]
_ERRORS = {error.kind: error for error in (NotHounsfield,)}


class Reader:
    """Asks a process to read files; it starts with the first one, and ends when nothing was asked for a minute.

    Args:
        command: Command line of the process; None for the real one.
        longest_s: Seconds after which a file is given up.
    """

    def __init__(self, command: Sequence[str] | None = None, *, longest_s: float = _LONGEST_S) -> None:
        self._client = ProcessClient(_MODULE, command, name="process that reads files")
        self._longest_s = longest_s
        self._idle: threading.Timer | None = None
        self._guard = threading.Lock()

    def ask(
        self, operation: str, path: Path, *, is_cancelled: IsCancelled = lambda: False, **arguments: Any
    ) -> dict[str, Any]:
        """Let the process do something with a file or folder.

        Args:
            operation: ``module:function``, see `lnsegfm.inputs.reader_process`.
            path: What the operation gets as ``path``, absolute; the errors name it.
            is_cancelled: Asked often.
            **arguments: Its further arguments, of JSON types.

        Raises:
            UserError: What the operation raises; or the process died or did not answer over it.
            Cancelled: It was cancelled.
        """
        check_name(path)
        request = self._client.request(operation, path=str(path.absolute()), **arguments)
        give_up_at = time.monotonic() + self._longest_s
        try:
            while True:
                try:
                    answer: dict[str, Any] = request.wait(_POLL_S)
                    return answer
                except TimeoutError:
                    if is_cancelled():
                        request.cancel()
                    elif time.monotonic() > give_up_at:
                        raise
        except ProcessEnded as error:
            raise _given_up(path, f"The process that read it failed. {error.how}") from error
        except TimeoutError as error:
            raise _given_up(path, f"It was not read within {self._longest_s / 60:g} minutes.") from error
        except UserError as error:
            raise _of_its_kind(error) from error
        finally:
            # Also after Ctrl-C, or an error of the caller's.
            request.cancel()
            self._end_when_idle()

    def close(self) -> None:
        """End the process; a later call starts a fresh one."""
        with self._guard:
            if self._idle is not None:
                self._idle.cancel()
        self._client.close()

    def _end_when_idle(self) -> None:
        with self._guard:
            if self._idle is not None:
                self._idle.cancel()
            self._idle = threading.Timer(_IDLE_S, self._end_if_idle)
            self._idle.daemon = True
            self._idle.start()

    def _end_if_idle(self) -> None:
        if not self._client.busy:
            self._client.close()


_reader = Reader()
atexit.register(_reader.close)


def ask(operation: str, path: Path, **arguments: Any) -> dict[str, Any]:
    """Ask the reader of this process, see `Reader.ask`."""
    return _reader.ask(operation, path, **arguments)


def read_ct(
    path: Path, *, series: str = "", warnings: list[str] | None = None, assume_hu: bool = False,
    is_cancelled: IsCancelled = lambda: False,
) -> sitk.Image:
    """Read a CT as `lnsegfm.inputs.reading.read_ct`, in the process that reads files.

    Raises:
        UserError: As there, or the process died over it.
        Cancelled: It was cancelled.
    """
    answer = ask(f"{_MODULE}:ct", Path(path), series=series, assume_hu=assume_hu, is_cancelled=is_cancelled)
    return _taken(answer, warnings)


def read_labels(
    path: Path, notes: list[str] | None = None, *, is_cancelled: IsCancelled = lambda: False
) -> sitk.Image:
    """Read labels as `lnsegfm.inputs.label_reading.read_labels`, in the process that reads files.

    Raises:
        UserError: As there, or the process died over it.
        Cancelled: It was cancelled.
    """
    return _taken(ask(f"{_MODULE}:labels", Path(path), is_cancelled=is_cancelled), notes)


def list_series(folder: Path) -> list[str]:
    """List DICOM series as `lnsegfm.dicom.series.list_series`, in the process that reads files.

    Raises:
        UserError: As there, or the process died over it.
    """
    found: list[str] = ask(f"{_MODULE}:series", folder)["series"]
    return found


def _taken(answer: dict[str, Any], notes: list[str] | None) -> sitk.Image:
    if notes is not None:
        notes.extend(answer["notes"])
    return restored(answer["image"], answer["data"])


def _of_its_kind(error: UserError) -> UserError:
    kind = _ERRORS.get(error.kind)
    return error if kind is None else kind(error.what, error.why, error.todo)


def _given_up(path: Path, why: str) -> UserError:
    return UserError(
        f"{printable(path.name)} cannot be read.", why,
        "It may be damaged, or too large for this computer. Export or copy it again.",
    )
