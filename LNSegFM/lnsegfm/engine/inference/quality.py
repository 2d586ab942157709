"""What may be traded for speed in a segmentation; docs/explanation/quality.md has the cost of each choice."""

from __future__ import annotations

from dataclasses import dataclass

from lnsegfm.base.errors import UserError


@dataclass(frozen=True)
class Quality:
    """How the network is applied.

    Args:
        mirroring: Average over all flips the model was trained with (eight passes in 3D), as nnU-Net does.
        step: Distance of neighbouring tiles as a share of the tile, 0 < step <= 1; nnU-Net takes 0.5.
        bfloat16: Compute in bfloat16 on CPUs that are faster at it; a few voxels at the edge of lymph nodes then
            change. CUDA always computes in half precision, as nnU-Net.
    """

    mirroring: bool = True
    step: float = 0.5
    bfloat16: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.step <= 1:
            raise UserError(f"The tile step {self.step} is not possible.", "It must be above 0 and at most 1.")


QUALITIES = {
    "fast": Quality(mirroring=False, step=0.75, bfloat16=True),
    "standard": Quality(),
    "best": Quality(step=1 / 3),
}
