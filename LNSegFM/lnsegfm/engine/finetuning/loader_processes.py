"""Processes that make batches ahead, each with a pipe and memory of its own, so that the death of one harms nothing.

Not PyTorch's `DataLoader`: it puts batches into /dev/shm, of which a container has 64 MB by default, and where that is
full a process is killed; processes that share its queues can wait for a dead one for ever; and it tells of a death by
an exception in the middle of whatever the training does, as when half of the weights have moved.
"""

from __future__ import annotations

import mmap
import multiprocessing
import pickle
import sys
from collections.abc import Callable, Generator
from contextlib import suppress
from io import BytesIO
from multiprocessing.connection import Connection
from typing import Any

import torch

from lnsegfm.base.computer.memory import free_memory_bytes
from lnsegfm.base.wording import data_size

Batch = dict[str, Any]
PREFETCH = 2
"""Batches that each process makes ahead."""
PATIENCE_S = 300.0
"""Seconds after which a process that lives but does not answer is given up."""
# Of the memory that is free, so much may hold batches that were made ahead.
_SHARE = 0.5


class LoaderLost(Exception):
    """A process can make no more batches; the text says why."""


class LoaderProcess:
    """One process that makes the batches it is asked for, in that order.

    Args:
        make: Makes the batch of a number.
        slot_bytes: Room for the arrays of a batch; larger ones go through the pipe.
        others: The processes that were started before.
    """

    def __init__(self, make: Callable[[int], Batch], slot_bytes: int, others: list[LoaderProcess]) -> None:
        # Where processes are forked they inherit memory without a name, which counts as main memory only.
        forks = sys.platform.startswith("linux")
        context: Any = multiprocessing.get_context("fork" if forks else None)
        self._slots = [mmap.mmap(-1, max(slot_bytes, 1)) for _ in range(PREFETCH)] if forks else []
        self._pipe, theirs = context.Pipe()
        inherited = [self._pipe, *(other._pipe for other in others)] if forks else []
        self._process = context.Process(
            target=_serve, args=(make, theirs, self._slots, inherited), name="batches", daemon=True
        )
        self._process.start()
        theirs.close()  # so that the end of the process is the end of the pipe
        self._asked: list[int] = []

    @property
    def pid(self) -> int:
        """Id of the process."""
        return int(self._process.pid)

    @property
    def asked(self) -> int:
        """Number of batches that it was asked for and that were not taken yet."""
        return len(self._asked)

    def ask(self, number: int) -> None:
        """Let it make a batch; `PREFETCH` at most may be under way.

        Raises:
            LoaderLost: It has ended.
        """
        try:
            self._pipe.send(number)
        except OSError as error:
            raise LoaderLost(self._why()) from error
        self._asked.append(number)

    def take(self, number: int, patience_s: float) -> Batch:
        """Return a batch that it was asked for, the oldest one.

        Raises:
            LoaderLost: It has ended, could not make the batch, or does not answer.
        """
        assert self._asked.pop(0) == number
        try:
            if not self._pipe.poll(patience_s):
                raise LoaderLost(f"it did not answer for {patience_s:g} s")
            slot, sizes, content = pickle.loads(self._pipe.recv_bytes())
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise LoaderLost(self._why()) from error
        if sizes is None:
            raise LoaderLost(str(content))
        batch: Batch = pickle.loads(content, buffers=_copied(self._slots[slot], sizes) if sizes else None)
        return batch

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.kill()
        self._process.join(5.0)
        for slot in self._slots:
            slot.close()

    def _why(self) -> str:
        self._process.join(1.0)
        code = self._process.exitcode
        return f"it was ended by signal {-code}" if code is not None and code < 0 else f"it ended with status {code}"


def batches_ahead(
    make: Callable[[int], Batch], first: int, end: int, processes: int, say: Callable[[str], None],
    patience_s: float = PATIENCE_S,
) -> Generator[Batch, None, None]:
    """Yield the batches from ``first`` to before ``end``; processes that are lost are said, and cost time only.

    Args:
        make: Makes the batch of a number, the same here and in a process.
        first: Number of the first batch.
        end: Number behind the last batch.
        processes: How many processes; fewer where memory does not suffice.
        say: Told what the user should know.
        patience_s: Seconds after which a process that does not answer is given up.
    """
    batch = make(first)
    slot_bytes = _bytes(batch)
    loaders = _start(make, slot_bytes, _fitting(processes, slot_bytes, say), say)
    asked: dict[int, LoaderProcess] = {}
    coming = first + 1
    try:
        for number in range(first + 1, end + 1):
            while loaders and coming < end and (idle := min(loaders, key=_waiting)).asked < PREFETCH:
                try:
                    idle.ask(coming)
                    asked[coming] = idle
                    coming += 1
                except LoaderLost as lost:
                    _drop(idle, loaders, asked, lost, say)
            coming = max(coming, number + 1)
            yield batch
            if number == end:
                return
            loader = asked.pop(number, None)
            if loader is not None:
                try:
                    batch = loader.take(number, patience_s)
                    continue
                except LoaderLost as lost:
                    _drop(loader, loaders, asked, lost, say)
            batch = make(number)
    finally:
        for loader in loaders:
            loader.close()


def _waiting(loader: LoaderProcess) -> int:
    return loader.asked


def _fitting(processes: int, slot_bytes: int, say: Callable[[str], None]) -> int:
    """As many processes as memory has room for batches."""
    free, each = free_memory_bytes(), max(1, slot_bytes * PREFETCH)
    most = processes if free is None else min(processes, int(free * _SHARE / each))
    if most < processes:
        say(
            f"{most} instead of {processes} processes prepare patches: each needs {data_size(each, memory=True)}, and "
            f"{data_size(free or 0, memory=True)} of memory are free. The result is the same, it only takes longer."
        )
    return most


def _start(
    make: Callable[[int], Batch], slot_bytes: int, count: int, say: Callable[[str], None]
) -> list[LoaderProcess]:
    loaders: list[LoaderProcess] = []
    try:
        for _ in range(count):
            loaders.append(LoaderProcess(make, slot_bytes, loaders))
    except OSError as error:  # no memory, or too many processes
        say(f"{len(loaders)} instead of {count} processes prepare patches: {error}. The result is the same.")
    return loaders


def _drop(
    lost: LoaderProcess, loaders: list[LoaderProcess], asked: dict[int, LoaderProcess], why: LoaderLost,
    say: Callable[[str], None],
) -> None:
    loaders.remove(lost)
    lost.close()
    for number in [number for number, loader in asked.items() if loader is lost]:
        del asked[number]  # made here when its turn comes
    left = "none is left, so the training prepares them itself"
    if loaders:
        left = f"{len(loaders)} {'is' if len(loaders) == 1 else 'are'} left"
    say(f"A process that prepares patches was lost: {why}; {left}. The result is the same, it only takes longer.")


# In the process


def _serve(
    make: Callable[[int], Batch], pipe: Connection, slots: list[mmap.mmap], inherited: list[Connection]
) -> None:
    """Make batches until the training ends, however it ends."""
    for other in inherited:
        other.close()  # or the pipe of a training that was killed would never end
    torch.set_num_threads(1)
    count = 0
    answer: tuple[int, list[int] | None, bytes | str]
    with suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            number = pipe.recv()
            try:
                answer = _packed(make(number), slots, count)
            except Exception as error:  # the training tries it itself and says what is wrong
                answer = (0, None, f"{type(error).__name__}: {error}")
            pipe.send_bytes(pickle.dumps(answer))
            count += 1


class _Pickler(pickle.Pickler):
    """Lets tensors go as arrays, whose content travels beside what is pickled."""

    def reducer_override(self, obj: Any) -> Any:
        return (torch.from_numpy, (obj.contiguous().numpy(),)) if isinstance(obj, torch.Tensor) else NotImplemented


def _packed(batch: Batch, slots: list[mmap.mmap], count: int) -> tuple[int, list[int], bytes]:
    """The slot, the sizes of the arrays in it, and what is pickled besides."""
    buffers: list[pickle.PickleBuffer] = []
    content = _dumped(batch, buffers)
    sizes = [buffer.raw().nbytes for buffer in buffers]
    if not slots or sum(sizes) > len(slots[0]):
        return 0, [], _dumped(batch, None)
    slot, start = count % len(slots), 0
    for buffer, size in zip(buffers, sizes):
        slots[slot][start : start + size] = buffer.raw()
        start += size
    return slot, sizes, content


def _dumped(batch: Batch, buffers: list[pickle.PickleBuffer] | None) -> bytes:
    stream = BytesIO()
    _Pickler(stream, protocol=5, buffer_callback=buffers.append if buffers is not None else None).dump(batch)
    return stream.getvalue()


def _copied(slot: mmap.mmap, sizes: list[int]) -> list[bytearray]:
    """The arrays in a slot, which is written again soon."""
    copies, start = [], 0
    with memoryview(slot) as view:
        for size in sizes:
            copies.append(bytearray(view[start : start + size]))
            start += size
    return copies


def _bytes(batch: Batch) -> int:
    buffers: list[pickle.PickleBuffer] = []
    _dumped(batch, buffers)
    return sum(buffer.raw().nbytes for buffer in buffers)
