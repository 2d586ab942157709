"""Numbers as people say them."""

from __future__ import annotations

from LNSegFMLib.core.errors import UserError


def duration(seconds: float) -> str:
    """Return a time in its one or two largest units, such as "1 min 20 s".

    Above half a minute it is rounded to 5 s, above an hour to a minute: an estimate is not more precise.
    """
    if seconds < 30:
        return f"{max(1, round(seconds))} s"
    fives = 5 * round(seconds / 5)
    if fives < 3600:
        minutes, rest = divmod(fives, 60)
        return " ".join(part for part in (f"{minutes} min" if minutes else "", f"{rest} s" if rest else "") if part)
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def explain(error: UserError) -> str:
    """Return an error as the paragraphs of a dialog: what happened, why, and what to do."""
    return "\n\n".join(part for part in (error.what, error.why, error.todo) if part)
