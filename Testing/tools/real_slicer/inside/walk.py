"""What was clicked by hand in a real Slicer: panels, Segment Editor, scenes, and the end of Slicer during a job."""

from __future__ import annotations

import json
import unittest
from collections.abc import Callable
from typing import Any

import slicer

from real_slicer.inside.editing import Editing
from real_slicer.inside.segmenting import Segmenting
from real_slicer.inside.self_tests import require_packages
from real_slicer.inside.steps import Steps, expect, expect_equal
from real_slicer.inside.training import Training
from real_slicer.inside.window import WIDTHS_PX, set_panel_width, watch_width

PANELS = ("LNSegFM", "LNSegFMFineTune")


def run(steps: Steps, part: str) -> None:
    """Walk."""
    steps.run("segment-panel", "LN-Seg-FM opens with all sections", open_panel(steps, "LNSegFM"), vital=True)
    steps.run("fine-tune-panel", "LN-Seg-FM Fine-Tuning opens with all sections", open_panel(steps, "LNSegFMFineTune"))
    editing = Editing(steps)
    steps.run("pair", "A CT and its segmentation are chosen and measured", editing.choose_pair)
    steps.run("editor-first-row", "Edit opens with the lymph node of the chosen row", editing.open_editor)
    steps.run("editor-and-rows", "Editor and table follow each other", editing.follow)
    steps.run("stroke", "A stroke lands in the chosen lymph node, and can be undone", editing.paint)
    steps.run("keys", "Held keys act once or repeat, and are off with a brush in hand", editing.use_keys)
    steps.run("islands", "Keeping the largest island leaves a small lymph node", editing.keep_largest_island)
    steps.run("new-segment", "A new segment is a lymph node with a row", editing.add_segment)
    steps.run("saved-scene", "The scene is saved and loaded with Edit open", editing.save_and_load)
    steps.run("closed-scene", "The scene is closed", editing.close_scene)
    segmenting = Segmenting(steps)
    steps.run("queue", "A result of the queue is shown when its CT is chosen later", segmenting.show_queued_result)
    steps.run("deleted-ct", "A CT is deleted while it is being segmented", segmenting.delete_ct)
    steps.run("closed-while-segmenting", "The scene is closed during a segmentation", segmenting.close_scene)
    training = Training(steps)
    steps.run("job", "A job is started", training.start)
    steps.run("second-job", "A second job waits for the first", training.queue_another)
    for width in WIDTHS_PX:
        steps.run(f"width-{width}", f"Panels of {width} px keep their width during a job", keep_width(steps, width))
    steps.run("scene-closed-during-job", "The scene is closed during a job", training.close_scene)
    steps.run("quit", "Slicer quits during a job", lambda: leave(steps, training))


def open_panel(steps: Steps, module: str) -> Callable[[], None]:
    """Return a step that shows a module and looks into its sections."""

    def step() -> None:
        from LNSegFMFineTuneLib.self_tests import fine_tuning_self_test as fine_tune_test
        from LNSegFMLib.self_tests import module_self_test as segment_test
        from LNSegFMLib.self_tests.panel_self_test import check_sections

        sections = {"LNSegFM": segment_test.SECTIONS, "LNSegFMFineTune": fine_tune_test.SECTIONS}[module]
        slicer.util.selectModule(module)
        steps.pause(1)
        check_sections(unittest.TestCase(), slicer.util.getModuleWidget(module), sections)
        expect_equal(slicer.util.selectedModule(), module, "The module is not shown.")

    return step


def keep_width(steps: Steps, width_px: int) -> Callable[[], None]:
    """Return a step that watches both panels at a width while the job is running."""

    def step() -> None:
        require_packages()
        for module in reversed(PANELS):
            slicer.util.selectModule(module)
            set_panel_width(width_px)
            steps.pause(0.5)
            watch_width(steps, steps.watch_s if module == "LNSegFMFineTune" else min(5.0, steps.watch_s))
            steps.picture(f"{module}-{width_px}")
        slicer.util.selectModule("LNSegFMFineTune")

    return step


def leave(steps: Steps, training: Training) -> None:
    """Tell the next Slicer of the job; Slicer quits when this part has ended."""
    require_packages()
    job = training.job()
    status = job.status()
    expect(status.active, f"Expected the job to be running when Slicer quits, but it is {status.state}.")
    content: dict[str, Any] = {"job": job.id, "iteration": status.iteration}
    (training.home / "left.json").write_text(json.dumps(content), encoding="utf-8")
    steps.note(left_job=job.id)
