"""What is wrong with a set of cases before anything is learned from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lnsegfm.cases.case_info import CaseInfo

FEW_CASES = 3


@dataclass(frozen=True)
class Finding:
    """Something the user should know.

    Args:
        kind: ``no cases``, ``no training``, ``few``, ``no holdout``, ``same grid``, ``same grid apart`` (the cases of
            one grid are partly learned from and partly measured on), ``empty`` or ``partial``.
        cases: Ids of the cases it is about.
    """

    kind: str
    cases: tuple[str, ...] = ()


def advise(cases: Sequence[CaseInfo]) -> tuple[Finding, ...]:
    """Look at the cases as they are sorted now; the gravest finding first.

    Two scans of one patient often share their grid to the last digit, and a model that has learned from one of them
    looks better on the other than it is.
    """
    used = [case for case in cases if case.use != "excluded"]
    train = [case for case in used if case.use == "train"]
    if not cases:
        return (Finding("no cases"),)
    found = []
    if not train:
        found.append(Finding("no training"))
    elif len(train) < FEW_CASES:
        found.append(Finding("few"))
    if not any(case.use == "holdout" for case in used):
        found.append(Finding("no holdout"))
    found += _same_grids(used)
    for kind, applies in _LABELS:
        ids = tuple(case.id for case in used if applies(case))
        if ids:
            found.append(Finding(kind, ids))
    return tuple(found)


_LABELS: tuple[tuple[str, Callable[[CaseInfo], bool]], ...] = (
    ("empty", lambda case: not case.latest.foreground_voxels),
    ("partial", lambda case: case.latest.partial),
)


def _same_grids(cases: Sequence[CaseInfo]) -> list[Finding]:
    groups: dict[tuple[object, ...], list[CaseInfo]] = defaultdict(list)
    for case in cases:
        grid = case.geometry
        # Rounded, for one of them may have gone through a format that stores grids in single precision.
        numbers = (*grid.spacing, *grid.direction, *(value / 100 for value in grid.origin))
        groups[(grid.size, tuple(round(number, 3) + 0.0 for number in numbers))].append(case)
    found = []
    for group in groups.values():
        if len(group) > 1:
            apart = len({case.use == "train" for case in group}) > 1
            found.append(Finding("same grid apart" if apart else "same grid", tuple(case.id for case in group)))
    return sorted(found, key=lambda finding: finding.kind != "same grid apart")
