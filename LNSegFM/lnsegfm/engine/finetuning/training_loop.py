"""The iterations of a training, with progress, checkpoints and a way to stop."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnsegfm.base.errors import Cancelled
from lnsegfm.engine.devices import gpu_memory
from lnsegfm.engine.finetuning.epoch_log import EpochLog
from lnsegfm.engine.finetuning.trainer import Trainer
from lnsegfm.jobs.job_spec import JobSpec
from lnsegfm.jobs.job_writer import JobWriter


@dataclass(frozen=True)
class Share:
    """Which part of a job's iterations a training is; a job that adapts several folds has a training for each.

    Args:
        done: Iterations of the job before this training.
        total: Iterations of the whole job.
    """

    done: int
    total: int


def train(trainer: Trainer, spec: JobSpec, writer: JobWriter, checkpoint: Path, share: Share | None = None) -> None:
    """Do the iterations that are left.

    Args:
        trainer: Ready, or restored from ``checkpoint``.
        spec: What was asked for.
        writer: Gets the progress.
        checkpoint: Where the trainer is saved, at every end of an epoch and at least every ``spec.checkpoint_seconds``.
        share: Which part of the job this is; None for all of it.

    Raises:
        Cancelled: The user cancelled; the checkpoint is written.
        UserError: The training diverged.
    """
    share = share or Share(0, spec.steps)
    saved, durations = time.monotonic(), deque[float](maxlen=50)
    with EpochLog(checkpoint.parent, spec.epochs) as log:
        while trainer.iteration < spec.steps:
            started, learning_rate, epoch = time.monotonic(), trainer.learning_rate, trainer.epoch
            loss = trainer.step()
            durations.append(time.monotonic() - started)
            while trainer.notes:
                writer.note(trainer.notes.pop(0))
            log.add(loss, durations[-1])
            ended = trainer.iteration % spec.iterations_per_epoch == 0
            row: dict[str, Any] = {
                "iteration": share.done + trainer.iteration, "loss": loss, "lr": learning_rate,
                "seconds": durations[-1],
            }
            if ended and spec.holdout:
                row["pseudo_dice"] = trainer.pseudo_dice()
            writer.append(row)
            left = (share.total - row["iteration"]) * sum(durations) / len(durations)
            _report(writer, trainer, row, left)
            if ended:
                log.end(epoch, learning_rate, row.get("pseudo_dice"))
            cancelled = trainer.agreed(writer.cancelled())
            if ended or cancelled or time.monotonic() - saved > spec.checkpoint_seconds:
                trainer.save(checkpoint)
                saved = time.monotonic()
            if cancelled:
                raise Cancelled


def _report(writer: JobWriter, trainer: Trainer, row: dict[str, Any], left_s: float) -> None:
    # A skipped iteration has no loss; the one before it stays.
    known = {name: row[name] for name in ("loss", "pseudo_dice") if row.get(name) is not None}
    known.update(gpu_memory(trainer.device))
    epoch = min(trainer.epoch, trainer.spec.epochs - 1)
    writer.status(iteration=row["iteration"], epoch=epoch, eta_s=left_s, **known)
