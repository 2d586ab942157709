"""What may be traded for speed in a segmentation; docs/explanation/quality.md has the cost of each choice."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lnsegfm.base.errors import UserError


@dataclass(frozen=True)
class Quality:
    """How the network is applied.

    Args:
        mirroring: Average over all flips the model was trained with (eight passes in 3D), as nnU-Net does.
        step: Distance of neighbouring tiles as a share of the tile, 0 < step <= 1; nnU-Net takes 0.5.
        half_on_cpu: Compute in bfloat16 on CPUs that do so faster. CUDA always computes in half precision, as nnU-Net.
    """

    mirroring: bool = True
    step: float = 0.5
    half_on_cpu: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.step <= 1:
            raise UserError(f"The tile step {self.step} is not possible.", "It must be above 0 and at most 1.")

    def autocast(self, device: torch.device) -> torch.autocast:
        """Return the precision in which the network runs on a device."""
        if device.type == "cpu":
            return torch.autocast("cpu", torch.bfloat16, enabled=self.half_on_cpu and _bfloat16_is_fast())
        return torch.autocast(device.type, enabled=device.type == "cuda")


QUALITIES = {
    "fast": Quality(mirroring=False, step=0.75, half_on_cpu=True),
    "standard": Quality(),
    "best": Quality(step=1 / 3),
}


def _bfloat16_is_fast() -> bool:
    # By what the CPU can do, not by a measurement: labels must not depend on how busy a computer is. Without such
    # instructions PyTorch emulates bfloat16, many times slower. Other versions of PyTorch may lack these functions.
    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, name, bool)() for name in asked)
