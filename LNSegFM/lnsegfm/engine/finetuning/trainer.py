"""nnU-Net's data loading, augmentation, deep supervision and loss around a fine-tuning method."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import write_atomic
from lnsegfm.engine.dgst.method_table import METHODS
from lnsegfm.engine.finetuning.batches import Batch, NumberedBatches, seed_generators
from lnsegfm.engine.finetuning.training_data import PreparedCases
from lnsegfm.engine.networks.checkpoints import read_tensors, write_tensors
from lnsegfm.engine.networks.network import build_network
from lnsegfm.jobs.job_spec import JobSpec

Weights = dict[str, torch.Tensor]
HOLDOUT_BATCHES = 5
_MOST_LOADERS = 4


class Trainer(nnUNetTrainer):
    """A network, its data and a method; every call of `step` is one iteration.

    nnU-Net's own loop is not used: it saves every 50 epochs only, plots, keeps a best checkpoint, and ends with a
    validation in a pool of processes.

    Make it with `start`: nnU-Net's constructor insists on its own parameters.
    """

    spec: JobSpec
    iteration: int
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
        trainer.grad_scaler = torch.amp.GradScaler("cuda") if device.type == "cuda" else None
        trainer.spec, trainer.iteration = spec, 0
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
        if self.spec.loader_processes >= 0:
            return self.spec.loader_processes
        # Augmenting a batch takes longer than training on it does on a GPU. Where processes are not forked, starting
        # them can hang in an application's own Python.
        forks = self.device.type == "cuda" and os.name == "posix"
        return min(_MOST_LOADERS, max(1, (os.cpu_count() or 2) - 1)) if forks else 0

    @property
    def epoch(self) -> int:
        """The epoch of the next iteration, from 0."""
        return self.iteration // self.spec.iterations_per_epoch

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next iteration: nnU-Net's polynomial decay, constant within an epoch."""
        return self.spec.learning_rate * (1 - self.epoch / self.spec.epochs) ** self.spec.poly_exponent

    def step(self) -> float:
        """Do one iteration and return its loss.

        Raises:
            UserError: The loss is not a number any more.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate
        self.network.train()
        if self._coming is None:
            self._coming = self._train_batches.sequence(
                self.iteration, self.spec.steps, processes=self._loaders(), device=self.device
            )
        batch = next(self._coming)
        data = batch["data"].to(self.device, non_blocking=True)
        target = [scale.to(self.device, non_blocking=True) for scale in batch["target"]]
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, enabled=self.device.type == "cuda"):
            loss = self.loss(self._shared(data), target)
        if self.grad_scaler is None:
            loss.backward()
            self.optimizer.step()
        else:
            self.grad_scaler.scale(loss).backward()
            self.grad_scaler.unscale_(self.optimizer)
            self.grad_scaler.step(self.optimizer)
            self.grad_scaler.update()
        value = float(loss.detach())
        if not np.isfinite(value):
            raise UserError(
                "The training diverged.", f"The loss of iteration {self.iteration + 1} is {value}.",
                "Start again with a smaller learning rate.",
            )
        self.iteration += 1
        return value

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
        """Write everything that is needed to continue from here, atomically."""
        content = {
            "weights": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.grad_scaler.state_dict() if self.grad_scaler is not None else {},
            "iteration": self.iteration,
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
        if content["random"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(content["random"].cpu(), self.device)
