"""A change of a store that is cut short: its process is killed, or the disk becomes full, at each of its operations.

The operations are those of `lnsegfm.base.disk`, which tells of each before it acts::

    for cut in cut_everywhere(make_store, lambda store: store.remove("a-model")):
        assert is_as_before_or_as_after(cut.state)
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from lnsegfm.base import disk
from torture.child import call, fail_at, kill_at

T = TypeVar("T")
Fault = Literal["kill", "full"]


@dataclass(frozen=True)
class Cut(Generic[T]):
    """A change that was cut short, or that came to its end.

    Args:
        number: How many operations were done before the cut.
        operation: The operation at which it was cut, as `lnsegfm.base.disk` calls it; empty for a whole change.
        state: What ``setup`` made; the change has worked on it in another process.
        error: What the change raised, where the fault was a full disk.
    """

    number: int
    operation: str
    state: T
    error: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether the change came to its end."""
        return not self.operation


def cut_everywhere(
    setup: Callable[[], T], change: Callable[[T], object], *, fault: Fault = "kill"
) -> Iterator[Cut[T]]:
    """Make a change over and over, each time in a process of its own that comes one operation further than the last.

    Args:
        setup: Makes what is changed, afresh for each cut, in this process.
        change: Changes it, in the other process; only what it leaves on the disk comes back.
        fault: ``kill`` ends that process by SIGKILL; ``full`` raises ``OSError(ENOSPC)`` at the operation, and at each
            later one that needs room.

    Yields:
        Each cut, when that process has ended; at last the whole change.

    Raises:
        AssertionError: The change failed without being cut, or does not end.
    """
    for number, operation in enumerate(_operations(setup(), change)):
        state = setup()
        observer = kill_at(number + 1) if fault == "kill" else fail_at(number + 1, errno.ENOSPC)
        outcome = call(lambda state=state: _nothing(change(state)), observer=observer, expected=(OSError,))
        assert outcome.kind == "killed" if fault == "kill" else outcome.kind in ("refused", "returned"), outcome
        yield Cut(number, operation, state, outcome.text)
    state = setup()
    outcome = call(lambda: _nothing(change(state)))
    assert outcome.kind == "returned", outcome
    yield Cut(number + 1, "", state)


def check_all_or_nothing(
    fresh: Callable[[], T], change: Callable[[T], object], seen: Callable[[T], Any], fault: Fault,
    then: Callable[[Cut[T]], object],
) -> None:
    """Check that a change, wherever it is cut, leaves a store as before or as after, and says why on a full disk.

    Args:
        fresh: Makes the store.
        change: Changes it.
        seen: What of the store counts.
        fault: See `cut_everywhere`.
        then: Further checks of each cut.
    """
    before, changed = seen(fresh()), fresh()
    change(changed)
    after, states = seen(changed), []
    for cut in cut_everywhere(fresh, change, fault=fault):
        states.append(seen(cut.state))
        assert states[-1] in (before, after), cut
        assert not cut.error or os.strerror(errno.ENOSPC) in cut.error, cut
        then(cut)
    assert states[-1] == after and len(states) > 1
    assert states == sorted(states, key=lambda state: state == after), "It never goes back."


def _operations(state: T, change: Callable[[T], object]) -> list[str]:
    def record() -> list[str]:
        made: list[str] = []
        with disk.observed(lambda operation, path: made.append(operation)):
            change(state)
        return made

    outcome = call(record)
    assert outcome.kind == "returned" and outcome.value, outcome
    return list(outcome.value)


def _nothing(result: object) -> None:
    """What a change returns need not be picklable."""
    del result
