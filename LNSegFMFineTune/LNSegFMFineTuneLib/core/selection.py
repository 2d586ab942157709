"""From the stored cases and a base model to the job that is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from LNSegFMFineTuneLib.core.spec import CaseRef, JobSpec
from LNSegFMLib.core.cases import CaseInfo, CaseStore
from LNSegFMLib.core.home import Home
from LNSegFMLib.core.models import ModelStore


@dataclass(frozen=True)
class Selection:
    """What the stored cases are used for, each with its newest label version.

    Args:
        train: Cases to learn from.
        holdout: Cases to measure on.
        excluded: Number of cases that are left out.
    """

    train: tuple[CaseRef, ...]
    holdout: tuple[CaseRef, ...]
    excluded: int

    @classmethod
    def of(cls, cases: Iterable[CaseInfo]) -> Selection:
        """Sort cases by their use."""
        refs: dict[str, list[CaseRef]] = {"train": [], "holdout": [], "excluded": []}
        for case in cases:
            refs[case.use].append(CaseRef(case.id, case.versions[-1].number))
        return cls(tuple(refs["train"]), tuple(refs["holdout"]), len(refs["excluded"]))


def make_spec(home: Home, base_model: str, **fields: Any) -> JobSpec:
    """Return a job for the cases as they are sorted now.

    Args:
        home: Where models and cases are.
        base_model: Id of the model to start from.
        **fields: Further fields of `JobSpec`; they go before what is found here.

    Raises:
        UserError: The model is not installed, there is no training case, or a field makes no sense.
    """
    model = ModelStore(home.models).get(base_model)
    chosen = Selection.of(CaseStore(home.cases).list())
    found = {"base_model": model.id, "base_sha256": model.sha256, "cases": chosen.train, "holdout": chosen.holdout}
    return JobSpec(**{**found, **fields})
