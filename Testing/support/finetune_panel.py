"""The panel of the fine-tuning module as a test drives it; small scripts play the processes that compute."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import SimpleITK as sitk

import standin
from lnsegfm.base.files import write_text
from lnsegfm.base.home import Home
from lnsegfm.base.processes import kill_tree
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.jobs.job_store import Job, JobStore
from lnsegfm.models.model_card import ModelCard, ModelInfo
from lnsegfm.models.model_store import ModelStore
from lnsegfm.phantom import make_case

MODULE = Path(__file__).resolve().parents[2] / "LNSegFMFineTune" / "LNSegFMFineTune.py"
# Works through its iterations until the file "hold" of its folder says how far; its checkpoint is the last iteration.
RUNNER = '''
import json, sys, time
from pathlib import Path
from lnsegfm.jobs.job_writer import JobWriter
from lnsegfm.base.errors import Cancelled, UserError

folder = Path(sys.argv[1])
fault, metrics = sys.argv[2], json.loads(sys.argv[3])
spec = json.loads((folder / "job.json").read_text())["spec"]
steps = spec["epochs"] * spec["iterations_per_epoch"]
checkpoint = folder / "checkpoint.pth"
print("runner is up", flush=True)
with JobWriter(folder, heartbeat_s=0.1) as writer:
    iteration = int(checkpoint.read_text()) if checkpoint.exists() else 0
    writer.status(stage="Training", iterations=steps, device="cpu: no GPU was found")
    if fault:
        raise UserError("Memory does not suffice for this job.", "12 GB asked.", "Choose batch size 1.")
    while iteration < steps:
        if writer.cancelled():
            raise Cancelled
        try:
            held = iteration >= int((folder.parent / "hold").read_text())
        except FileNotFoundError:
            held = False
        if held:
            time.sleep(0.01)
            continue
        iteration += 1
        row = {"iteration": iteration, "loss": 1.0 / iteration, "seconds": 0.1}
        if iteration % spec["iterations_per_epoch"] == 0:
            row["pseudo_dice"] = 0.5 + iteration / 1000
        writer.append(row)
        writer.status(iteration=iteration, loss=row["loss"], eta_s=(steps - iteration) * 30.0,
                      pseudo_dice=row.get("pseudo_dice"))
        checkpoint.write_text(str(iteration))
    writer.done("adapted-1", metrics)
'''
# Plays the process that measures time and memory of an iteration.
CALIBRATION = '''
import json, sys
from pathlib import Path

folder = Path(sys.argv[1])
spec = json.loads((folder / "spec.json").read_text())
assert spec["cases"] == [{"id": "case-0000", "version": 1}]
(folder / "result.json").write_text(sys.argv[2])
'''
COST = {"seconds": 0.5, "device": "cpu: as chosen", "memory_bytes": 2 << 30}


def scores(before: float, after: float) -> dict[str, dict[str, float]]:
    return {
        "before": {"dsc": before, "nsd": before / 2, "nodes": 3, "found": 1, "false": 4},
        "after": {"dsc": after, "nsd": after / 2, "nodes": 3, "found": 3, "false": 1},
    }


BETTER = {"cases": {"case-0003": scores(0.2, 0.6)}, "mean": scores(0.2, 0.6)}


@pytest.fixture(scope="module")
def app() -> Any:
    return standin.start()


@pytest.fixture(scope="module")
def case_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two training cases and a hold-out case, stored once."""
    store = CaseStore(tmp_path_factory.mktemp("cases"))
    for seed in (1, 2, 3):
        phantom = make_case("hospital", seed, size=(32, 32, 16), spacing=(4, 4, 6))
        store.accept(phantom.ct, phantom.labels, no_nodes=not sitk.GetArrayViewFromImage(phantom.labels).any())
    store.set_use("case-0003", "holdout")
    return store.root


@pytest.fixture
def home(own_home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    # The runner is a script of ours; whether torch is installed does not matter here.
    monkeypatch.setenv("LNSEGFM_PYTHON", sys.executable)
    own_home.jobs.mkdir(parents=True)
    yield own_home
    for job in JobStore(own_home.jobs).list():
        status = job.status()
        if status.active and status.pid:
            kill_tree(status.pid)


@pytest.fixture
def adapted(home: Home) -> ModelInfo:
    """What the script of ours says it has made."""
    models = ModelStore(home.models)
    base = models.list()[0]

    def fill(folder: Path) -> ModelCard:
        shutil.copytree(base.path, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("model.json"))
        return replace(base.card, name="Ours", kind="adapted", parent=base.id, parent_sha256=base.sha256)

    return models.add("adapted-1", fill)


@pytest.fixture
def cases(home: Home, case_template: Path) -> CaseStore:
    shutil.copytree(case_template, home.cases)
    return CaseStore(home.cases)


class Panel:
    """The module's panel and what a user does with it."""

    def __init__(self, app: Any, home: Home, runner: Path) -> None:
        self.app, self.home, self.runner = app, home, runner
        self.fault, self.metrics, self.cost = "", BETTER, COST
        self.calibrator = runner.with_name("calibrator.py")
        self.calibrator.write_text(CALIBRATION)
        self.widget: Any = None

    def open(self) -> None:
        self.widget = self.app.load_module(MODULE)
        self._prepare()

    def reload(self) -> None:
        self.widget = self.app.reload_module("LNSegFMFineTune")
        self._prepare()

    def close(self) -> None:
        self.app.unload_module("LNSegFMFineTune")
        self.widget = None

    def _prepare(self) -> None:
        self.widget.logic.workbench.runner_command = lambda job: [
            sys.executable, str(self.runner), str(job.path), self.fault, json.dumps(self.metrics)
        ]
        self.widget.logic.workbench.calibration_command = lambda folder: [
            sys.executable, str(self.calibrator), str(folder), json.dumps(self.cost)
        ]
        self.until(lambda: self.ui.modelComboBox.count > 0 and self.ui.adviceLabel.text, "the first refresh")

    @property
    def ui(self) -> Any:
        return self.widget.ui

    @property
    def chosen_model(self) -> str:
        """The model that the module LN-Seg-FM segments with next."""
        from LNSegFMLib.scene.segmentation_choice import chosen_model

        return chosen_model()

    @property
    def job(self) -> Job:
        return JobStore(self.home.jobs).list()[-1]

    def until(self, condition: Callable[[], Any], what: str) -> None:
        self.app.wait_until(condition, 60, what)

    def click(self, name: str) -> None:
        button = getattr(self.ui, name)
        self.until(lambda: button.enabled, f"{name} to be enabled")
        self.app.click(button)

    def hold(self, iteration: int | None) -> None:
        hold = self.home.jobs / "hold"
        if iteration is None:
            hold.unlink(missing_ok=True)
        else:
            # In one step: the runner must not find the file missing or empty in between, and run away.
            write_text(hold, str(iteration))

    def start(self, hold: int | None = None) -> None:
        self.hold(hold)
        self.choose("presetComboBox", "short")
        self.click("startButton")
        if hold is None:
            self.until_state("done")
        else:
            self.until(lambda: f"Iteration {hold} /" in self.ui.figuresLabel.text, f"iteration {hold}")

    def until_state(self, state: str) -> None:
        """Wait until list and buttons agree on a job that has ended."""
        button = self.ui.reportButton if state == "done" else self.ui.resumeButton
        self.until(lambda: self.listed_state == state and button.enabled, f"the job to be {state}")

    @property
    def listed_state(self) -> str:
        """The state in the chosen row of the list of jobs."""
        table = self.ui.jobsTable
        item = table.item(table.currentRow(), 2)
        return "" if item is None else item.text()

    @property
    def listed_job(self) -> str:
        table = self.ui.jobsTable
        item = table.item(table.currentRow(), 0)
        return "" if item is None else item.text()

    def choose(self, name: str, data: Any) -> None:
        """Choose an entry of a combo box by its data; its text may tell a time."""
        box = getattr(self.ui, name)
        self.app.choose(box, box.itemText(box.findData(data)))

    def pick(self, button: str, text: str) -> None:
        """Choose an entry of a button's menu."""
        menu = getattr(self.ui, button).menu()
        menu.aboutToShow.emit()
        next(action for action in menu.actions() if text in action.text).trigger()
        self.app.process_events()

    def points(self, role: str = "loss") -> int:
        table = self.node("vtkMRMLTableNode", role)
        return 0 if table is None else table.GetTable().GetNumberOfRows()

    def node(self, class_name: str, role: str) -> Any:
        import slicer

        for node in slicer.util.getNodesByClass(class_name):
            mine = node.GetAttribute("LNSegFMFineTune.Job") == self.job.id
            if mine and node.GetAttribute("LNSegFMFineTune.Role") == role:
                return node
        return None


@pytest.fixture
def panel(app: Any, home: Home, tmp_path: Path) -> Iterator[Panel]:
    runner = tmp_path / "runner.py"
    runner.write_text(RUNNER)
    panel = Panel(app, home, runner)
    app.dialogs.clear()
    app.answers.clear()
    yield panel
    if panel.widget is not None:
        panel.close()
    app.close_scene()
    app.check()


@pytest.fixture
def opened(panel: Panel, cases: CaseStore) -> Panel:
    panel.open()
    panel.until(lambda: panel.ui.casesTable.rowCount == 3, "the cases")
    return panel


