"""What the scores before and after a job say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Annotated, Any

from lnsegfm.base import schema
from lnsegfm.base.errors import UserError
from lnsegfm.base.schema import Limits, SchemaError

# Less than this, in the mean, is not called a change.
NOTICEABLE = 0.005
LEVEL = 0.05
"""Two-sided level of the paired comparison."""
FEWEST_CASES = 6
"""With fewer cases not even a gain in every one of them reaches `LEVEL`."""


# A sum of areas may be rounded up.
_Share = Annotated[float, Limits(0, 1.000001)]
_Count = Annotated[int, Limits(0, 1_000_000)]


@dataclass(frozen=True)
class Measured:
    """How well a model does on one case, or in the mean of several.

    Args:
        dsc: Dice, 0 to 1.
        nsd: Normalised surface Dice at 1 mm, 0 to 1; None where it was not computed.
        nodes: True lymph nodes; in place of a mean this and the following hold sums. None where it was not counted.
        found: How many of them were found.
        false: Regions found where there is no node.
    """

    dsc: _Share
    nsd: _Share | None = None
    nodes: _Count | None = None
    found: _Count | None = None
    false: _Count | None = None

    @property
    def missed(self) -> int | None:
        """True nodes that were not found."""
        return None if self.nodes is None or self.found is None else self.nodes - self.found


@dataclass(frozen=True)
class _Pair:
    before: Measured
    after: Measured


_Pairs = Annotated[dict[str, _Pair], Limits(length=10_000)]


@dataclass(frozen=True)
class _Reference:
    cases: _Pairs = field(default_factory=dict)


@dataclass(frozen=True)
class _Means:
    before: dict[str, float | None] = field(default_factory=dict)
    after: dict[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class _Metrics:
    """The ``metrics`` of a job; what else they say is not read."""

    cases: _Pairs = field(default_factory=dict)
    mean: _Means = field(default_factory=_Means)
    reference: _Reference | None = None


@dataclass(frozen=True)
class Row:
    """One measured case, or the mean of all (then without an id), before and after."""

    case: str
    before: Measured
    after: Measured

    @property
    def gain(self) -> float:
        """By how much the DSC rose."""
        return self.after.dsc - self.before.dsc


@dataclass(frozen=True)
class Evidence:
    """The scores of a finished job.

    Args:
        rows: One per hold-out case; empty when there were none.
        forgetting: One per reference case of the base model's own domain; empty when there were none.
    """

    rows: tuple[Row, ...] = ()
    forgetting: tuple[Row, ...] = ()

    @classmethod
    def of(cls, metrics: Mapping[str, Any] | None) -> Evidence:
        """Read the ``metrics`` of a `lnsegfm.jobs.job_status.JobStatus`.

        Raises:
            UserError: They are not what a job writes.
        """
        read = _read(metrics)
        return cls(_rows(read.cases), _rows(read.reference.cases if read.reference else {}))

    @property
    def mean(self) -> Row | None:
        """The mean of the hold-out cases; None without any."""
        return mean_of(self.rows)

    @property
    def risen(self) -> int:
        """Number of hold-out cases whose DSC rose."""
        return sum(row.gain > 0 for row in self.rows)

    @property
    def fallen(self) -> int:
        """Number of hold-out cases whose DSC fell."""
        return sum(row.gain < 0 for row in self.rows)

    @property
    def p(self) -> float:
        """Two-sided p of the exact sign test on the DSC, paired by case; cases without a change are left out of it."""
        return sign_test(self.risen, self.fallen)

    @property
    def verdict(self) -> str:
        """What may be said: ``unmeasured``, ``too few``, ``better``, ``worse`` or ``unclear``.

        Better and worse need a significant sign test, a noticeable change of the mean DSC to the same side, and a mean
        NSD that does not contradict.
        """
        mean = self.mean
        if mean is None:
            return "unmeasured"
        if len(self.rows) < FEWEST_CASES:
            return "too few"
        surface = 0.0
        if mean.before.nsd is not None and mean.after.nsd is not None:
            surface = mean.after.nsd - mean.before.nsd
        if self.p < LEVEL and mean.gain >= NOTICEABLE and surface > -NOTICEABLE:
            return "better"
        if self.p < LEVEL and mean.gain <= -NOTICEABLE and surface < NOTICEABLE:
            return "worse"
        return "unclear"


def mean_scores(metrics: Mapping[str, Any] | None) -> dict[str, tuple[float, float]]:
    """Return the mean ``dsc`` and ``nsd`` of the hold-out cases before and after, of those that were measured.

    Raises:
        UserError: The ``metrics`` are not what a job writes.
    """
    mean = _read(metrics).mean
    pairs = {name: (mean.before.get(name), mean.after.get(name)) for name in ("dsc", "nsd")}
    return {
        name: (before, after) for name, (before, after) in pairs.items() if before is not None and after is not None
    }


def _read(metrics: Mapping[str, Any] | None) -> _Metrics:
    try:
        return schema.read(_Metrics, metrics or {}, newer=True)
    except SchemaError as error:
        raise UserError("The scores of the job cannot be read.", f"metrics: {error}.") from error


def sign_test(risen: int, fallen: int) -> float:
    """Return the exact two-sided p of so many rises and falls, were each as likely as the other."""
    changed = risen + fallen
    tail = sum(math.comb(changed, count) for count in range(min(risen, fallen) + 1))
    return min(1.0, 2 * tail / 2**changed)


def mean_of(rows: tuple[Row, ...]) -> Row | None:
    """Return the mean scores and the sums of the counts; None without rows."""
    if not rows:
        return None
    return Row("", _mean([row.before for row in rows]), _mean([row.after for row in rows]))


def _mean(each: list[Measured]) -> Measured:
    surfaces = [one.nsd for one in each if one.nsd is not None]
    counts = {
        name: sum(known) if len(known := [value for one in each if (value := getattr(one, name)) is not None])
        == len(each) else None
        for name in ("nodes", "found", "false")
    }
    return Measured(
        fmean(one.dsc for one in each), fmean(surfaces) if len(surfaces) == len(each) else None, **counts
    )


def _rows(cases: Mapping[str, _Pair]) -> tuple[Row, ...]:
    return tuple(Row(case, cases[case].before, cases[case].after) for case in sorted(cases))
