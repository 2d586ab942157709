"""A process that answers requests ends with its parent, and takes what it was writing with it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lnsegfm.base.processes import child_environment

SERVER = """
import sys, time
from pathlib import Path
from lnsegfm.base.background import Progress
from lnsegfm.base.serving.process_server import serve

def write(arguments, report, is_cancelled):
    path = Path(arguments["path"])
    try:
        path.touch()
        report(Progress(0.0, "writing"))
        while arguments["busy"]:
            pass
        time.sleep(600)
    finally:
        path.unlink()

serve(lambda: lambda name: write)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not wake a thread that waits")
@pytest.mark.parametrize("busy", [True, False])
def test_what_was_being_written_goes_when_the_parent_is_gone(busy: bool, tmp_path: Path) -> None:
    path = tmp_path / "half"
    with subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=child_environment(),
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        arguments = {"path": str(path), "busy": busy}
        process.stdin.write(json.dumps({"id": 1, "op": "write", "arguments": arguments}).encode() + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["message"] == "writing" and path.exists()
        process.stdin.close()  # as the system does when the parent is killed
        process.wait(timeout=60)
    assert not path.exists()


def test_one_without_work_ends_at_once(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVER], input=b"", capture_output=True, env=child_environment(), timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, b"")
