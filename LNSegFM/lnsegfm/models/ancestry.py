"""Which model was adapted from which: the SHA-256 of the parent tells, and not its id.

Cards of early versions do not have that SHA-256; with them, the id has to do. The store never gives an id twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lnsegfm.models.model_card import ModelCard, ModelInfo


def parent_among(models: Iterable[ModelInfo], card: ModelCard, own_id: str = "") -> ModelInfo | None:
    """Return the model that one was adapted from, or None where it is not among these.

    Args:
        models: The installed models, oldest first.
        card: Card of the adapted model.
        own_id: Its id, where it is installed itself.
    """
    if not card.parent_sha256:
        return next((model for model in models if card.parent and model.id == card.parent), None)
    same = [model for model in models if model.id != own_id and model.sha256 == card.parent_sha256]
    by_id = next((model for model in same if model.id == card.parent), None)
    # A sibling that its adaptation did not change has that SHA-256 as well.
    return by_id or next((model for model in same if model.card.parent_sha256 != card.parent_sha256), None)


def parent_id(models: Iterable[ModelInfo], card: ModelCard, own_id: str = "") -> str:
    """Return the id of the model that one was adapted from, also of one that is gone; empty where none is known.

    An id that means another model here is not returned. The arguments are those of `parent_among`.
    """
    known = list(models)
    parent = parent_among(known, card, own_id)
    if parent is not None:
        return parent.id
    is_taken = any(model.id == card.parent for model in known)
    return "" if is_taken else card.parent


def ancestors_among(models: Iterable[ModelInfo], model_id: str) -> list[ModelInfo]:
    """Return those of the models that one of them was adapted from, its parent first."""
    known = list(models)
    found: list[ModelInfo] = []
    model = next((each for each in known if each.id == model_id), None)
    while model is not None:
        model = parent_among(known, model.card, model.id)
        # A card that somebody edited may name itself.
        if model is None or model in found:
            break
        found.append(model)
    return found


def descendants_among(models: Iterable[ModelInfo], model_id: str) -> list[ModelInfo]:
    """Return those of the models that were adapted from one of them, directly or through others."""
    known = list(models)
    return [
        model for model in known
        if model.id != model_id and any(each.id == model_id for each in ancestors_among(known, model.id))
    ]
