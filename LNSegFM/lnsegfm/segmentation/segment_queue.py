"""The volumes that are to be segmented, one after the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

WAITING, RUNNING, DONE, FAILED, CANCELLED = "waiting", "running", "done", "failed", "cancelled"


@dataclass
class Entry:
    """A volume of the queue.

    Args:
        key: What the caller knows it by, such as the id of its node.
        name: What the user knows it by.
        job: How it is to be segmented; the queue does not look into it.
        state: ``waiting``, ``running``, ``done``, ``failed`` or ``cancelled``.
        detail: What came out, or what went wrong, in words.
        seconds: How long it took; 0 where it is not known.
    """

    key: str
    name: str
    job: Any
    state: str = WAITING
    detail: str = ""
    seconds: float = 0.0


class SegmentQueue:
    """Entries in the order in which they were added; one of each key, one of them running at a time."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All entries, in order."""
        return tuple(self._entries)

    @property
    def running(self) -> Entry | None:
        """The entry that is being segmented."""
        return next((entry for entry in self._entries if entry.state == RUNNING), None)

    def find(self, key: str) -> Entry | None:
        """Return the entry of a key."""
        return next((entry for entry in self._entries if entry.key == key), None)

    def is_pending(self, key: str) -> bool:
        """Tell whether an entry of this key waits or is being segmented."""
        entry = self.find(key)
        return entry is not None and entry.state in (WAITING, RUNNING)

    def add(self, key: str, name: str, job: Any) -> bool:
        """Put a volume at the end, in place of its earlier entry; return False when that still waits or runs."""
        if self.is_pending(key):
            return False
        self._entries = [*(entry for entry in self._entries if entry.key != key), Entry(key, name, job)]
        return True

    def start_next(self) -> Entry | None:
        """Return the first waiting entry, which runs from now on; None when one runs already or none waits."""
        waiting = next((entry for entry in self._entries if entry.state == WAITING), None)
        if self.running is not None or waiting is None:
            return None
        waiting.state, waiting.detail = RUNNING, ""
        return waiting

    def end(self, state: str, detail: str = "", seconds: float = 0.0) -> Entry:
        """Note what became of the entry that runs.

        Args:
            state: ``done``, ``failed`` or ``cancelled``.
            detail: What came out, or what went wrong, in words.
            seconds: How long it took.

        Raises:
            ValueError: No entry runs.
        """
        entry = self.running
        if entry is None:
            raise ValueError("no entry of the queue runs")
        entry.state, entry.detail, entry.seconds = state, detail, seconds
        return entry

    def retry(self, key: str = "") -> int:
        """Let an entry that failed or was cancelled wait again, all of them without a key; return how many."""
        chosen = [
            entry for entry in self._entries if entry.state in (FAILED, CANCELLED) and key in ("", entry.key)
        ]
        for entry in chosen:
            entry.state, entry.detail = WAITING, ""
        return len(chosen)

    def remove(self, key: str) -> None:
        """Take an entry off; one that runs stays until it ends."""
        self._entries = [entry for entry in self._entries if entry.key != key or entry.state == RUNNING]

    def stop(self) -> None:
        """Cancel all that wait."""
        for entry in self._entries:
            if entry.state == WAITING:
                entry.state = CANCELLED

    def take_over(self, entry: Entry) -> None:
        """Put an entry of an earlier queue at the end; one that ran there has to wait again."""
        if self.find(entry.key) is None:
            state = WAITING if entry.state == RUNNING else entry.state
            self._entries.append(replace(entry, state=state))

    def clear(self) -> None:
        """Forget all entries."""
        self._entries = []

    def count(self, *states: str) -> int:
        """Return how many entries are in one of the states."""
        return sum(entry.state in states for entry in self._entries)

    def remaining_s(self, running_s: float | None) -> float | None:
        """Return an estimate of the seconds until the queue is empty, from what the volumes took so far.

        Args:
            running_s: Estimate for the entry that runs; None where it is not known.
        """
        took = [entry.seconds for entry in self._entries if entry.state == DONE and entry.seconds > 0]
        waiting = self.count(WAITING)
        if running_s is None and not took:
            return None
        if waiting and not took:
            return None
        rest = running_s if running_s is not None else fmean(took) if self.running else 0.0
        return rest + (waiting * fmean(took) if waiting else 0.0)
