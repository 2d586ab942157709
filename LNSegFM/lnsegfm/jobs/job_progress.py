"""Reading the progress of a job while it is being written."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import open_regular

_BLOCK = 4 << 20
_LONGEST_LINE = 1 << 16
_MOST_ROWS = 2_000_000
_NUMBERS = ("loss", "lr", "seconds", "pseudo_dice")


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
        """Return the rows whose ``iteration`` is greater than ``after``; a torn last line waits for its end.

        Raises:
            UserError: The file cannot be read.
        """
        self._read_on()
        # The rows are in order, and what is asked for is nearly always the end.
        start = len(self._rows)
        while start and self._rows[start - 1]["iteration"] > after:
            start -= 1
        return self._rows[start:]

    def _read_on(self) -> None:
        try:
            with open_regular(self._path) as stream:
                while self._read_block(stream):
                    pass
        except FileNotFoundError:
            return
        except OSError as error:
            raise UserError(
                "The job's progress cannot be read.", f"{self._path.name}: {error.strerror or error}.",
                "Remove what stands in the place of that file in the job's folder.",
            ) from error

    def _read_block(self, stream: Any) -> bool:
        """Take the next complete lines; whether there may be more."""
        stream.seek(self._offset)
        content = stream.read(_BLOCK)
        complete = content[: content.rfind(b"\n") + 1]
        if not complete and len(content) == _BLOCK:
            self._offset += len(content)  # no line of ours
            return True
        self._offset += len(complete)
        for line in complete.split(b"\n"):
            self._take(line)
        return bool(complete)

    def _take(self, line: bytes) -> None:
        row = _row(line)
        # A power cut can leave rubbish in the middle of a file; the rows around it are as good as before.
        if row is None or len(self._rows) >= _MOST_ROWS:
            return
        # A resume goes back to the last checkpoint and does the iterations after it again.
        while self._rows and self._rows[-1]["iteration"] >= row["iteration"]:
            self._rows.pop()
        self._rows.append(row)


def _row(line: bytes) -> dict[str, Any] | None:
    """A line as a row with ``iteration``, ``loss`` (None where there is none) and what else it has; None if rubbish."""
    if not line or len(line) > _LONGEST_LINE:
        return None
    try:
        row = json.loads(line, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict):
        return None
    iteration = row.get("iteration")
    if not isinstance(iteration, int) or isinstance(iteration, bool) or not 0 < iteration < 1 << 53:
        return None
    numbers = {name: row.get(name) for name in _NUMBERS if name in row}
    if not all(value is None or _is_number(value) for value in numbers.values()):
        return None
    finite = {name: None if value is None or not math.isfinite(value) else value for name, value in numbers.items()}
    return {"loss": None, **row, **finite}


def _is_number(value: Any) -> bool:
    # A whole number beyond what a float can hold cannot be drawn.
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 53)
