"""Ids that are given by their beginning."""

from __future__ import annotations

from collections.abc import Iterable

from lnsegfm.base.errors import UserError


def resolve(text: str, known: Iterable[str], what: str) -> str:
    """Return the id that ``text`` is, or is the beginning of.

    Args:
        text: An id, or a beginning that only one id has.
        known: All ids there are.
        what: What has such an id, for the message: ``model``, ``case`` or ``job``.

    Returns:
        The whole id; ``text`` itself when no id begins with it, so that the store can say what there is.

    Raises:
        UserError: Several ids begin with ``text``; the message lists them.
    """
    ids = sorted(set(known))
    found = [each for each in ids if text and each.startswith(text)]
    if text in ids or not found:
        return text
    if len(found) > 1:
        raise UserError(
            f"More than one {what} has an id that begins with '{text}'.", f"There are: {', '.join(found)}.",
            "Type more of the id.",
        )
    return found[0]
