"""What a device may be called, before anything knows which ones there are."""

from __future__ import annotations

import re

DEVICES = "auto, cpu, mps, cuda, cuda:N"
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,4})?", re.ASCII)


def is_device(name: str) -> bool:
    """Tell whether a device may be called so; ``cuda:N`` is the GPU number N, from 0."""
    return isinstance(name, str) and _DEVICE.fullmatch(name) is not None
