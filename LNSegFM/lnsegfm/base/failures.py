"""Any exception as an error the user can read."""

from __future__ import annotations

import traceback

from lnsegfm.base.errors import UserError
from lnsegfm.base.home import Home
from lnsegfm.base.reasons.missing_packages import missing_package
from lnsegfm.base.reasons.network_errors import network_reason
from lnsegfm.base.reasons.os_errors import where_and_why, words_of
from lnsegfm.base.wording import without_temporary

_NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory", "bad allocation")
_NO_THREAD = "can't start new thread"
_UNKNOWN = "The work could not be finished."
_last_traceback = ""


def as_user_error(error: BaseException, what: str = _UNKNOWN) -> UserError:
    """Return ``error`` itself when it is a `UserError`, else one with what is known of it, or its type and text.

    Names of temporary files in it are made those of the user's files, see `without_temporary`.

    Args:
        error: What was raised.
        what: The sentence that says what failed, from the user's point of view.
    """
    global _last_traceback
    _last_traceback = "".join(traceback.format_exception(error))
    found = explained(error, what)
    if found is None:
        text = without_temporary(str(error).strip())
        found = UserError(what, f"{type(error).__name__}: {text}" if text else type(error).__name__)
    return found


def explained(error: BaseException, what: str = _UNKNOWN) -> UserError | None:
    """Return an error in words that tell a user what to do, or None for one that nobody has thought of.

    Args:
        error: What was raised.
        what: As for `as_user_error`.
    """
    if isinstance(error, UserError):
        # In a worker; its client knows what was unpacked.
        error.reword(lambda part: without_temporary(part, ""))
        return error
    text = without_temporary(str(error).strip())
    package = missing_package(error)
    if package is not None:
        return package
    if isinstance(error, OSError):
        return _of_the_system(error, what)
    # PyTorch says it in words only: OutOfMemoryError of CUDA, RuntimeError of MPS and of the CPU.
    if isinstance(error, MemoryError) or any(words in text.lower() for words in _NO_MEMORY):
        why = text.splitlines()[0] if text else "The computer ran out of memory."
        return UserError(what, why, "Close other programs, or choose a smaller batch size or the CPU, then try again.")
    if isinstance(error, RuntimeError) and _NO_THREAD in text:
        return UserError(what, "The system allows no further thread.", "Close other programs, then try again.")
    return None


def _of_the_system(error: OSError, what: str) -> UserError | None:
    words = words_of(error)
    if words is not None:
        why, home = without_temporary(where_and_why(error)), Home.default()
        parts = [*([] if what == _UNKNOWN else [what]), why]
        todo = words[1]
        if isinstance(error.filename, str) and home.concerns(error.filename):
            parts.append(f"The folder of models, cases and jobs is {home.root}.")
            todo += " --home FOLDER or the environment variable LNSEGFM_HOME chooses another such folder."
        return UserError(words[0], " ".join(parts), todo)
    reason_and_advice = network_reason(f"{type(error).__name__}: {error}") if error.errno is None else None
    return None if reason_and_advice is None else UserError(what, *reason_and_advice)


def reason(error: Exception) -> str:
    """Return the part of a SimpleITK or operating system error that tells a user something: its last line."""
    lines = [line.strip() for line in without_temporary(str(error)).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def last_traceback() -> str:
    """Return the traceback of what `as_user_error` was last asked about in this process; empty when it never was."""
    return _last_traceback
