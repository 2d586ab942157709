"""A second Slicer after one that quit during a job: it finds the job; then both modules are reloaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import slicer

from real_slicer.inside.self_tests import require_packages
from real_slicer.inside.steps import Skipped, Steps, expect
from real_slicer.inside.training import Training
from real_slicer.inside.walk import PANELS, open_panel


def run(steps: Steps, part: str) -> None:
    """Walk on."""
    training = Training(steps)
    steps.run("attach", "The job of the Slicer before is found and followed", lambda: attach(steps, training))
    for module in PANELS:
        steps.run(f"reload-{module}", f"{module} is reloaded", reload_module(steps, module))
    steps.run("followed-after-reload", "The job is followed after the reload", lambda: follow(steps, training))
    steps.run("cancel", "The job is cancelled", lambda: cancel(steps, training))


def attach(steps: Steps, training: Training) -> None:
    """See the running job in the panel, without a click."""
    require_packages()
    left = _left(training.home)
    slicer.util.selectModule("LNSegFMFineTune")
    ui = training.ui
    steps.until(lambda: ui.pauseButton.enabled, "the running job to be shown", 60)
    steps.until(lambda: ui.progressBar.value > left["iteration"], "an iteration after Slicer had quit")


def reload_module(steps: Steps, module: str) -> Callable[[], None]:
    """Return a step that does what the Reload button of the developer mode does."""

    def step() -> None:
        slicer.util.selectModule(module)
        before = slicer.util.getModuleWidget(module)
        before.onReload()
        steps.pause(1)
        is_new = slicer.util.getModuleWidget(module) is not before
        expect(is_new, f"Expected another panel of {module} after its reload.")
        open_panel(steps, module)()

    return step


def follow(steps: Steps, training: Training) -> None:
    """See the job make progress in the reloaded panel."""
    require_packages()
    _left(training.home)
    slicer.util.selectModule("LNSegFMFineTune")
    training.wait_for_progress("an iteration in the reloaded panel")


def cancel(steps: Steps, training: Training) -> None:
    """End the job with the panel's button."""
    require_packages()
    _left(training.home)
    ui = training.ui
    ui.cancelButton.click()
    steps.until(lambda: not training.job().status().active, "the job to end", 120)
    steps.until(lambda: ui.resumeButton.enabled, "the panel to show that the job has ended", 60)


def _left(home: Path) -> dict[str, Any]:
    path = home / "left.json"
    if not path.is_file():
        raise Skipped("No job was left running by the part before.")
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content
