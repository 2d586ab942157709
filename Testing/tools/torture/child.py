"""One function in a forked process that may be killed, starve or hang."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from lnsegfm.base import disk
from lnsegfm.base.errors import UserError

_CONTEXT = multiprocessing.get_context("fork")
_LONGEST_S = 60.0
_MEMORY_BYTES = 3 << 30


@dataclass(frozen=True)
class Outcome:
    """What became of the function.

    Args:
        kind: ``returned``, ``refused`` (`UserError`, or what the caller expects), ``raised`` (anything else),
            ``killed`` (by a signal) or ``hung``.
        value: What it returned.
        text: The error; for ``raised`` with the last line of code of this project.
    """

    kind: str
    value: Any = None
    text: str = ""


def call(
    function: Callable[[], object],
    *,
    observer: disk.Observer | None = None,
    expected: tuple[type[BaseException], ...] = (),
    memory: int = _MEMORY_BYTES,
) -> Outcome:
    """Call a function in a forked process.

    Args:
        function: What it returns must be picklable.
        observer: Told of each operation on the disk, see `lnsegfm.base.disk.observed`.
        expected: Errors that count as refusals, besides `UserError`.
        memory: Bytes that the process may take beyond what it has; 0 for any amount.
    """
    receiver, sender = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_work, args=(function, observer, (UserError, *expected), memory, sender))
    process.start()
    sender.close()
    try:
        if not receiver.poll(_LONGEST_S):
            return Outcome("hung")
        return receiver.recv()
    except EOFError:
        return Outcome("killed")
    finally:
        process.kill()
        process.join()
        receiver.close()


def _work(
    function: Callable[[], object], observer: disk.Observer | None, refusals: tuple[type[BaseException], ...],
    memory: int, answers: Connection,
) -> None:
    _be_quiet()
    if memory:
        taken = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + memory, resource.RLIM_INFINITY))
    try:
        with disk.observed(observer) if observer is not None else contextlib.nullcontext():
            outcome = Outcome("returned", function())
    except refusals as error:
        outcome = Outcome("refused", text=str(error))
    except BaseException as error:
        outcome = Outcome("raised", text=_described(error))
    answers.send(outcome)


def _be_quiet() -> None:
    # What ITK says of damaged files would fill the terminal.
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nothing, stream)
    sys.stdout = sys.stderr = io.StringIO()


def _described(error: BaseException) -> str:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "lnsegfm" in frame.filename]
    where = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "elsewhere"
    return f"{type(error).__name__} at {where}: {str(error)[:200]}"


def kill_at(number: int, *, tear: bool = False) -> disk.Observer:
    """Return an observer that kills the process at operation ``number``, from 1.

    Args:
        number: The operation.
        tear: Cut the file in half first that is about to be synced, as a power cut would.
    """
    count = 0

    def observe(operation: str, path: Path) -> None:
        nonlocal count
        count += 1
        if count == number:
            if tear and operation == "sync_file":
                os.truncate(path, path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    return observe


def fail_at(number: int, code: int) -> disk.Observer:
    """Return an observer that raises `OSError` with a code at operation ``number``, from 1, and at all that follow.

    A disk that is full stays full; what only deletes goes on.
    """
    count = 0

    def observe(operation: str, path: Path) -> None:
        nonlocal count
        count += 1
        if count >= number and operation not in ("remove_file", "remove_tree"):
            raise OSError(code, os.strerror(code), str(path))

    return observe
