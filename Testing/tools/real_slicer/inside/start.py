"""The script that Slicer is started with; it runs the part that the settings name, and ends Slicer."""

import importlib
import json
import os
import sys
from pathlib import Path

MODULE_OF_PART = {
    "self-test-segment": "self_tests",
    "self-test-fine-tune": "self_tests",
    "self-tests-as-user": "self_tests",
    "walk": "walk",
    "walk-again": "walk_again",
    "day": "day",
}


def main() -> None:
    """Run the part; Slicer's exit status is 0 when no step failed."""
    configuration = json.loads(Path(os.environ["LNSEGFM_REAL_SLICER"]).read_text(encoding="utf-8"))
    # Slicer runs this file by its text: it has no package.
    sys.path.insert(0, str(Path(configuration["repository"]) / "Testing" / "tools"))
    import slicer

    from real_slicer.inside.steps import Steps

    steps = Steps(Path(configuration["folder"]), watch_s=configuration["watch_s"])
    module = importlib.import_module(f"real_slicer.inside.{MODULE_OF_PART[configuration['part']]}")
    try:
        module.run(steps, configuration["part"])
    finally:
        slicer.util.exit(steps.close())


main()
