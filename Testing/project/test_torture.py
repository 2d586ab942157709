"""A short part of ``make torture``: some cuts of each change of a store, and a few damaged files of each kind."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("processes are forked and limited as on Linux", allow_module_level=True)

from torture.changes import Change, changes
from torture.cuts import Cutter
from torture.figures import Figures
from torture.fuzzing import Fuzzer
from torture.model_targets import model_targets
from torture.targets import Target, targets

CHANGES, TARGETS = list(changes()), [*targets(), *model_targets()]


@pytest.mark.parametrize("number", range(len(CHANGES)), ids=[each.name for each in CHANGES])
def test_a_cut_change_is_there_or_not(number: int, tmp_path: Path) -> None:
    cutter = Cutter(CHANGES[number], tmp_path)
    assert cutter.operations > 0
    cutter.run(first=1 + number % 3, step=3)
    assert cutter.tally.counts.total() > 0
    assert not cutter.tally.faults


@pytest.mark.parametrize("target", TARGETS, ids=[each.name for each in TARGETS])
def test_a_damaged_file_is_read_or_refused(target: Target, tmp_path: Path) -> None:
    fuzzer = Fuzzer(target, tmp_path)
    fuzzer.run(6, 20261201)
    assert fuzzer.tally.counts.total() > 0
    assert not fuzzer.tally.faults


def test_a_change_that_is_not_atomic_is_found(tmp_path: Path) -> None:
    def write_twice(home: Path) -> None:
        from lnsegfm.base import disk

        disk.write_bytes(home / "first", b"1")
        disk.write_bytes(home / "second", b"1")

    def state(home: Path) -> object:
        return sorted((path.name, path.read_bytes()) for path in home.iterdir())

    cutter = Cutter(Change("write two files", lambda home: home.mkdir(), write_twice, state), tmp_path)
    cutter.run()
    assert any("neither before nor after" in fault for fault in cutter.tally.faults)


@pytest.mark.parametrize(
    ("read", "said"),
    [(lambda path: 1 / 0, "raised ZeroDivisionError"), (lambda path: path.stat().st_size, "read without its end")],
)
def test_a_reader_that_fails_otherwise_or_takes_half_a_file_is_found(
    read: Callable[[Path], object], said: str, tmp_path: Path
) -> None:
    def make(folder: Path) -> Path:
        (folder / "file").write_bytes(b"0123456789" * 50)
        return folder / "file"

    def sound_at_first(path: Path) -> object:
        return 0 if path.read_bytes() == b"0123456789" * 50 else read(path)

    fuzzer = Fuzzer(Target("file", make, sound_at_first, TARGETS[0].damage), tmp_path)
    fuzzer.run(9, 1)
    assert any(said in fault for fault in fuzzer.tally.faults)
    figures = Figures(1)
    figures.add_files("file", fuzzer.tally)
    assert f"**{sum(fuzzer.tally.faults.values())} things that must not happen**" in figures.table()
