"""Ids of models: none is ever given twice, so that what names a model by its id never comes to mean another one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from lnsegfm.base import disk
from lnsegfm.base.home import slug
from lnsegfm.models.model_decisions import mentioned

if TYPE_CHECKING:
    from lnsegfm.models.model_card import ModelInfo

REMOVED = ".removed-"
"""Beginning of the name of a mark: this bundled model was removed and is not wanted any more."""
_USED = ".used"


def mark_used(root: Path, model_id: str) -> None:
    """Note, before a model goes, that its id is not to be given again; that says nothing while the model is there."""
    disk.make_folder(root / _USED)
    disk.mark(root / _USED / model_id)


def free_id(root: Path, wish: str, models: Iterable[ModelInfo], digest: str) -> str:
    """Return an id that no model has or ever had, and that no card takes for the id of another one.

    Args:
        root: Folder of the store.
        wish: What the id is made from.
        models: The installed models.
        digest: `ModelInfo.sha256` of the model that gets the id.
    """
    taken = {
        *(path.name for path in (root / _USED).glob("*")), *mentioned(root),
        *(path.name[len(REMOVED):] for path in root.glob(f"{REMOVED}*")),
        *(model.card.parent for model in models if model.card.parent_sha256 != digest),
    }  # fmt: skip
    name = slug(wish)
    candidate, number = name, 1
    while candidate in taken or os.path.lexists(root / candidate):
        number += 1
        candidate = f"{name}-{number}"
    return candidate
