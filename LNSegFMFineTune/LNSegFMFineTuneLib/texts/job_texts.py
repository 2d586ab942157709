"""What the fine-tuning module says of jobs, in the user's language."""

from __future__ import annotations

from collections.abc import Mapping

from slicer.i18n import tr as _

from lnsegfm.base.errors import UserError
from lnsegfm.base.wording import data_size, duration, explain
from lnsegfm.jobs.job_status import JobStatus
from lnsegfm.jobs.job_store import DAMAGED
from lnsegfm.jobs.method_names import METHODS
from lnsegfm.jobs.stored import JobSummary, JobView


def titles() -> list[tuple[str, str]]:
    """The titles of the job table's columns, with their tooltips."""
    return [
        (_("Job"), _("Id of the job.")),
        (_("Method"), _("The fine-tuning method.")),
        (_("State"), _("Current state.")),
    ]


def cells(job: JobSummary) -> tuple[str, ...]:
    """The cells of a row of the job table."""
    method = METHODS[job.method].name if job.method in METHODS else job.method
    return job.id, method, state(job.state)


def details(view: JobView, created: str, names: Mapping[str, str]) -> str:
    """Say what a job was asked to do and what there is to know of its cases, for the line below the table.

    Args:
        view: The job.
        created: When it was made, ISO 8601.
        names: Display names of the installed models by id.
    """
    spec = view.spec
    method = METHODS[spec.method].name if spec.method in METHODS else spec.method
    text = _(
        "{job} of {date}: {method} on {model}, {train} training and {holdout} hold-out cases, {epochs} epochs of "
        "{iterations} iterations; {state}."
    ).format(
        job=view.id, date=created[:10], method=method, model=names.get(spec.base_model, spec.base_model),
        train=len(spec.cases), holdout=len(spec.holdout), epochs=spec.epochs, iterations=spec.iterations_per_epoch,
        state=state(view.status.state),
    )
    return " ".join((text, *view.status.notes))


def state(name: str) -> str:
    """One word for the state of a job."""
    words = {
        "created": _("not started"),
        "starting": _("starting"),
        "queued": _("queued"),
        "running": _("running"),
        "done": _("done"),
        "failed": _("failed"),
        "cancelled": _("cancelled"),
        "paused": _("paused"),
        "interrupted": _("interrupted"),
        DAMAGED: _("damaged"),
    }
    return words.get(name, name)


def text(status: JobStatus) -> str:
    """One or two sentences on how a job stands."""
    if status.state == "running":
        stage = ": ".join(part for part in (status.stage or _("Running"), status.message) if part)
        device = status.device.partition(":")[0]
        return _("{stage} (on {device})").format(stage=stage, device=device) if device else stage
    if status.error and status.state in ("failed", "interrupted", DAMAGED):
        return explain(UserError.from_json(status.error))
    sentences = {
        "created": _("Not started yet."),
        "starting": _("Starting."),
        "queued": _("Queued: starts by itself after {job}, even when Slicer is closed.").format(
            job=status.waits_for
        ),
        "done": _("Done. The adapted model is '{model}'.").format(model=status.model_id),
        "cancelled": _("Cancelled. Resume continues from the last checkpoint."),
        "paused": _("Paused; the computer is free. Resume continues from the checkpoint."),
        "interrupted": _("The job ended unexpectedly. Resume continues from the last checkpoint."),
    }
    return sentences.get(status.state, status.message)


def unreadable(job: JobSummary) -> str:
    """What is known of a job that can only be removed."""
    return _("The job cannot be read.\n\n{reason}\n\nRemove it; a model that it made is kept.").format(
        reason=job.problem
    )


def figures(status: JobStatus) -> str:
    """The numbers of a job in one line."""
    parts = [_("Iteration {done} / {all}").format(done=status.iteration, all=status.iterations)]
    if status.loss is not None:
        parts.append(_("loss {loss:.3f}").format(loss=status.loss))
    if status.pseudo_dice is not None:
        parts.append(_("pseudo-Dice {dice:.3f}").format(dice=status.pseudo_dice))
    if status.gpu_bytes:
        parts.append(
            _("GPU memory {held} of {all}").format(
                held=data_size(status.gpu_bytes, memory=True), all=data_size(status.gpu_total_bytes, memory=True)
            )
        )
    if status.active and status.eta_s is not None:
        parts.append(_("about {time} left").format(time=duration(status.eta_s)))
    return " · ".join(parts)


def removal_question(job_id: str) -> str:
    """Ask before a job's folder is deleted."""
    return _(
        "Delete {job} with its checkpoint, log and images? This cannot be undone. The adapted model is kept."
    ).format(job=job_id)
