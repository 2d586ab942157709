"""What killed processes leave in a home is found, named and cleared; what a living process holds is not touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lnsegfm.base.home import Home
from lnsegfm.base.locks import FileLock
from lnsegfm.base.work_folders import clear_dead, work_folder
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.cases.case_trash import lock_of
from lnsegfm.cli import main
from lnsegfm.jobs.job_spec import CaseRef, JobSpec
from lnsegfm.jobs.job_store import JobStore
from lnsegfm.jobs.job_writer import JobWriter
from lnsegfm.session import Session
from service_home import BASE

LONG_AGO = 1_000_000_000


def left(path: Path, content: bytes = b"voxels", *, old: bool = True) -> Path:
    """Make a folder with a file in it, as a process that was killed long ago left it."""
    path.mkdir(parents=True)
    (path / "image.nrrd").write_bytes(content)
    for each in (path / "image.nrrd", path) if old else ():
        os.utime(each, (LONG_AGO, LONG_AGO))
    return path


def old_file(path: Path) -> Path:
    path.write_bytes(b"half")
    os.utime(path, (LONG_AGO, LONG_AGO))
    return path


@pytest.fixture
def rests(own_home: Home, stored_cases: CaseStore) -> dict[Path, str]:
    """The kinds of leftovers of a home by path, one of each place."""
    job = JobStore(own_home.jobs).create(JobSpec(BASE, "ab", (CaseRef("case-0001", 1),)))
    return {
        left(own_home.exchange / ".tmp-aaaaaa"): "exchanged volumes",
        left(own_home.cases / ".tmp-aaaaaa"): "half-written",
        left(own_home.cases / ".trash" / ".deleting-case-0009"): "half-deleted",
        old_file(own_home.cases / "case-0001" / ".tmp-1-label-0002.nrrd"): "half-written",
        left(job.path / "work"): "preprocessed volumes",
        left(own_home.jobs / ".tmp-bbbbbb"): "half-written",
        left(own_home.models / ".tmp-cccccc"): "half-written",
        left(own_home.models / ".deleting-dddddd"): "half-deleted",
        old_file(own_home.models / BASE / ".tmp-2-model.json"): "half-written",
        left(own_home.root / "downloads" / "ln-seg-fm-nnunet"): "abandoned download",
    }


def test_every_leftover_is_found_and_nothing_is_changed_by_looking(own_home: Home, rests: dict[Path, str]) -> None:
    before = sorted(own_home.root.rglob("*"))
    found = Session().doctor.look()
    assert {each.path: each.kind for each in found} == rests
    assert not any(each.held for each in found) and all(each.size > 0 for each in found)
    of_patients = {each.path.relative_to(own_home.root).parts[0] for each in found if each.of_patients}
    others = {each.path.relative_to(own_home.root).parts[0] for each in found if not each.of_patients}
    assert (of_patients, others) == ({"exchange", "cases", "jobs"}, {"models", "downloads"})
    assert found[0].of_patients and sorted(own_home.root.rglob("*")) == before


def test_clearing_deletes_the_leftovers_alone(own_home: Home, rests: dict[Path, str]) -> None:
    models, cases, jobs = (len(part.list()) for part in (Session().models, CasesOf(own_home), Session().jobs))
    cleared = Session().doctor.clear()
    assert {each.path for each in cleared.gone} == set(rests) and cleared.left == ()
    assert not any(path.exists() for path in rests) and Session().doctor.look() == []
    assert (len(Session().models.list()), len(Session().cases.list()), len(Session().jobs.list())) == (
        models, cases, jobs
    )  # fmt: skip
    assert all(path.is_file() for path in (own_home.cases / ".locks").iterdir())


class CasesOf:
    """The cases of a home, without the deletions that a session goes on with."""

    def __init__(self, home: Home) -> None:
        self.list = CaseStore(home.cases).list


def test_what_a_living_process_holds_is_not_touched(own_home: Home, rests: dict[Path, str]) -> None:
    job = JobStore(own_home.jobs).list()[0]
    with (
        JobWriter(job.path), FileLock(lock_of(own_home.cases, "new-case")),
        FileLock(lock_of(own_home.cases, "case-0009")), FileLock(lock_of(own_home.cases, "case-0001")),
        FileLock(own_home.models / ".lock"), work_folder(own_home.exchange) as mine,
    ):  # fmt: skip
        for each in (mine, mine / ".lock"):
            os.utime(each, (LONG_AGO, LONG_AGO))
        cleared = Session().doctor.clear()
        kept = {each.path for each in cleared.left}
        assert kept == {
            own_home.cases / ".tmp-aaaaaa", own_home.cases / ".trash" / ".deleting-case-0009",
            own_home.cases / "case-0001" / ".tmp-1-label-0002.nrrd", job.path / "work",
            own_home.models / ".deleting-dddddd", mine,
        }  # fmt: skip
        assert all(path.exists() for path in kept) and all(each.held for each in cleared.left)
    Session().doctor.clear()
    assert not any(path.exists() for path in kept)


def test_what_was_changed_a_moment_ago_is_not_touched(own_home: Home) -> None:
    fresh = [left(own_home.exchange / ".tmp-a", old=False), left(own_home.root / "downloads" / "x", old=False)]
    cleared = Session().doctor.clear()
    assert {each.path for each in cleared.left} == set(fresh) and all(path.is_dir() for path in fresh)


HOLD = """
import sys
from pathlib import Path
from lnsegfm.base.work_folders import work_folder
with work_folder(Path(sys.argv[1])) as folder:
    (folder / "image.nrrd").write_bytes(b"voxels")
    print(folder, flush=True)
    sys.stdin.readline()
"""


def test_the_volumes_of_a_session_go_once_its_process_is_dead(own_home: Home) -> None:
    command = [sys.executable, "-c", HOLD, str(own_home.exchange)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        assert [each.path for each in Session().doctor.clear().left] == [folder]
        clear_dead(own_home.exchange)
        assert (folder / "image.nrrd").is_file()
        process.kill()
    assert [each.path for each in Session().doctor.look() if not each.held] == [folder], "However young it is."
    clear_dead(own_home.exchange)
    assert not folder.exists()


def test_removed_cases_are_deleted_only_when_that_is_asked_for(own_home: Home, stored_cases: CaseStore) -> None:
    stored_cases.remove("case-0002")
    assert Session().doctor.look() == [] and Session().doctor.clear().gone == ()
    assert stored_cases.removed == ("case-0002",)
    (found,) = Session().doctor.look(trash=True)
    assert (found.kind, found.of_patients) == ("removed case", True)
    assert Session().doctor.clear(trash=True, only=set()).gone == () and stored_cases.removed
    Session().doctor.clear(trash=True)
    assert stored_cases.removed == () and len(stored_cases.list()) == 2


def test_a_session_goes_on_with_a_deletion_that_was_killed(own_home: Home, stored_cases: CaseStore) -> None:
    doomed = left(own_home.cases / ".trash" / ".deleting-case-0009")
    assert len(Session().cases.list()) == 3 and not doomed.exists()


def test_nothing_is_left_of_a_home_that_is_not_there(own_home: Home, tmp_path: Path) -> None:
    session = Session(Home(tmp_path / "nowhere"))
    assert session.doctor.look(trash=True) == [] and session.doctor.clear().gone == ()
    assert not (tmp_path / "nowhere").exists()


def test_the_command_lists_and_clears(
    own_home: Home, rests: dict[Path, str], stored_cases: CaseStore, capsys: pytest.CaptureFixture[str]
) -> None:
    stored_cases.remove("case-0003")
    doomed = own_home.cases / ".trash" / ".deleting-case-0009"
    doomed.mkdir(exist_ok=True)  # removing another case went on with it
    assert main(["doctor", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["cleared"] is False and {row["state"] for row in value["leftovers"]} == {"found"}
    assert {Path(row["path"]) for row in value["leftovers"]} == set(rests)
    assert all(path.exists() for path in rests)
    assert main(["doctor"]) == 0
    printed = capsys.readouterr()
    assert "of patients" in printed.out and "--clear" in printed.out and "in the trash: 1" in printed.err
    assert main(["doctor", "--clear", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["cleared"] is True and {row["state"] for row in value["leftovers"]} == {"deleted"}
    assert not any(path.exists() for path in rests) and stored_cases.removed == ("case-0003",)
    assert main(["doctor", "--clear", "--trash"]) == 0 and stored_cases.removed == ()
    assert main(["doctor"]) == 0
    assert "Nothing is left over." in capsys.readouterr().err
