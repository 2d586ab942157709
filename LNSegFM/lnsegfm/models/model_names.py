"""Names of adapted models, by which they can be told apart."""

from __future__ import annotations

from collections.abc import Sequence

from lnsegfm.models.ancestry import ancestors_among
from lnsegfm.models.model_card import ModelInfo


def adapted_name(base: ModelInfo, models: Sequence[ModelInfo], method: str, cases: int, date: str) -> str:
    """Return a display name for a model that was adapted: of which model, how, to how many cases and when.

    Args:
        base: The model that it was adapted from; the name is that of its oldest installed ancestor.
        models: The installed models.
        method: Display name of the method.
        cases: Number of training cases.
        date: ISO 8601.
    """
    origin = [base, *ancestors_among(models, base.id)][-1]
    return f"{origin.name}, {method}, {cases} case{'s' * (cases != 1)}, {date}"


def unique_name(wish: str, models: Sequence[ModelInfo]) -> str:
    """Return ``wish``, or ``wish (2)``, ``wish (3)`` ..., whichever no installed model has."""
    taken = {model.name for model in models}
    name, number = wish, 1
    while name in taken:
        number += 1
        name = f"{wish} ({number})"
    return name
