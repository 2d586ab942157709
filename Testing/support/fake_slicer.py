"""A command that takes Slicer's options and runs the script in the stand-in: it shows the orchestration, not Slicer."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

VERSION = "Slicer 5.13.0-standin"
REPOSITORY = Path(__file__).resolve().parents[2]


class SlicerLog(logging.FileHandler):
    """Writes records as ctkErrorLogAbstractModel does."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a line of Slicer's log."""
        place = f"({record.pathname}:{record.lineno})"
        return f"[{record.levelname}][Python] 30.11.2026 12:00:00 [Python] {place} - {record.getMessage()}"


def main() -> None:
    """Do what Slicer does with its command line."""
    parser = argparse.ArgumentParser()
    for name in ("--version", "--testing", "--no-splash", "--ignore-slicerrc", "--disable-settings"):
        parser.add_argument(name, action="store_true")
    parser.add_argument("--additional-module-paths", nargs="*", default=[])
    parser.add_argument("--python-script")
    options = parser.parse_args()
    if options.version:
        print(VERSION)
        return
    if not options.no_splash or not options.ignore_slicerrc or not options.disable_settings:
        sys.exit("The user's settings would be used.")
    sys.exit(_run(options))


def _run(options: argparse.Namespace) -> int:
    folders = ("Testing/support", "Testing/tools", "LNSegFM", "LNSegFMFineTune")
    sys.path[:0] = [str(REPOSITORY / name) for name in folders]
    import standin

    app: Any = standin.start()
    import slicer

    from standin.views import RenderedView

    # The stand-in renders when its own screenshot is taken; here somebody else takes it.
    RenderedView.forceRender = lambda view: view.draw()
    _imitate_strokes()
    log_file = Path(os.environ["LNSEGFM_REAL_SLICER"]).with_name("Slicer.log")
    logging.getLogger().addHandler(SlicerLog(log_file))
    logging.getLogger().setLevel(logging.DEBUG)
    type(app.application).errorLogModel = lambda _application: SimpleNamespace(filePath=str(log_file))
    app.application._testing = options.testing
    statuses = [0]
    slicer.util.exit = lambda status=0: statuses.append(status)
    for folder in options.additional_module_paths:
        app.load_module(Path(folder) / f"{Path(folder).name}.py")
    slicer.util.selectModule("Welcome")
    script = Path(options.python_script)
    exec(script.read_text(encoding="utf-8"), {"__name__": "__main__", "__file__": str(script)})
    for folder in reversed(options.additional_module_paths):
        app.unload_module(Path(folder).name)
    return statuses[-1]


def _imitate_strokes() -> None:
    """Let `slicer.util.clickAndDrag` paint a ball around the middle of the view; the stand-in's views have no mouse."""
    try:
        from standin.segment_effects import stroke
    except ImportError:  # a stand-in without a Segment Editor
        return
    import numpy as np
    import slicer
    import vtk

    from standin.views import SliceWidget

    def click_and_drag(view: Any, **_positions: Any) -> None:
        editing = slicer.util.getModuleWidget("LNSegFM").correct.editing
        volume_node = editing.editor.widget.sourceVolumeNode()
        to_ras, to_ijk = view.mrmlSliceNode().GetSliceToRAS(), vtk.vtkMatrix4x4()
        volume_node.GetRASToIJKMatrix(to_ijk)
        middle = [to_ras.GetElement(axis, 3) for axis in range(3)]
        i, j, k, _one = to_ijk.MultiplyPoint((*middle, 1.0))
        shape = slicer.util.arrayFromVolume(volume_node).shape
        z, y, x = np.indices(shape)
        stroke(editing.editor.widget, (z - k) ** 2 + (y - j) ** 2 + (x - i) ** 2 <= 25)

    slicer.util.clickAndDrag = click_and_drag
    interactor = SimpleNamespace(GetSize=lambda: (400, 400))
    SliceWidget.interactorStyle = lambda _view: SimpleNamespace(GetInteractor=lambda: interactor)


if __name__ == "__main__":
    main()
