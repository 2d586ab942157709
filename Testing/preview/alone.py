"""Parts of the story in a process of their own, with fresh modules: ``python -m preview.alone walk|self-test``.

Prints what was seen as the last line, in JSON. `LNSEGFM_HOME` should be an empty folder.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import standin
from preview.walk import REPOSITORY, Settings, Walk

SMALL = Settings(size=(64, 64, 24), training_seeds=(311,), holdout_seed=401, epochs=2, iterations=4, mirroring=False)


def main(part: str) -> None:
    """Run one part."""
    app = standin.start()
    steps: list[str] = []
    if part == "walk":
        seen = asdict(Walk(app, SMALL, steps.append).run())
    else:
        for module in ("LNSegFM", "LNSegFMFineTune"):
            app.load_module(REPOSITORY / module / f"{module}.py")
        app.run_self_test("LNSegFMFineTune")
        seen = {"dialogs": [list(dialog) for dialog in app.dialogs]}
    for module in ("LNSegFMFineTune", "LNSegFM"):
        app.unload_module(module)
    app.check()
    print(json.dumps({"steps": steps, **seen}))


if __name__ == "__main__":
    main(sys.argv[1])
