"""What killed processes have left in a home, and the way to be rid of it; much of it is of patients."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lnsegfm.base import disk
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.home import Home
from lnsegfm.base.locks import FileLock, LockHeld
from lnsegfm.base.work_folders import PREFIX, QUIET_S, held_words, is_held, remove_dead
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.cases.case_trash import DELETING as CASE_DELETING
from lnsegfm.cases.case_trash import lock_of
from lnsegfm.jobs.job_status import RUN_LOCK, WORK
from lnsegfm.jobs.job_store import Job
from lnsegfm.models.model_store import DELETING as MODEL_DELETING
from lnsegfm.models.model_store import LOCK as MODEL_LOCK
from lnsegfm.session.waiting import IsCancelled, Report, never, no_report

_DAY_S = 24 * 3600.0

HALF_WRITTEN, HALF_DELETED, EXCHANGED = "half-written", "half-deleted", "exchanged volumes"
PREPROCESSED, DOWNLOADED, REMOVED_CASE = "preprocessed volumes", "abandoned download", "removed case"
KINDS = {
    HALF_WRITTEN: "What a process was writing when it was killed.",
    HALF_DELETED: "What a process was deleting when it was killed.",
    EXCHANGED: "Volumes on their way to or from the network, of a session that is gone.",
    PREPROCESSED: "Volumes that a job has prepared for its training; a job that is resumed makes them again.",
    DOWNLOADED: "The beginning of a model's download; the next download would continue it.",
    REMOVED_CASE: "A case in the trash, which can still be restored.",
}
"""What each kind of leftover is."""


@dataclass(frozen=True)
class Leftover:
    """Something that nobody needs any more.

    Args:
        kind: One of `KINDS`.
        path: Where it lies.
        size: Its bytes.
        of_patients: Whether it can hold voxels of patients.
        held: Why it is not cleared now, such as that a process is working with it; empty when it can be.
        lock: What a living process that works with it would hold, if there is such a lock.
    """

    kind: str
    path: Path
    size: int
    of_patients: bool
    held: str = ""
    lock: Path | None = None


@dataclass(frozen=True)
class Cleared:
    """What came of clearing a home.

    Args:
        gone: What was deleted.
        left: What was left, with the reason as ``held``.
    """

    gone: tuple[Leftover, ...]
    left: tuple[Leftover, ...]


class Doctor:
    """Finds and clears the leftovers of one home; never what a living process holds.

    Args:
        home: Tells where it lies, at each call.
    """

    def __init__(self, home: Callable[[], Home]) -> None:
        self._home = home

    def look(self, *, trash: bool = False) -> Sequence[Leftover]:
        """Return the leftovers of the home, those of patients first. Nothing is changed.

        Args:
            trash: Return the removed cases in the trash as well, which can still be restored.
        """
        found = [*_of_models(self._home()), *_of_cases(self._home()), *_of_jobs(self._home()), *_others(self._home())]
        if trash:
            found += _of_trash(self._home())
        return sorted(found, key=lambda each: (not each.of_patients, list(KINDS).index(each.kind), each.path))

    def clear(
        self, *, trash: bool = False, only: Collection[Path] | None = None, progress: Report = no_report,
        is_cancelled: IsCancelled = never,
    ) -> Cleared:
        """Delete the leftovers of the home that no living process holds.

        Args:
            trash: Delete the removed cases in the trash as well; nothing brings them back.
            only: Paths of the leftovers to delete; None for all.
            progress: Told what is being deleted.
            is_cancelled: Asked between two of them.

        Raises:
            Cancelled: The user cancelled; what was deleted until then is gone.
        """
        found = [each for each in self.look(trash=trash) if only is None or each.path in only]
        gone, left = [], []
        for number, each in enumerate(found):
            if is_cancelled():
                raise Cancelled
            progress(number / len(found), f"Deleting {each.path.name}")
            why = each.held or _delete(each)
            if why:
                left.append(Leftover(each.kind, each.path, each.size, each.of_patients, why, each.lock))
            else:
                gone.append(each)
        return Cleared(tuple(gone), tuple(left))


def _delete(leftover: Leftover) -> str:
    """Delete it; return why it could not be."""
    try:
        if leftover.lock is None or not leftover.lock.is_file():
            remove_dead(leftover.path)
        else:
            with FileLock(leftover.lock):
                disk.remove_tree(leftover.path)
    except LockHeld:
        return _IN_USE
    except OSError as error:
        return f"it cannot be deleted: {error}"
    return ""


_IN_USE = "a process is working with it"


def _of_models(home: Home) -> Iterator[Leftover]:
    room = home.models
    for path in room.glob(f"{PREFIX}*"):
        # Not all that unpacks a model holds a lock.
        yield _made(HALF_WRITTEN, path, False, held_words(path, quiet_s=_DAY_S))
    for path in room.glob(f"{MODEL_DELETING}*"):
        yield _locked(HALF_DELETED, path, False, room / MODEL_LOCK)
    for path in room.glob(f"[!.]*/{PREFIX}*"):
        yield _made(HALF_WRITTEN, path, False, held_words(path))


def _of_cases(home: Home) -> Iterator[Leftover]:
    room = home.cases
    for path in room.glob(f"{PREFIX}*"):
        yield _locked(HALF_WRITTEN, path, True, lock_of(room, "new-case"))
    for path in CaseStore(room).deleting:
        yield _locked(HALF_DELETED, path, True, lock_of(room, path.name[len(CASE_DELETING) :]))
    for pattern in (f"case-*/{PREFIX}*", f".trash/case-*/{PREFIX}*"):
        for path in room.glob(pattern):
            lock = lock_of(room, path.parent.name)
            yield _made(HALF_WRITTEN, path, True, _IN_USE if is_held(lock) else held_words(path))


def _of_trash(home: Home) -> Iterator[Leftover]:
    for case_id in CaseStore(home.cases).removed:
        yield _locked(REMOVED_CASE, home.cases / ".trash" / case_id, True, lock_of(home.cases, case_id))


def _of_jobs(home: Home) -> Iterator[Leftover]:
    room = home.jobs
    for path in room.glob(f"{PREFIX}*"):
        yield _made(HALF_DELETED if (path / "job.json").is_file() else HALF_WRITTEN, path, True, held_words(path))
    for folder in room.glob("job-*"):
        held = _IN_USE if _is_worked_on(folder) else ""
        if (folder / WORK).is_dir():
            yield _made(PREPROCESSED, folder / WORK, True, held, folder / RUN_LOCK)
        for path in folder.glob(f"{PREFIX}*"):
            yield _made(HALF_WRITTEN, path, True, held or held_words(path))


def _is_worked_on(job: Path) -> bool:
    if is_held(job / RUN_LOCK):
        return True
    with suppress(UserError):
        return Job(job).status().active
    return False


def _others(home: Home) -> Iterator[Leftover]:
    for path in home.exchange.glob("*"):
        yield _made(EXCHANGED, path, True, held_words(path))
    for path in (home.root / "downloads").glob("*"):
        if path.is_dir() or path.name.startswith(PREFIX):
            # What is there of it may be wanted tomorrow; and while it comes, it changes.
            yield _made(DOWNLOADED, path, False, held_words(path, quiet_s=_DAY_S))
    for path in home.root.glob(f"{PREFIX}*"):
        yield _made(HALF_WRITTEN, path, False, held_words(path, quiet_s=QUIET_S))


def _made(kind: str, path: Path, of_patients: bool, held: str, lock: Path | None = None) -> Leftover:
    return Leftover(kind, path, _bytes(path), of_patients, held, lock)


def _locked(kind: str, path: Path, of_patients: bool, lock: Path) -> Leftover:
    return _made(kind, path, of_patients, _IN_USE if is_held(lock) else "", lock)


def _bytes(path: Path) -> int:
    total = 0
    for each in (path, *(path.rglob("*") if path.is_dir() and not path.is_symlink() else ())):
        with suppress(OSError):  # it may go at this moment
            total += each.lstat().st_size if not each.is_dir() else 0
    return total
