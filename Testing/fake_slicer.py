"""A command that takes Slicer's options and runs the script in the stand-in: it shows the orchestration, not Slicer.

`FAKE_SLICER` chooses what goes wrong: ``hang`` and ``crash`` in the middle of a step, ``log-error``, ``status`` (exit
status 3), ``no-script``.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

VERSION = "Slicer 5.13.0-standin"
REPOSITORY = Path(__file__).resolve().parents[1]


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
    if os.environ.get("FAKE_SLICER") == "no-script":
        sys.exit(4)
    sys.exit(_run(options))


def _run(options: argparse.Namespace) -> int:
    sys.path[:0] = [str(REPOSITORY / name) for name in ("Testing", "LNSegFM", "LNSegFMFineTune")]
    import standin

    app: Any = standin.start()
    import slicer

    log_file = Path(tempfile.mkdtemp(prefix="fake-slicer-")) / "Slicer.log"
    logging.getLogger().addHandler(SlicerLog(log_file))
    logging.getLogger().setLevel(logging.DEBUG)
    type(app.application).errorLogModel = lambda _application: SimpleNamespace(filePath=str(log_file))
    app.application._testing = options.testing
    statuses = [0]
    slicer.util.exit = lambda status=0: statuses.append(status)
    for folder in options.additional_module_paths:
        app.load_module(Path(folder) / f"{Path(folder).name}.py")
    slicer.util.selectModule("Welcome")
    _go_wrong(os.environ.get("FAKE_SLICER", ""))
    script = Path(options.python_script)
    exec(script.read_text(encoding="utf-8"), {"__name__": "__main__", "__file__": str(script)})
    for folder in reversed(options.additional_module_paths):
        app.unload_module(Path(folder).name)
    return 3 if os.environ.get("FAKE_SLICER") == "status" else statuses[-1]


def _go_wrong(how: str) -> None:
    import slicer

    select = slicer.util.selectModule

    def select_module(name: str) -> None:
        if how == "hang":
            print("about to hang", flush=True)
            time.sleep(600)
        if how == "crash":
            os._exit(139)
        if how == "log-error":
            logging.error("SetSourceVolumeNode: need to set segment editor and segmentation nodes first")
        select(name)

    if how:
        slicer.util.selectModule = select_module


if __name__ == "__main__":
    main()
