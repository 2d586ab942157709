"""Fine-tunings that are killed at any operation on the disk, and resumed: to the very same weights, or lost."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from collections import Counter
from pathlib import Path

import torch

from lnsegfm.base import disk
from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.engine.finetuning import adaptation, runner
from lnsegfm.engine.networks.checkpoints import load_checkpoint
from lnsegfm.jobs.case_selection import make_spec
from lnsegfm.jobs.job_spec import PRESETS
from lnsegfm.jobs.job_store import Job, JobStore
from lnsegfm.models.model_store import ModelStore
from lnsegfm.phantom import make_case
from lnsegfm.session import Session
from torture.child import call, kill_at
from torture.cuts import CutTally

__all__ = ["KilledJobs", "adaptation"]  # imported here, so that each forked process has PyTorch loaded
_SETTINGS = {**PRESETS["short"], "epochs": 2, "iterations_per_epoch": 3, "batch_size": 2, "device": "cpu", "seed": 5,
             "checkpoint_seconds": 1e-3}  # fmt: skip


class KilledJobs:
    """A short job on two phantoms.

    Args:
        room: An empty folder.
        number: Seed of where the job is killed.
    """

    def __init__(self, room: Path, number: int) -> None:
        self.tally, self._room, self._random = CutTally(), room, random.Random(number)
        self._template = room / "template"
        outcome = call(self._prepare, memory=0)
        if outcome.kind != "returned":
            raise AssertionError(f"The home cannot be made: {outcome}")
        self._operations, self._sound = self._undisturbed()

    def run(self) -> None:
        """Kill a job once or twice, resume it to its end, and compare its model with that of an undisturbed job."""
        home = self._copy()
        times = self._random.choice((1, 1, 2))
        for _ in range(times):
            number = self._random.randrange(1, self._operations)
            tear = self._random.random() < 0.5
            call(lambda number=number, tear=tear: self._work(home), observer=kill_at(number, tear=tear), memory=0)
            self.tally.counts["job killed"] += 1
        outcome = call(lambda: self._work(home), memory=0)
        if outcome.kind != "returned" or outcome.value != self._sound:
            self.tally.faults[f"a job that was killed did not come to the same weights: {outcome}"] += 1

    def _prepare(self) -> None:
        home = Home(self._template)
        cases = CaseStore(home.cases)
        for number in range(2):
            phantom = make_case("hospital", 40 + number, size=(64, 64, 24), spacing=(2.0, 2.0, 3.0))
            case = cases.accept(phantom.ct, phantom.labels)
            cases.set_use(case.id, "holdout" if number else "train")
        session = Session(home)
        session.models.install_bundled()
        base = ModelStore(home.models).list()[0]
        JobStore(home.jobs).create(make_spec(home, base.id, **_SETTINGS), token="abcdef")

    def _undisturbed(self) -> tuple[int, object]:
        home = self._copy()

        def work() -> tuple[int, object]:
            counted: Counter[str] = Counter()
            with disk.observed(lambda operation, path: counted.update([operation])):
                weights = self._work(home)
            return counted.total(), weights

        outcome = call(work, memory=0)
        if outcome.kind != "returned":
            raise AssertionError(f"The job does not work: {outcome}")
        count, weights = outcome.value
        return count, weights

    def _copy(self) -> Path:
        home = self._room / "home"
        shutil.rmtree(home, ignore_errors=True)
        shutil.copytree(self._template, home)
        return home

    def _work(self, root: Path) -> object:
        home = Home(root)
        os.environ["LNSEGFM_HOME"] = str(root)
        torch.set_num_threads(1)
        job = JobStore(home.jobs).list()[0]
        if job.status().state != "done":
            runner.main([str(job.path)])
        return _weights(home, job)


def _weights(home: Home, job: Job) -> object:
    status = job.status()
    if status.state != "done":
        return status.state, status.message, status.error
    adapted = [model for model in ModelStore(home.models).list() if model.card.kind == "adapted"]
    digest = hashlib.sha256()
    for model in adapted:
        content = load_checkpoint(model.checkpoint("0" if "0" in model.card.folds else model.card.folds[0]))
        for name, tensor in sorted(content["network_weights"].items()):
            digest.update(name.encode() + tensor.numpy().tobytes())
    rows = [row["iteration"] for row in job.progress()]
    return len(adapted), digest.hexdigest(), rows, status.metrics
