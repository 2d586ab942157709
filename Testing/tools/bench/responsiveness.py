"""How long the user interface stands still while volumes are segmented, reviewed and accepted.

``python -m bench.responsiveness``; the panel runs in the stand-in of Slicer with the real MRML and VTK, the worker only
thresholds. The times are CPU time of the thread of the user interface; what Slicer itself needs to draw the views
afterwards, and to import the module when it starts, is listed apart.

``--causes`` names what takes the time, ``--against FOLDER`` measures another checkout in turns with this one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.targets import Targets
from bench.watch import Watch

REPOSITORY = Path(__file__).resolve().parents[3]
BENCH = Path(__file__).resolve().parents[1].relative_to(REPOSITORY)
QUEUE = ("30 volumes of 192x192x60, 20 lymph nodes", 30, (192, 192, 60), 20)
LARGE = ("30 volumes of 512x512x300, 40 lymph nodes", 30, (512, 512, 300), 40)
DRAWN = "Slicer draws the views"
IMPORTED = "importing the module, as Slicer starts"
_TURNS = 12  # of the event loop, until all of the panel is there


def print_table(targets: Targets, checkouts: Sequence[Path] = (REPOSITORY,), *, causes: bool = False) -> None:
    """Print the longest blocks, measured in processes of their own.

    Args:
        targets: Gets the longest of each table.
        checkouts: What is measured in turns.
        causes: See `Watch`.
    """
    print("### Longest time that the user interface stood still, ms of CPU time\n")
    for number, (title, *_) in enumerate((QUEUE, LARGE)):
        longest = _print(title, [_measured_elsewhere(each, number, causes) for each in checkouts])
        targets.at_most(f"user interface, {title}: longest block, ms", longest, 100)


def measure(count: int, size: tuple[int, int, int], lymph_nodes: int, *, causes: bool = False) -> Watch:
    """Segment volumes, go through their lymph nodes, and accept one.

    Args:
        count: Volumes in the queue.
        size: Voxels of each, ``(x, y, z)``.
        lymph_nodes: Lymph nodes in each.
        causes: See `Watch`.
    """
    import standin
    from lnsegfm_panel import add_model, use_fake_worker

    app, watch = standin.start(), Watch(causes)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.environ["LNSEGFM_HOME"] = str(Path(folder) / "home")
        add_model("fine")
        widget = _open(app, watch)
        use_fake_worker(widget, Path(folder))
        app.wait_until(lambda: not widget.is_working("bundled"), 60, "the set-up")
        widget.refreshModels()
        app.choose(widget.ui.modelSelector, "fine")
        _add_volumes(count, size, lymph_nodes)
        app.process_events()
        _segment(watch, widget, count)
        _review(app, watch, widget)
        _edit(app, watch, widget)
        watch.timed("starting to accept", widget.ui.acceptButton.click)
        watch.until("accepting", lambda: not widget.is_working("accept"))
        app.check()
        app.unload_module("LNSegFM")
        app.close_scene()
    return watch


def _open(app: Any, watch: Watch) -> Any:
    import slicer

    from lnsegfm_panel import MODULE
    from standin import module_loader

    watch.timed(IMPORTED, lambda: module_loader.load(MODULE, app.application._modules))
    watch.timed("opening the module", lambda: slicer.util.selectModule("LNSegFM"))
    turns = iter(range(_TURNS))
    watch.until("the rest of the panel", lambda: next(turns) == _TURNS - 1)
    return slicer.util.getModuleWidget("LNSegFM")


def _segment(watch: Watch, widget: Any, count: int) -> None:
    ui = widget.ui
    watch.timed("adding to the queue", ui.addAllButton.click)
    watch.until("segmenting, results arrive", lambda: not widget.is_working("segment"))
    for row in range(min(count, ui.worklistTable.rowCount)):
        watch.timed("opening from the worklist", lambda row=row: widget.worklist.on_clicked(row, 1))
        watch.until("drawing", _once())


def _review(app: Any, watch: Watch, widget: Any) -> None:
    segmentation_node = widget.parameter_node.GetNodeReference("Segmentation")
    segmentation_node.CreateClosedSurfaceRepresentation()
    draw = _drawing(app)
    watch.timed(f"{DRAWN}, first time", draw)
    for _ in range(widget.ui.nodeTable.rowCount):
        watch.timed("going to the next lymph node", widget.review.on_next)
        watch.until("drawing", _once())
    watch.timed(f"{DRAWN} after that", draw)
    watch.timed("ticking a lymph node off", widget.review.on_toggle_reviewed)
    volume_node = widget.parameter_node.GetNodeReference("Volume")
    widget.choose_pair(None, None)
    watch.timed("choosing the pair", lambda: widget.choose_pair(volume_node, segmentation_node))
    watch.timed(f"{DRAWN} after that", draw)


def _edit(app: Any, watch: Watch, widget: Any) -> None:
    review, draw = widget.review, _drawing(app)

    def measured() -> bool:
        return not widget.is_working("measure") and not widget.is_working("split")

    _choose_rows(widget, 3)
    watch.timed("deleting a lymph node", review.on_delete)
    watch.timed(f"{DRAWN} after that", draw)
    watch.timed("undo of a deletion", review.on_undo)
    _choose_rows(widget, 3, 5)
    watch.timed("merging two lymph nodes", review.on_merge)
    watch.until("measuring", measured)
    _choose_rows(widget, 3)
    watch.timed("starting to split", review.on_split)
    watch.until("splitting, measuring", measured)
    for what in ("a split", "a merge"):
        watch.timed(f"undo of {what}", review.on_undo)
        watch.until("measuring", measured)
    watch.timed("starting to measure", widget.ui.measureButton.click)
    watch.until("measuring", measured)


def _choose_rows(widget: Any, *rows: int) -> None:
    from PySide6 import QtCore

    table, flags = widget.ui.nodeTable, QtCore.QItemSelectionModel.SelectionFlag
    table.clearSelection()
    for row in rows:
        table.selectionModel().select(table.model().index(row, 0), flags.Select | flags.Rows)


def _drawing(app: Any) -> Callable[[], None]:
    """Return what draws all views, with Slicer's own displayable managers."""
    from PySide6 import QtWidgets

    from standin.views import RenderedView

    views = [each for each in app.window.findChildren(QtWidgets.QWidget) if isinstance(each, RenderedView)]
    pipelines = [view.renderer_pipeline() for view in views if hasattr(view, "renderer_pipeline")]

    def draw() -> None:
        for pipeline in pipelines:
            pipeline.render(600, 450)

    return draw


def _once() -> Callable[[], bool]:
    rounds = iter((False, True))
    return lambda: next(rounds)


def _add_volumes(count: int, size: tuple[int, int, int], lymph_nodes: int) -> None:
    """Add volumes with bright boxes; they share their voxels, or the computer's memory would not do."""
    import slicer
    import vtk
    from vtk.util import numpy_support

    array = np.full(size[::-1], -100, np.int16)
    step = np.asarray(array.shape) // (3, 4, -(-lymph_nodes // 12))
    for number in range(lymph_nodes):
        corner = np.array([number % 3, number // 3 % 4, number // 12]) * step + 4
        array[tuple(slice(first, first + 8) for first in corner)] = 800
    image = vtk.vtkImageData()
    image.SetDimensions(size)
    image.GetPointData().SetScalars(numpy_support.numpy_to_vtk(array.ravel(), deep=True))
    for number in range(1, count + 1):
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"CT {number}")
        node.SetSpacing(1.0, 1.0, 1.0)
        node.CreateDefaultDisplayNodes()
        node.SetAndObserveImageData(image)


def _measured_elsewhere(checkout: Path, number: int, causes: bool) -> dict[str, list[Any]]:
    """Measure a checkout with its own stand-in of Slicer, in a process of its own."""
    folders = [checkout / each for each in ("LNSegFM", "LNSegFMFineTune")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, folders), *sys.path])}
    command = [sys.executable, "-m", "bench.responsiveness", "--only", str(number), "--checkout", str(checkout)]
    done = subprocess.run(
        [*command, *(["--causes"] if causes else [])], check=True, env=environment, cwd=REPOSITORY,
        stdout=subprocess.PIPE, text=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Print a table for many volumes and for large ones."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--causes", action="store_true", help="name what takes the time; the times themselves grow")
    parser.add_argument("--against", type=Path, help="another checkout, measured in turns with this one")
    parser.add_argument("--only", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--checkout", type=Path, default=REPOSITORY, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only is not None:
        sys.path.insert(0, str(options.checkout / BENCH.parent))
        watch = measure(*(QUEUE, LARGE)[options.only][1:], causes=options.causes)
        print(json.dumps({what: [each.cpu_ms, each.wall_ms, each.cause] for what, each in watch.blocks.items()}))
        return
    checkouts = [*([options.against.resolve()] if options.against else []), REPOSITORY]
    print_table(Targets(), checkouts, causes=options.causes)


def _print(title: str, measured: list[dict[str, list[Any]]]) -> float:
    """Print one table; return the longest block of the last checkout."""
    heads = ["before", "after"] if len(measured) > 1 else ["ms"]
    print(f"| {title} | " + " | ".join(heads) + " |\n" + "|---" * (1 + len(heads)) + "|")
    for what, (_cpu, _wall, cause) in measured[-1].items():
        cells = [f"{each[what][0]:.0f}" if what in each else "" for each in measured]
        print(f"| {what}{': ' + cause if cause else ''} | " + " | ".join(cells) + " |")
    longest = [
        max(values[0] for what, values in each.items() if not what.startswith(DRAWN) and what != IMPORTED)
        for each in measured
    ]
    print("| **the longest of ours** | " + " | ".join(f"**{each:.0f}**" for each in longest) + " |\n", flush=True)
    return longest[-1]


if __name__ == "__main__":
    main()
