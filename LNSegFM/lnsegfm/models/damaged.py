"""What lies in a store and cannot be read: it hides nothing else, and can be removed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lnsegfm.base.errors import UserError


@dataclass(frozen=True)
class Damaged:
    """An entry of a store that cannot be read.

    Args:
        id: Its name in the store, by which it can be removed.
        path: Where it lies.
        reason: What is wrong with it.
    """

    id: str
    path: Path
    reason: UserError

    @property
    def why(self) -> str:
        """The reason in one line."""
        return " ".join((self.reason.why or self.reason.what).split())
