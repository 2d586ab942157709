"""The runner's side of a job folder: the one process that may write it."""

from __future__ import annotations

import json
import math
import os
import secrets
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from lnsegfm.base import disk
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.files import open_regular, read_json, write_json
from lnsegfm.base.locks import FileLock, LockHeld
from lnsegfm.base.processes import process_start_time
from lnsegfm.jobs.job_status import CANCEL, ENDED, LAUNCH, PAUSE, PROGRESS, RESERVE, RUN_LOCK, STATUS, JobStatus
from lnsegfm.jobs.write_failures import explain_failure

_RESERVE_BYTES = 64 * 1024
_BLOCK = 1 << 20
# Writing a status through to the disk can take longer than an iteration of a small network.
_WRITE_EVERY_S = 0.5


class JobWriter:
    """Holds a job while it is worked on; use it as a context manager around all the work.

    Leaving the block with an exception records it: `Cancelled` as cancelled or paused, any other `Exception` as failed
    with its reason, what comes from outside (`KeyboardInterrupt`, `SystemExit`) as interrupted. It propagates.
    Leaving it without having called `done` or `failed` is recorded as a failure too.

    Args:
        path: The job's folder.
        heartbeat_s: Seconds between two signs of life.
    """

    def __init__(self, path: Path, *, heartbeat_s: float = 5.0) -> None:
        self.path = Path(path)
        self._heartbeat_s = heartbeat_s
        self._lock = FileLock(self.path / RUN_LOCK, wait_s=1.0)
        self._guard = threading.Lock()
        self._stop = threading.Event()
        self._status = JobStatus()
        self._written = 0.0
        self._heart = threading.Thread(target=self._beat, name="job heartbeat", daemon=True)

    def __enter__(self) -> JobWriter:
        """Take the job.

        Raises:
            UserError: Another process works on it, or the disk is full.
        """
        try:
            self._lock.__enter__()
        except LockHeld as error:
            raise UserError(
                f"The job '{self.path.name}' is running already.", "Another process works on it.",
                "Wait for it, or cancel it first.",
            ) from error
        try:
            self._take_over()
        except OSError as error:
            self._lock.__exit__(None, None, None)
            raise explain_failure(error, self.path, "The job's folder cannot be written.") from error
        except BaseException:
            self._lock.__exit__(None, None, None)
            raise
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Record how the work ended and let go of the job."""
        try:
            if isinstance(error, Cancelled):
                self._finish(**self._stopped())
            elif isinstance(error, Exception):
                self.failed(explain_failure(error, self.path, "The fine-tuning failed."))
            elif error is None:
                self.failed(UserError("The fine-tuning ended without a result."))
            else:
                self._finish(state="interrupted", message="It was stopped from outside.")
        finally:
            self._stop.set()
            self._heart.join()
            disk.remove_file(self.path / RESERVE)
            self._lock.__exit__(None, None, None)

    def status(self, **changes: Any) -> None:
        """Change fields of `JobStatus`; a new state or stage is on the disk at once, the rest within a moment.

        Raises:
            UserError: The disk is full.
        """
        urgent = "state" in changes or "stage" in changes
        with self._guard:
            if self._status.state in ENDED:
                return
            self._status = replace(self._status, **changes, updated=time.time())
            if not urgent and time.monotonic() - self._written < _WRITE_EVERY_S:
                return
            try:
                self._write()
            except OSError as error:
                raise explain_failure(error, self.path, "The job's status cannot be written.") from error

    def note(self, text: str) -> None:
        """Add a sentence to what the user should know, where it is not said yet.

        Raises:
            UserError: The disk is full.
        """
        if text not in self._status.notes:
            self.status(notes=(*self._status.notes, text))

    def append(self, row: dict[str, Any]) -> None:
        """Append one row to the job's progress; numbers that are not finite become null, as JSON has none of them.

        Raises:
            UserError: The disk is full.
        """
        line = json.dumps({name: _json_number(value) for name, value in row.items()}, allow_nan=False)
        try:
            disk.reached("append", self.path / PROGRESS)
            with (self.path / PROGRESS).open("ab") as stream:
                stream.write(line.encode() + b"\n")
        except OSError as error:
            raise explain_failure(error, self.path, "The job's progress cannot be written.") from error

    def cancelled(self) -> bool:
        """Tell whether the user wants the job to stop, for good or for a while."""
        return (self.path / CANCEL).exists() or (self.path / PAUSE).exists()

    def done(self, model_id: str, metrics: dict[str, Any] | None = None) -> None:
        """Record the finished model.

        Args:
            model_id: Its id in the model store.
            metrics: Hold-out scores before and after, if there were hold-out cases.
        """
        self._finish(state="done", stage="", model_id=model_id, metrics=metrics, eta_s=0.0, message="", error=None)

    def failed(self, error: UserError) -> None:
        """Record why the work failed; the first reason stays, and a disk that is full does not hide it."""
        self._finish(state="failed", message=error.what, error=error.to_json())

    def _finish(self, **changes: Any) -> None:
        with self._guard:
            if self._status.state in ENDED:
                return
            changed = replace(self._status, **changes, updated=time.time())
            # Metrics that are not JSON must fail here, while the job can still fail.
            json.dumps(changed.to_json(), allow_nan=False)
            self._status = changed
            # Makes room for the last words on a disk that may be full.
            disk.remove_file(self.path / RESERVE)
            try:
                self._write()
            except OSError as error:
                print(f"The status could not be written ({error}). It was: {self._status}", file=sys.stderr, flush=True)

    def _stopped(self) -> dict[str, str]:
        if (self.path / PAUSE).exists() and not (self.path / CANCEL).exists():
            return {"state": "paused", "message": "Paused."}
        return {"state": "cancelled", "message": "Cancelled."}

    def _take_over(self) -> None:
        _drop_torn_line(self.path / PROGRESS)
        _drop_half_written(self.path)
        # Random bytes, because a file system that compresses would not reserve anything for zeros.
        disk.write_bytes(self.path / RESERVE, secrets.token_bytes(_RESERVE_BYTES))
        previous = _previous(self.path / STATUS)
        pid = os.getpid()
        self._status = replace(
            previous, state="running", error=None, message="", pid=pid, pid_started=process_start_time(pid),
            updated=time.time(), queued_for="", queued_since=0.0, waits_for="",
        )
        self._write()

    def _write(self) -> None:
        self._status = replace(self._status, heartbeat=time.time())
        write_json(self.path / STATUS, self._status.to_json())
        self._written = time.monotonic()

    def _beat(self) -> None:
        complained = False
        while not self._stop.wait(self._heartbeat_s):
            with self._guard:
                if self._status.state in ENDED:
                    return
                try:
                    self._write()
                except OSError as error:
                    # A missed heartbeat harms nothing; the work itself will say when it cannot continue.
                    if not complained:
                        print(f"No heartbeat could be written: {error}", file=sys.stderr, flush=True)
                    complained = True


def _previous(path: Path) -> JobStatus:
    """What the predecessor left; nothing where that cannot be read, because the checkpoint tells how far it was."""
    try:
        return JobStatus.from_json(read_json(path))
    except FileNotFoundError:
        return JobStatus()
    except (OSError, ValueError, TypeError, AttributeError) as error:
        print(f"The status from before cannot be read: {error}", file=sys.stderr, flush=True)
        return JobStatus()


def _json_number(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _drop_torn_line(path: Path) -> None:
    """Cut off what a killed predecessor wrote after the last complete line, before something is glued to it."""
    try:
        with open_regular(path) as stream:
            end = keep = stream.seek(0, os.SEEK_END)
            while keep:
                start = max(0, keep - _BLOCK)
                stream.seek(start)
                found = stream.read(keep - start).rfind(b"\n")
                keep = start + found + 1
                if found >= 0:
                    break
    except FileNotFoundError:
        return
    if keep < end:
        disk.reached("truncate", path)
        os.truncate(path, keep)


def _drop_half_written(folder: Path) -> None:
    """Delete the temporary files, large checkpoints among them, that a killed predecessor did not get to rename."""
    for path in folder.glob(".tmp-*"):
        # The starter may be writing this one right now.
        if not path.name.endswith(LAUNCH):
            disk.remove_tree(path)
