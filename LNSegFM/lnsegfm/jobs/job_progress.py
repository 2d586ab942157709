"""Reading the progress of a job while it is being written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class ProgressReader:
    """Reads a growing file of JSON rows; what was read before is not read again.

    Args:
        path: The file; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rows: list[dict[str, Any]] = []

    def rows(self, after: int) -> list[dict[str, Any]]:
        """Return the rows whose ``iteration`` is greater than ``after``; a torn last line waits for its end."""
        self._read_on()
        # The rows are in order, and what is asked for is nearly always the end.
        start = len(self._rows)
        while start and self._rows[start - 1]["iteration"] > after:
            start -= 1
        return self._rows[start:]

    def _read_on(self) -> None:
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                content = stream.read()
        except FileNotFoundError:
            return
        complete = content[: content.rfind(b"\n") + 1]
        self._offset += len(complete)
        for line in complete.splitlines():
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            row = json.loads(line)
            iteration = int(row["iteration"])
        except (ValueError, TypeError, KeyError):
            # A power cut can leave rubbish in the middle of a file; the rows around it are as good as before.
            return
        # A resume goes back to the last checkpoint and does the iterations after it again.
        while self._rows and self._rows[-1]["iteration"] >= iteration:
            self._rows.pop()
        self._rows.append(row)
