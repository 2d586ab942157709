"""Ctrl-C and the signals that end a process, as an exception that unwinds through the blocks that clear up."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
# A clearing that takes longer than this may be ended by a further signal.
_CLEARING_S = 15.0


class Stopped(KeyboardInterrupt):
    """The user or the system ends this process; raised in the main thread within `stoppable`.

    Args:
        number: Number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal_name(number))
        self.number = number


def signal_name(number: int) -> str:
    """Return "Ctrl-C" or the name of a signal."""
    return "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name


class Stop:
    """What came of the signals within `stoppable`."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self.number: int | None = None
        """The first signal that came; None while none did."""
        self._say, self._since = say, 0.0
        self._held = 0
        self._postponed: int | None = None

    @property
    def exit_code(self) -> int | None:
        """128 and the number of the signal, as shells count; None where none came."""
        return None if self.number is None else 128 + self.number

    def take(self, number: int, frame: FrameType | None = None) -> None:
        """Handle a signal: the first one raises `Stopped`, those that follow while its clearing lasts do not."""
        del frame
        if self.number is not None and time.monotonic() - self._since < _CLEARING_S:
            self._say("Still removing temporary files; this takes a few seconds.")
            return
        self.number = number if self.number is None else self.number
        self._since = time.monotonic()
        self._say(f"Stopping after {signal_name(number)}.")
        if self._held:
            self._postponed = number
            return
        raise Stopped(number)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Postpone a signal until the end of the block."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            if not self._held and self._postponed is not None:
                number, self._postponed = self._postponed, None
                raise Stopped(number)


_current: Stop | None = None


@contextmanager
def stoppable(say: Callable[[str], object] | None = None) -> Iterator[Stop]:
    """Let signals that end the process raise `Stopped` in the block, so that its temporary files are removed.

    A signal that the process was started to ignore, as by ``nohup``, is still ignored. In other threads than the main
    one, and within another such block, nothing changes.

    Args:
        say: Told, within the signal's handler, that a signal came, and that a further one came while temporary files
            are removed; by default that is written to stderr.
    """
    global _current
    stop = Stop(say or _write)
    if threading.current_thread() is not threading.main_thread() or _current is not None:
        yield stop if _current is None else _current
        return
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    taken = [number for number in numbers if signal.getsignal(number) not in (signal.SIG_IGN, None)]
    before = {number: signal.signal(number, stop.take) for number in taken}
    _current = stop
    try:
        yield stop
    finally:
        _current = None
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Let nothing stop the block, which removes what must not stay; the signal counts at its end."""
    if _current is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    with _current.held():
        yield


def _write(text: str) -> None:
    # Not print: the signal may have come in the middle of one.
    with suppress(OSError):
        os.write(2, f"{text}\n".encode())
