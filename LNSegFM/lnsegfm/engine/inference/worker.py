"""The segmentation worker: a process that keeps a model on the device and answers one JSON object a line.

Requests come on stdin, answers go to stdout; everything that libraries print goes to stderr, which is the log. The
process ends when stdin is closed, so it cannot outlive its parent.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from lnsegfm.base.background import Progress
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.failures import as_user_error

Arguments = dict[str, Any]
Report = Callable[[Progress], None]
Operation = Callable[[Arguments, Report, Callable[[], bool]], dict[str, Any]]


class Worker:
    """Reads requests in one thread and works on them in another, so that a cancel is seen at once."""

    def __init__(self, answers: TextIO) -> None:
        self._answers = answers
        self._lock = threading.Lock()
        self._requests: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._cancelled: set[int] = set()
        self._operations: dict[str, Operation] = {}

    def read(self, requests: TextIO) -> None:
        """Take requests until the parent closes the pipe, then end the process even in the middle of work."""
        try:
            for line in requests:
                message = json.loads(line)
                if message["op"] == "cancel":
                    self._cancelled.add(message["id"])
                else:
                    self._requests.put(message)
        finally:
            os._exit(0)

    def run(self) -> None:
        """Work on requests one after the other."""
        self._operations = _operations()
        while (message := self._requests.get()) is not None:
            self._answer(message["id"], message["op"], message.get("arguments", {}))

    def _answer(self, number: int, name: str, arguments: Arguments) -> None:
        def report(progress: Progress) -> None:
            self._send(id=number, event="progress", **asdict(progress))

        def is_cancelled() -> bool:
            return number in self._cancelled

        try:
            if is_cancelled():
                raise Cancelled
            if name not in self._operations:
                raise UserError(f"The worker does not know '{name}'.")
            value = self._operations[name](arguments, report, is_cancelled)
            self._send(id=number, event="result", value=value)
        except Cancelled:
            self._send(id=number, event="cancelled")
        except Exception as error:  # the boundary of the process: whatever went wrong becomes the parent's error
            if not isinstance(error, UserError):
                traceback.print_exc()
            self._send(id=number, event="error", error=as_user_error(error, f"{name} failed.").to_json())

    def _send(self, **message: Any) -> None:
        with self._lock:
            self._answers.write(json.dumps(message) + "\n")
            self._answers.flush()


def _operations() -> dict[str, Operation]:
    # Imported late: torch takes seconds, in which a closed pipe must already end the process.
    from lnsegfm.engine.inference.operations import Operations

    operations = Operations()
    return {"segment": operations.segment, "install": operations.install, "devices": operations.devices}


def main() -> None:
    """Entry point of ``python -m lnsegfm.engine.inference.worker``."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    # What nnU-Net and its libraries print must not end up between the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    sys.stdout = sys.stderr
    sys.path = [entry for entry in sys.path if entry != str(Path.cwd()) and entry]
    worker = Worker(answers)
    threading.Thread(target=worker.read, args=(sys.stdin,), daemon=True).start()
    worker.run()


if __name__ == "__main__":
    main()
