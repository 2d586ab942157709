"""The errors that are meant for the user's eyes."""

from __future__ import annotations


class UserError(Exception):
    """A problem the user can understand and act on.

    Args:
        what: What happened, one sentence.
        why: The reason, with the file or value that caused it. Empty when ``what`` says it all.
        todo: What the user can do about it.
    """

    def __init__(self, what: str, why: str = "", todo: str = "") -> None:
        self.what = what
        self.why = why
        self.todo = todo
        super().__init__(" ".join(part for part in (what, why, todo) if part))

    def to_json(self) -> dict[str, str]:
        """Return the three parts, for a message between processes."""
        return {"what": self.what, "why": self.why, "todo": self.todo}

    @classmethod
    def from_json(cls, parts: dict[str, str]) -> UserError:
        """Rebuild an error from `to_json`."""
        return cls(parts.get("what", "Unknown error."), parts.get("why", ""), parts.get("todo", ""))


class Cancelled(Exception):
    """The user cancelled the work; nothing was changed."""
