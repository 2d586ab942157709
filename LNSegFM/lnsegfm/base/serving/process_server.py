"""A process that answers one JSON object a line; the other side is `lnsegfm.base.serving.process_client`.

Requests come on stdin, answers go to stdout; everything that libraries print goes to stderr, which is the log. The
process ends when stdin is closed, so it cannot outlive its parent. An answer may be followed by bytes, whose number it
tells: voxels go from process to process without ever lying on a disk.
"""

from __future__ import annotations

import _thread
import gc
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from lnsegfm.base.background import Progress
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.failures import as_user_error

Arguments = dict[str, Any]
_CLEAR_S = 2.0
Report = Callable[[Progress], None]


@dataclass(frozen=True)
class WithData:
    """The value of an operation, and the bytes that follow it.

    Args:
        value: Of JSON types.
        data: What the client adds to it as ``data``.
    """

    value: dict[str, Any]
    data: memoryview


Operation = Callable[[Arguments, Report, Callable[[], bool]], "dict[str, Any] | WithData"]
FindOperation = Callable[[str], "Operation | None"]


@contextmanager
def without_collections() -> Iterator[None]:
    """Import large packages without garbage collections, which find nothing then and take a quarter of the time.

    What there is afterwards is never looked through again.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class ProcessServer:
    """Reads requests in one thread and works on them in another, so that a cancel is seen at once.

    Args:
        answers: Where answers go.
        load: Called once in the working thread; returns a function that finds an operation by its name.
    """

    def __init__(self, answers: BinaryIO, load: Callable[[], FindOperation]) -> None:
        self._answers = answers
        self._load = load
        self._lock = threading.Lock()
        self._requests: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._cancelled: set[int] = set()
        self._at_work = False

    def read(self, requests: TextIO) -> None:
        """Take requests until the parent closes the pipe, then end the process even in the middle of work.

        Work gets a moment to remove its temporary files: a parent that was killed cannot do that.
        """
        try:
            for line in requests:
                message = json.loads(line)
                if message["op"] == "cancel":
                    self._cancelled.add(message["id"])
                else:
                    self._requests.put(message)
        finally:
            if self._at_work:
                _interrupt_main_thread()
                time.sleep(_CLEAR_S)
            os._exit(0)

    def run(self) -> None:
        """Work on requests one after the other."""
        with without_collections():
            find = self._load()
        while (message := self._requests.get()) is not None:
            self._at_work = True
            self._answer(message["id"], message["op"], message.get("arguments", {}), find)
            self._at_work = False

    def _answer(self, number: int, name: str, arguments: Arguments, find: FindOperation) -> None:
        def report(progress: Progress) -> None:
            self._send(id=number, event="progress", **asdict(progress))

        def is_cancelled() -> bool:
            return number in self._cancelled

        try:
            if is_cancelled():
                raise Cancelled
            operation = find(name)
            if operation is None:
                raise UserError(f"The worker does not know '{name}'.")
            value = operation(arguments, report, is_cancelled)
            if isinstance(value, WithData):
                self._send(value.data, id=number, event="result", value=value.value, bytes=value.data.nbytes)
            else:
                self._send(id=number, event="result", value=value)
        except Cancelled:
            self._send(id=number, event="cancelled")
        except Exception as error:  # the boundary of the process: whatever went wrong becomes the parent's error
            if not isinstance(error, UserError):
                traceback.print_exc()
            self._send(id=number, event="error", error=as_user_error(error, f"{name} failed.").to_json())

    def _send(self, data: memoryview | None = None, /, **message: Any) -> None:
        with self._lock:
            self._answers.write(json.dumps(message).encode() + b"\n")
            if data is not None:
                self._answers.write(data)
            self._answers.flush()


def _interrupt_main_thread() -> None:
    # Unlike a real signal, what Windows has does not wake a thread that waits for the system.
    if sys.platform == "win32":
        _thread.interrupt_main()
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def serve(load: Callable[[], FindOperation]) -> None:
    """Answer requests on stdin until it is closed; see `ProcessServer`."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # What libraries print must not end up between the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdout = sys.stderr
    sys.path = [entry for entry in sys.path if entry != str(Path.cwd()) and entry]
    server = ProcessServer(answers, load)
    threading.Thread(target=server.read, args=(sys.stdin,), daemon=True).start()
    server.run()
