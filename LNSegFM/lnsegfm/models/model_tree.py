"""The installed models as a family tree."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lnsegfm.models.ancestry import parent_among
from lnsegfm.models.model_card import ModelInfo


@dataclass(frozen=True)
class Branch:
    """A model and what was adapted from it, oldest first."""

    model: ModelInfo
    children: tuple[Branch, ...] = ()


def family_tree(models: Iterable[ModelInfo]) -> list[Branch]:
    """Put every model below the one it was adapted from.

    Models whose parent is not installed stand at the top. So does one of each circle of models that name each other as
    parents, which only cards edited by hand can form: no model is lost from sight.

    Args:
        models: The installed models, oldest first.
    """
    known = list(models)
    parents = {model.id: parent.id for model in known if (parent := parent_among(known, model.card, model.id))}
    remaining = {model.id: model for model in known}
    tops = [model for model in known if model.id not in parents]

    def grow(model: ModelInfo) -> Branch:
        del remaining[model.id]
        children = [child for child in remaining.values() if parents.get(child.id) == model.id]
        return Branch(model, tuple(grow(child) for child in children if child.id in remaining))

    branches = [grow(model) for model in tops]
    while remaining:
        branches.append(grow(next(iter(remaining.values()))))
    return branches


def dice_change(model: ModelInfo) -> tuple[float, float] | None:
    """Return the mean DSC of the hold-out cases before and after the adaptation; None where none was measured."""
    try:
        mean = model.card.metrics["mean"]
        return float(mean["before"]["dsc"]), float(mean["after"]["dsc"])
    except (KeyError, TypeError, ValueError):
        return None
