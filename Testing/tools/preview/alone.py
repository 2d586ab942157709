"""Parts of the story in a process of their own, with fresh modules: ``python -m preview.alone walk|self-test FOLDER``.

Prints what was seen as the last line, in JSON. `LNSEGFM_HOME` should be an empty folder.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import standin
from preview.walk import MODULES, REPOSITORY, SMALL, walk


def main(part: str, folder: Path) -> None:
    """Run one part; its pictures and files go into the folder."""
    app = standin.start()
    seen: dict[str, Any]
    if part == "walk":
        seen = asdict(walk(app, SMALL, folder))
    else:
        for module in MODULES:
            app.load_module(REPOSITORY / module / f"{module}.py")
        app.run_self_test("LNSegFMFineTune")
        seen = {}
    for module in reversed(MODULES):
        app.unload_module(module)
    app.check()
    print(json.dumps({"dialogs": [list(dialog) for dialog in app.dialogs], **seen}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
