"""What devices and precisions may be called, before anything knows which ones there are."""

from __future__ import annotations

import re
from typing import Literal, get_args

DEVICES = "auto, cpu, mps, cuda, cuda:N"
PrecisionName = Literal["auto", "single", "bfloat16"]
PRECISIONS: tuple[str, ...] = get_args(PrecisionName)
"""What a network computes in; ``auto`` is as fast as device and purpose allow."""
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,4})?", re.ASCII)


def is_device(name: str) -> bool:
    """Tell whether a device may be called so; ``cuda:N`` is the GPU number N, from 0."""
    return isinstance(name, str) and _DEVICE.fullmatch(name) is not None
