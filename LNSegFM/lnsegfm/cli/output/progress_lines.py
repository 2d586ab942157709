"""Progress: a bar on a terminal, and a line now and then where there is none, as in the log of a batch job."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

from lnsegfm.cli.terminal import terminal

_EVERY = 0.1
_EVERY_S = 30.0


class ProgressLines:
    """Shows on stderr how far some work is.

    On a terminal that is a bar. Elsewhere, and without the package tqdm, a line is printed when something else is being
    done, after each tenth of the work, and every half minute while it moves. With ``--quiet`` there is neither.

    Args:
        total: What ``done`` grows to; None while it is not known.
        unit: What is counted, such as ``it`` or ``case``.
    """

    def __init__(self, total: float | None = 1.0, unit: str = "") -> None:
        self._total, self._unit = total, unit
        self._bar: Any = None
        self._said: tuple[str, float] = ("", -1.0)
        self._said_at = 0.0

    def __enter__(self) -> ProgressLines:
        """Begin."""
        if not terminal.quiet and sys.stderr.isatty():
            try:
                from tqdm import tqdm
            except ImportError:
                return self  # lines do as well

            counted = "{n_fmt}/{total_fmt} " if self._unit else ""
            self._bar = tqdm(
                total=self._total, unit=self._unit or "it", leave=False,
                bar_format="{desc}: {percentage:3.0f}%|{bar}| " + counted + "{elapsed}<{remaining}{postfix}",
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()

    def update(self, done: float | None, message: str = "", detail: str = "") -> None:
        """Show how far it is.

        Args:
            done: Amount done of ``total``; None while it is not known.
            message: What is being done.
            detail: A figure, such as the loss.
        """
        if self._bar is not None:
            self._bar.set_description_str(message, refresh=False)
            self._bar.set_postfix_str(detail, refresh=False)
            self._bar.update((done or 0) - self._bar.n)
            self._bar.refresh()
        elif not terminal.quiet:
            self._print(done, message, detail)

    def report(self, fraction: float | None, message: str = "") -> None:
        """Show how far it is, as a callable ``progress(fraction, message)``."""
        self.update(None if fraction is None else fraction * (self._total or 1.0), message)

    def _print(self, done: float | None, message: str, detail: str) -> None:
        share = done / self._total if done is not None and self._total else 0.0
        # What is being done may count by itself, as downloads do; only its first words tell that it changed.
        words, now = message.partition(":")[0].rstrip("0123456789 "), time.monotonic()
        before, last = self._said
        # A resumed job may lie behind where it was.
        steps = int(share / _EVERY + 1e-6) != int(max(last, 0.0) / _EVERY + 1e-6) or (share == 1.0 and last < 1.0)
        late = now - self._said_at > _EVERY_S and share != last
        if words == before and not steps and not late:
            return
        self._said, self._said_at = (words, share), now
        counted = f"{done:g}/{self._total:g} {self._unit}" if self._unit and done is not None and self._total else ""
        parts = [f"{share:4.0%}" if self._total and done is not None else "", counted, message, detail]
        print("  ".join(part for part in parts if part), file=sys.stderr, flush=True)
