"""The models this extension knows of: the published ones and the bundled demonstration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import read_json
from lnsegfm.models.model_store import ModelStore

RESOURCES = Path(__file__).resolve().parents[3] / "Resources"


def published_models() -> list[dict[str, Any]]:
    """Return the entries of ``Models.json``; its schema lies beside it."""
    models: list[dict[str, Any]] = read_json(RESOURCES / "Models.json")["models"]
    return models


def download_page() -> str:
    """Return the address where the authors publish their models."""
    return str(recommended_model()["download"])


def recommended_model() -> dict[str, Any]:
    """Return the published model that users without one should get.

    Raises:
        UserError: No published model can be downloaded.
    """
    for model in published_models():
        if "download" in model:
            return model
    raise UserError(
        "No model can be downloaded.", "The list of published models (Models.json) names no address.",
        "Import a model from a file, or install the extension again.",
    )


def install_bundled(store: ModelStore) -> None:
    """Install the bundled models that are neither installed nor were removed by the user.

    Raises:
        UserError: A bundled file is missing or damaged.
    """
    for entry in published_models():
        if "bundled" in entry:
            store.ensure_bundled(RESOURCES / entry["bundled"]["file"], entry["bundled"]["sha256"], entry["id"])
