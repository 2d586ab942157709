"""nnU-Net's data loading, augmentation, deep supervision and loss around a fine-tuning method."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from lnsegfm.base.computer.cpu_count import cpu_count
from lnsegfm.base.errors import UserError
from lnsegfm.base.files import write_atomic
from lnsegfm.engine.dgst.method_table import METHODS
from lnsegfm.engine.dgst.optimizer import gradient_norm
from lnsegfm.engine.finetuning.batches import Batch, NumberedBatches, seed_generators
from lnsegfm.engine.finetuning.training_data import PreparedCases
from lnsegfm.engine.networks.checkpoints import read_tensors, write_tensors
from lnsegfm.engine.networks.network import build_network
from lnsegfm.engine.precision import Precision, autocast, training_precision
from lnsegfm.jobs.job_spec import JobSpec

Weights = dict[str, torch.Tensor]
HOLDOUT_BATCHES = 5
_MOST_LOADERS = 4
MOST_SKIPPED = 20
"""So many iterations in a row may be skipped. The scaler begins at 65,536 and halves its scale at each, so after 16 the
gradients are not scaled at all: what is not finite then is not for the scaler to repair."""


class Trainer(nnUNetTrainer):
    """A network, its data and a method; every call of `step` is one iteration.

    nnU-Net's own loop is not used: it saves every 50 epochs only, plots, keeps a best checkpoint, and ends with a
    validation in a pool of processes.

    Make it with `start`: nnU-Net's constructor insists on its own parameters.
    """

    spec: JobSpec
    iteration: int
    precision: Precision
    """In which the network computes; a resumed training keeps the one that it began with."""
    notes: list[str]
    """What the user should know of how the patches are prepared, a sentence each."""
    _skipped: int
    _train_batches: NumberedBatches
    _holdout_batches: NumberedBatches
    _coming: Iterator[Batch] | None
    _shared: torch.nn.Module

    @classmethod
    def start(
        cls,
        plans: dict[str, Any],
        configuration: str,
        dataset: dict[str, Any],
        weights: Weights,
        spec: JobSpec,
        data: Path,
        device: torch.device,
    ) -> Trainer:
        """Return a trainer that is ready for its first iteration.

        Args:
            plans: Content of ``plans.json`` of the base model.
            configuration: nnU-Net configuration name.
            dataset: Content of ``dataset.json``.
            weights: The base model's whole state dict, segmentation heads included.
            spec: What was asked for.
            data: Folder written by `lnsegfm.engine.finetuning.training_data.preprocess`.
            device: Where to train.

        The environment variables ``nnUNet_preprocessed`` and ``nnUNet_results`` must be set.
        """
        plans = copy.deepcopy(plans)
        plans["continue_training"] = False
        plans["configurations"][configuration]["batch_size"] = spec.batch_size
        trainer = cls(plans, configuration, "all", dataset, device)
        # nnU-Net always takes the first GPU.
        trainer.device = device
        if device.type == "cuda":
            torch.backends.cudnn.benchmark = True  # as nnU-Net does
        trainer.spec, trainer.iteration, trainer.notes, trainer._skipped = spec, 0, [], 0
        trainer.precision = training_precision(spec.precision, device)
        trainer.grad_scaler = scaler_of(trainer.precision)
        trainer._set_batch_size_and_oversample()
        seed_generators(spec.seed % 2**32)
        torch.manual_seed(spec.seed)
        trainer.preprocessed_dataset_folder = str(data)
        trainer.dataset_class = PreparedCases
        trainer.network = build_network(plans, configuration, dataset, deep_supervision=True)
        trainer.network.load_state_dict(weights)
        trainer.network.to(trainer.device)
        trainer.optimizer = METHODS[spec.method].prepare(trainer.network, spec)
        trainer._shared = trainer._among_processes()
        trainer.loss = trainer._build_loss()
        train, holdout = trainer.get_dataloaders()
        # Processes that share a batch must not all make the same part of it.
        trainer._train_batches = NumberedBatches(train.data_loader, spec.seed + 1009 * trainer.local_rank)
        trainer._holdout_batches = NumberedBatches(holdout.data_loader, spec.seed + 1)
        trainer._coming = None
        return trainer

    def _do_i_compile(self) -> bool:
        # Compiling takes minutes and a C compiler; a few-shot run on a clinic's workstation has neither.
        return False

    def print_to_log_file(self, *args: Any, also_print_to_console: bool = True, add_timestamp: bool = True) -> None:
        """Print; the job's log is this process's output."""
        del also_print_to_console, add_timestamp
        print(*args, flush=True)

    def do_split(self) -> tuple[list[str], list[str]]:
        """Return the ids of the training and the hold-out cases; without hold-out nnU-Net gets the former twice."""
        train = [case.id for case in self.spec.cases]
        return train, [case.id for case in self.spec.holdout] or list(train)

    def _among_processes(self) -> torch.nn.Module:
        """Return the network as it is trained: with the gradients averaged over the processes, where there are some."""
        if not self.is_ddp:
            return self.network
        devices = [self.device] if self.device.type == "cuda" else None
        return torch.nn.parallel.DistributedDataParallel(self.network, device_ids=devices)

    def agreed(self, stop: bool) -> bool:
        """Tell the other processes, if there are some, whether the first one wants to stop; return its wish."""
        if not self.is_ddp:
            return stop
        wish = torch.tensor(int(stop), device=self.device)
        torch.distributed.broadcast(wish, 0)
        return bool(wish.item())

    def follow(self) -> None:
        """Do the iterations that are left in step with the first process, which reports and saves."""
        while self.iteration < self.spec.steps:
            self.step()
            if self.agreed(False):
                return

    def _loaders(self) -> int:
        wanted, most = self.spec.loader_processes, cpu_count()
        if wanted > most:
            cpus = "1 CPU" if most == 1 else f"{most} CPUs"
            self._note(f"{most} instead of {wanted} processes prepare patches, because the job may use {cpus}.")
        if wanted >= 0:
            return min(wanted, most)
        # Augmenting a batch takes longer than training on it does on a GPU. Where processes are not forked, starting
        # them can hang in an application's own Python.
        forks = self.device.type == "cuda" and os.name == "posix"
        sharers = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        return min(_MOST_LOADERS, max(1, (most - 1) // sharers)) if forks else 0

    def _note(self, text: str) -> None:
        print(text, flush=True)
        self.notes.append(text)

    @property
    def epoch(self) -> int:
        """The epoch of the next iteration, from 0."""
        return self.iteration // self.spec.iterations_per_epoch

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next iteration: nnU-Net's polynomial decay, constant within an epoch."""
        return self.spec.learning_rate * (1 - self.epoch / self.spec.epochs) ** self.spec.poly_exponent

    def step(self) -> float | None:
        """Do one iteration and return its loss; None when it is not a number, and the scaler skipped the iteration.

        Raises:
            UserError: Loss or gradient are not numbers any more. The weights are those from before.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate
        self.network.train()
        if self._coming is None:
            self._coming = self._train_batches.sequence(
                self.iteration, self.spec.steps, processes=self._loaders(), device=self.device, say=self._note
            )
        batch = next(self._coming)
        if self.device.type == "cpu":
            # What dropout draws must not depend on whether this process has made the batch.
            torch.default_generator.manual_seed((self.spec.seed + 7919 * self.iteration) % 2**63)
        data = batch["data"].to(self.device, non_blocking=True)
        target = [scale.to(self.device, non_blocking=True) for scale in batch["target"]]
        self.optimizer.zero_grad(set_to_none=True)
        with autocast(self.device, self.precision):
            output = self._shared(data)
            # The loss of 16-bit numbers is nnU-Net's own on a GPU; bfloat16 has too few digits for its sums.
            loss = self.loss([each.float() for each in output] if self.precision == "bfloat16" else output, target)
        value = self._move(loss) if self.grad_scaler is None else self._move_scaled(loss, self.grad_scaler)
        self.iteration += 1
        return value if math.isfinite(value) else None

    def _move(self, loss: torch.Tensor) -> float:
        value = float(loss.detach())
        if not math.isfinite(value):
            raise self._diverged("loss", value)
        loss.backward()
        norm = gradient_norm(weight.grad for weight in self.network.parameters())
        if norm is not None and not torch.isfinite(norm):
            raise self._diverged("gradient", float(norm))
        self.optimizer.step()
        return value

    def _move_scaled(self, loss: torch.Tensor, scaler: torch.amp.GradScaler) -> float:
        """Let the scaler skip what 16 bits cannot hold, as nnU-Net does; it tries a smaller scale the next time."""
        scaler.scale(loss).backward()
        scaler.unscale_(self.optimizer)
        scale = scaler.get_scale()
        scaler.step(self.optimizer)
        scaler.update()
        value = float(loss.detach())
        if math.isfinite(value) and scaler.get_scale() >= scale:
            self._skipped = 0
            return value
        self._skipped += 1
        if self._skipped >= MOST_SKIPPED:
            raise UserError(
                "The training diverged.",
                f"Loss or gradient were not finite in {MOST_SKIPPED} iterations, up to iteration {self.iteration + 1}.",
                "Start again with a smaller learning rate.",
            )
        print(
            f"Iteration {self.iteration + 1} changed no weight: its loss is {value:.4g} at a scale of {scale:g}.",
            flush=True,
        )
        return value

    def _diverged(self, what: str, value: float) -> UserError:
        return UserError(
            "The training diverged.", f"The {what} of iteration {self.iteration + 1} is {value}.",
            "Start again with a smaller learning rate.",
        )

    @torch.no_grad()
    def pseudo_dice(self) -> float:
        """Return nnU-Net's pseudo-Dice: the Dice of all voxels of a few random hold-out patches taken together."""
        self.network.eval()
        counts = np.zeros(3)
        for number in range(HOLDOUT_BATCHES):
            output = self.validation_step(self._holdout_batches[self.iteration * HOLDOUT_BATCHES + number])
            counts += [float(np.sum(output[key])) for key in ("tp_hard", "fp_hard", "fn_hard")]
        hits, false, missed = counts
        return 2 * hits / (2 * hits + false + missed) if counts.any() else 1.0

    def weights(self) -> Weights:
        """Return a copy of the network's state dict on the CPU, in which names of one tensor stay so.

        Parts that the method added are merged where that is possible. nnU-Net's networks name a weight up to four
        times (``decoder.encoder``, ``all_modules``); a plain copy, and the file written of it, would be three times as
        large.
        """
        state = METHODS[self.spec.method].merged(self.network).state_dict()
        copies = {value.data_ptr(): value.detach().to("cpu", copy=True) for value in state.values()}
        return {name: copies[value.data_ptr()] for name, value in state.items()}

    def save(self, path: Path) -> None:
        """Write everything that is needed to continue from here, atomically.

        Raises:
            UserError: A weight is not a number any more; the file from before stays.
        """
        for name, weight in self.network.state_dict().items():
            if not torch.isfinite(weight).all():
                raise UserError(
                    "The training diverged.", f"Since iteration {self.iteration} the weight '{name}' is not finite.",
                    "Start again with a smaller learning rate.",
                )
        content = {
            "weights": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.grad_scaler.state_dict() if self.grad_scaler is not None else {},
            "iteration": self.iteration,
            "precision": self.precision,
            # Each batch has its own seed; what is left is what dropout and DRST draw on a GPU.
            "random": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
        }
        write_atomic(path, lambda temporary: write_tensors(content, temporary))

    def restore(self, path: Path) -> None:
        """Continue from a file written by `save`; it is read without pickle's full powers.

        Raises:
            UserError: The file is damaged.
        """
        try:
            content = read_tensors(path)
        except UserError as error:
            raise UserError(
                "The job's checkpoint cannot be read.", f"{error.what} {error.why}",
                f"Delete {path.name} in the job's folder to start the training again, then resume the job.",
            ) from error
        self.network.load_state_dict(content["weights"])
        self.optimizer.load_state_dict(content["optimizer"])
        if self.grad_scaler is not None and content["scaler"]:
            self.grad_scaler.load_state_dict(content["scaler"])
        self.iteration = int(content["iteration"])
        begun: Precision = content.get("precision", "half" if self.device.type == "cuda" else "single")
        if "half" not in (begun, self.precision):
            self.precision = begun
        if content["random"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(content["random"].cpu(), self.device)


def scaler_of(precision: Precision) -> torch.amp.GradScaler | None:
    """Return what keeps gradients in the range of half precision; the other precisions have range enough."""
    return torch.amp.GradScaler("cuda") if precision == "half" else None
