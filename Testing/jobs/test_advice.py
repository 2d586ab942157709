"""What is said of a set of cases, and how hold-out cases are chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnsegfm.cases.case_advice import advise
from lnsegfm.cases.case_info import CaseInfo, LabelVersion
from lnsegfm.images.geometry import Geometry
from lnsegfm.jobs.case_selection import Selection
from lnsegfm.jobs.job_spec import HOLDOUT_CHOICES

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def case(
    number: int, use: str = "train", *, x: float | None = None, voxels: int = 9, partial: bool = False
) -> CaseInfo:
    grid = Geometry((10, 10, 10), (1.0, 1.0, 2.0), (10.0 * number if x is None else x, 0.0, 0.0), AXIAL)
    version = LabelVersion(1, "2025-01-01", 1, voxels, partial=partial)
    return CaseInfo(f"case-{number:04d}", Path("unused"), "2025-01-01", use, "", "", (version,), grid, str(number))


def kinds(*cases: CaseInfo) -> list[str]:
    return [finding.kind for finding in advise(cases)]


def test_nothing_is_said_of_a_good_set() -> None:
    assert kinds(case(1), case(2), case(3), case(4, "holdout")) == []


def test_what_is_missing_is_said() -> None:
    assert kinds() == ["no cases"]
    assert kinds(case(1, "holdout")) == ["no training"]
    assert kinds(case(1), case(2, "holdout")) == ["few"]
    assert kinds(case(1), case(2), case(3)) == ["no holdout"]


def test_cases_of_one_grid_may_be_one_patient() -> None:
    good = (case(1), case(2), case(3), case(4, "holdout"))
    (finding,) = advise([*good, case(5, x=10.004)])
    assert (finding.kind, finding.cases) == ("same grid", ("case-0001", "case-0005"))
    (finding,) = advise([*good, case(5, "holdout", x=10.0)])
    assert (finding.kind, finding.cases) == ("same grid apart", ("case-0001", "case-0005"))
    assert kinds(*good, case(5, "excluded", x=10.0)) == []


def test_empty_and_partial_labels_are_named() -> None:
    cases = (case(1, voxels=0), case(2, partial=True), case(3), case(4, "holdout"))
    assert [(finding.kind, finding.cases) for finding in advise(cases)] == [
        ("empty", ("case-0001",)), ("partial", ("case-0002",)),
    ]


def test_reference_cases_are_neither_learned_from_nor_held_out() -> None:
    selection = Selection.of([case(1), case(2, "reference"), case(3, "holdout"), case(4, "excluded")])
    assert [[ref.id for ref in part] for part in (selection.train, selection.holdout, selection.reference)] == [
        ["case-0001"], ["case-0003"], ["case-0002"]
    ]
    assert selection.excluded == 1


def test_without_hold_out_everything_is_learned_from() -> None:
    selection = Selection.of([case(1), case(2, "holdout"), case(3, "excluded")], "none")
    assert len(selection.train) == 2 and not selection.holdout and selection.excluded == 1


@given(count=st.integers(1, 20), partial=st.sets(st.integers(1, 20)), seed=st.integers(0, 99))
def test_a_random_hold_out_is_a_quarter_of_what_can_be_measured(count: int, partial: set[int], seed: int) -> None:
    cases = [case(number, partial=number in partial) for number in range(1, count + 1)]
    whole = [each.id for each in cases if not each.latest.partial]
    selection = Selection.of(cases, "random", seed)
    assert selection == Selection.of(cases, "random", seed)
    assert len(selection.train) + len(selection.holdout) == count
    assert len(selection.holdout) == (max(1, len(whole) // 4) if len(whole) > 1 else 0)
    assert {ref.id for ref in selection.holdout} <= set(whole)


@pytest.mark.parametrize("choice", HOLDOUT_CHOICES)
def test_the_newest_label_version_is_used(choice: str) -> None:
    first = case(1)
    both = replace(first, versions=(*first.versions, LabelVersion(2, "2025-01-02", 1, 9)))
    selection = Selection.of([both], choice)
    assert [ref.version for ref in selection.train] == [2]
