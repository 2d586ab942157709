"""A home with cases and models for tests of the service and the command line; small scripts play the processes."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import SimpleITK as sitk

from lnsegfm.base.home import Home
from lnsegfm.cases.case_info import IGNORE
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.jobs.job_store import Job
from lnsegfm.models.model_card import ModelCard, ModelInfo
from lnsegfm.models.model_store import ModelStore
from lnsegfm.phantom import make_case
from lnsegfm.session import Session

BASE = "phantom-demonstration"
# Does its iterations at once and says that it made the model "adapted-1"; waits while the folder has a file "hold".
RUNNER = '''
import json, sys, time
from pathlib import Path
from lnsegfm.base.errors import Cancelled
from lnsegfm.jobs.job_writer import JobWriter

folder = Path(sys.argv[1])
spec = json.loads((folder / "job.json").read_text())["spec"]
steps = spec["epochs"] * spec["iterations_per_epoch"]
with JobWriter(folder, heartbeat_s=0.1) as writer:
    writer.status(stage="Training", iteration=0, iterations=steps)
    while (folder.parent / "hold").exists():
        if writer.cancelled():
            raise Cancelled
        time.sleep(0.02)
    writer.append({"iteration": steps, "loss": 0.5, "seconds": 0.1})
    writer.status(iteration=steps, loss=0.5)
    writer.done("adapted-1", {})
'''
CALIBRATION = '''
import sys
from pathlib import Path

(Path(sys.argv[1]) / "result.json").write_text(sys.argv[2])
'''


@pytest.fixture(scope="session")
def case_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three cases, all for training, stored once; tests get a copy."""
    store = CaseStore(tmp_path_factory.mktemp("cases"))
    for seed in (1, 2, 3):
        phantom = make_case("hospital", seed, size=(32, 32, 16), spacing=(4, 4, 6))
        store.accept(phantom.ct, phantom.labels, no_nodes=not sitk.GetArrayViewFromImage(phantom.labels).any())
    return store.root


@pytest.fixture
def stored_cases(own_home: Home, case_folder: Path) -> CaseStore:
    """The home's cases: case-0001 to case-0003, all for training."""
    shutil.copytree(case_folder, own_home.cases)
    return CaseStore(own_home.cases)


@pytest.fixture
def partial_case(stored_cases: CaseStore) -> str:
    """Id of a fourth case of which only a part was reviewed."""
    phantom = make_case("hospital", 9, size=(32, 32, 16), spacing=(4, 4, 6))
    labels = sitk.GetArrayFromImage(phantom.labels)
    labels[:8] = IGNORE
    labels[12, 12, 12] = 1
    image = sitk.GetImageFromArray(labels)
    image.CopyInformation(phantom.labels)
    return stored_cases.accept(phantom.ct, image, ignore=IGNORE).id


class PlayedSession:
    """A session whose jobs and measurements are played by scripts.

    Args:
        folder: Where the scripts go.
    """

    def __init__(self, folder: Path) -> None:
        self.cost: dict[str, Any] = {"seconds": 0.5, "device": "cpu: as chosen", "memory_bytes": 1 << 20}
        self.measured = 0
        self._runner, self._calibrator = folder / "runner.py", folder / "calibrator.py"
        self._runner.write_text(RUNNER)
        self._calibrator.write_text(CALIBRATION)
        self.session = Session(runner_command=self._run, calibration_command=self._calibrate)

    def _run(self, job: Job) -> list[str]:
        return [sys.executable, str(self._runner), str(job.path)]

    def _calibrate(self, folder: Path) -> list[str]:
        self.measured += 1
        return [sys.executable, str(self._calibrator), str(folder), json.dumps(self.cost)]


@pytest.fixture
def played(own_home: Home, tmp_path: Path) -> Iterator[PlayedSession]:
    played = PlayedSession(tmp_path)
    yield played
    (own_home.jobs / "hold").unlink(missing_ok=True)
    played.session.close()


def add_model(home: Home, name: str, *, kind: str = "adapted", parent: str = BASE) -> ModelInfo:
    """Install a copy of the demonstration model under another name."""
    store = ModelStore(home.models)
    base = store.get(BASE)

    def fill(folder: Path) -> ModelCard:
        shutil.copytree(base.path, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("model.json"))
        origin = (parent, store.get(parent).sha256) if parent else ("", "")
        return replace(base.card, name=name, kind=kind, parent=origin[0], parent_sha256=origin[1])

    return store.add(name, fill)
