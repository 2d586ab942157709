"""``python -m preview``: with a display a window to play in, without one a picture of every step."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from own_folder import empty_own_folder

import standin
from preview.scans import load_scan
from preview.walk import MODULES, REPOSITORY, Outcome, Settings, walk


def main() -> None:
    """Use a home of its own below ``build/preview``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("build/preview"))
    parser.add_argument("--pictures", action="store_true", help="write pictures even where there is a display")
    options = parser.parse_args()
    has_display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")) or sys.platform != "linux"
    if has_display and not options.pictures:
        use_own_home(options.output)
        _play()
    else:
        outcome = write_pictures(options.output)
        figures = ", ".join(f"{model} {score:.3f}" for model, score in outcome.scores.items())
        print(f"DSC of the held-out scan: {figures}")


def use_own_home(folder: Path) -> None:
    """Empty the folder, and let models, cases and jobs lie in it."""
    empty_own_folder(folder)
    os.environ["LNSEGFM_HOME"] = str((folder / "home").absolute())


def write_pictures(folder: Path) -> Outcome:
    """Walk through the day and write a picture of each step into the folder, which is emptied."""
    use_own_home(folder)
    app = standin.start()
    outcome = walk(app, Settings(), folder)
    for module in reversed(MODULES):
        app.unload_module(module)
    return outcome


def _play() -> None:
    app = standin.start(offscreen=False)
    for module in reversed(MODULES):
        app.load_module(REPOSITORY / module / f"{module}.py")
    for number, seed in enumerate(Settings().seeds, 1):
        load_scan(number, seed, Settings().size)
    app.select_module("LNSegFM")
    app.window.show()
    app.application.exec()


if __name__ == "__main__":
    main()
