"""Ctrl-C, SIGTERM and SIGHUP at commands in processes of their own: what is left, what is said, and the exit status."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import SimpleITK as sitk
from driven_command import WORKER, DrivenCommand
from played_worker import write_ct

from lnsegfm.base.home import Home
from lnsegfm.base.processes import process_start_time
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.jobs.job_store import JobStore
from lnsegfm.phantom import make_case
from service_home import add_model

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows sends no such signals")
STATUS = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
SCRIPT = """
import sys
from lnsegfm.base.stopping import Stopped, stoppable
from lnsegfm.session import Session

def show(progress):
    if progress.message:
        print(progress.message, file=sys.stderr, flush=True)

try:
    with stoppable(), Session(worker_command=[sys.executable, sys.argv[1], "", "deaf"]) as session:
        session.segment(sys.argv[2], sys.argv[3], progress=show)
except Stopped as stopped:
    print("Stopped:", stopped, file=sys.stderr)
    sys.exit(7)
"""
Start = Callable[..., DrivenCommand]


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A folder with everything that a command reads and writes, temporary files included."""
    for name in ("scripts", "temporary", "out"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def start(own_home: Home, room: Path) -> Iterator[Start]:
    """Starts a command and waits until it has come to its halt."""
    begun: list[DrivenCommand] = []

    def start(*arguments: object, **environment: str) -> DrivenCommand:
        variables = {"SCRIPTS": str(room / "scripts"), "TMPDIR": str(room / "temporary"), **environment}
        begun.append(DrivenCommand(*arguments, environment=variables))
        return begun[-1]

    yield start
    for each in begun:
        each.kill()
    for job in JobStore(own_home.jobs).list():
        if job.status().active:
            job.cancel()


@pytest.fixture
def model(own_home: Home) -> str:
    return add_model(own_home, "Ours", kind="foundation", parent="").id


def leftovers(room: Path) -> list[str]:
    """What temporary files and folders there are anywhere."""
    found = [path for path in room.rglob("*") if path.name.startswith((".tmp-", ".try-"))]
    return [str(path.relative_to(room)) for path in [*found, *(room / "temporary").iterdir()]]


def phantom_files(folder: Path) -> tuple[Path, Path]:
    folder.mkdir(exist_ok=True)
    phantom = make_case("hospital", 3, size=(32, 32, 16), spacing=(4, 4, 6))
    sitk.WriteImage(phantom.ct, str(folder / "anna_ct.nrrd"))
    sitk.WriteImage(phantom.labels, str(folder / "anna_seg.nrrd"))
    return folder / "anna_ct.nrrd", folder / "anna_seg.nrrd"


def raw_dataset(folder: Path, ct: Path, labels: Path) -> None:
    for source, name in ((ct, "imagesTr/anna_0000.nii.gz"), (labels, "labelsTr/anna.nii.gz")):
        (folder / name).parent.mkdir(parents=True)
        sitk.WriteImage(sitk.ReadImage(str(source)), str(folder / name))


@pytest.mark.parametrize("name", STATUS)
@pytest.mark.parametrize("worker", ["hearing", "deaf"])
def test_a_stopped_segmentation_leaves_no_voxels_and_no_process(
    start: Start, room: Path, model: str, name: str, worker: str
) -> None:
    ct = write_ct(room / "in" / "ct.nrrd")
    command = start("segment", ct, "-o", room / "out" / "labels.nii.gz", WORKER=worker)
    child = int(command.wait_until_halted().rpartition("HALTED")[2])
    assert leftovers(room)
    command.send(signal.Signals[name])
    status, said = command.end()
    assert status == STATUS[name]
    assert ("Ctrl-C" if name == "SIGINT" else name) in said and "temporary files are removed" in said
    assert "Traceback" not in said
    assert process_start_time(child) is None
    assert leftovers(room) == [] and list((room / "out").iterdir()) == []


def test_impatience_does_not_keep_voxels_from_being_removed(start: Start, room: Path, model: str) -> None:
    ct = write_ct(room / "in" / "ct.nrrd")
    command = start("segment", ct, "-o", room / "out" / "labels.nrrd", WORKER="deaf")
    command.wait_until_halted()
    command.send(signal.SIGTERM)
    command.wait_for_word("Stopping after SIGTERM")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        command.send(number)
        command.wait_for_word("Still removing")
    assert command.end()[0] == 143
    assert leftovers(room) == [] and list((room / "out").iterdir()) == []


@pytest.mark.parametrize("name", STATUS)
def test_a_stopped_folder_tells_what_is_done(start: Start, room: Path, model: str, name: str) -> None:
    write_ct(room / "in" / "anna.nrrd")
    command = start("segment", room / "in", "-o", room / "out")
    command.wait_until_halted()
    command.send(signal.Signals[name])
    status, said = command.end()
    assert status == STATUS[name] and "0 of 1 scans are done" in said and "the same command continues" in said
    assert leftovers(room) == []


@pytest.mark.parametrize("name", STATUS)
def test_a_stopped_installation_leaves_nothing_in_the_store(
    start: Start, own_home: Home, room: Path, name: str
) -> None:
    (room / "model.zip").write_bytes(b"zip")
    before = sorted(path.name for path in own_home.models.iterdir())
    command = start("models", "install", room / "model.zip")
    command.wait_until_halted()
    assert leftovers(room)
    command.send(signal.Signals[name])
    status, said = command.end()
    assert status == STATUS[name] and "temporary files are removed" in said
    assert leftovers(room) == [] and sorted(path.name for path in own_home.models.iterdir()) == before


IN_THIS_PROCESS = {
    "cases add": (["cases", "add", "CT", "LABELS"], "replace:/cases/case-"),
    "import folder": (["import", "folder", "IN", "--out", "OUT"], "replace:.nii.gz"),
    "models export": (["models", "export", "phantom-demonstration", "-o", "OUT/model.zip"], "replace:model.zip"),
    "measure": (["measure", "CT", "LABELS", "-o", "OUT/table.csv"], "replace:table.csv"),
    "cases import": (["cases", "import", "RAW"], "replace:/cases/case-"),
    "evaluate": (["evaluate", "LABELS", "LABELS", "--out", "OUT"], "replace:summary.json"),
    "models rename": (["models", "rename", "phantom-demonstration", "Other"], "replace:model.json"),
}


@pytest.mark.parametrize("name", STATUS)
@pytest.mark.parametrize("case", IN_THIS_PROCESS)
def test_what_a_command_writes_itself_is_removed_as_well(
    start: Start, room: Path, case: str, name: str
) -> None:
    ct, labels = phantom_files(room / "in")
    words, halt = IN_THIS_PROCESS[case]
    raw_dataset(room / "raw", ct, labels)
    places = {"CT": str(ct), "LABELS": str(labels), **{name.upper(): str(room / name) for name in ("in", "out", "raw")}}
    arguments = [places.get(word) or word.replace("OUT/", f"{room / 'out'}/") for word in words]
    command = start(*arguments, HALT_AT=halt)
    command.wait_until_halted()
    assert leftovers(room), "it halted with a file that is not in its place"
    command.send(signal.Signals[name])
    status, said = command.end()
    assert (status, "Traceback" in said) == (STATUS[name], False)
    assert "temporary files are removed" in said
    assert leftovers(room) == []


@pytest.fixture
def cases(own_home: Home, case_folder: Path) -> CaseStore:
    shutil.copytree(case_folder, own_home.cases)
    return CaseStore(own_home.cases)


@pytest.mark.parametrize("name", STATUS)
def test_a_job_outlives_the_command_that_shows_it(
    start: Start, own_home: Home, cases: CaseStore, name: str
) -> None:
    command = start("adapt", "--preset", "short", "--holdout-choice", "none")
    command.wait_until_halted()
    command.send(signal.Signals[name])
    status, said = command.end()
    (job,) = JobStore(own_home.jobs).list()
    assert status == STATUS[name] and f"{job.id} continues in the background" in said
    assert job.status().active
    watching = start("jobs", "watch", job.id)
    watching.wait_until_halted()
    watching.send(signal.Signals[name])
    status, said = watching.end()
    assert status == STATUS[name] and f"{job.id} continues in the background" in said
    assert job.status().active
    stopping = start("jobs", "watch", job.id, "--stop-on-interrupt")
    stopping.wait_until_halted()
    stopping.send(signal.Signals[name])
    status, said = stopping.end()
    assert status == STATUS[name] and f"Asked {job.id} to stop" in said


@pytest.mark.parametrize("name", STATUS)
def test_a_stopped_pre_training_keeps_its_checkpoint(start: Start, room: Path, name: str) -> None:
    command = start("pretrain", room / "in", "--out", room / "out")
    command.wait_until_halted()
    command.send(signal.Signals[name])
    status, said = command.end()
    assert status == STATUS[name] and "keeps its checkpoint" in said and "Traceback" not in said


def test_what_nohup_ignores_stays_ignored(start: Start, room: Path, own_home: Home) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        ct, labels = phantom_files(room / "in")
        command = start("measure", ct, labels, "-o", room / "out" / "table.csv", HALT_AT="replace:table.csv")
        command.wait_until_halted()
        command.send(signal.SIGHUP, signal.SIGTERM)
        assert command.end()[0] == 143
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_script_stops_as_the_command_does(room: Path, model: str, own_home: Home) -> None:
    """Nothing but context managers clears up."""
    ct, code = write_ct(room / "in" / "ct.nrrd"), room / "script.py"
    code.write_text(SCRIPT)
    (room / "scripts" / "worker.py").write_text(WORKER)
    script = DrivenCommand(
        room / "scripts" / "worker.py", ct, room / "out" / "l.nrrd", script=code,
        environment={"TMPDIR": str(room / "temporary")},
    )
    try:
        script.wait_until_halted()
        assert leftovers(room)
        script.send(signal.SIGTERM)
        status, said = script.end()
    finally:
        script.kill()
    assert status == 7 and "Stopped: SIGTERM" in said
    assert leftovers(room) == [] and list((room / "out").iterdir()) == []
