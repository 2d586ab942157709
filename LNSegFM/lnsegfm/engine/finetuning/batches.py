"""Batches by their number: the same for a seed, whoever makes them and wherever a job continues after a stop."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

from lnsegfm.engine.finetuning.loader_processes import Batch, batches_ahead

# The generators that nnU-Net's augmentation draws from are the process's own: one batch at a time.
_generators = threading.Lock()


class NumberedBatches:
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

    def sequence(
        self, first: int, end: int, *, processes: int, device: torch.device,
        say: Callable[[str], None] = lambda text: print(text, flush=True),
    ) -> Iterator[Batch]:
        """Yield the batches from ``first`` to before ``end``.

        Args:
            first: Number of the first batch.
            end: Number behind the last batch.
            processes: Processes that make batches ahead; 0 for none. What they do not make is made here, the same.
            device: Where they are used. For a GPU they are made ready in a thread; on the CPU that would only take time
                from the training.
            say: Told what the user should know of the processes.
        """
        if first >= end:
            return
        batches = batches_ahead(self.__getitem__, first, end, processes, say)
        yield from batches if device.type == "cpu" else _one_ahead(batches, device)


def _one_ahead(batches: Generator[Batch, None, None], device: torch.device) -> Iterator[Batch]:
    def ready() -> Batch | None:
        batch = next(batches, None)
        return batch if batch is None or device.type != "cuda" else _pinned(batch)

    with ThreadPoolExecutor(1, "batches") as thread:
        try:
            coming = thread.submit(ready)
            while (batch := coming.result()) is not None:
                coming = thread.submit(ready)
                yield batch
        finally:
            thread.submit(batches.close).result()


def _pinned(value: Any) -> Any:
    """The same with tensors in memory that a GPU can read by itself."""
    if isinstance(value, torch.Tensor):
        return value.pin_memory() if torch.cuda.is_available() else value
    if isinstance(value, dict):
        return {name: _pinned(each) for name, each in value.items()}
    return [_pinned(each) for each in value] if isinstance(value, list) else value


def seed_generators(seed: int) -> None:
    """Seed the generators on the CPU that augmentation draws from; those of GPUs stay as they are."""
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)



def _forget_other_threads() -> None:
    # A forked process has none of the threads that may have held it.
    global _generators
    _generators = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)
