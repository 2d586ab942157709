"""What a fine-tuning job is asked to do."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from lnsegfm.base.errors import UserError
from lnsegfm.jobs.method_names import METHODS

GRANULARITIES = ("kernel", "filter")
STEP_RULES = ("plain", "momentum")
BASE_FOLDS = ("first", "all")
COMPARED_WITH = ("ensemble", "fold")
HOLDOUT_CHOICES = ("stored", "random", "none")
"""Hold-out cases as they are marked; a random quarter of the cases, at least one; none, to learn from all of them."""
_CASE_FIELDS = ("cases", "holdout", "reference")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")


@dataclass(frozen=True)
class CaseRef:
    """One label version of one case.

    Args:
        id: Case id in the case store.
        version: Number of the accepted label version, from 1.
    """

    id: str
    version: int


@dataclass(frozen=True)
class JobSpec:
    """A fine-tuning job; the defaults are those of the paper.

    Args:
        base_model: Id of the model to start from.
        base_sha256: `lnsegfm.models.model_store.ModelInfo.sha256` of it when the job was made.
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

    Raises:
        UserError: A value that makes no sense; the message names the field.
    """

    base_model: str
    base_sha256: str
    cases: tuple[CaseRef, ...]
    holdout: tuple[CaseRef, ...] = ()
    reference: tuple[CaseRef, ...] = ()
    method: str = "dgst"
    epochs: int = 50
    iterations_per_epoch: int = 250
    batch_size: int = 2
    learning_rate: float = 1e-3
    momentum: float = 0.99
    weight_decay: float = 3e-5
    poly_exponent: float = 0.9
    gamma: int = 1
    granularity: str = "kernel"
    step_rule: str = "momentum"
    clip_norm: float = 12.0
    seed: int = 20250923
    device: str = "auto"
    base_folds: str = "first"
    compare_with: str = "ensemble"
    name: str = ""
    checkpoint_seconds: float = 60.0
    loader_processes: int = -1

    def __post_init__(self) -> None:
        for name in _CASE_FIELDS:
            object.__setattr__(self, name, tuple(getattr(self, name)))
        _check_types(self)
        _check_ranges(self)
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
        if not isinstance(values, Mapping):
            raise _refusal("the whole", "must be an object with named fields")
        known = {item.name: item for item in fields(cls)}
        for name in values:
            if name not in known:
                raise _refusal(name, "is not known")
        for name, item in known.items():
            if item.default is MISSING and name not in values:
                raise _refusal(name, "is missing")
        given = dict(values)
        for name in _CASE_FIELDS:
            if name in given:
                given[name] = _refs_from_json(name, given[name])
        return cls(**given)


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


def _refs_from_json(name: str, refs: Any) -> tuple[CaseRef, ...]:
    if not isinstance(refs, (list, tuple)):
        raise _refusal(name, "must be a list")
    for ref in refs:
        if not isinstance(ref, Mapping) or set(ref) != {"id", "version"}:
            raise _refusal(name, f"must hold objects with 'id' and 'version', not {ref!r}")
    return tuple(CaseRef(ref["id"], ref["version"]) for ref in refs)


def _check_types(spec: JobSpec) -> None:
    for item in fields(spec):
        value = getattr(spec, item.name)
        if item.type == "str" and not isinstance(value, str):
            raise _refusal(item.name, f"must be a text, not {value!r}")
        if item.type == "int" and (not isinstance(value, int) or isinstance(value, bool)):
            raise _refusal(item.name, f"must be a whole number, not {value!r}")
        if item.type == "float":
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
                raise _refusal(item.name, f"must be a number, not {value!r}")
            object.__setattr__(spec, item.name, float(value))


def _check_ranges(spec: JobSpec) -> None:
    for name in ("base_model", "method"):
        if not getattr(spec, name):
            raise _refusal(name, "must not be empty")
    for name in ("epochs", "iterations_per_epoch", "batch_size", "gamma"):
        if getattr(spec, name) < 1:
            raise _refusal(name, f"must be at least 1, not {getattr(spec, name)}")
    for name in ("learning_rate", "clip_norm", "checkpoint_seconds"):
        if getattr(spec, name) <= 0:
            raise _refusal(name, f"must be greater than 0, not {getattr(spec, name)}")
    for name in ("weight_decay", "poly_exponent", "seed"):
        if getattr(spec, name) < 0:
            raise _refusal(name, f"must not be negative, but is {getattr(spec, name)}")
    if spec.loader_processes < -1:
        raise _refusal("loader_processes", f"must be at least -1, not {spec.loader_processes}")
    if not 0 <= spec.momentum < 1:
        raise _refusal("momentum", f"must be at least 0 and less than 1, not {spec.momentum}")
    for name, choices in (("method", METHODS), ("granularity", GRANULARITIES), ("step_rule", STEP_RULES),
                          ("base_folds", BASE_FOLDS), ("compare_with", COMPARED_WITH)):  # fmt: skip
        if getattr(spec, name) not in choices:
            raise _refusal(name, f"must be one of {', '.join(choices)}, not '{getattr(spec, name)}'")
    if not _DEVICE.fullmatch(spec.device):
        raise _refusal("device", f"must be auto, cpu, mps, cuda or cuda:N, not '{spec.device}'")


def _check_cases(spec: JobSpec) -> None:
    for name in _CASE_FIELDS:
        refs = getattr(spec, name)
        for ref in refs:
            if not isinstance(ref, CaseRef) or not isinstance(ref.id, str) or not ref.id:
                raise _refusal(name, f"must name cases, not {ref!r}")
            if not isinstance(ref.version, int) or isinstance(ref.version, bool) or ref.version < 1:
                raise _refusal(name, f"must name label versions from 1, not {ref.version!r} of {ref.id}")
        if len({ref.id for ref in refs}) < len(refs):
            raise _refusal(name, "names a case twice")
    if not spec.cases:
        raise _refusal("cases", "is empty; at least one case is needed to learn from")
    for name in ("holdout", "reference"):
        both = sorted({ref.id for ref in spec.cases} & {ref.id for ref in getattr(spec, name)})
        if both:
            raise _refusal(name, f"must not share cases with 'cases', but both have {', '.join(both)}")
