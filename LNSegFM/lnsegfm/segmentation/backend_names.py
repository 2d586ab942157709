"""Names of what runs a network, as the user chooses it."""

from __future__ import annotations

from lnsegfm.base.computer.device_names import PRECISIONS
from lnsegfm.base.errors import UserError

AUTO, TORCH, OPENVINO = "auto", "torch", "openvino"
OPENVINO_DEVICES = {OPENVINO: "CPU", "openvino-gpu": "GPU", "openvino-npu": "NPU"}
"""OpenVINO's own name of what it computes on, by backend."""
BACKENDS = (AUTO, TORCH, *OPENVINO_DEVICES)


def check_backend(name: str) -> None:
    """Check the name of a backend.

    Raises:
        UserError: There is no such backend.
    """
    if name not in BACKENDS:
        raise UserError(f"There is no backend '{name}'.", todo=f"Choose one of: {', '.join(BACKENDS)}.")


def check_precision(name: str) -> None:
    """Check the name of a precision.

    Raises:
        UserError: There is no such precision.
    """
    if name not in PRECISIONS:
        raise UserError(f"There is no precision '{name}'.", todo=f"Choose one of: {', '.join(PRECISIONS)}.")
