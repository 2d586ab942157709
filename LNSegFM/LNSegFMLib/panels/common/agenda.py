"""The work that goes on for a panel, asked from its timer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from lnsegfm.base.background import Pending


class Work(NamedTuple):
    """Work that goes on, and who gets its value."""

    name: str
    pending: Pending
    on_value: Callable[[Any], None]


class Agenda:
    """Named work, one of each name at a time. Made for one thread."""

    def __init__(self) -> None:
        self._works: dict[str, Work] = {}
        self._dropped: list[Pending] = []

    def __contains__(self, name: str) -> bool:
        return name in self._works

    def __bool__(self) -> bool:
        """Whether any work goes on, be it dropped: it still has to end and to clear away its files."""
        self._dropped = [pending for pending in self._dropped if not pending.done]
        return bool(self._works or self._dropped)

    @property
    def outside(self) -> bool:
        """Whether all the work is other processes' at the moment."""
        return all(pending.outside for pending in (*self._dropped, *(work.pending for work in self._works.values())))

    def __getitem__(self, name: str) -> Pending:
        return self._works[name].pending

    def start(self, name: str, pending: Pending, on_value: Callable[[Any], None]) -> None:
        """Take on work; its value goes to ``on_value``.

        Raises:
            ValueError: Work of this name goes on already.
        """
        if name in self._works:
            raise ValueError(f"'{name}' goes on already")
        self._works[name] = Work(name, pending, on_value)

    def drop(self, *names: str) -> None:
        """Cancel work and forget it, all of it when no name is given; its value goes nowhere."""
        for name in names or tuple(self._works):
            if name in self._works:
                pending = self._works.pop(name).pending
                pending.cancel()
                self._dropped.append(pending)

    def take_done(self) -> list[Work]:
        """Return the work that has ended since the last call; it goes on no longer."""
        done = [work for work in self._works.values() if work.pending.done]
        for work in done:
            del self._works[work.name]
        return done
