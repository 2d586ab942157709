"""From the stored cases and a base model to the job that is asked for."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lnsegfm.base.home import Home
from lnsegfm.cases.case_info import USES, CaseInfo
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.jobs.job_spec import CaseRef, JobSpec
from lnsegfm.models.model_store import ModelStore

_HOLDOUT_SHARE = 4


@dataclass(frozen=True)
class Selection:
    """What the stored cases are used for, each with its newest label version.

    Args:
        train: Cases to learn from.
        holdout: Cases to measure on.
        excluded: Number of cases that are left out.
        reference: Cases of the base model's own domain, to measure what it forgets.
    """

    train: tuple[CaseRef, ...]
    holdout: tuple[CaseRef, ...]
    excluded: int
    reference: tuple[CaseRef, ...] = ()

    @classmethod
    def of(cls, cases: Iterable[CaseInfo], holdout: str = "stored", seed: int = 0) -> Selection:
        """Sort cases by their use.

        Args:
            cases: The stored cases.
            holdout: One of `lnsegfm.jobs.job_spec.HOLDOUT_CHOICES`.
            seed: Of the random choice.
        """
        cases = list(cases)
        uses = {case.id: case.use for case in cases}
        if holdout != "stored":
            uses.update({case.id: "train" for case in cases if case.use == "holdout"})
        if holdout == "random":
            # A partial correction cannot be measured on.
            measurable = [case.id for case in cases if uses[case.id] == "train" and not case.latest.partial]
            count = max(1, len(measurable) // _HOLDOUT_SHARE) if len(measurable) > 1 else 0
            uses.update(dict.fromkeys(random.Random(seed).sample(measurable, count), "holdout"))
        refs: dict[str, list[CaseRef]] = {use: [] for use in USES}
        for case in cases:
            refs[uses[case.id]].append(CaseRef(case.id, case.latest.number))
        return cls(
            tuple(refs["train"]), tuple(refs["holdout"]), len(refs["excluded"]), tuple(refs["reference"])
        )


def make_spec(home: Home, base_model: str, *, holdout_choice: str = "stored", **fields: Any) -> JobSpec:
    """Return a job for the cases as they are sorted now.

    Args:
        home: Where models and cases are.
        base_model: Id of the model to start from.
        holdout_choice: One of `lnsegfm.jobs.job_spec.HOLDOUT_CHOICES`; the seed of the job decides a random one.
        **fields: Further fields of `JobSpec`; they go before what is found here.

    Raises:
        UserError: The model is not installed, there is no training case, or a field makes no sense.
    """
    model = ModelStore(home.models).get(base_model)
    chosen = Selection.of(CaseStore(home.cases).list(), holdout_choice, int(fields.get("seed", JobSpec.seed)))
    found = {
        "base_model": model.id, "base_sha256": model.sha256, "cases": chosen.train, "holdout": chosen.holdout,
        "reference": chosen.reference,
    }
    return JobSpec(**{**found, **fields})
