"""Folders of unfinished work: gone when the work ends, and never taken from a process that lives."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from lnsegfm.base import disk
from lnsegfm.base.locks import FileLock, LockHeld
from lnsegfm.base.work_folders import clear_dead, held_words, remove_dead, work_folder


def test_a_work_folder_is_gone_when_the_work_has_ended_or_failed(tmp_path: Path) -> None:
    with work_folder(tmp_path / "room") as folder:
        (folder / "inside").write_text("x")
        assert folder.parent == tmp_path / "room" and held_words(folder)
    assert not list((tmp_path / "room").iterdir())
    with pytest.raises(LockHeld), work_folder(tmp_path / "room"):
        raise LockHeld("of something else")
    assert not list((tmp_path / "room").iterdir())


def test_what_is_held_is_not_removed(tmp_path: Path) -> None:
    with work_folder(tmp_path) as folder:
        clear_dead(tmp_path)
        with pytest.raises(LockHeld):
            remove_dead(folder)
        assert folder.is_dir()


def test_a_folder_that_was_cleared_before_its_lock_was_held_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enter, taken = FileLock.__enter__, []

    def late(lock: FileLock) -> FileLock:
        if not taken:
            taken.append(lock._path.parent)
            disk.remove_tree(lock._path.parent)  # what another process does that holds the lock for a moment
            raise LockHeld(str(lock._path))
        return enter(lock)

    monkeypatch.setattr(FileLock, "__enter__", late)
    with work_folder(tmp_path) as folder:
        assert taken and folder != taken[0] and folder.is_dir() and held_words(folder)


def test_many_who_work_and_clear_at_once_keep_their_folders(tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(15):
                clear_dead(tmp_path)
                with work_folder(tmp_path) as folder:
                    (folder / "mine").write_text("x")
                    clear_dead(tmp_path)
                    assert (folder / "mine").is_file()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and not list(tmp_path.iterdir())
