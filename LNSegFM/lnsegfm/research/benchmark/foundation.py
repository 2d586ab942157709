"""The foundation model of an experiment: which one the configuration means."""

from __future__ import annotations

from pathlib import Path

from lnsegfm.base.errors import UserError
from lnsegfm.base.prefixes import resolve
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_choice import default_model
from lnsegfm.models.model_store import ModelStore

_TODO = (
    "Write the id of one that is installed, or its file or folder, as 'model' at the top of the configuration; or "
    "install one: lnsegfm models install SOURCE."
)


def find_foundation(wish: str, folder: Path, installed: ModelStore) -> ModelInfo | Path:
    """Return the installed model, or the file or folder to install, that a configuration names.

    Args:
        wish: The configuration's ``model``; empty for the default model.
        folder: Folder that relative paths start at.
        installed: The user's models.

    Raises:
        UserError: There is no such model; or the default model is none that an experiment begins with.
    """
    models = installed.list()
    if not wish:
        return _default(installed)
    model_id = resolve(wish, (model.id for model in models), "model")
    if any(model.id == model_id for model in models):
        return installed.get(model_id)
    if (folder / wish).exists():
        return folder / wish
    raise UserError(
        f"There is no model '{wish}'.",
        f"Installed are: {_listed(installed)}; and {folder / wish} does not exist.", _TODO,
    )


def _default(installed: ModelStore) -> ModelInfo:
    found = default_model(installed)
    if found is not None and found.card.kind == "foundation":
        return found
    # An experiment that began with an adapted or a demonstration model by mistake would say nothing of the method.
    why = "There is no default model"
    if found is not None:
        why = f"The default model '{found.id}' is of the kind '{found.card.kind}'"
    raise UserError(
        "The configuration names no model, and the default model is no foundation model.",
        f"{why}. Installed are: {_listed(installed)}.", _TODO,
    )


def _listed(installed: ModelStore) -> str:
    return ", ".join(f"{model.id} ({model.card.kind})" for model in installed.list()) or "none"
