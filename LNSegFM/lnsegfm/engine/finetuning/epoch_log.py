"""A line in the log per epoch, and the same figures for TensorBoard and Weights & Biases where they are asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from lnsegfm.jobs.log_switches import TENSORBOARD, WANDB, is_on

_WANDB_ENABLED, _WANDB_PROJECT, _WANDB_MODE = WANDB.values()
Sink = Callable[[Mapping[str, float], int], None]


class EpochLog:
    """Says how each epoch went; use it as a context manager around the training.

    TensorBoard's files go into ``tensorboard/`` of the job's folder where ``LNSEGFM_TENSORBOARD`` is 1. Weights &
    Biases gets the figures where nnU-Net's own switch ``nnUNet_wandb_enabled`` is 1 (with ``nnUNet_wandb_project`` and
    ``nnUNet_wandb_mode``). Both get figures alone: no settings, cases or names.

    Args:
        folder: The job's folder.
        epochs: Number of epochs.
        say: Prints a line.
    """

    def __init__(self, folder: Path, epochs: int, say: Callable[[str], None] = lambda text: print(text, flush=True)):
        self._folder, self._epochs, self._say = folder, epochs, say
        self._losses: list[float] = []
        self._seconds = 0.0
        self._sinks: list[Sink] = []
        self._close: list[Callable[[], object]] = []

    def __enter__(self) -> EpochLog:
        """Open what was asked for; what is not installed is said, and costs no training."""
        for name, switch, begin in (
            ("TensorBoard", TENSORBOARD, self._tensorboard), ("Weights & Biases", _WANDB_ENABLED, self._wandb),
        ):
            if is_on(os.environ, switch):
                try:
                    begin()
                except Exception as error:  # a third party's service must not cost a training
                    self._say(f"{name} gets no figures: {type(error).__name__}: {error}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close what was opened."""
        for close in self._close:
            close()

    def add(self, loss: float | None, seconds: float) -> None:
        """Take the loss, None where there is none, and the duration of one iteration."""
        if loss is not None:
            self._losses.append(loss)
        self._seconds += seconds

    def end(self, epoch: int, learning_rate: float, pseudo_dice: float | None) -> None:
        """Write the epoch's figures.

        Args:
            epoch: Its number, from 0.
            learning_rate: Of its iterations.
            pseudo_dice: Of the hold-out cases after it; None without hold-out cases.
        """
        figures = {"learning_rate": learning_rate, "seconds": self._seconds}
        loss = "not known"
        if self._losses:
            figures["loss"] = sum(self._losses) / len(self._losses)
            loss = f"{figures['loss']:.4f}"
        text = (
            f"Epoch {epoch + 1}/{self._epochs}: loss {loss}, learning rate {learning_rate:.3g}, {self._seconds:.1f} s"
        )
        if pseudo_dice is not None:
            figures["pseudo_dice"] = pseudo_dice
            text += f", pseudo-Dice {pseudo_dice:.4f}"
        self._say(text)
        self._losses, self._seconds = [], 0.0
        for sink in self._sinks:
            sink(figures, epoch + 1)

    def _tensorboard(self) -> None:
        from torch.utils.tensorboard import SummaryWriter

        writer: Any = SummaryWriter(str(self._folder / "tensorboard"))

        def write(figures: Mapping[str, float], epoch: int) -> None:
            for name, value in figures.items():
                writer.add_scalar(name, value, epoch)
            writer.flush()

        self._sinks.append(write)
        self._close.append(writer.close)

    def _wandb(self) -> None:
        import wandb

        run = wandb.init(
            project=os.environ.get(_WANDB_PROJECT, "lnsegfm"), mode=os.environ.get(_WANDB_MODE, "online"),
            dir=str(self._folder), id=self._folder.name, resume="allow",
        )
        self._sinks.append(lambda figures, epoch: run.log(dict(figures), step=epoch))
        self._close.append(run.finish)
