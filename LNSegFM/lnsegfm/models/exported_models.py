"""A model that an LN-Seg-FM has exported tells what it is; what it tells comes from a stranger and is checked."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import read_json, sha256
from lnsegfm.images.orientation import is_axis_code
from lnsegfm.models.ancestry import parent_id
from lnsegfm.models.model_card import CARD, ID_KEY, ModelCard, ModelInfo, read_model
from lnsegfm.models.stock_names import NAMES_KEY, REPLACED, with_names

_MAXIMUM_BYTES = 4 << 20
_LONGEST_TEXT = 200
_PLANS = "plans.json"
_FILE = re.compile(r"plans\.json|dataset\.json|fold_\w+/checkpoint_final\.pth")
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,60}|")
_DIGEST = re.compile(r"[0-9a-f]{64}|")


class ForeignModel(Exception):
    """The model has to be treated as one from elsewhere; the text is the reason."""


@dataclass(frozen=True)
class Exported:
    """What an exported model says of itself, after its files were compared with their recorded hashes.

    Args:
        id: The id it had where it was exported, or empty.
        card: Its card.
        files: SHA-256 by path relative to the model's folder.
    """

    id: str
    card: ModelCard
    files: dict[str, str]


def read_exported(folder: Path) -> Exported | None:
    """Read the ``model.json`` of a model folder from elsewhere; None where there is none.

    Raises:
        ForeignModel: It is not one of ours, or the files are not those that it describes.
    """
    path = folder / CARD
    if not path.is_file():
        return None
    if path.stat().st_size > _MAXIMUM_BYTES:
        raise ForeignModel(f"its {CARD} is too large")
    try:
        model_id = read_json(path).get(ID_KEY, "")
        model = read_model(folder)
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise ForeignModel(f"its {CARD} cannot be read: {error}") from error
    except UserError as error:
        raise ForeignModel(f"its {CARD} does not describe a model of LN-Seg-FM: {error.why}") from error
    _check_card(model.card, model_id)
    for name, digest in model.files.items():
        if not _FILE.fullmatch(name) or not isinstance(digest, str):
            raise ForeignModel(f"its {CARD} lists the unusual file '{name}'")
        if not (folder / name).is_file() or _digest(folder, name) != digest:
            raise ForeignModel(f"{name} is not the file that its {CARD} describes (the SHA-256 differs)")
    return Exported(model_id, model.card, model.files)


def plans_content(folder: Path) -> bytes:
    """Return the content of a model's ``plans.json``; that of an exported model with the names that it had before."""
    content = (folder / _PLANS).read_bytes()
    try:
        names = read_json(folder / CARD).get(NAMES_KEY) if (folder / CARD).stat().st_size <= _MAXIMUM_BYTES else None
        if not isinstance(names, dict) or not names.keys() <= set(REPLACED):
            return content
        if not all(name is None or isinstance(name, str) for name in names.values()):
            return content
        return with_names(content, names)
    except (OSError, ValueError, AttributeError, RecursionError):
        return content


def _digest(folder: Path, name: str) -> str:
    return hashlib.sha256(plans_content(folder)).hexdigest() if name == _PLANS else sha256(folder / name)


def settled(card: ModelCard, installed: Iterable[ModelInfo]) -> ModelCard:
    """Let a card name the parent as this store knows it.

    Its id may mean another model here; the SHA-256 tells.
    """
    return replace(card, parent=parent_id(installed, card))


def _check_card(card: ModelCard, model_id: Any) -> None:
    texts = (card.name, card.architecture, card.configuration, card.trainer)
    if not card.name.strip() or any(len(text) > _LONGEST_TEXT or not text.isprintable() for text in texts):
        raise ForeignModel(f"its {CARD} has an empty, overlong or unprintable text")
    if not isinstance(model_id, str) or not _ID.fullmatch(model_id) or not _ID.fullmatch(card.parent):
        raise ForeignModel(f"its {CARD} names an impossible id")
    if not _DIGEST.fullmatch(card.parent_sha256):
        raise ForeignModel(f"its {CARD} names an impossible SHA-256 of the parent")
    if not is_axis_code(card.orientation):
        raise ForeignModel(f"its {CARD} names the unknown voxel order '{card.orientation}'")
