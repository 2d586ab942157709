"""Changes of the case store that are killed, or for which the disk is full, at any of their operations."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import SimpleITK as sitk

from cut_short import Cut, Fault, check_all_or_nothing, cut_everywhere
from lnsegfm.base.errors import UserError
from lnsegfm.cases.case_store import CaseStore
from small_scans import boxes_on, small_scan

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that forks processes")
FAULTS: tuple[Fault, ...] = get_args(Fault)
FIRST, SECOND, NEW = (small_scan(size) for size in ((12, 12, 8), (12, 12, 9), (12, 12, 10)))
PLACES = [(slice(4, 7), slice(4, 7), slice(3, 6))], [(slice(5, 8), slice(4, 7), slice(3, 6))]


def labels_of(scan: sitk.Image, version: int = 0) -> sitk.Image:
    return boxes_on(scan, PLACES[version])


@pytest.fixture
def origin(tmp_path: Path) -> CaseStore:
    """Two cases, and a third one in the trash."""
    store = CaseStore(tmp_path / "origin")
    for scan in (FIRST, SECOND, small_scan((12, 12, 11))):
        store.accept(scan, labels_of(scan))
    store.remove("case-0003")
    return store


@pytest.fixture
def fresh(tmp_path: Path, origin: CaseStore) -> Callable[[], CaseStore]:
    """Makes copies of that store."""
    numbers = itertools.count()

    def make() -> CaseStore:
        root = tmp_path / f"copy-{next(numbers)}"
        shutil.copytree(origin.root, root)
        return CaseStore(root)

    return make


Snapshot = tuple[list[tuple[str, str, int, int]], tuple[str, ...]]


def seen(store: CaseStore) -> Snapshot:
    """What a user sees: the cases, the sum of their CT and newest labels, and what is in the trash."""
    assert not store.damaged()
    cases = []
    for case in store.list():
        ct, labels = (
            sitk.GetArrayFromImage(sitk.ReadImage(str(path))) for path in (case.image_path, case.label_path())
        )
        cases.append((case.id, case.use, int(ct.sum(dtype=np.int64)), int(np.argwhere(labels).sum())))
    return cases, store.removed


CHANGES: dict[str, Callable[[CaseStore], object]] = {
    "accept a new one": lambda store: store.accept(NEW, labels_of(NEW)),
    "accept a further version": lambda store: store.accept(FIRST, labels_of(FIRST, 1)),
    "set_use": lambda store: store.set_use("case-0001", "holdout"),
    "remove": lambda store: store.remove("case-0001"),
    "remove forever": lambda store: store.remove("case-0001", forever=True),
    "restore": lambda store: store.restore("case-0003"),
    "forget": lambda store: store.forget("case-0003"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_is_cut_short_leaves_the_cases_as_before_or_as_after(
    fresh: Callable[[], CaseStore], name: str, fault: Fault
) -> None:
    check_all_or_nothing(fresh, CHANGES[name], seen, fault, check_that_nothing_remains)


def check_that_nothing_remains(cut: Cut[CaseStore]) -> None:
    """After a cut and the next start, every voxel belongs to a case that the user sees or can bring back."""
    store = CaseStore(cut.state.root)
    store.finish_deletions()
    known = {case_id for case_id, *_ in seen(store)[0]} | set(store.removed)
    for path in store.root.rglob("*.nrrd"):
        place = path.relative_to(store.root).parts
        unfinished = place[0].startswith(".tmp-")  # goes with the next new case
        assert unfinished or place[0] in known or (place[0] == ".trash" and place[1] in known), (cut, path)
    if not cut.is_whole:
        other = small_scan((12, 12, 12))
        new = store.accept(other, labels_of(other))
        assert new.id not in {"case-0001", "case-0002", "case-0003", *known}
        assert not list(store.root.glob(".tmp-*"))


@pytest.mark.parametrize("name", ["remove forever", "forget"])
def test_a_deletion_that_was_killed_goes_on(fresh: Callable[[], CaseStore], name: str) -> None:
    left = 0
    for cut in cut_everywhere(fresh, CHANGES[name]):
        deleting = list((cut.state.root / ".trash").glob(".deleting-*"))
        left += len(deleting)
        if deleting:
            gone = deleting[0].name.removeprefix(".deleting-")
            with pytest.raises(UserError):
                cut.state.restore(gone)
        CaseStore(cut.state.root).finish_deletions()
        assert not list((cut.state.root / ".trash").glob(".deleting-*")), cut
    assert left > 3


def test_a_deletion_that_another_process_is_at_is_left_to_it(fresh: Callable[[], CaseStore]) -> None:
    from lnsegfm.cases.case_trash import locked

    store = fresh()
    doomed = store.root / ".trash" / ".deleting-case-0009"
    doomed.mkdir()
    with locked(store.root, "case-0009"):
        store.finish_deletions()
        assert doomed.is_dir()
    store.finish_deletions()
    assert not doomed.exists()


@pytest.fixture(autouse=True)
def no_folders_remain(tmp_path: Path) -> Iterator[None]:
    yield
    for folder in tmp_path.glob("copy-*"):
        shutil.rmtree(folder)
