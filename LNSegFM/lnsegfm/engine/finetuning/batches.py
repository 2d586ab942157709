"""Batches by their number: the same for a seed, whoever makes them and wherever a job continues after a stop."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

Batch = dict[str, Any]
# The generators that nnU-Net's augmentation draws from are the process's own: one batch at a time.
_generators = threading.Lock()


class NumberedBatches(Dataset[Batch]):
    """A loader of random batches that gives for a number always the same batch.

    Args:
        loader: nnU-Net's data loader, which draws from the generators of Python, numpy and torch.
        seed: Seed of all batches.
    """

    def __init__(self, loader: Any, seed: int) -> None:
        self._loader, self._seed = loader, seed

    def __getitem__(self, number: int) -> Batch:
        """Return batch ``number``, from 0."""
        with _generators:
            seed_generators(int(np.random.SeedSequence((self._seed, number)).generate_state(1)[0]))
            return next(self._loader)

    def sequence(self, first: int, end: int, *, processes: int, device: torch.device) -> Iterator[Batch]:
        """Yield the batches from ``first`` to before ``end``.

        Args:
            first: Number of the first batch.
            end: Number behind the last batch.
            processes: Processes that make batches ahead; 0 for none.
            device: Where they are used. For a GPU they are made ahead in a thread where there are no processes; on the
                CPU that would only take time from the training.
        """
        if processes:
            yield from DataLoader(
                self, batch_size=None, sampler=range(first, end), num_workers=processes, collate_fn=_as_it_is,
                pin_memory=device.type == "cuda",
            )
        elif device.type == "cpu":
            yield from (self[number] for number in range(first, end))
        else:
            yield from self._one_ahead(first, end)

    def _one_ahead(self, first: int, end: int) -> Iterator[Batch]:
        with ThreadPoolExecutor(1, "batches") as thread:
            coming = thread.submit(self.__getitem__, first)
            for number in range(first + 1, end):
                batch = coming.result()
                coming = thread.submit(self.__getitem__, number)
                yield batch
            yield coming.result()


def seed_generators(seed: int) -> None:
    """Seed the generators on the CPU that augmentation draws from; those of GPUs stay as they are."""
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)


def _as_it_is(batch: Any) -> Any:
    return batch
