"""What the module LN-Seg-FM Fine-Tuning knows, in a Slicer that has it."""

from __future__ import annotations

from typing import Any

import slicer

_MODULE = "LNSegFMFineTune"


def jobs_using(model_id: str) -> list[str]:
    """Return the ids of the unfinished jobs that need a model; none where the module is not there."""
    if not hasattr(slicer.modules, _MODULE.lower()):
        return []
    logic: Any = slicer.util.getModuleLogic(_MODULE)
    return list(logic.workbench.jobs.users_of(model=model_id))
