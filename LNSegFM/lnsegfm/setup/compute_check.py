"""Whether the worker's Python can compute: asked of a process of its own, told in words."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.processes import child_environment, kill_tree, python_executable, start_piped
from lnsegfm.base.text_tail import tail

_POLL_S = 0.1
_LOG_LINES = 30


@dataclass(frozen=True)
class SelfCheck:
    """What a self-check found.

    Args:
        works: Whether a segmentation can be computed.
        words: What computes it, or why it cannot, in a sentence or two.
        broken: Whether packages are there that do not work, so that reinstalling them may help.
        device: What PyTorch computes on, such as ``cpu`` or ``cuda``; empty where it does not.
    """

    works: bool
    words: str
    broken: bool = False
    device: str = ""


def run_self_check(
    device: str, *, command: Sequence[str] | None = None, is_cancelled: Callable[[], bool] = lambda: False
) -> SelfCheck:
    """Import the packages and convolve a tiny volume, in another process; takes seconds.

    Args:
        device: ``auto``, ``cuda``, ``mps`` or ``cpu``.
        command: Command line of the process, without the device, where it is not the default one.
        is_cancelled: Asked several times a second.

    Raises:
        UserError: No process could be started.
        Cancelled: `is_cancelled` said so.
    """
    line = [*(command or [python_executable(), "-m", "lnsegfm.engine.compute_probe"]), device]
    with tempfile.TemporaryDirectory(prefix="lnsegfm-check-", ignore_cleanup_errors=True) as folder:
        log = Path(folder) / "log.txt"
        try:
            process = start_piped(line, child_environment(), log)
        except OSError as error:
            raise UserError("The self-check could not be started.", f"{error}.", "Install Slicer again.") from error
        output = _output(process, is_cancelled)
        return _judge(output, process.returncode, tail(log, _LOG_LINES))


def _output(process: subprocess.Popen[bytes], is_cancelled: Callable[[], bool]) -> str:
    while True:
        try:
            return process.communicate(timeout=_POLL_S)[0].decode("utf-8", errors="replace")
        except subprocess.TimeoutExpired:
            if is_cancelled():
                kill_tree(process.pid)
                process.communicate()
                raise Cancelled from None


def _judge(output: str, code: int, log: list[str]) -> SelfCheck:
    answer = _answer(output)
    if "value" in answer:
        return SelfCheck(True, _in_words(answer["value"]), device=answer["value"]["device"])
    if "error" in answer:
        return SelfCheck(False, str(UserError.from_json(answer["error"])))
    absent = [line for line in log if line.startswith("ModuleNotFoundError: No module named ")]
    if absent and absent[-1].rstrip().endswith(("'torch'", "'nnunetv2'")):
        return SelfCheck(False, f"{absent[-1].rpartition(' ')[2]} is not installed.")
    last = log[-1] if log else f"the process ended with code {code} and without a word"
    return SelfCheck(False, f"PyTorch or nnU-Net is installed but does not work: {last}", broken=True)


def _answer(output: str) -> dict[str, Any]:
    for line in reversed(output.splitlines()):
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            return value
    return {}


def _in_words(value: dict[str, Any]) -> str:
    parts = [f"PyTorch {value['torch']} and nnU-Net {value['nnunetv2']} work on {value['reason']}."]
    if value["driver"]:
        parts.append(f"NVIDIA driver {value['driver']}.")
    if value["cuda"]:
        parts.append(f"PyTorch was built for CUDA {value['cuda']}.")
    if value.get("openvino"):
        parts.append(f"OpenVINO {value['openvino']}.")
    return " ".join(parts)
