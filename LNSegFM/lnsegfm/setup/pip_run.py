"""Installing Python packages with pip in a process of its own, which can be watched and cancelled."""

from __future__ import annotations

import importlib
import importlib.metadata
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.files import write_text
from lnsegfm.base.processes import child_environment, kill_tree, python_executable, start_piped
from lnsegfm.base.reasons.network_errors import network_reason
from lnsegfm.base.text_tail import tail
from lnsegfm.base.wording import data_size

Report = Callable[[float | None, str], object]

_LOG_LINES = 200
_POLL_S = 0.1
# From pip 24.1 on, progress comes in lines that a program can read.
_RAW_PROGRESS = (24, 1)
_STEPS = ("Collecting", "Downloading", "Using cached", "Building", "Processing", "Looking in", "Installing collected")


def run_pip(
    arguments: Sequence[str], log: Path, *, command: Sequence[str] | None = None,
    progress: Report = lambda fraction, message: None, is_cancelled: Callable[[], bool] = lambda: False,
) -> None:
    """Run ``pip install`` until it ends.

    A cancel ends it at once while it looks for packages and fetches them. While it puts them in place the cancel has to
    wait for it: half a package would break Python for everything else in Slicer.

    Args:
        arguments: What comes after ``pip install``.
        log: File that gets what pip says, with ``~`` for the user's home folder; an earlier one is replaced.
        command: Command line of pip; by default that of the Python that runs the workers.
        progress: Called with None and what pip does.
        is_cancelled: Asked several times a second.

    Raises:
        UserError: pip failed; the message tells the cause.
        Cancelled: It was ended, and has installed nothing.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(b"")
    line = [*(command or [python_executable(), "-m", "pip"]), "install", *_options(), *arguments]
    process = start_piped(line, child_environment(extra={"PIP_DISABLE_PIP_VERSION_CHECK": "1"}), log)
    try:
        if _watch(process, log, progress, is_cancelled) != 0:
            raise pip_error(tail(log, _LOG_LINES))
    finally:
        said = log.read_text(encoding="utf-8", errors="replace")
        write_text(log, said.replace(str(Path.home()), "~"))


def pip_error(lines: Sequence[str]) -> UserError:
    """Return the cause of a failure of pip from the last lines that it printed."""
    text = "\n".join(lines)
    missing = re.search(r"No matching distribution found for (\S+)", text)
    network = network_reason(text)
    if network is not None:
        return UserError(_WHAT, *network)
    if missing is not None:
        return UserError(
            _WHAT, f"No version of {missing[1]} was found that fits this Python ({_python_version()}) and system.",
            "Offline: add its wheel to the folder. Else: use a version of Slicer that this extension supports.",
        )
    for pattern, why, todo in _CAUSES:
        if re.search(pattern, text, re.IGNORECASE):
            return UserError(_WHAT, why, todo)
    errors = [line.removeprefix("ERROR:").strip() for line in lines if line.startswith("ERROR")] or list(lines[-1:])
    todo = "The log has the details, and so has 'Copy report'."
    return UserError(_WHAT, errors[-1] if errors else "pip said nothing.", todo)


def installed_versions() -> dict[str, str]:
    """Return the versions of all packages of this Python, by their names."""
    importlib.invalidate_caches()
    return {item.metadata["Name"]: item.version for item in importlib.metadata.distributions()}


def changed_in_use(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return the packages that have changed though this process has imported them.

    It keeps using the old versions until it is restarted.

    Args:
        before: Versions by name, see `installed_versions`.
        after: Versions by name now.
    """
    changed = [name for name, version in before.items() if after.get(name, version) != version]
    return sorted(name for name in changed if not _modules_of(name).isdisjoint(sys.modules))


def _modules_of(name: str) -> set[str]:
    return {file.parts[0].partition(".")[0] for file in importlib.metadata.files(name) or ()}


_WHAT = "The Python packages could not be installed."
_CAUSES = (
    (r"No space left|Errno 28|not enough space", "The disk is full.", "Free some disk space, then try again."),
    (
        r"WinError 32|being used by another process",
        "A file of a package is in use.", "Close other windows of Slicer, restart Slicer and try again.",
    ),
    (
        r"PermissionError|Permission denied|Errno 13|WinError 5|Access is denied",
        "Slicer's folder may not be written to.",
        "Install Slicer into a folder of your own, or ask your administrator to start Slicer once with the right to "
        "write there; a file that is in use by another window of Slicer looks the same.",
    ),
    (
        r"ResolutionImpossible|conflicting dependencies",
        "Packages that other extensions have installed do not go together with these.",
        "The log names them. A Slicer of its own for LN-Seg-FM is the safest way out.",
    ),
    (r"No module named pip", "Slicer's Python has no pip.", "Install Slicer again."),
)  # fmt: skip


def _watch(process: subprocess.Popen[bytes], log: Path, progress: Report, is_cancelled: Callable[[], bool]) -> int:
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(process, log, lines), name="pip reader", daemon=True).start()
    if process.stdin is not None:
        process.stdin.close()
    placing, doing = False, ""
    while True:
        try:
            line = lines.get(timeout=_POLL_S)
        except queue.Empty:
            line = ""
        if line is None:
            return process.wait()
        placing = placing or line.startswith("Installing collected packages")
        if is_cancelled() and not placing:
            kill_tree(process.pid)
            process.wait()
            raise Cancelled
        doing = line if line.lstrip().startswith(_STEPS) else doing
        if line:
            progress(None, _in_words(line, doing.strip(), placing))


def _read(process: subprocess.Popen[bytes], log: Path, lines: queue.SimpleQueue[str | None]) -> None:
    if process.stdout is not None:
        with process.stdout as output:
            for raw in output:
                line = raw.decode("utf-8", errors="replace").rstrip()
                if not line.startswith("Progress "):
                    with log.open("ab") as stream:
                        stream.write(line.encode() + b"\n")
                lines.put(line)
    lines.put(None)


def _in_words(line: str, doing: str, placing: bool) -> str:
    if placing:
        return "Putting the packages in place, which cannot be interrupted"
    amount = re.fullmatch(r"Progress (\d+) of (\d+)", line)
    if amount is not None:
        return f"{doing.partition(' (')[0]}: {data_size(int(amount[1]))} of {data_size(int(amount[2]))}"
    return doing


def _options() -> list[str]:
    try:
        version = tuple(int(part) for part in importlib.metadata.version("pip").split(".")[:2])
    except (importlib.metadata.PackageNotFoundError, ValueError):
        version = (0, 0)
    return ["--no-input", "--progress-bar", "raw" if version >= _RAW_PROGRESS else "off"]


def _python_version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"
