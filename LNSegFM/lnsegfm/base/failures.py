"""Any exception as an error the user can read."""

from __future__ import annotations

import errno
import traceback

from lnsegfm.base.errors import UserError

_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
_last_traceback = ""
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}


def as_user_error(error: BaseException, what: str = "The work could not be finished.") -> UserError:
    """Return ``error`` itself when it is a `UserError`, else one with its type and text as the reason.

    Args:
        error: What was raised.
        what: The sentence that says what failed, from the user's point of view.
    """
    global _last_traceback
    _last_traceback = "".join(traceback.format_exception(error))
    if isinstance(error, UserError):
        return error
    if isinstance(error, OSError) and error.errno in _FULL:
        return UserError("The disk is full.", f"{error}.", "Free some disk space, then try again.")
    text = str(error).strip()
    # PyTorch says it in words only: OutOfMemoryError of CUDA, RuntimeError of MPS and of the CPU.
    if isinstance(error, MemoryError) or any(words in text.lower() for words in _NO_MEMORY):
        why = text.splitlines()[0] if text else "The computer ran out of memory."
        return UserError(what, why, "Close other programs, or choose a smaller batch size or the CPU, then try again.")
    return UserError(what, f"{type(error).__name__}: {text}" if text else type(error).__name__)


def reason(error: Exception) -> str:
    """Return the part of a SimpleITK or operating system error that tells a user something: its last line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def last_traceback() -> str:
    """Return the traceback of what `as_user_error` was last asked about in this process; empty when it never was."""
    return _last_traceback
