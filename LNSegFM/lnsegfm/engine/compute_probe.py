"""Can this Python compute? ``python -m lnsegfm.engine.compute_probe DEVICE`` answers in one line of JSON.

A process of its own, because a torch that does not fit the computer may end it without a word.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from typing import Any

import nnunetv2  # noqa: F401 - whether it can be imported is part of the question
import torch

from lnsegfm.base.errors import UserError
from lnsegfm.engine import openvino_runtime
from lnsegfm.engine.devices import choose_device

_DRIVER_WAIT_S = 20.0


def check(wish: str) -> dict[str, Any]:
    """Convolve a tiny volume on a device and tell what did it.

    Args:
        wish: See `choose_device`.

    Raises:
        UserError: The device is not there, or its result is wrong.
    """
    device, reason = choose_device(wish)
    ones = torch.ones(1, 1, 4, 4, 4, device=device)
    result = torch.nn.functional.conv3d(ones, torch.ones(1, 1, 3, 3, 3, device=device), padding=1).cpu()
    # Inside the volume all 27 neighbours count, in a corner only 8 of them.
    if result[0, 0, 1, 1, 1] != 27 or result[0, 0, 0, 0, 0] != 8:
        raise UserError(
            "The device computes wrong results.", f"A sum of 27 ones was {float(result[0, 0, 1, 1, 1]):g} on {reason}.",
            "Choose the CPU, and have the GPU and its driver checked.",
        )
    return {
        "torch": version("torch"),
        "nnunetv2": version("nnunetv2"),
        "device": device.type,
        "reason": reason,
        "cuda": torch.version.cuda or "",
        "driver": _driver(),
        "openvino": _openvino(),
    }


def _openvino() -> str:
    """Return OpenVINO's version and what it computes on, or why it does not; empty where it is not installed."""
    version = openvino_runtime.version()
    if version is None:
        return ""
    try:
        return f"{version} computes on {', '.join(openvino_runtime.devices()) or 'nothing here'}"
    except (ImportError, RuntimeError, OSError, AttributeError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return f"{version} does not work ({first[:200]}); PyTorch takes its place"


def _driver() -> str:
    """Return the version of NVIDIA's driver, or an empty text where there is none."""
    try:
        answer = subprocess.run(
            ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"], capture_output=True, text=True,
            timeout=_DRIVER_WAIT_S, check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip().splitlines()[0] if answer.stdout.strip() else ""


def main() -> None:
    """Entry point of the process."""
    try:
        answer: dict[str, Any] = {"value": check(sys.argv[1])}
    except UserError as error:
        answer = {"error": error.to_json()}
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
