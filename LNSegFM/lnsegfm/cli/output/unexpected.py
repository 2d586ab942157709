"""What becomes of an exception that nobody has thought of: a sentence on the terminal, and a log in the home."""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from lnsegfm import __version__
from lnsegfm.base.errors import UserError
from lnsegfm.base.files import write_text
from lnsegfm.base.home import Home
from lnsegfm.base.wording import printable, without_temporary
from lnsegfm.setup.problem_report import anonymous_traceback

LOG = "errors.txt"
DEBUG_VARIABLE = "LNSEGFM_DEBUG"
_LARGEST = 200_000


def tell_unexpected(error: BaseException) -> None:
    """Say on stderr that something unexpected happened, and where its traceback is.

    The log lies in the home and names no files, as nothing there does; with ``LNSEGFM_DEBUG=1`` the whole traceback is
    printed instead.
    """
    text = " ".join(without_temporary(str(error)).split())
    what = f"Something unexpected happened: {type(error).__name__}{f': {text}' if text else ''}."
    if os.environ.get(DEBUG_VARIABLE, "") not in ("", "0"):
        traceback.print_exception(error)
        print(f"lnsegfm: {what}", file=sys.stderr)
        return
    log = _keep(error)
    if log is not None:
        todo = f"Where it happened is in {log}: report it together with what 'lnsegfm --version' prints."
    else:
        todo = f"To see where, set {DEBUG_VARIABLE}=1 and try again; report it with what 'lnsegfm --version' prints."
    print(f"lnsegfm: {what} {todo}", file=sys.stderr)


def _keep(error: BaseException) -> Path | None:
    with suppress(OSError, UserError, ValueError):
        log = Home.default().root / LOG
        earlier = log.read_text("utf-8", "replace")[-_LARGEST:] if log.is_file() else ""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        trace = printable(anonymous_traceback("".join(traceback.format_exception(error))))
        write_text(log, f"{earlier}{now} lnsegfm {__version__}\n{trace}\n\n")
        return log
    return None
