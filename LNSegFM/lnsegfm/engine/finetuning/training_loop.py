"""The iterations of a training, with progress, checkpoints and a way to stop."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import Any

from lnsegfm.base.errors import Cancelled
from lnsegfm.engine.devices import gpu_memory
from lnsegfm.engine.finetuning.trainer import Trainer
from lnsegfm.jobs.job_spec import JobSpec
from lnsegfm.jobs.job_writer import JobWriter


def train(trainer: Trainer, spec: JobSpec, writer: JobWriter, checkpoint: Path) -> None:
    """Do the iterations that are left.

    Args:
        trainer: Ready, or restored from ``checkpoint``.
        spec: What was asked for.
        writer: Gets the progress.
        checkpoint: Where the trainer is saved, at every end of an epoch and at least every ``spec.checkpoint_seconds``.

    Raises:
        Cancelled: The user cancelled; the checkpoint is written.
    """
    saved, durations = time.monotonic(), deque[float](maxlen=50)
    while trainer.iteration < spec.steps:
        started, learning_rate = time.monotonic(), trainer.learning_rate
        loss = trainer.step()
        durations.append(time.monotonic() - started)
        ended = trainer.iteration % spec.iterations_per_epoch == 0
        row: dict[str, Any] = {
            "iteration": trainer.iteration, "loss": loss, "lr": learning_rate, "seconds": durations[-1]
        }
        if ended and spec.holdout:
            row["pseudo_dice"] = trainer.pseudo_dice()
        left = (spec.steps - trainer.iteration) * sum(durations) / len(durations)
        writer.append(row)
        known: dict[str, Any] = {"pseudo_dice": row["pseudo_dice"]} if "pseudo_dice" in row else {}
        epoch = min(trainer.epoch, spec.epochs - 1)
        known.update(gpu_memory(trainer.device))
        writer.status(iteration=trainer.iteration, epoch=epoch, loss=loss, eta_s=left, **known)
        cancelled = trainer.agreed(writer.cancelled())
        if ended or cancelled or time.monotonic() - saved > spec.checkpoint_seconds:
            trainer.save(checkpoint)
            saved = time.monotonic()
        if cancelled:
            raise Cancelled
