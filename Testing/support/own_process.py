"""The command line in a process of its own: without some packages, within limits, with streams of any kind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_BLOCKER = """
import os, sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in os.environ.get("BLOCKED_PACKAGES", "").split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""
# Limits count from here on: what Python needs to start is not of interest.
_COMMAND = """
import json, os, sys
import lnsegfm.cli.app
from lnsegfm.cli import main

limits = json.loads(os.environ.get("LIMITS", "{}"))
if limits:
    import resource
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, name), (value, value))
exec(os.environ.get("FIRST", ""))
raise SystemExit(main(sys.argv[1:]))
"""


def run_command(
    *arguments: object, limits: dict[str, int] | None = None, first: str = "",
    environment: dict[str, str] | None = None, shell: str = "", **options: Any,
) -> subprocess.CompletedProcess[str]:
    """Run one command and return how it ended.

    Args:
        *arguments: The words after ``lnsegfm``.
        limits: Names of the module resource, such as RLIMIT_FSIZE, with their values.
        first: Python code that runs before the command.
        environment: Variables to add.
        shell: What a shell does with the streams, such as ``>&-``; empty to read them.
        **options: For `subprocess.run`.
    """
    command: Sequence[str] = [sys.executable, "-c", _COMMAND, *map(str, arguments)]
    variables = {**os.environ, "LIMITS": json.dumps(limits or {}), "FIRST": first, **(environment or {})}
    if shell:
        command = ["sh", "-c", f'"$@" {shell}', "sh", *command]
    options.setdefault("capture_output", True)
    return subprocess.run(command, text=True, errors="surrogateescape", env=variables, check=False, **options)


def without(package: str, folder: Path) -> dict[str, str]:
    """Return the environment in which no process finds a package.

    Args:
        package: Name to import.
        folder: Where what keeps it from being found is put.
    """
    (folder / "sitecustomize.py").write_text(_BLOCKER)
    paths = os.pathsep.join([str(folder), *sys.path])
    return {"PYTHONPATH": paths, "BLOCKED_PACKAGES": package}
