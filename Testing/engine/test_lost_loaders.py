"""Processes that prepare patches and die, hang or do not fit into memory: the training ends with the same weights."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lnsegfm.base.home import Home
from lnsegfm.base.processes import child_environment
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.engine.finetuning import loader_processes, runner
from lnsegfm.engine.finetuning.loader_processes import batches_ahead
from lnsegfm.engine.finetuning.trainer import Trainer
from lnsegfm.engine.networks.checkpoints import load_checkpoint
from lnsegfm.jobs.case_selection import make_spec
from lnsegfm.jobs.job_spec import PRESETS
from lnsegfm.jobs.job_store import Job, JobStore
from lnsegfm.models.model_store import ModelStore
from lnsegfm.phantom import make_case

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are forked on Linux")
HERE = os.getpid()


class Maker:
    """Makes batches of their number; in processes it does what a test wants."""

    def __init__(self, **acts: Any) -> None:
        self.acts = acts
        self.here: list[int] = []

    def __call__(self, number: int) -> dict[str, Any]:
        if os.getpid() != HERE:
            if number == self.acts.get("dies"):
                os.kill(os.getpid(), signal.SIGBUS)  # as where /dev/shm is full
            if number == self.acts.get("hangs"):
                threading.Event().wait()
            if number == self.acts.get("fails"):
                raise MemoryError("no room for a patch")
        else:
            self.here.append(number)
        sizes = self.acts.get("sizes", {})
        data = torch.full((sizes.get(number, 5), 3), float(number))
        return {"data": data, "target": [data[:1].to(torch.int16), data[:2]], "keys": np.array([f"case-{number}"])}


def numbers(batches: Iterator[dict[str, Any]]) -> list[int]:
    found = []
    for batch in batches:
        number = int(batch["data"][0, 0])
        assert (batch["data"] == number).all() and (batch["target"][0] == number).all()
        assert batch["target"][0].dtype == torch.int16 and list(batch["keys"]) == [f"case-{number}"]
        found.append(number)
    return found


@pytest.mark.parametrize("what", ["dies", "hangs", "fails"])
@pytest.mark.parametrize("processes", [1, 2])
def test_a_lost_process_costs_no_batch_and_is_said(what: str, processes: int) -> None:
    said: list[str] = []
    make = Maker(**{what: 6})
    assert numbers(batches_ahead(make, 0, 14, processes, said.append, patience_s=1)) == list(range(14))
    assert len(said) == 1 and "was lost" in said[0] and "The result is the same" in said[0]
    assert {"dies": "signal 7", "hangs": "did not answer for 1 s", "fails": "no room for a patch"}[what] in said[0]
    assert ("1 is left" in said[0]) == (processes == 2)
    assert 6 in make.here and (13 in make.here) == (processes == 1)


def test_batches_that_are_larger_than_the_first_one_come_too() -> None:
    assert numbers(batches_ahead(Maker(sizes={3: 500, 4: 1}), 0, 7, 2, print)) == list(range(7))


def test_all_processes_end_with_the_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    pids = watched_pids(monkeypatch)
    batches = batches_ahead(Maker(), 0, 50, 2, print)
    next(batches)
    next(batches)
    batches.close()
    assert len(pids) == 2 and not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_as_many_processes_as_memory_has_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    pids, said = watched_pids(monkeypatch), list[str]()
    monkeypatch.setattr(loader_processes, "free_memory_bytes", lambda: 1000)
    assert numbers(batches_ahead(Maker(), 0, 5, 3, said.append)) == list(range(5))
    assert len(pids) == 2 and said[0].startswith("2 instead of 3 processes prepare patches")


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no /dev/shm")
def test_batches_take_nothing_of_the_shared_memory_of_a_container() -> None:
    def of_ours() -> list[Path]:  # PyTorch puts the id of the process into the names
        return [path for path in Path("/dev/shm").iterdir() if f"_{HERE}_" in path.name]

    before = of_ours()
    for _ in batches_ahead(Maker(), 0, 9, 2, print):
        assert of_ours() == before


def watched_pids(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    pids: list[int] = []
    plain = loader_processes.LoaderProcess

    class Watched(plain):  # type: ignore[misc, valid-type]
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            pids.append(self.pid)

    monkeypatch.setattr(loader_processes, "LoaderProcess", Watched)
    return pids


# Whole jobs


@pytest.fixture
def home(own_home: Home) -> Home:
    cases = CaseStore(own_home.cases)
    for seed in (40, 41):
        phantom = make_case("hospital", seed, size=(64, 64, 24), spacing=(2.0, 2.0, 3.0))
        cases.accept(phantom.ct, phantom.labels)
    return own_home


def done_job(home: Home, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Job:
    for name in ("nnUNet_preprocessed", "nnUNet_results", "nnUNet_n_proc_DA"):
        monkeypatch.setenv(name, "")
    short = {**PRESETS["short"], "epochs": 1, "iterations_per_epoch": 7, "batch_size": 1, "device": "cpu"}
    spec = make_spec(home, ModelStore(home.models).list()[0].id, **{**short, **changes})
    job = JobStore(home.jobs).create(spec)
    assert runner.main([str(job.path)]) == 0, job.status()
    return job


def weights(home: Home, job: Job) -> dict[str, torch.Tensor]:
    model = ModelStore(home.models).get(job.status().model_id)
    return load_checkpoint(model.checkpoint(model.card.folds[0]))["network_weights"]


def test_a_training_whose_loaders_are_killed_ends_with_the_same_weights(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lnsegfm.engine.finetuning.trainer.cpu_count", lambda: 2)
    alone = done_job(home, monkeypatch, loader_processes=0)
    pids = watched_pids(monkeypatch)
    step = Trainer.step

    def killing(self: Trainer) -> float | None:
        while self.iteration == 1 and pids:
            os.kill(pids.pop(), signal.SIGKILL)
        return step(self)

    monkeypatch.setattr(Trainer, "step", killing)
    robbed = done_job(home, monkeypatch, loader_processes=2)
    assert not pids
    first, second = weights(home, alone), weights(home, robbed)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert [row["loss"] for row in alone.progress()] == [row["loss"] for row in robbed.progress()]
    notes = robbed.status().notes
    assert len(notes) == 2 and "1 is left" in notes[0] and "none is left" in notes[1]
    assert all("signal 9" in note for note in notes) and alone.status().notes == ()


def test_more_processes_than_cpus_are_not_started_and_that_is_said(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lnsegfm.engine.finetuning.trainer.cpu_count", lambda: 1)
    pids = watched_pids(monkeypatch)
    job = done_job(home, monkeypatch, loader_processes=64, iterations_per_epoch=1)
    assert len(pids) == 1
    assert job.status().notes == ("1 instead of 64 processes prepare patches, because the job may use 1 CPU.",)


def test_the_processes_of_a_killed_training_end_too(tmp_path: Path) -> None:
    # A process of its own, which is killed; its loaders write their ids.
    script = tmp_path / "training.py"
    script.write_text(
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "import torch\n"
        "from lnsegfm.engine.finetuning.loader_processes import batches_ahead\n"
        "def make(number):\n"
        "    Path(sys.argv[1], f'pid-{os.getpid()}').touch()\n"
        "    return {'data': torch.zeros(3)}\n"
        "for batch in batches_ahead(make, 0, 10**9, 2, print):\n"
        "    time.sleep(0.01)\n"
    )
    folder = tmp_path / "pids"
    folder.mkdir()
    pid = os.spawnve(os.P_NOWAIT, sys.executable, [sys.executable, str(script), str(folder)], child_environment())
    until(lambda: len(list(folder.iterdir())) == 3)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    loaders = [int(path.name[4:]) for path in folder.iterdir()]
    until(lambda: not any(Path(f"/proc/{each}").exists() for each in loaders if each != pid))


def until(condition: Any) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
