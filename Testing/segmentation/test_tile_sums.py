"""In which precision the tiles of a volume are summed, and what that does to the corners of a tile."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lnsegfm.engine.inference.quality import QUALITIES
from lnsegfm.engine.inference.sliding_window import SlidingWindow
from lnsegfm.engine.inference.tile_progress import TileProgress

SIZE = 48


class Everywhere(torch.nn.Module):
    """Says foreground, but hardly."""

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        logits = torch.full((len(tiles), 2, *tiles.shape[2:]), 0.30)
        logits[:, 1] = 0.45
        return logits


def foreground(shape: tuple[int, int, int], *, single: bool) -> np.ndarray:
    window = SlidingWindow((SIZE,) * 3, QUALITIES["standard"], (), 2, 2, single=single)
    progress = TileProgress(lambda progress: None, lambda: False, window.workload(shape, 1))
    logits = window.predict(Everywhere(), torch.zeros((1, *shape)), torch.device("cpu"), progress)
    assert logits.dtype == torch.float32
    return (logits[1] > logits[0]).numpy()


@pytest.mark.parametrize("shape", [(SIZE, SIZE, SIZE), (SIZE, SIZE + 5, 2 * SIZE), (20, 30, 40)])
def test_a_small_region_keeps_its_corners_in_single_precision(shape: tuple[int, int, int]) -> None:
    assert foreground(shape, single=True).all()


def test_in_half_precision_as_nnunet_sums_they_are_lost() -> None:
    lost = ~foreground((SIZE, SIZE, SIZE), single=False)
    assert 0 < lost.mean() < 0.05 and lost[0, 0, 0] and not lost[SIZE // 2].any()
