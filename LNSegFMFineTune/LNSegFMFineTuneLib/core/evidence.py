"""What the hold-out scores before and after a job say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Less than this, in the mean, is not called a change.
NOTICEABLE = 0.005


@dataclass(frozen=True)
class Row:
    """Scores of one hold-out case, or the mean of all: DSC and NSD at 1 mm, 0 to 1; None is an unknown NSD."""

    case: str
    dsc_before: float
    dsc_after: float
    nsd_before: float | None
    nsd_after: float | None


@dataclass(frozen=True)
class Evidence:
    """The scores of a finished job.

    Args:
        rows: One per hold-out case; empty when there were none.
        mean: Their mean; None when there were none.
    """

    rows: tuple[Row, ...]
    mean: Row | None

    @classmethod
    def of(cls, metrics: Mapping[str, Any] | None) -> Evidence:
        """Read the ``metrics`` of a `LNSegFMFineTuneLib.core.status.JobStatus`."""
        if not metrics or not metrics.get("cases"):
            return cls((), None)
        rows = tuple(_row(case, scores) for case, scores in sorted(metrics["cases"].items()))
        return cls(rows, _row("", metrics["mean"]))

    @property
    def verdict(self) -> str:
        """``better``, ``worse``, ``same``, ``mixed`` (one score rose, the other fell), or ``unmeasured``."""
        if self.mean is None:
            return "unmeasured"
        gains = [self.mean.dsc_after - self.mean.dsc_before]
        if self.mean.nsd_before is not None and self.mean.nsd_after is not None:
            gains.append(self.mean.nsd_after - self.mean.nsd_before)
        rose, fell = any(gain >= NOTICEABLE for gain in gains), any(gain <= -NOTICEABLE for gain in gains)
        if rose and fell:
            return "mixed"
        if rose or fell:
            return "better" if rose else "worse"
        return "same"

    @property
    def improved(self) -> int:
        """Number of cases whose DSC rose."""
        return sum(row.dsc_after > row.dsc_before for row in self.rows)


def _row(case: str, scores: Mapping[str, Mapping[str, Any]]) -> Row:
    before, after = scores["before"], scores["after"]
    return Row(case, before["dsc"], after["dsc"], before["nsd"], after["nsd"])
