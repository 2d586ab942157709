"""A change of a store that is cut short: its process is killed, or the disk becomes full, at each of its operations.

The operations are those of `lnsegfm.base.disk`, which tells of each before it acts::

    for cut in cut_everywhere(make_store, lambda store: store.remove("a-model")):
        assert is_as_before_or_as_after(cut.state)
"""

from __future__ import annotations

import errno
import os
import pickle
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from lnsegfm.base import disk

T = TypeVar("T")
Fault = Literal["kill", "full"]
_MOST_OPERATIONS = 10_000
_LONGEST_S = 120.0
_POLL_S = 0.002
# What takes no room works on a full disk.
_FREES = ("remove_file", "remove_tree", "replace")


@dataclass(frozen=True)
class Cut(Generic[T]):
    """A change that was cut short, or that came to its end.

    Args:
        number: How many operations were done before the cut.
        operation: The operation at which it was cut, as `lnsegfm.base.disk` calls it; empty for a whole change.
        path: What that operation would have changed.
        state: What ``setup`` made; the change has worked on it in another process.
        error: What the change raised, where the fault was a full disk.
    """

    number: int
    operation: str
    path: Path
    state: T
    error: BaseException | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the change came to its end."""
        return not self.operation

    def __str__(self) -> str:
        return f"cut {self.number} at {self.operation or 'the end'} of {self.path}"


class _Saboteur:
    """Counts the operations of a process, and lets one of them fail."""

    def __init__(self, number: int, fault: Fault, report: int) -> None:
        self._left, self._fault, self._report = number, fault, report
        self._is_full = False

    def __call__(self, operation: str, path: Path) -> None:
        self._left -= 1
        if self._left == -1:
            _send(self._report, ("cut", operation, str(path)))
            if self._fault == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            self._is_full = True
            raise _full(path)
        if self._is_full and operation not in _FREES:
            raise _full(path)


def cut_everywhere(
    setup: Callable[[], T], change: Callable[[T], object], *, fault: Fault = "kill", operations: range | None = None
) -> Iterator[Cut[T]]:
    """Make a change over and over, each time in a process of its own that comes one operation further than the last.

    Args:
        setup: Makes what is changed, afresh for each cut, in this process.
        change: Changes it, in the other process; only what it leaves on the disk comes back.
        fault: ``kill`` ends that process by SIGKILL; ``full`` raises ``OSError(ENOSPC)`` at the operation, and at each
            later one that needs room.
        operations: The numbers of the operations at which it is cut; None for all of them.

    Yields:
        Each cut, when that process has ended; at last the whole change, unless ``operations`` end before.

    Raises:
        AssertionError: The change failed without being cut, or does not end.
    """
    for number in operations if operations is not None else range(_MOST_OPERATIONS):
        state = setup()
        cut = _cut(state, change, number, fault)
        yield cut
        if cut.is_whole:
            return
    assert operations is not None, f"The change has more than {_MOST_OPERATIONS} operations."


def _cut(state: T, change: Callable[[T], object], number: int, fault: Fault) -> Cut[T]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_cut(state, change, _Saboteur(number, fault, writing), writing)
    os.close(writing)
    try:
        status = _wait(child)
        with os.fdopen(reading, "rb", closefd=False) as stream:
            messages = _received(stream.read())
    finally:
        os.close(reading)
    said = {message[0]: message[1:] for message in messages}
    assert "surprise" not in said, f"After {number} operations:\n{said['surprise'][0]}"
    if "cut" not in said:
        assert os.waitstatus_to_exitcode(status) == 0, f"The process ended with {status}."
        return Cut(number, "", Path(), state)
    operation, path = said["cut"]
    return Cut(number, operation, Path(path), state, said.get("error", (None,))[0])


def _be_cut(state: T, change: Callable[[T], object], saboteur: _Saboteur, report: int) -> None:
    """Make the change in the child; it never returns into the test that it is a copy of."""
    try:
        with disk.observed(saboteur):
            change(state)
    except Exception as error:
        if saboteur._is_full:
            _send(report, ("error", _portable(error)))
        else:
            _send(report, ("surprise", traceback.format_exc()))
    finally:
        os._exit(0)


def _wait(child: int) -> int:
    deadline = time.monotonic() + _LONGEST_S
    while time.monotonic() < deadline:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(_POLL_S)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    raise AssertionError(f"The change did not end within {_LONGEST_S:.0f} s.")


def _full(path: Path) -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _portable(error: BaseException) -> BaseException:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _send(report: int, message: tuple[Any, ...]) -> None:
    content = pickle.dumps(message)
    os.write(report, len(content).to_bytes(4, "big") + content)


def _received(content: bytes) -> list[tuple[Any, ...]]:
    messages = []
    while content:
        length = int.from_bytes(content[:4], "big")
        messages.append(pickle.loads(content[4 : 4 + length]))
        content = content[4 + length :]
    return messages
