"""Following a job on the terminal until it ends."""

from __future__ import annotations

import sys
from typing import Any

import typer

from lnsegfm.base.errors import Cancelled
from lnsegfm.cli.output.progress_lines import ProgressLines
from lnsegfm.cli.terminal import print_result, say, terminal, warn
from lnsegfm.jobs.job_status import JobStatus
from lnsegfm.jobs.job_store import Job
from lnsegfm.jobs.outcome import mean_scores
from lnsegfm.session.job_handle import JobHandle, check_outcome, watch

CANCELLED = 130
"""Exit code of a command that the user interrupted, or whose work was cancelled."""


def follow(job: Job) -> None:
    """Show a job's progress until it ends, and say what came of it.

    Raises:
        UserError: The job failed or its process ended unexpectedly.
        Cancelled: It was cancelled.
    """
    with ProgressLines(job.spec.steps, "it") as lines:
        for status in watch(job):
            detail = "" if status.loss is None else f"loss {status.loss:.3f}"
            lines.update(status.iteration or 0, status.stage or status.state, detail)
    for text in status.notes:
        warn(text)
    if status.state == "paused":
        print_result(_result(job, status), f"Paused; 'lnsegfm jobs resume {job.id}' continues from the checkpoint.")
        return
    if status.state == "cancelled":
        raise Cancelled(f"The job '{job.id}' was cancelled. {job.way_on}")
    check_outcome(job, status)
    if terminal.as_json:
        print_result(_result(job, status), "")
        return
    say(f"The model is '{status.model_id}'.")
    for name, before, after in _figures(status):
        say(f"Hold-out {name}: {before:.3f} -> {after:.3f}")


def follow_in_background(handle: JobHandle, *, stop_on_interrupt: bool) -> None:
    """Follow a job that lives on when the user presses Ctrl-C.

    Args:
        handle: The job.
        stop_on_interrupt: Cancel the job on Ctrl-C.

    Raises:
        Exit: The user interrupted; what becomes of the job was said.
    """
    try:
        follow(handle.job)
    except KeyboardInterrupt:
        if stop_on_interrupt:
            handle.cancel()
            text = (
                f"Asked {handle.id} to stop; it keeps its checkpoint.\n"
                f"Continue it: lnsegfm jobs resume {handle.id}"
            )
        else:
            text = (
                f"{handle.id} continues in the background.\n"
                f"Watch it:  lnsegfm jobs watch {handle.id}\n"
                f"Cancel it: lnsegfm jobs cancel {handle.id}"
            )
        print(f"\n{text}", file=sys.stderr)
        raise typer.Exit(CANCELLED) from None


def _result(job: Job, status: JobStatus) -> dict[str, Any]:
    figures = {name: {"before": before, "after": after} for name, before, after in _figures(status)}
    return {"job": job.id, "state": status.state, "model": status.model_id or None, "holdout": figures,
            "notes": list(status.notes)}  # fmt: skip


def _figures(status: JobStatus) -> list[tuple[str, float, float]]:
    means = mean_scores(status.metrics)
    return [(name, *means[key]) for key, name in (("dsc", "DSC"), ("nsd", "NSD@1mm")) if key in means]
