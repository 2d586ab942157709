"""Training batches: the same by their number, whoever makes them."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from lnsegfm.engine.finetuning.batches import NumberedBatches


class RandomLoader:
    """Draws from all three generators, as nnU-Net's augmentation does."""

    def __next__(self) -> dict[str, object]:
        return {"data": torch.rand(2) + float(np.random.rand()), "keys": [str(random.random())]}


def drawn(first: int, end: int, *, seed: int = 3, processes: int = 0, device: str = "cpu") -> list[tuple[float, ...]]:
    batches = NumberedBatches(RandomLoader(), seed)
    found = batches.sequence(first, end, processes=processes, device=torch.device(device))
    return [(*batch["data"].tolist(), float(batch["keys"][0])) for batch in found]


def test_a_number_always_gives_the_same_batch() -> None:
    whole = drawn(0, 6)
    assert len(set(whole)) == 6
    assert drawn(2, 6) == whole[2:]
    assert drawn(0, 6, seed=4) != whole


@pytest.mark.parametrize(("processes", "device"), [(1, "cpu"), (3, "cpu"), (0, "cuda")])
def test_processes_and_threads_make_the_same_batches(processes: int, device: str) -> None:
    assert drawn(1, 8, processes=processes, device=device) == drawn(1, 8)


def test_an_error_of_a_batch_made_ahead_arrives() -> None:
    class Broken:
        def __next__(self) -> dict[str, object]:
            raise OSError("the case is gone")

    found = NumberedBatches(Broken(), 0).sequence(0, 3, processes=0, device=torch.device("cuda"))
    with pytest.raises(OSError, match="the case is gone"):
        next(found)
