"""What figures before and after a job may be said to show."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnsegfm.jobs.outcome import FEWEST_CASES, LEVEL, Evidence, Measured, sign_test


def metrics(*pairs: tuple[float, float], surface: float = 0.0) -> dict[str, Any]:
    """Scores of cases with these DSC before and after; the NSD changes by ``surface``."""
    return {
        "cases": {
            f"case-{number:04d}": {
                "before": {"dsc": before, "nsd": 0.5}, "after": {"dsc": after, "nsd": 0.5 + surface}
            }
            for number, (before, after) in enumerate(pairs)
        }
    }


@settings(deadline=None)  # all ways of 18 signs take a while on a busy machine
@given(risen=st.integers(0, 9), fallen=st.integers(0, 9))
def test_the_sign_test_counts_every_way_the_signs_could_have_fallen(risen: int, fallen: int) -> None:
    extreme = min(risen, fallen)
    ways = [sum(signs) for signs in product((0, 1), repeat=risen + fallen)]
    share = sum(min(up, risen + fallen - up) <= extreme for up in ways) / len(ways)
    assert sign_test(risen, fallen) == pytest.approx(share)


def test_the_fewest_cases_are_those_that_can_reach_the_level() -> None:
    assert sign_test(FEWEST_CASES, 0) < LEVEL <= sign_test(FEWEST_CASES - 1, 0)


@pytest.mark.parametrize(
    ("content", "verdict"),
    [
        (None, "unmeasured"),
        ({}, "unmeasured"),
        (metrics((0.4, 0.6)), "too few"),
        (metrics(*[(0.4, 0.6)] * 6), "better"),
        (metrics(*[(0.6, 0.4)] * 6), "worse"),
        (metrics(*[(0.4, 0.6)] * 6, (0.5, 0.4)), "unclear"),
        (metrics(*[(0.400, 0.401)] * 6), "unclear"),
        (metrics(*[(0.4, 0.4)] * 6), "unclear"),
        (metrics(*[(0.4, 0.6)] * 6, surface=-0.1), "unclear"),
        (metrics(*[(0.6, 0.4)] * 6, surface=0.1), "unclear"),
    ],
)
def test_a_verdict_needs_enough_cases_that_agree(content: Any, verdict: str) -> None:
    assert Evidence.of(content).verdict == verdict


def test_an_unknown_surface_score_leaves_the_verdict_to_the_dice() -> None:
    content = metrics(*[(0.4, 0.6)] * 6)
    for scores in content["cases"].values():
        scores["before"]["nsd"] = None
    evidence = Evidence.of(content)
    assert evidence.verdict == "better" and evidence.mean is not None and evidence.mean.before.nsd is None


def test_the_mean_row_has_mean_scores_and_summed_nodes() -> None:
    counted = {"dsc": 0.5, "nsd": 0.5, "nodes": 3, "found": 2, "false": 1}
    content = {"cases": {"a": {"before": counted, "after": counted}, "b": {"before": counted, "after": counted}}}
    mean = Evidence.of(content).mean
    assert mean is not None and mean.after == Measured(0.5, 0.5, nodes=6, found=4, false=2)
    assert mean.after.missed == 2
    content["cases"]["b"]["after"] = {"dsc": 0.5, "nsd": 0.5}
    mean = Evidence.of(content).mean
    assert mean is not None and mean.after.missed is None and mean.before.missed == 2


def test_reference_cases_are_kept_apart_from_the_verdict() -> None:
    evidence = Evidence.of({**metrics((0.4, 0.6)), "reference": metrics((0.9, 0.1))})
    assert [row.gain for row in evidence.forgetting] == [pytest.approx(-0.8)]
    assert evidence.risen == 1 and len(evidence.rows) == 1
