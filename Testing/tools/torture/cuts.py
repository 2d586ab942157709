"""Changes that are cut at every operation on the disk: by a kill, by a power cut, by a disk that is full."""

from __future__ import annotations

import errno
import os
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from full_disk import on_full_disk

from lnsegfm.base import disk
from lnsegfm.base.home import Home
from lnsegfm.session.doctor import Doctor
from torture.changes import Change
from torture.child import Outcome, call, fail_at, kill_at

_ROOMS = (0, 300, 3000, 30_000)


@dataclass
class CutTally:
    """What became of the cut changes: how many there were by kind of cut, and what must not happen."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)


class Cutter:
    """A change in its prepared home.

    Args:
        change: The change.
        room: An empty folder.
    """

    def __init__(self, change: Change, room: Path) -> None:
        self.change, self.tally, self._room = change, CutTally(), room
        self._template, self._work = room / "template", room / "home"
        self._expect(call(lambda: change.prepare(self._template)))
        self._before = self._state(self._template)
        self._copy()
        self.operations = self._expect(call(self._count))
        self._after = self._state(self._work)
        # Results that were written in part are told as such.
        self._between = [] if change.name != "write the results of a segmentation" else [
            (self._after[0], "not known", True)
        ]

    def run(self, *, first: int = 1, step: int = 1) -> None:
        """Cut the change at each of its operations, in each way; or only at each ``step``-th from ``first``."""
        self._copy()
        for number in range(first, self.operations + 1, step):
            self._cut("kill", call(self._changed, observer=kill_at(number)), f"killed at {number}")
            self._cut("power cut", call(self._changed, observer=kill_at(number, tear=True)), f"torn at {number}")
            outcome = call(self._changed, observer=fail_at(number, errno.ENOSPC), expected=(OSError,))
            self._cut("full disk", outcome, f"no room at {number}")
        for room in _ROOMS[::step]:
            error = on_full_disk(room, self._changed)
            words = ("UserError", "OSError", "")
            kind = "refused" if error.startswith(words) else "raised"
            self._cut("full disk", Outcome(kind, text=error), f"{room} bytes of room")

    def _changed(self) -> None:
        self.change.change(self._work)

    def _count(self) -> int:
        count = 0

        def observe(operation: str, path: Path) -> None:
            nonlocal count
            count += 1

        with disk.observed(observe):
            self._changed()
        return count

    def _copy(self) -> None:
        shutil.rmtree(self._work, ignore_errors=True)
        if self._template.exists():
            shutil.copytree(self._template, self._work)

    def _cut(self, kind: str, outcome: Outcome, where: str) -> None:
        self.tally.counts[kind] += 1
        if outcome.kind in ("raised", "hung"):
            self._fault(f"{where}: {outcome.kind} {outcome.text}")
        state = call(lambda: self.change.state(self._work))
        if state.kind != "returned":
            self._fault(f"{where}: the home cannot be read: {state.text}")
        elif state.value not in (self._before, self._after, *self._between):
            self._fault(f"{where}: neither before nor after: {state.value}")
        again = call(self._again)
        if again.kind != "returned" or again.value != self._after:
            self._fault(f"{where}: the same change again does not lead to its end: {again}")
        cleared = call(self._cleared)
        if cleared.kind != "returned" or cleared.value != ([], self._after):
            self._fault(f"{where}: something is left that cannot be cleared, or too much was cleared: {cleared}")
        self._copy()

    def _again(self) -> object:
        if self.change.state(self._work) != self._after:
            self._changed()
        return self.change.state(self._work)

    def _cleared(self) -> object:
        """Clear what is left over, as a day later, and return what cannot be cleared, and the state."""
        for path in self._work.rglob("*"):
            os.utime(path, (0, 0))
        doctor = Doctor(lambda: Home(self._work))
        doctor.clear()
        return [path.name for path in self._work.rglob(".tmp-*")] + [
            each.path.name for each in doctor.look()
        ], self.change.state(self._work)

    def _state(self, home: Path) -> object:
        return self._expect(call(lambda: self.change.state(home)))

    def _fault(self, words: str) -> None:
        self.tally.faults[f"{self.change.name}, {words}"] += 1

    def _expect(self, outcome: Outcome) -> object:
        if outcome.kind != "returned":
            raise AssertionError(f"{self.change.name}: {outcome}")
        return outcome.value
