"""Waiting for work that another process or thread does."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from lnsegfm.base.background import Pending
from lnsegfm.base.errors import Cancelled, UserError

Report = Callable[[float | None, str], object]
"""Called with the share done, 0 to 1 or None while it is not known, and a text."""
IsCancelled = Callable[[], bool]
"""Asked often; the work stops when it says so."""

_POLL_S = 0.05


def no_report(fraction: float | None, message: str = "") -> None:
    """Report nothing."""


def never() -> bool:
    """Never cancel."""
    return False


def wait_for(work: Pending, progress: Report = no_report, is_cancelled: IsCancelled = never) -> Any:
    """Block until some work is done and return its value.

    Raises:
        UserError: It failed.
        Cancelled: It was cancelled, by ``is_cancelled`` or elsewhere.
    """
    said = None
    try:
        while True:
            ended = work.done  # first: what was said last is told even when the end follows at once
            if work.progress != said:
                said = work.progress
                progress(said.fraction, said.message)
            if ended:
                return work.result()
            if is_cancelled() and not work.cancel_requested:
                work.cancel()
            with contextlib.suppress(TimeoutError, UserError, Cancelled):
                work.wait(_POLL_S)
    except KeyboardInterrupt:
        work.cancel()
        raise
