"""What must not be removed at the moment."""

from __future__ import annotations

from collections.abc import Sequence

from lnsegfm.base.errors import UserError


def refuse_while_used(what: str, jobs: Sequence[str]) -> None:
    """Refuse to remove what a running job needs to its end.

    Raises:
        UserError: ``jobs`` are some.
    """
    if jobs:
        raise UserError(f"The {what} was not removed.", f"{', '.join(jobs)} works with it.", "Wait, or cancel the job.")
