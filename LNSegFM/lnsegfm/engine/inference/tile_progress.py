"""How far the tiles of a segmentation are, and how long the rest will take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from lnsegfm.base.background import Progress
from lnsegfm.base.errors import Cancelled


@dataclass(frozen=True)
class Workload:
    """The network's passes of a segmentation.

    Args:
        tiles: Tiles of the volume.
        flips: Passes for each tile.
        folds: Networks of the ensemble, one after the other.
    """

    tiles: int = 1
    flips: int = 1
    folds: int = 1

    @property
    def passes(self) -> int:
        """All of them."""
        return self.tiles * self.flips * self.folds


class TileProgress:
    """Tells how much is done and asks whether to continue.

    The time left is that of the passes that are left. The first ones, in which libraries choose their algorithms, are
    forgotten as soon as there are others to go by; so is the time between folds, in which weights are loaded.

    Args:
        report: Called before the first pass and after each step.
        is_cancelled: Asked before every step.
        workload: What there is to do.
        pass_s: Seconds of a pass in an earlier segmentation of this kind, where there was one.
        clock: Seconds since whenever.
    """

    def __init__(
        self,
        report: Callable[[Progress], None],
        is_cancelled: Callable[[], bool],
        workload: Workload = Workload(),
        *,
        pass_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._report, self._is_cancelled, self._clock = report, is_cancelled, clock
        self._workload = workload
        self._done = 0
        self._since = clock()
        self._expected_s = pass_s
        self._first_s: float | None = None  # seconds of a pass in the first step of this attempt
        self._later = (0, 0.0)  # passes and seconds of the steps after it

    @property
    def pass_s(self) -> float | None:
        """Seconds of a pass, from what was seen; None as long as nothing is known."""
        passes, seconds = self._later
        if passes:
            return seconds / passes
        return self._first_s if self._expected_s is None else self._expected_s

    def begin(self) -> int:
        """Start, or continue with the next fold; return what `restart` needs to begin this fold again."""
        self.check()
        self._since = self._clock()
        self._tell()
        return self._done

    def restart(self, mark: int) -> None:
        """Go back to a mark of `begin`: the passes since then do not count, and the next ones take another time."""
        self._done, self._first_s, self._later = mark, None, (0, 0.0)
        self._expected_s = None
        self._since = self._clock()

    def step(self, passes: int) -> None:
        """Count passes of the network that ran at once; raise `Cancelled` when the user no longer wants them."""
        now = self._clock()
        seconds, self._since = now - self._since, now
        if self._first_s is None:
            self._first_s = seconds / passes
        else:
            self._later = self._later[0] + passes, self._later[1] + seconds
        self._done += passes
        self._tell()
        self.check()

    def check(self) -> None:
        """Raise `Cancelled` when the user no longer wants it."""
        if self._is_cancelled():
            raise Cancelled

    def _tell(self) -> None:
        work, pass_s = self._workload, self.pass_s
        left = work.passes - self._done
        fold, done = divmod(min(self._done, work.passes - 1), work.tiles * work.flips)
        stage = f"Segmenting, tile {done // work.flips + 1} of {work.tiles}"
        if work.folds > 1:
            stage += f", network {fold + 1} of {work.folds}"
        self._report(Progress(self._done / work.passes, stage, None if pass_s is None else left * pass_s))
