"""What a fine-tuning job is asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from lnsegfm.base import schema
from lnsegfm.base.computer.device_names import PrecisionName
from lnsegfm.base.errors import UserError
from lnsegfm.base.schema import Limits, SchemaError
from lnsegfm.jobs.method_names import METHODS

GRANULARITIES = ("kernel", "filter")
STEP_RULES = ("plain", "momentum")
BASE_FOLDS = ("first", "all")
COMPARED_WITH = ("ensemble", "fold")
HOLDOUT_CHOICES = ("stored", "random", "none")
"""Hold-out cases as they are marked; a random quarter of the cases, at least one; none, to learn from all of them."""
_CASE_FIELDS = ("cases", "holdout", "reference")
_DEVICE = Limits(pattern=r"auto|cpu|mps|cuda(:\d{1,3})?")


@dataclass(frozen=True)
class CaseRef:
    """One label version of one case.

    Args:
        id: Case id in the case store.
        version: Number of the accepted label version, from 1.
    """

    id: Annotated[str, Limits(least=1, length=200)]
    version: Annotated[int, Limits(1, 1_000_000)]


_Cases = Annotated[tuple[CaseRef, ...], Limits(length=10_000)]


@dataclass(frozen=True)
class JobSpec:
    """A fine-tuning job; the defaults are those of the paper.

    Args:
        base_model: Id of the model to start from.
        base_sha256: `lnsegfm.models.model_card.ModelInfo.sha256` of it when the job was made.
        cases: What to train on.
        holdout: What to measure on, before and after; never trained on.
        reference: Cases of the base model's own domain, on which is measured what it forgets; never trained on.
        method: Name of the fine-tuning method, one of `METHODS`.
        epochs: Number of epochs; the learning rate changes between them.
        iterations_per_epoch: Iterations (batches) of one epoch.
        batch_size: Patches of one iteration.
        learning_rate: Learning rate of the first epoch.
        momentum: Momentum; used when ``step_rule`` is ``momentum``.
        weight_decay: L2 penalty; used when ``step_rule`` is ``momentum``.
        poly_exponent: Exponent of the polynomial decay of the learning rate.
        gamma: DGST: number of weights that move in each kernel.
        granularity: DGST: what a kernel is, one of `GRANULARITIES`.
        step_rule: ``plain`` (Eq. 5 of the paper to the letter) or ``momentum``.
        clip_norm: Greatest norm of the whole gradient.
        seed: Seed of everything that is random.
        device: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.
        base_folds: Which folds of a base model of several are adapted: the ``first``, or ``all``, one after the other,
            each with these iterations; the adapted model then has as many.
        compare_with: What the scores before are those of, where the base model has several folds and one is adapted:
            the whole ``ensemble``, which the adapted model would replace, or the one ``fold``.
        name: Display name of the model that is made; empty for one after the base model.
        checkpoint_seconds: Seconds between two checkpoints, at most.
        loader_processes: Processes that prepare patches; 0 for none besides the job's own, -1 to choose by the device.
            The patches are the same however many there are.
        precision: In which the network computes; losses, selection and updates are always in single precision.
            ``auto``: half on CUDA, as in nnU-Net, bfloat16 on CPUs that gain by it, else ``single``.

    Raises:
        UserError: A value that makes no sense; the message names the field.
    """

    base_model: Annotated[str, Limits(least=1, length=200)]
    base_sha256: Annotated[str, Limits(length=200)]
    cases: _Cases
    holdout: _Cases = ()
    reference: _Cases = ()
    method: Annotated[str, Limits(choices=tuple(METHODS))] = "dgst"
    epochs: Annotated[int, Limits(1, 100_000)] = 50
    iterations_per_epoch: Annotated[int, Limits(1, 100_000)] = 250
    batch_size: Annotated[int, Limits(1, 256)] = 2
    learning_rate: Annotated[float, Limits(above=0, high=1e6)] = 1e-3
    momentum: Annotated[float, Limits(0, below=1)] = 0.99
    weight_decay: Annotated[float, Limits(0, 1e6)] = 3e-5
    poly_exponent: Annotated[float, Limits(0, 100)] = 0.9
    gamma: Annotated[int, Limits(1, 1_000_000)] = 1
    granularity: Annotated[str, Limits(choices=GRANULARITIES)] = "kernel"
    step_rule: Annotated[str, Limits(choices=STEP_RULES)] = "momentum"
    clip_norm: Annotated[float, Limits(above=0)] = 12.0
    seed: Annotated[int, Limits(0, (1 << 63) - 1)] = 20250923
    device: Annotated[str, _DEVICE] = "auto"
    base_folds: Annotated[str, Limits(choices=BASE_FOLDS)] = "first"
    compare_with: Annotated[str, Limits(choices=COMPARED_WITH)] = "ensemble"
    name: Annotated[str, Limits(length=1000)] = ""
    checkpoint_seconds: Annotated[float, Limits(above=0, high=86_400)] = 60.0
    loader_processes: Annotated[int, Limits(-1, 64)] = -1
    precision: PrecisionName = "auto"

    def __post_init__(self) -> None:
        try:
            schema.check(self)
        except SchemaError as error:
            raise _refusal(error.where, error.why) from error
        _check_cases(self)

    @property
    def steps(self) -> int:
        """Number of iterations of one training."""
        return self.epochs * self.iterations_per_epoch

    @property
    def measured(self) -> tuple[CaseRef, ...]:
        """The cases that are scored before and after, each once."""
        return tuple(dict.fromkeys((*self.holdout, *self.reference)))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON types."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> JobSpec:
        """Rebuild a spec from `to_json`.

        Raises:
            UserError: A field is missing, unknown or wrong; the message names it.
        """
        try:
            return schema.read(cls, values)
        except SchemaError as error:
            raise _refusal(error.where or "the whole", error.why) from error


PRESETS: dict[str, dict[str, Any]] = {
    "paper": {
        "epochs": 50, "iterations_per_epoch": 250, "learning_rate": 1e-3, "step_rule": "momentum", "momentum": 0.99,
    },
    # The paper's effective step, lr / (1 - momentum), without momentum's hundreds of iterations of warming up.
    "standard": {"epochs": 10, "iterations_per_epoch": 100, "learning_rate": 0.1, "step_rule": "plain"},
    "short": {"epochs": 4, "iterations_per_epoch": 30, "learning_rate": 0.1, "step_rule": "plain"},
}
"""Values of the fields that belong together, by name."""


def preset_settings(preset: str, method: str) -> dict[str, Any]:
    """Return the fields that a preset sets for a method; the paper trains some methods longer than others."""
    own = METHODS[method].settings if preset == "paper" and method in METHODS else {}
    return {**PRESETS[preset], **own, "method": method}


def _refusal(name: str, why: str) -> UserError:
    return UserError("The settings of the job cannot be used.", f"'{name}' {why}.", "Correct it and start again.")


def _check_cases(spec: JobSpec) -> None:
    for name in _CASE_FIELDS:
        refs = getattr(spec, name)
        if len({ref.id for ref in refs}) < len(refs):
            raise _refusal(name, "names a case twice")
    if not spec.cases:
        raise _refusal("cases", "is empty; at least one case is needed to learn from")
    for name in ("holdout", "reference"):
        both = sorted({ref.id for ref in spec.cases} & {ref.id for ref in getattr(spec, name)})
        if both:
            raise _refusal(name, f"must not share cases with 'cases', but both have {', '.join(both)}")
