"""The Slicer that is tested: found by its path, started with options of its own, and killed when it hangs."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_VERSION_TIMEOUT_S = 120.0
_TERMINATION_S = 10.0
# Without the user's settings, start-up file and splash screen.
_OPTIONS = ("--no-splash", "--ignore-slicerrc", "--disable-settings")


class NotSlicer(Exception):
    """What was given cannot be used as Slicer."""


@dataclass(frozen=True)
class Slicer:
    """A Slicer that answers.

    Args:
        command: The command that starts it, without options.
        version: What it says of itself.
    """

    command: tuple[str, ...]
    version: str

    @classmethod
    def find(cls, text: str) -> Slicer:
        """Return the Slicer that a path or a command starts.

        Raises:
            NotSlicer: Nothing was given, it cannot be started, or it is something else.
        """
        command = _split(text)
        program = shutil.which(command[0])
        if program is None:
            path = Path(command[0])
            what = "is not executable" if path.is_file() else "is a folder" if path.is_dir() else "does not exist"
            raise NotSlicer(f"{command[0]} {what}. Give the path of Slicer's executable: make slicer-test SLICER=...")
        answer = _ask_version([program, *command[1:]])
        found = re.search(r"^\S*slicer\S* \d+\.\d+.*$", answer, re.IGNORECASE | re.MULTILINE)
        if found is None:
            raise NotSlicer(
                f"{text} is not 3D Slicer, or does not start: asked for its version, it says {answer.strip()[:300]!r}. "
                "Give the path of Slicer's executable: make slicer-test SLICER=..."
            )
        return cls((program, *command[1:]), found.group().strip())

    def run(
        self, script: Path, modules: Sequence[Path], environment: Mapping[str, str], log: Path, *, testing: bool,
        timeout_s: float,
    ) -> int | None:
        """Run a Python script in Slicer with a main window.

        Args:
            script: The script; it has to end Slicer.
            modules: Folders of the modules to load.
            environment: Added to the environment.
            log: Gets what Slicer prints.
            testing: Use Slicer's testing mode, in which questions answer themselves.
            timeout_s: Then Slicer and what belongs to its process group is killed.

        Returns:
            The exit status; None after a timeout.
        """
        options = [*_OPTIONS, *(["--testing"] if testing else [])]
        # The list of folders ends where the next option begins.
        options += ["--additional-module-paths", *map(str, modules), "--python-script", str(script)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*self.command, *options], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                env=_environment(environment), start_new_session=os.name != "nt",
            )
            try:
                return process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                return None
            finally:
                _end_group(process)


def _split(text: str) -> list[str]:
    if not text.strip():
        raise NotSlicer("No Slicer was given. Give the path of its executable: make slicer-test SLICER=/path/to/Slicer")
    return [text] if Path(text).exists() else shlex.split(text, posix=os.name != "nt")


def _ask_version(command: Sequence[str]) -> str:
    try:
        ended = subprocess.run(
            [*command, "--version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=_VERSION_TIMEOUT_S, env=_environment({}), check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NotSlicer(f"{command[0]} does not answer within {_VERSION_TIMEOUT_S:.0f} s.") from error
    except OSError as error:
        raise NotSlicer(f"{command[0]} cannot be started: {error}.") from error
    return ended.stdout.decode(errors="replace")


def _environment(added: Mapping[str, str]) -> dict[str, str]:
    # Slicer brings its own Python and Qt; what the caller's need would break them.
    foreign = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "QT_QPA_PLATFORM", "QT_PLUGIN_PATH")
    return {**{name: value for name, value in os.environ.items() if name not in foreign}, **added}


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the process and what it started in its group; jobs are detached and live on."""
    if sys.platform == "win32":
        if process.poll() is None:
            subprocess.run(["taskkill", "/T", "/F", "/PID", str(process.pid)], capture_output=True, check=False)
            process.wait()
        return
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(_TERMINATION_S)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
