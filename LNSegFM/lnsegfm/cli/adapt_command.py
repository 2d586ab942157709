"""``lnsegfm adapt``."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import typer

from lnsegfm.base.computer.device_names import PRECISIONS
from lnsegfm.base.wording import duration
from lnsegfm.cli.following import follow_in_background
from lnsegfm.cli.output.progress_lines import ProgressLines
from lnsegfm.cli.terminal import Command, examples, open_session, print_json, print_result, say, terminal
from lnsegfm.jobs.job_spec import (
    BASE_FOLDS,
    COMPARED_WITH,
    GRANULARITIES,
    HOLDOUT_CHOICES,
    PRESETS,
    STEP_RULES,
    JobSpec,
    preset_settings,
)
from lnsegfm.jobs.method_names import METHODS
from lnsegfm.session import AdaptOptions
from lnsegfm.session.adapt_options import SETTINGS

if TYPE_CHECKING:
    from lnsegfm.session.adapting import Estimate

_GB = 1 << 30
# What each option means; its values come from the presets.
_TEXTS = {
    "epochs": "Number of epochs; the learning rate falls between them.",
    "iterations_per_epoch": "Iterations (batches) of an epoch.",
    "batch_size": "Patches of an iteration.",
    "learning_rate": "Learning rate of the first epoch.",
    "momentum": "Momentum, at least 0 and less than 1; used by --step-rule momentum.",
    "weight_decay": "L2 penalty; used by --step-rule momentum.",
    "poly_exponent": "Exponent of the polynomial decay of the learning rate.",
    "gamma": "DGST, DRST, SGST: number of weights that move in each kernel.",
    "granularity": "DGST, DRST, SGST: a kernel is the spatial kernel of one (output, input) channel pair, a filter all "
    "weights of one output channel.",
    "step_rule": "plain: Eq. 5 of the paper to the letter. momentum: with momentum and weight decay.",
    "clip_norm": "Greatest norm of the whole gradient.",
    "seed": "Seed of everything that is random.",
    "device": "auto, cpu, mps, cuda or cuda:N.",
    "base_folds": "Which folds of a base model of several are adapted: the first, or all, one after the other.",
    "compare_with": "What is measured before, where the base model has several folds and one is adapted: the whole "
    "ensemble, which the adapted model would replace, or the one fold.",
    "name": "Display name of the adapted model.",
    "checkpoint_seconds": "Seconds between two checkpoints, at most.",
    "loader_processes": "Processes that prepare patches; 0 for none besides the job's own.",
    "precision": "In which the network computes. auto: half on CUDA, bfloat16 on CPUs that gain by it, else single.",
}
# What the values that stand for a choice by the program mean.
_AUTOMATIC = {"name": "made from the base model's name", "loader_processes": "chosen by the device"}
_CHOICES: dict[str, Sequence[str]] = {"granularity": GRANULARITIES, "step_rule": STEP_RULES,
    "base_folds": BASE_FOLDS, "compare_with": COMPARED_WITH, "precision": PRECISIONS,
}

_METHOD_LIST = "\n".join(
    textwrap.fill(f"{name:10s} {info.name}: {info.text[0].lower()}{info.text[1:]}", 76, initial_indent="  ",
                  subsequent_indent=" " * 13)
    for name, info in METHODS.items()
)  # fmt: skip
_HELP = """Adapt a model to the stored cases in a background job.

    The cases are used as 'lnsegfm cases use' marks them, or as --cases, --holdout and --reference say for this job.
    What the job needs of disk, memory and GPU is checked before it starts. The job outlives this command.

    JSON: an object with job, state, model, holdout (before and after) and notes; with --detach job and folder; with
    --dry-run model, cases, holdout, reference (lists of id and version), left_out, settings, iterations, seconds,
    seconds_per_iteration, device, disk_needed, disk_free, memory_needed, memory_free, gpu_needed, gpu_free (bytes;
    null where not known), notes and refusal (text or null).
    """
_EPILOG = examples(
    "lnsegfm adapt --dry-run", "lnsegfm adapt -m our-model --preset short --name 'Our hospital'",
    "lnsegfm adapt --cases case-0001,case-0002 --holdout case-0003 --detach",
) + f"\n\nMethods:\n\n\b\n{_METHOD_LIST}"  # fmt: skip


def register(app: typer.Typer) -> None:
    """Register the command."""
    app.command("adapt", cls=Command, help=_HELP, epilog=_EPILOG)(adapt)


def adapt(dry_run: bool, detach: bool, stop_on_interrupt: bool, **chosen: Any) -> None:
    """Adapt a model; ``chosen`` are the fields of `AdaptOptions`."""
    for name in ("cases", "holdout", "reference"):
        chosen[name] = _split(chosen[name])
    options = AdaptOptions(**chosen)
    with open_session() as session:
        if dry_run:
            with ProgressLines(None) as lines:
                estimate = session.estimate(options, measure=True, progress=lines.report)
            _print_estimate(estimate)
            if estimate.refusal is not None:
                raise estimate.refusal
            return
        with ProgressLines(None) as lines:
            handle = session.adapt(options, progress=lines.report)
        if detach:
            print_result(
                {"job": handle.id, "folder": str(handle.path)},
                f"Job {handle.id} works in the background; its folder is {handle.path}",
            )
            return
        say(f"Job {handle.id} works in the background; its folder is {handle.path}")
        follow_in_background(handle, stop_on_interrupt=stop_on_interrupt)


def _split(ids: Sequence[str] | None) -> list[str] | None:
    if not ids:
        return None
    return [each.strip() for text in ids for each in text.split(",") if each.strip()]


# The options, made from the fields of a job so that none is forgotten


def _values(name: str) -> str:
    """Say which value a field has in each preset, and where a method has another one in the paper's."""
    standard = getattr(JobSpec, name)
    if name in _AUTOMATIC:
        return f"[default: {_AUTOMATIC[name]}]"
    by_preset = {preset: preset_settings(preset, JobSpec.method).get(name, standard) for preset in PRESETS}
    if len(set(by_preset.values())) == 1:
        values = f"default: {standard}"
    else:
        values = ", ".join(f"{preset}: {value}" for preset, value in by_preset.items())
    others: dict[Any, list[str]] = {}
    for method, info in METHODS.items():
        if name in info.settings:
            others.setdefault(info.settings[name], []).append(method)
    also = "".join(f"; paper with {', '.join(methods)}: {value}" for value, methods in others.items())
    return f"[{values}{also}]"


def _option(*names: str, help_text: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=help_text, metavar=metavar, show_default=False)


def _setting(name: str) -> Any:
    kind = Literal[tuple(_CHOICES[name])] if name in _CHOICES else type(getattr(JobSpec, name))
    flag = f"--{name.replace('_', '-')}"
    return Annotated[Optional[kind], _option(flag, help_text=f"{_TEXTS[name]} {_values(name)}")]  # noqa: UP045


def _choice(names: Sequence[str], *flags: str, help_text: str) -> Any:
    return Annotated[Literal[tuple(names)], _option(*flags, help_text=help_text)]


def _ids(flag: str, help_text: str) -> Any:
    return Annotated[Optional[list[str]], _option(flag, metavar="CASE,...", help_text=help_text)]  # noqa: UP045


def _flag(name: str, help_text: str) -> Any:
    return Annotated[bool, typer.Option(name, help=help_text)]


def _parameters() -> Mapping[str, tuple[Any, Any]]:
    presets = "; ".join(
        f"{name}: " + ", ".join(f"{field.replace('_', '-')} {value}" for field, value in fields.items())
        for name, fields in PRESETS.items()
    )
    return {
        "base_model": (
            Annotated[str, _option("--model", "-m", metavar="MODEL",
                                   help_text="Id of the base model. [default: the default model]")], "",
        ),
        "preset": (
            _choice(tuple(PRESETS), "--preset", help_text=f"Values that belong together ({presets}). [default: paper]"),
            "paper",
        ),
        "method": (
            _choice(tuple(METHODS), "--method", help_text="What is trained; see below. [default: dgst]"), "dgst",
        ),
        "cases": (_ids("--cases", "Learn from these cases. [default: those marked 'train']"), None),
        "holdout": (_ids("--holdout", "Measure on these, before and after. [default: see --holdout-choice]"), None),
        "reference": (
            _ids("--reference", "Cases of the base model's own domain, to measure what is forgotten. [default: those "
                 "marked 'reference']"), None,
        ),
        "holdout_choice": (
            _choice(HOLDOUT_CHOICES, "--holdout-choice", help_text="stored: those marked 'holdout'. random: a quarter "
                    "of the training cases. none: learn from all. [default: stored]"), "stored",
        ),
        **{name: (_setting(name), None) for name in SETTINGS},
        "dry_run": (
            _flag("--dry-run", "Tell what would be done and what it would take; start nothing. An iteration is "
                  "measured where its cost is not known."), False,
        ),
        "rejected_too": (_flag("--rejected", "Start from the model although it was rejected."), False),
        "detach": (_flag("--detach", "Do not wait for the job."), False),
        "stop_on_interrupt": (
            _flag("--stop-on-interrupt", "Ctrl-C cancels the job. [default: the job continues]"), False
        ),
    }  # fmt: skip


_signature = _parameters()
adapt.__annotations__ = {name: kind for name, (kind, _) in _signature.items()}
adapt.__signature__ = inspect.Signature([  # type: ignore[attr-defined]
    inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
    for name, (kind, default) in _signature.items()
])  # fmt: skip


# The estimate


def _print_estimate(estimate: Estimate) -> None:
    from lnsegfm.cli.case_words import sentence

    spec, cost = estimate.spec, estimate.calibration
    notes = [*map(sentence, estimate.findings), *estimate.notes]
    if terminal.as_json:
        settings = {name: getattr(spec, name) for name in ("method", *SETTINGS)}
        print_json({
            "model": spec.base_model, **{name: [{"id": ref.id, "version": ref.version} for ref in getattr(spec, name)]
                                         for name in ("cases", "holdout", "reference")},
            "left_out": list(estimate.left_out), "settings": settings, "iterations": spec.steps,
            "seconds": estimate.seconds, "seconds_per_iteration": cost.seconds if cost else None,
            "device": cost.device if cost else None, "disk_needed": estimate.disk_bytes,
            "disk_free": estimate.disk_free, "memory_needed": cost.memory_bytes or None if cost else None,
            "memory_free": estimate.memory_free, "gpu_needed": cost.gpu_bytes or None if cost else None,
            "gpu_free": estimate.gpu_free, "notes": notes,
            "refusal": str(estimate.refusal) if estimate.refusal else None,
        })  # fmt: skip
        return
    print(f"Base model   {spec.base_model} ({estimate.model.name})")
    print(f"Method       {METHODS[spec.method].name}, {spec.epochs} epochs x {spec.iterations_per_epoch} iterations")
    for title, refs in (("Training", spec.cases), ("Hold-out", spec.holdout), ("Reference", spec.reference)):
        print(f"{title:12s} {', '.join(f'{ref.id} (version {ref.version})' for ref in refs) or 'none'}")
    print(f"Left out     {', '.join(estimate.left_out) or 'none'}")
    print(f"Disk         {_amount(estimate.disk_bytes, estimate.disk_free)}")
    if cost is not None and estimate.seconds is not None:
        if cost.memory_bytes:
            print(f"Memory       {_amount(cost.memory_bytes, estimate.memory_free)}")
        if cost.gpu_bytes:
            print(f"GPU memory   {_amount(cost.gpu_bytes, estimate.gpu_free)}")
        print(f"Device       {cost.device}")
        print(f"Training     about {duration(estimate.seconds)}: {spec.steps} iterations of {cost.seconds:.2f} s")
    for text in notes:
        print(f"Note: {text}")


def _amount(needed: int, free: int | None) -> str:
    text = f"{needed / _GB:.1f} GB needed"
    return text if free is None else f"{text}, {free / _GB:.1f} GB free"
