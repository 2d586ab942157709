"""Which model is used when the user does not say so."""

from __future__ import annotations

from collections.abc import Sequence

from lnsegfm.base.errors import UserError
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_store import ModelStore

DEMONSTRATION = "demonstration"


def default_model(store: ModelStore) -> ModelInfo | None:
    """Return the model to begin with.

    That is the one that was accepted last; before any was, the first foundation model, and without one a demonstration
    model. A rejected model, or an adapted one that was not accepted, is never the default. There is none either while
    `default_problem` is one: no other model takes the place of an accepted one unnoticed.
    """
    models, rejected, accepted = store.list(), store.rejected(), store.default_id
    if _default_problem(store, models):
        return None
    usable = [model for model in models if model.id not in rejected]
    ordered = [
        *(model for model in usable if model.id == accepted),
        *(model for model in usable if model.card.kind == "foundation"),
        *(model for model in usable if model.card.kind == DEMONSTRATION),
    ]
    return next(iter(ordered), None)


def default_problem(store: ModelStore) -> UserError | None:
    """Return why the model that was accepted last cannot be told or used, if it cannot."""
    return _default_problem(store, store.list())


def _default_problem(store: ModelStore, models: Sequence[ModelInfo]) -> UserError | None:
    accepted = store.default_id
    if not accepted or any(model.id == accepted for model in models):
        return store.problem
    why = next((each.why for each in store.damaged() if each.id == accepted), "It cannot be read.")
    return UserError(f"The default model '{accepted}' is damaged.", why, "Accept another model, or install it again.")


def refuse_rejected(store: ModelStore, model_id: str, agreed: bool) -> None:
    """Refuse to use a model that was rejected, unless the user has agreed to it.

    Raises:
        UserError: It was rejected, and the user has not agreed.
    """
    if store.is_rejected(model_id) and not agreed:
        raise UserError(
            f"The model '{model_id}' was rejected after its evaluation.", "",
            "Choose another model, or allow its use with --rejected.",
        )


def model_for_segmentation(
    store: ModelStore, wish: str = "", *, rejected_too: bool = False
) -> tuple[ModelInfo, list[str]]:
    """Return the model that segments, and what the user should know of it.

    Args:
        store: The installed models.
        wish: Id of the model that the user asked for; empty for the default model.
        rejected_too: The user agrees to a model that was rejected.

    Raises:
        UserError: It is not installed or was rejected, or none was asked for and none is installed for patients.
    """
    if wish:
        model = store.get(wish)
        refuse_rejected(store, model.id, rejected_too)
        return model, _warnings(store, model)
    found = default_model(store)
    if found is not None and found.card.kind != DEMONSTRATION:
        return found, []
    problem = default_problem(store)
    if problem is not None:
        raise problem
    todo = "Install a model: lnsegfm models install FOLDER_OR_ZIP_OR_PTH (see lnsegfm models published)."
    if found is not None:
        raise UserError(
            "No model for patients is installed, or none was accepted.",
            f"What is left is the demonstration '{found.id}'; it knows synthetic scans and finds nonsense in a "
            "patient's CT.", f"{todo} For a synthetic scan, ask for the demonstration: -m {found.id}.",
        )
    installed = ", ".join(model.id for model in store.list())
    if not installed:
        raise UserError("No model is installed.", todo=todo)
    raise UserError(
        "No model is there to begin with.", f"None of the installed ones was accepted: {installed}.",
        "Ask for one with -m, or accept one: lnsegfm models accept MODEL.",
    )


def _warnings(store: ModelStore, model: ModelInfo) -> list[str]:
    warnings = []
    if model.card.kind == DEMONSTRATION:
        warnings.append(f"'{model.name}' is a demonstration: it knows synthetic scans only, not patients.")
    if store.is_rejected(model.id):
        warnings.append(f"'{model.name}' was rejected after its evaluation.")
    if store.problem is not None:
        warnings.append(str(store.problem))
    return warnings
