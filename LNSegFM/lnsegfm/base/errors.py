"""The errors that are meant for the user's eyes."""

from __future__ import annotations

from collections.abc import Callable


class UserError(Exception):
    """A problem the user can understand and act on.

    Args:
        what: What happened, one sentence.
        why: The reason, with the file or value that caused it. Empty when ``what`` says it all.
        todo: What the user can do about it.
    """

    kind = ""
    """What sort of error it is, where callers treat it in a way of their own; it survives `to_json`."""

    def __init__(self, what: str, why: str = "", todo: str = "") -> None:
        self.what = what
        self.why = why
        self.todo = todo
        super().__init__(" ".join(part for part in (what, why, todo) if part))

    def to_json(self) -> dict[str, str]:
        """Return its parts, for a message between processes."""
        return {"what": self.what, "why": self.why, "todo": self.todo, **({"kind": self.kind} if self.kind else {})}

    def reword(self, change: Callable[[str], str]) -> None:
        """Put each of the three parts into other words.

        Args:
            change: Gets a part and returns it in the other words.
        """
        self.what, self.why, self.todo = change(self.what), change(self.why), change(self.todo)
        self.args = (" ".join(part for part in (self.what, self.why, self.todo) if part),)

    @classmethod
    def from_json(cls, parts: dict[str, str]) -> UserError:
        """Rebuild an error from `to_json`."""
        error = cls(parts.get("what", "Unknown error."), parts.get("why", ""), parts.get("todo", ""))
        error.kind = parts.get("kind", "")
        return error


class Cancelled(Exception):
    """The user cancelled the work; nothing was changed."""
