"""Work in the background of a responsive user interface: start it, then ask it from a timer."""

from __future__ import annotations

import inspect
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.failures import as_user_error, explained

# A signal that comes just before a wait without an end does not wake it; on Windows none does.
_LISTEN_S = 0.2


@dataclass(frozen=True)
class Progress:
    """How far the work is.

    Args:
        fraction: Share done, 0 to 1; None when it is not known.
        message: What is being done.
        remaining_s: Estimate of the seconds left; None when it is not known.
    """

    fraction: float | None = None
    message: str = ""
    remaining_s: float | None = None


def let_threads_run(*, briefly: bool = False) -> None:
    """Give the interpreter to the other threads for a moment; for a timer of the user interface while work is running.

    Slicer's event loop keeps Python's lock: other threads run only while Python code on the main thread waits.

    Args:
        briefly: The threads only wait for another process and have hardly anything to do.
    """
    time.sleep(0.002 if briefly else 0.015)


class Pending:
    """The outcome of work that may still be running. All members may be used from any thread."""

    outside = False
    """Whether the work is another process's at the moment, and needs no more of this one than to be listened to."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._cancel_wanted = threading.Event()
        self._guard = threading.Lock()
        self._value: Any = None
        self._error: UserError | None = None
        self._cancelled = False
        self._progress = Progress()

    @property
    def done(self) -> bool:
        """Whether the work has ended: with a result, an error or by being cancelled."""
        return self._ended.is_set()

    @property
    def cancelled(self) -> bool:
        """Whether the work ended because it was cancelled."""
        return self._cancelled

    @property
    def cancel_requested(self) -> bool:
        """Whether `cancel` was called; the work may still be running."""
        return self._cancel_wanted.is_set()

    @property
    def error(self) -> UserError | None:
        """What went wrong, when the work ended with an error."""
        return self._error

    @property
    def progress(self) -> Progress:
        """The latest progress."""
        return self._progress

    def result(self) -> Any:
        """Return the value of work that is done.

        Raises:
            UserError: The work failed.
            Cancelled: It was cancelled.
            RuntimeError: It is not done.
        """
        if not self.done:
            raise RuntimeError("The work is not done; ask 'done' first.")
        if self._error is not None:
            raise self._error
        if self._cancelled:
            raise Cancelled
        return self._value

    def wait(self, timeout_s: float | None = None) -> Any:
        """Block until the work is done and return its value, as `result`; not for the thread of the user interface.

        Raises:
            TimeoutError: It is not done after ``timeout_s`` seconds.
        """
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while not self._ended.wait(_LISTEN_S if end is None else min(_LISTEN_S, max(0.0, end - time.monotonic()))):
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"The work was not done after {timeout_s} s.")
        return self.result()

    def cancel(self) -> None:
        """Ask the work to stop; it is `done` when it has."""
        self._cancel_wanted.set()

    def _report(self, progress: Progress) -> None:
        self._progress = progress

    def _end(self, value: Any = None, *, error: UserError | None = None, cancelled: bool = False) -> None:
        with self._guard:
            if self.done:
                return
            self._value, self._error, self._cancelled = value, error, cancelled
            self._ended.set()


class Task(Pending):
    """A function that runs in a thread of its own, from now on.

    When the function has a parameter ``progress``, it gets a callable ``progress(fraction, message="")``; when it has a
    parameter ``is_cancelled``, it gets a callable that tells whether to stop, by raising `Cancelled`. A function that
    returns in spite of a cancel has done its work, and its value counts.

    Args:
        function: What to run.
        *args: Its positional arguments.
        **kwargs: Its keyword arguments.
    """

    def __init__(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self._started = time.monotonic()
        wanted = _named_parameters(function)
        if "progress" in wanted:
            kwargs.setdefault("progress", self._set_progress)
        if "is_cancelled" in wanted:
            kwargs.setdefault("is_cancelled", lambda: self.cancel_requested)
        name = getattr(function, "__name__", "task")
        threading.Thread(target=self._run, args=(function, args, kwargs), name=name, daemon=True).start()

    def _run(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            self._end(function(*args, **kwargs))
        except Cancelled:
            self._end(cancelled=True)
        except (Exception, SystemExit) as error:  # the boundary of the thread: it would be lost otherwise
            if explained(error) is None:
                traceback.print_exc()
            self._end(error=as_user_error(error))

    def _set_progress(self, fraction: float | None, message: str = "") -> None:
        elapsed = time.monotonic() - self._started
        remaining = elapsed * (1 - fraction) / fraction if fraction else None
        self._report(Progress(fraction, message, remaining))


def _named_parameters(function: Callable[..., Any]) -> set[str]:
    try:
        return set(inspect.signature(function).parameters)
    except ValueError:  # some built-in functions have no signature
        return set()
