"""The precision in which networks compute, and which CPUs are faster at less of it."""

from __future__ import annotations

import platform
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Literal

import torch

from lnsegfm.base.computer.device_names import PrecisionName

Precision = Literal["single", "bfloat16", "half"]
IN_WORDS: dict[Precision, str] = {"single": "single precision", "bfloat16": "bfloat16", "half": "half precision"}
_DTYPES: dict[Precision, torch.dtype] = {
    "single": torch.float32, "bfloat16": torch.bfloat16, "half": torch.float16
}  # fmt: skip


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """Return the context in which PyTorch computes in a precision."""
    enabled = precision != "single"
    return torch.autocast(device.type, _DTYPES[precision] if enabled else None, enabled=enabled)


def training_precision(wish: PrecisionName, device: torch.device) -> Precision:
    """Return the precision of a training: half on CUDA, as in nnU-Net, bfloat16 on CPUs that gain by it, else single.

    Args:
        wish: What the user wants.
        device: Where the network is trained.
    """
    if wish != "auto":
        return wish
    if device.type == "cuda":
        return "half"
    return "bfloat16" if device.type == "cpu" and bfloat16_is_faster() else "single"


def device_words(device: torch.device, reason: str, wish: PrecisionName) -> str:
    """Return what trains, why, and in which precision where it is not PyTorch's or nnU-Net's own.

    Args:
        device: See `lnsegfm.engine.devices.choose_device`, which gives the reason too.
        reason: Why this device.
        wish: What the user wants.
    """
    precision = training_precision(wish, device)
    usual = precision == ("half" if device.type == "cuda" else "single")
    return f"{device.type}: {reason}" + ("" if usual else f"; in {IN_WORDS[precision]}")


@cache
def bfloat16_is_faster() -> bool:
    """Tell whether this CPU convolves faster in bfloat16 than in single precision.

    By its kind, not by a measurement: results must not depend on how busy a computer is. AMX and AMD's AVX-512 BF16
    take about half the time; Intel's AVX-512 BF16 without AMX takes 1.3 to 1.7 times as long (docs/explanation/
    performance.md). Without such instructions bfloat16 is emulated, many times slower.
    """
    return _has("_is_amx_tile_supported") or (_has("_is_avx512_bf16_supported") and "AMD" in _vendor())


def _has(name: str) -> bool:
    # Other versions of PyTorch may lack these functions.
    return bool(getattr(torch.cpu, name, bool)())


def _vendor() -> str:
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line for line in lines if line.startswith("vendor_id")), "")
    return platform.processor()  # on Windows it ends with AuthenticAMD or GenuineIntel
