"""Printing into a page of the documentation: between two markers, the rest of the page stays."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType


class Copy:
    """Everything that is printed meanwhile, kept beside being printed.

    Used as a context; `text` has it afterwards.
    """

    def __init__(self) -> None:
        self.text = ""
        self._out = sys.stdout

    def __enter__(self) -> Copy:
        """Begin to keep."""
        self._out, sys.stdout = sys.stdout, self  # type: ignore[assignment]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        sys.stdout = self._out

    def write(self, text: str) -> int:
        """Print and keep a text."""
        self.text += text
        return self._out.write(text)

    def flush(self) -> None:
        """Show what was printed."""
        self._out.flush()


def put_between(page: Path, name: str, text: str) -> None:
    """Replace what stands between ``<!-- bench:NAME -->`` and ``<!-- /bench:NAME -->``.

    Raises:
        ValueError: The page lacks the markers.
    """
    whole = page.read_text(encoding="utf-8")
    begin, end = f"<!-- bench:{name} -->\n", f"<!-- /bench:{name} -->"
    if whole.count(begin) != 1 or whole.count(end) != 1 or whole.index(begin) > whole.index(end):
        raise ValueError(f"{page.name} lacks the markers {begin.strip()} and {end}")
    head, rest = whole.split(begin)
    page.write_text(f"{head}{begin}\n{text.strip()}\n\n{end}{rest.split(end)[1]}", encoding="utf-8")
