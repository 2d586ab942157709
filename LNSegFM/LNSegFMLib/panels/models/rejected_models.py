"""Rejected models: they are marked wherever models are listed, and asked about before they are used."""

from __future__ import annotations

import slicer

from lnsegfm.session.models_part import ModelsPart
from LNSegFMLib.texts.model_texts import rejected_question


def may_use(models: ModelsPart, model_id: str) -> bool:
    """Tell whether a model may be used; the user is asked when it was rejected."""
    if not model_id or not models.is_rejected(model_id):
        return True
    return bool(slicer.util.confirmOkCancelDisplay(rejected_question(models.get(model_id).name)))
