"""The OpenVINO package: whether it is there, what it can compute on, and how it is kept from telling others."""

from __future__ import annotations

import importlib.metadata
import sys
from functools import cache
from typing import Any

PACKAGE = "openvino"
# The converter of models reports its use over the network where this package is installed beside it.
_TELEMETRY = "openvino_telemetry"


def version() -> str | None:
    """Return the version of the installed OpenVINO, without importing it; None where there is none."""
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None


def load() -> Any:
    """Import and return OpenVINO; this process sends no telemetry.

    Raises:
        ImportError: It is not installed, or does not work.
    """
    if PACKAGE not in sys.modules:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    import openvino

    return openvino


@cache
def core() -> Any:
    """Return the one ``openvino.Core`` of this process.

    Raises:
        ImportError: See `load`.
    """
    return load().Core()


def devices() -> tuple[str, ...]:
    """Return what OpenVINO can compute on, such as ``CPU``, ``GPU``, ``GPU.1`` and ``NPU``."""
    return tuple(core().available_devices)


def name_of(device: str) -> str:
    """Return the maker's name of a device."""
    return str(core().get_property(device, "FULL_DEVICE_NAME"))


def computes_in(device: str, kind: str) -> bool:
    """Tell whether a device computes in ``BF16`` or ``FP16``."""
    return kind in core().get_property(device, "OPTIMIZATION_CAPABILITIES")
