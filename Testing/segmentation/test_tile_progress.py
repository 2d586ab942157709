"""How long a segmentation will still take, told from the tiles that are done, by a clock of the test's own."""

from __future__ import annotations

import pytest

from lnsegfm.base.background import Progress
from lnsegfm.base.errors import Cancelled
from lnsegfm.engine.inference.tile_progress import TileProgress, Workload


class Run:
    """Passes that take as long as the test says."""

    def __init__(self, workload: Workload, pass_s: float | None = None) -> None:
        self.now = 1000.0
        self.seen: list[Progress] = []
        self.progress = TileProgress(
            self.seen.append, lambda: False, workload, pass_s=pass_s, clock=lambda: self.now
        )

    def passes(self, count: int, seconds: float, *, at_once: int = 2) -> None:
        for start in range(0, count, at_once):
            chunk = min(at_once, count - start)
            self.now += seconds * chunk
            self.progress.step(chunk)


@pytest.mark.parametrize("tiles", [1, 2, 3, 7, 24])
@pytest.mark.parametrize("flips", [1, 8])
def test_with_even_passes_the_time_left_is_exact_from_the_first_step_on(tiles: int, flips: int) -> None:
    run = Run(Workload(tiles, flips))
    run.now += 100  # a slow start of libraries is not the tiles' fault
    run.progress.begin()
    run.passes(tiles * flips, 3.0)
    assert run.seen[0] == Progress(0.0, f"Segmenting, tile 1 of {tiles}", None)
    for progress in run.seen[1:]:
        assert progress.fraction is not None
        assert progress.remaining_s == pytest.approx((1 - progress.fraction) * tiles * flips * 3.0)
    assert run.seen[-1] == Progress(1.0, f"Segmenting, tile {tiles} of {tiles}", 0.0)


def test_the_time_left_is_that_of_all_folds_and_forgets_the_time_between_them() -> None:
    run = Run(Workload(tiles=4, flips=2, folds=3))
    for _ in range(3):
        run.now += 50
        run.progress.begin()
        run.passes(8, 1.0)
    left = [progress.remaining_s for progress in run.seen if progress.remaining_s is not None]
    assert left == sorted(left, reverse=True)
    assert (left[0], left[-1]) == (pytest.approx(22.0), 0.0)
    assert "Segmenting, tile 1 of 4, network 2 of 3" in [progress.message for progress in run.seen]
    assert run.seen[-1].message == "Segmenting, tile 4 of 4, network 3 of 3"


def test_a_slow_first_step_is_forgotten_with_the_second() -> None:
    run = Run(Workload(tiles=50))
    run.progress.begin()
    run.passes(2, 20.0)
    run.passes(2, 0.5)
    assert run.seen[-1].remaining_s == pytest.approx(46 * 0.5)


def test_a_second_scan_knows_its_time_before_the_first_pass() -> None:
    first = Run(Workload(tiles=6))
    assert first.progress.pass_s is None
    first.progress.begin()
    first.passes(6, 2.0)
    second = Run(Workload(tiles=3), first.progress.pass_s)
    second.progress.begin()
    assert second.seen[-1].remaining_s == pytest.approx(6.0)


def test_passes_that_were_in_vain_are_done_again_and_timed_anew() -> None:
    run = Run(Workload(tiles=10))
    mark = run.progress.begin()
    run.passes(6, 1.0)
    run.progress.restart(mark)
    run.passes(2, 4.0, at_once=1)
    assert run.seen[-1] == Progress(0.2, "Segmenting, tile 3 of 10", pytest.approx(32.0))


def test_a_cancel_is_seen_before_and_after_a_step() -> None:
    wanted = [True]
    progress = TileProgress(lambda progress: None, lambda: not wanted[0], Workload(2))
    progress.begin()
    wanted[0] = False
    with pytest.raises(Cancelled):
        progress.step(1)
    with pytest.raises(Cancelled):
        progress.begin()
