"""How long the user interface stands still while volumes are segmented, reviewed and accepted.

``python -m bench.responsiveness``; the panel runs in the stand-in of Slicer, the worker only thresholds.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

REPOSITORY = Path(__file__).resolve().parents[2]
QUEUE = (30, (192, 192, 60))
LARGE = (2, (512, 512, 300))
_WAIT_S = 600.0


def print_table() -> None:
    """Print the longest blocks, measured in a process of its own."""
    subprocess.run([sys.executable, "-m", "bench.responsiveness"], check=True, cwd=REPOSITORY)


@dataclass
class Watch:
    """Runs the event loop and keeps the longest time that one round of events took, by what was going on."""

    longest_ms: dict[str, float] = field(default_factory=dict)

    def until(self, what: str, condition: Callable[[], Any]) -> None:
        """Run the event loop until a condition holds."""
        from PySide6 import QtWidgets

        end = time.monotonic() + _WAIT_S
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"Waited in vain for {what}")
            self.timed(what, QtWidgets.QApplication.processEvents)
            time.sleep(0.001)

    def timed(self, what: str, action: Callable[[], Any]) -> None:
        """Do what a user does."""
        start = time.perf_counter()
        action()
        self.longest_ms[what] = max(self.longest_ms.get(what, 0.0), 1000 * (time.perf_counter() - start))


def measure(count: int, size: tuple[int, int, int]) -> Watch:
    """Segment volumes, go through their lymph nodes, and accept one.

    Args:
        count: Volumes in the queue.
        size: Voxels of each, ``(x, y, z)``.
    """
    import standin
    from lnsegfm_panel import MODULE, add_model, use_fake_worker

    app, watch = standin.start(), Watch()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["LNSEGFM_HOME"] = str(Path(folder) / "home")
        add_model("fine")
        widget = app.load_module(MODULE)
        use_fake_worker(widget, Path(folder))
        app.wait_until(lambda: not widget.is_working("bundled"), 60, "the set-up")
        widget.refreshModels()
        app.choose(widget.ui.modelSelector, "fine")
        _add_volumes(count, size)
        app.process_events()
        ui = widget.ui
        watch.timed("adding to the queue", ui.addAllButton.click)
        watch.until("segmenting", lambda: not widget.is_working("segment"))
        for row in range(min(count, ui.worklistTable.rowCount)):
            watch.timed("opening from the worklist", lambda row=row: widget.worklist.on_clicked(row, 1))
            watch.until("drawing", _once())
        for _ in range(ui.nodeTable.rowCount):
            watch.timed("going to the next lymph node", widget.review.on_next)
            watch.until("drawing", _once())
        watch.timed("deleting a lymph node", widget.review.on_delete)
        watch.timed("undo", widget.review.on_undo)
        watch.timed("starting to measure", ui.measureButton.click)
        watch.until("measuring", lambda: not widget.is_working("measure"))
        watch.timed("starting to accept", ui.acceptButton.click)
        watch.until("accepting", lambda: not widget.is_working("accept"))
        app.check()
        app.unload_module("LNSegFM")
        app.close_scene()
    return watch


def _once() -> Callable[[], bool]:
    rounds = iter((False, True))
    return lambda: next(rounds)


def _add_volumes(count: int, size: tuple[int, int, int]) -> None:
    """Add volumes with twenty bright boxes; they share their voxels, or the computer's memory would not do."""
    import slicer
    import vtk
    from vtk.util import numpy_support

    array = np.full(size[::-1], -100, np.int16)
    generator = np.random.default_rng(0)
    for corner in (generator.random((20, 3)) * 0.9 * array.shape).astype(int):
        array[tuple(slice(first, first + 8) for first in corner)] = 800
    image = vtk.vtkImageData()
    image.SetDimensions(size)
    image.GetPointData().SetScalars(numpy_support.numpy_to_vtk(array.ravel(), deep=True))
    for number in range(1, count + 1):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"CT {number}")
        node.SetSpacing(1.0, 1.0, 1.0)
        node.CreateDefaultDisplayNodes()
        node.SetAndObserveImageData(image)


def main() -> None:
    """Print a table for many volumes and for large ones."""
    watches = {f"{count} volumes of {'x'.join(map(str, size))}": measure(count, size) for count, size in (QUEUE, LARGE)}
    print("\n## Longest time that the user interface stood still, ms\n")
    print("| | " + " | ".join(watches) + " |")
    print("|---" * (1 + len(watches)) + "|")
    for what in next(iter(watches.values())).longest_ms:
        print(f"| {what} | " + " | ".join(f"{watch.longest_ms[what]:.0f}" for watch in watches.values()) + " |")
    print("| **all** | " + " | ".join(f"**{max(watch.longest_ms.values()):.0f}**" for watch in watches.values()) + " |")


if __name__ == "__main__":
    main()
