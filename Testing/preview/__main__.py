"""``python -m preview``: with a display a window to play in, without one a picture of every step."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from own_folder import empty_own_folder

import standin
from preview.walk import DOMAIN, REPOSITORY, Settings, Walk


def main() -> None:
    """Use a home of its own below ``build/preview``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("build/preview"))
    parser.add_argument("--pictures", action="store_true", help="write pictures even where there is a display")
    options = parser.parse_args()
    has_display = bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")) or sys.platform != "linux"
    empty_own_folder(options.output)
    os.environ["LNSEGFM_HOME"] = str((options.output / "home").absolute())
    if has_display and not options.pictures:
        _play()
    else:
        _write_pictures(options.output)


def _play() -> None:
    from LNSegFMLib.phantom import make_case

    app = standin.start(offscreen=False)
    for module in ("LNSegFMFineTune", "LNSegFM"):
        app.load_module(REPOSITORY / module / f"{module}.py")
    from LNSegFMLib.scene.volumes import add_volume

    for number in (1, 2, 3):
        add_volume(make_case(DOMAIN, number).ct, f"Scan {number}")
    app.select_module("LNSegFM")
    app.window.show()
    app.application.exec()


def _write_pictures(folder: Path) -> None:
    app = standin.start()
    names: list[str] = []

    def picture(step: str) -> None:
        names.append(f"{len(names) + 1}-{step}.png")
        app.screenshot(folder / names[-1])
        print(folder / names[-1], flush=True)

    outcome = Walk(app, Settings(), picture).run()
    figures = ", ".join(f"{model} {score:.3f}" for model, score in outcome.scores.items())
    print(f"DSC of the held-out scan: {figures}")
    for module in ("LNSegFMFineTune", "LNSegFM"):
        app.unload_module(module)


if __name__ == "__main__":
    main()
