"""The command line as a process of its own, which stops at a point of the test's choice; scripts play its workers.

``python driven_command.py ARGUMENTS``: with ``HALT_AT=OPERATION:TEXT`` in the environment the process halts for ever
before the first operation of `lnsegfm.base.disk` of that name on a path with that text, and says ``HALTED`` on stderr.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path

# Halts in every request, after it has begun a file that must not stay. A child of it writes on, and neither ends by
# itself; "deaf" ones do not listen to Ctrl-C either.
WORKER = """
import json, signal, subprocess, sys, tempfile, time
from pathlib import Path

deaf = "deaf" in sys.argv
if deaf:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
ON_AND_ON = '''
import sys, time
from pathlib import Path
while True:
    Path(sys.argv[1]).write_bytes(b"voxels")
    time.sleep(0.01)
'''
for line in sys.stdin:
    request = json.loads(line)
    if request["op"] == "cancel":
        continue
    arguments = request["arguments"]
    output = Path(arguments.get("output", Path(sys.argv[1]) / "model"))
    segments = "output" in arguments
    with tempfile.TemporaryDirectory(prefix=".tmp-", dir=None if segments else output.parent) as folder:
        rest = output.with_name(f".tmp-0123abcd-{output.name}") if segments else Path(folder) / "unpacked"
        child = subprocess.Popen([sys.executable, "-c", ON_AND_ON, str(rest)])
        while not rest.exists():
            pass
        print(json.dumps({"id": request["id"], "event": "progress", "fraction": 0.5, "message": f"HALTED {child.pid}"}),
              flush=True)
        try:
            while True:  # a signal that comes just before a wait without an end would not wake it
                time.sleep(0.01)
        except KeyboardInterrupt:
            child.kill()
            child.wait()
            raise
"""
# As a job that was started and works until it is cancelled.
RUNNER = """
import json, sys, time
from pathlib import Path
from lnsegfm.base.errors import Cancelled
from lnsegfm.jobs.job_writer import JobWriter

with JobWriter(Path(sys.argv[1]), heartbeat_s=0.1) as writer:
    writer.status(stage="HALTED", iteration=0, iterations=10)
    while not writer.cancelled():
        time.sleep(0.02)
    raise Cancelled
"""
CALIBRATION = """
import pathlib, sys
pathlib.Path(sys.argv[1], "result.json").write_text('{"seconds": 0.5, "device": "cpu", "memory_bytes": 1048576}')
"""


class DrivenCommand:
    """The command line in a process of its own.

    Args:
        arguments: The words after ``lnsegfm``.
        environment: Variables to add.
        script: Another script to run in place of the command line.
    """

    def __init__(self, *arguments: object, environment: Mapping[str, str], script: str | Path = __file__) -> None:
        self.said: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, str(script), *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, env={**os.environ, "PYTHONFAULTHANDLER": "1", **environment}, start_new_session=True,
        )

    def wait_until_halted(self) -> str:
        """Read stderr up to the line that says so, and return that line."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.said.append(line)
            if "HALTED" in line:
                return line
        raise AssertionError(f"It ended with {self._process.wait()}: {''.join(self.said)}")

    def send(self, *numbers: int) -> None:
        """Send signals to the process alone."""
        for number in numbers:
            os.kill(self._process.pid, number)

    def wait_for_word(self, word: str) -> None:
        """Read stderr up to a line with this word."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.said.append(line)
            if word in line:
                return
        raise AssertionError(f"It never said {word!r}: {''.join(self.said)}")

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit status and all of stderr."""
        try:
            _, rest = self._process.communicate(timeout=60)
        except subprocess.TimeoutExpired as error:
            self.send(signal.SIGABRT)  # makes it tell where its threads are
            raise AssertionError("It does not end: " + "".join(self.said) + self._process.communicate()[1]) from error
        return self._process.returncode, "".join(self.said) + rest

    def kill(self) -> None:
        """End it if it has not ended."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.communicate()


def _halting_at(operation: str, text: str) -> AbstractContextManager[None]:
    def observe(name: str, path: Path) -> None:
        if name == operation and text in str(path):
            print("HALTED", file=sys.stderr, flush=True)
            while True:  # a signal that comes just before a wait without an end would not wake it
                time.sleep(0.01)

    from lnsegfm.base import disk

    return disk.observed(observe)


def _main() -> int:
    from lnsegfm.base.home import Home
    from lnsegfm.cli import main, terminal
    from lnsegfm.jobs.pretraining import Pretraining
    from lnsegfm.session import Session

    scripts = Path(os.environ["SCRIPTS"])
    (scripts / "worker.py").write_text(WORKER)
    (scripts / "runner.py").write_text(RUNNER)
    worker = [sys.executable, str(scripts / "worker.py"), str(Home.default().models), os.environ.get("WORKER", "")]
    runner = [sys.executable, str(scripts / "runner.py")]
    terminal.Session = lambda: Session(  # type: ignore[attr-defined, assignment]
        worker_command=worker, runner_command=lambda job: [*runner, str(job.path)],
        calibration_command=lambda folder: [sys.executable, "-c", CALIBRATION, str(folder)],
    )  # fmt: skip
    Pretraining._command = lambda self: [*runner, str(self.path)]  # type: ignore[method-assign]
    operation, _, text = os.environ.get("HALT_AT", "nowhere").partition(":")
    with _halting_at(operation, text):
        return main()


if __name__ == "__main__":
    raise SystemExit(_main())
