"""What can be asked of an adaptation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from lnsegfm.base.computer.device_names import PrecisionName
from lnsegfm.base.errors import UserError
from lnsegfm.jobs.job_spec import HOLDOUT_CHOICES, PRESETS, JobSpec, preset_settings
from lnsegfm.jobs.method_names import METHODS

_FILLED_IN = ("base_model", "base_sha256", "cases", "holdout", "reference", "method")
SETTINGS = tuple(item.name for item in fields(JobSpec) if item.name not in _FILLED_IN)
"""Fields of a job that an adaptation may set and that otherwise have the preset's or the paper's value."""


@dataclass(frozen=True)
class AdaptOptions:
    """An adaptation of a model to stored cases; without any argument the paper's, from the default model.

    Models and cases may be given by a beginning that only one id has. Fields that are None have the value of the
    preset, or else the paper's; `lnsegfm.jobs.job_spec.JobSpec` describes them.

    Args:
        base_model: Id of the model to start from; empty for the default model.
        preset: Name of a preset, a key of `lnsegfm.jobs.job_spec.PRESETS`.
        method: Name of the method, a key of `lnsegfm.jobs.method_names.METHODS`.
        holdout_choice: One of `lnsegfm.jobs.job_spec.HOLDOUT_CHOICES`.
        cases: Ids of the cases to learn from, whatever they are marked as; None for those marked as training cases.
        holdout: Ids of the cases to measure on; None for what ``holdout_choice`` says.
        reference: Ids of cases of the base model's own domain; None for those marked as reference cases.
        rejected_too: The user agrees to a base model that was rejected.
        epochs: Number of epochs.
        iterations_per_epoch: Iterations (batches) of an epoch.
        batch_size: Patches of an iteration.
        learning_rate: Learning rate of the first epoch.
        momentum: Momentum of the optimiser, used by the step rule ``momentum``.
        weight_decay: L2 penalty, used by the step rule ``momentum``.
        poly_exponent: Exponent of the polynomial decay of the learning rate.
        gamma: DGST: number of weights that move in each kernel.
        granularity: DGST: ``kernel`` or ``filter``.
        step_rule: ``momentum`` or ``plain``.
        clip_norm: Greatest norm of the whole gradient.
        seed: Seed of everything that is random, the random hold-out cases included.
        device: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.
        base_folds: Of a base model of several folds, ``first`` or ``all``: which are adapted.
        compare_with: Of a base model of several folds, ``ensemble`` or ``fold``: what is measured before.
        name: Display name of the model that is made.
        checkpoint_seconds: Seconds between two checkpoints, at most.
        loader_processes: Processes that prepare patches; -1 to choose by the device.
        precision: ``auto``, ``single`` or ``bfloat16``: in which the network computes.

    Raises:
        UserError: An unknown preset, method or hold-out choice, or hold-out cases given twice.
    """

    base_model: str = ""
    preset: str = "paper"
    method: str = JobSpec.method
    holdout_choice: str = "stored"
    cases: Sequence[str] | None = None
    holdout: Sequence[str] | None = None
    reference: Sequence[str] | None = None
    rejected_too: bool = False
    epochs: int | None = None
    iterations_per_epoch: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    poly_exponent: float | None = None
    gamma: int | None = None
    granularity: str | None = None
    step_rule: str | None = None
    clip_norm: float | None = None
    seed: int | None = None
    device: str | None = None
    base_folds: str | None = None
    compare_with: str | None = None
    name: str | None = None
    checkpoint_seconds: float | None = None
    loader_processes: int | None = None
    precision: PrecisionName | None = None

    def __post_init__(self) -> None:
        for what, value, known in (
            ("preset", self.preset, tuple(PRESETS)), ("method", self.method, tuple(METHODS)),
            ("choice of hold-out cases", self.holdout_choice, HOLDOUT_CHOICES),
        ):  # fmt: skip
            if value not in known:
                raise UserError(f"There is no {what} '{value}'.", f"Known are {', '.join(known)}.", "Choose one.")
        if self.holdout is not None and self.holdout_choice != "stored":
            raise UserError(
                "The hold-out cases are given twice.",
                f"There is a list of them, and the choice '{self.holdout_choice}'.", "Give one of the two.",
            )

    def settings(self) -> dict[str, Any]:
        """Return the fields of the job that are neither the model nor the cases: the preset's, and those given."""
        given = {name: getattr(self, name) for name in SETTINGS}
        return {
            **preset_settings(self.preset, self.method),
            **{name: value for name, value in given.items() if value is not None},
        }
