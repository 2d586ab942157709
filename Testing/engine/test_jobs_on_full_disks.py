"""Jobs whose disk takes no more: no file is torn in silence, and the reason names the folder and what is free."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

from lnsegfm.base import disk
from lnsegfm.base.home import Home
from lnsegfm.base.processes import child_environment
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.engine.finetuning import runner
from lnsegfm.jobs.case_selection import make_spec
from lnsegfm.jobs.job_spec import PRESETS
from lnsegfm.jobs.job_store import Job, JobStore
from lnsegfm.models.model_store import ModelStore
from lnsegfm.phantom import make_case

# The runner, in whose process no file may become larger than so many bytes once it is up.
LIMITED = '''
import resource, signal, sys
from lnsegfm.engine.finetuning import adaptation, runner

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
raise SystemExit(runner.main([sys.argv[1]]))
'''


@pytest.fixture
def job(own_home: Home) -> Job:
    phantom = make_case("hospital", 40, size=(64, 64, 24), spacing=(2.0, 2.0, 3.0))
    CaseStore(own_home.cases).accept(phantom.ct, phantom.labels)
    short = {**PRESETS["short"], "epochs": 1, "iterations_per_epoch": 1, "batch_size": 1, "device": "cpu"}
    return JobStore(own_home.jobs).create(make_spec(own_home, ModelStore(own_home.models).list()[0].id, **short))


def reason(job: Job) -> str:
    error = job.status().error
    assert job.status().state == "failed" and error is not None, job.status()
    assert "resume the job" in error["todo"]
    return " ".join(error.values())


@pytest.mark.skipif(sys.platform == "win32", reason="RLIMIT_FSIZE")
@pytest.mark.parametrize(("size", "name"), [(70_000, "case-0001"), (1_000_000, "checkpoint.pth")])
def test_a_file_that_is_not_taken_whole_ends_the_job_with_folder_and_space(job: Job, size: int, name: str) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", LIMITED, str(job.path), str(size)], env=child_environment(), capture_output=True,
        text=True,
    )
    assert answer.returncode == 1, answer.stderr
    text = reason(job)
    assert "could not be written" in text and " free" in text and str(job.path) in text, text
    assert name in text or name == "checkpoint.pth"
    assert not list(job.path.glob("checkpoint*")) and not list(job.path.rglob("*.npz"))


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Callable[[Job], int]:
    for name in ("nnUNet_preprocessed", "nnUNet_results", "nnUNet_n_proc_DA"):
        monkeypatch.setenv(name, "")
    return lambda job: runner.main([str(job.path)])


def test_preprocessed_voxels_that_are_not_what_was_written_are_noticed(
    job: Job, here: Callable[[Job], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    save = nnUNetDatasetBlosc2.save_case

    def torn(data: np.ndarray, segmentation: np.ndarray, *rest: Any, **options: Any) -> None:
        save(data, np.zeros_like(segmentation), *rest, **options)

    monkeypatch.setattr(nnUNetDatasetBlosc2, "save_case", staticmethod(torn))
    assert here(job) == 1
    assert "case-0001_seg.b2nd" in reason(job) and "whole" in reason(job)


@pytest.mark.parametrize("name", ["case-0001.npz", "checkpoint.pth", "progress.jsonl"])
def test_a_full_disk_is_named_with_its_folder_and_space(
    job: Job, here: Callable[[Job], int], name: str
) -> None:
    def full(operation: str, path: Path) -> None:
        if name in path.name and operation in ("write", "append"):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with disk.observed(full):
        assert here(job) == 1
    text = reason(job)
    assert text.startswith("The disk is full.") and name in text and " free" in text
    assert str(job.path) in text
    rows = (job.path / "progress.jsonl").read_text() if (job.path / "progress.jsonl").exists() else ""
    assert [json.loads(line)["iteration"] for line in rows.splitlines()] == ([1] if name == "checkpoint.pth" else [])
