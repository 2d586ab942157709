"""The record of a walk: what was seen at each step, and a picture of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from preview.user import User
from preview.widths import take_pictures


class Book:
    """Keeps what is seen, in order.

    Args:
        user: Who sees it.
        folder: Where the pictures go; it is made.
        widths: Of the panel in the pictures that `sections` takes; they go to a folder for each.
    """

    def __init__(self, user: User, folder: Path, widths: Sequence[int] = ()) -> None:
        self.seen: dict[str, dict[str, Any]] = {}
        self.pictures: dict[str, str] = {}
        self._user, self._folder, self._widths = user, folder, widths

    def step(self, name: str, top: Any, **seen: Any) -> None:
        """Write a step down and take its picture.

        Args:
            name: Of the step, for the picture's file name.
            top: Widget of the panel that is scrolled to.
            seen: Texts and numbers that the user reads off the panel, ready for JSON.
        """
        self._user.scroll_to(top)
        # Longer than the panels' timers, so that the picture shows what a user would see.
        self._user.app.process_events(1.0)
        self.note(name, **seen)
        self.pictures[name] = f"{len(self.pictures) + 1:02d}-{name}.png"
        path = self._folder / self.pictures[name]
        self._user.app.screenshot(path)
        print(path, flush=True)

    def sections(self, name: str) -> None:
        """Take pictures of the whole panel at several widths."""
        for path in take_pictures(self._user.app, self._folder, name, self._widths):
            print(path, flush=True)

    def note(self, name: str, **seen: Any) -> None:
        """Write a step down without a picture."""
        self.seen[name] = seen
