"""Lymph nodes that are thinner than a model's voxels, told from what is stored of the cases, without their labels."""

from __future__ import annotations

from collections.abc import Iterable

from lnsegfm.base.wording import by
from lnsegfm.cases.case_info import CaseInfo
from lnsegfm.lymph_nodes.vanishing import thinner_than
from lnsegfm.models.model_facts import ModelFacts

_MOST_NAMED = 5


def thin_lymph_nodes(cases: Iterable[CaseInfo], facts: ModelFacts) -> list[str]:
    """Return a sentence for each case with lymph nodes that may have no voxel left at a model's spacing.

    Nothing is said of label versions that earlier versions of the software have stored; the job looks at the labels.

    Args:
        cases: The cases to learn from, with their newest label version.
        facts: The base model.
    """
    found = []
    for case in cases:
        extents = case.latest.extents or ()
        numbers = thinner_than(extents, case.geometry, facts.spacing, facts.orientation)
        if not numbers:
            continue
        sizes = [
            f"{number} ({by(count * length for count, length in zip(extents[number - 1], case.geometry.spacing))} mm)"
            for number in numbers[:_MOST_NAMED]
        ]
        more = f" and {len(numbers) - _MOST_NAMED} more" if len(numbers) > _MOST_NAMED else ""
        subject = f"lymph node {sizes[0]} is" if len(numbers) == 1 else f"lymph nodes {', '.join(sizes)}{more} are"
        found.append(
            f"{case.id}: {subject} thinner than the model's voxels of {by(facts.spacing)} mm. What has no voxel left "
            "there is learnt as the voxels that hold most of it, and the job says so."
        )
    return found
