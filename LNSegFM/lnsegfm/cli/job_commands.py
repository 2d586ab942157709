"""``lnsegfm jobs``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from lnsegfm.cli.following import follow_in_background
from lnsegfm.cli.terminal import Command, examples, noun, open_session, print_json, print_result, print_table, terminal

app = noun(
    "Fine-tuning jobs: list, show, watch, pause, cancel, resume, log, remove.",
    "lnsegfm jobs list", "lnsegfm jobs watch job-0001", "lnsegfm jobs pause job-0001",
)  # fmt: skip
# `lnsegfm jobs` alone lists them.
app.info.no_args_is_help = False

JobId = Annotated[str, typer.Argument(metavar="JOB", help="Id of a job, or a beginning that only one has.")]
StopOnInterrupt = Annotated[
    bool, typer.Option("--stop-on-interrupt", help="Ctrl-C cancels the job. [default: the job continues]")
]


@app.callback(invoke_without_command=True)
def jobs(context: typer.Context) -> None:
    """List the jobs where no verb is given."""
    if context.invoked_subcommand is None:
        list_jobs()


@app.command("list", cls=Command, epilog=examples("lnsegfm jobs list", "lnsegfm jobs list --json"))
def list_jobs() -> None:
    """List the jobs, oldest first.

    JSON: a list of objects with id, state (created, queued, starting, running, done, failed, cancelled, paused,
    interrupted, damaged), stage, waits_for (id of the job that a queued one waits for, or null), iteration, iterations,
    method, base_model, model (id of the model it made, or null), name, created (UTC) and problem (what cannot be read
    of a damaged job, or null). A damaged job can be removed; null is what is not known of it.
    """
    with open_session() as session:
        rows = [
            {"id": job.id, "state": job.state, "stage": job.stage or None,
             "waits_for": job.waits_for or None, "iteration": job.iteration,
             "iterations": job.iterations, "method": job.method or None,
             "base_model": job.base_model or None, "model": job.model_id or None, "name": job.name or None,
             "created": job.created or None,
             "problem": job.problem or None}
            for job in session.jobs.list()
        ]  # fmt: skip
    shown = rows if terminal.as_json else [
        {**row, "done": f"{row['iteration']}/{row['iterations']}" if row["method"] else None,
         "result": row["problem"] or row["model"] or _doing(row)}
        for row in rows
    ]  # fmt: skip
    columns = {
        "id": "ID", "state": "STATE", "done": "ITERATIONS", "method": "METHOD", "base_model": "BASE MODEL",
        "result": "MODEL/STAGE",
    }  # fmt: skip
    print_table(shown, columns, empty="There are no jobs. Type: lnsegfm adapt --help")


def _doing(row: dict[str, Any]) -> str | None:
    return f"waits for {row['waits_for']}" if row["waits_for"] else row["stage"]


@app.command("show", cls=Command, epilog=examples("lnsegfm jobs show job-0001 --json"))
def show(job: JobId) -> None:
    """Show what a job was asked and how it stands.

    JSON: an object with id, folder, spec (what was asked) and status (state, stage, iteration, iterations, epoch,
    loss, pseudo_dice, eta_s, message, error, model_id, metrics, device, notes and more).
    """
    with open_session() as session:
        handle = session.jobs.get(job)
        status = handle.status()
    asked: dict[str, Any] = asdict(handle.spec)
    if terminal.as_json:
        print_json({
            "id": handle.id, "folder": str(handle.path), "spec": asked, "status": {**status.to_json()},
        })  # fmt: skip
        return
    cases = {name: ", ".join(f"{ref['id']} v{ref['version']}" for ref in asked.pop(name)) or "-"
             for name in ("cases", "holdout", "reference")}  # fmt: skip
    state = {
        "state": status.state, "stage": status.stage, "iteration": f"{status.iteration}/{status.iterations}",
        "device": status.device, "message": status.message, "reason": (status.error or {}).get("why"),
        "model": status.model_id,
    }  # fmt: skip
    print(handle.id)
    for name, value in {**state, **cases, **asked}.items():
        if value not in ("", None):
            print(f"  {name:22s} {value}")
    for text in status.notes:
        print(f"  {'note':22s} {text}")


@app.command("watch", cls=Command, epilog=examples("lnsegfm jobs watch job-0001"))
def watch(job: JobId, stop_on_interrupt: StopOnInterrupt = False) -> None:
    """Follow a job until it ends; Ctrl-C ends the watching alone."""
    with open_session() as session:
        follow_in_background(session.jobs.get(job), stop_on_interrupt=stop_on_interrupt)


@app.command("pause", cls=Command, epilog=examples("lnsegfm jobs pause job-0001"))
def pause(job: JobId) -> None:
    """Let a job write a checkpoint and end, so that the computer is free until it is resumed."""
    with open_session() as session:
        whole = session.jobs.pause(job)
    print_result({"job": whole}, f"Asked {whole} to pause. Continue it: lnsegfm jobs resume {whole}")


@app.command("cancel", cls=Command, epilog=examples("lnsegfm jobs cancel job-0001"))
def cancel(job: JobId) -> None:
    """Let a job stop; it keeps its checkpoint."""
    with open_session() as session:
        whole = session.jobs.cancel(job)
    print_result({"job": whole}, f"Asked {whole} to stop; it keeps its checkpoint.")


@app.command(
    "resume", cls=Command, epilog=examples("lnsegfm jobs resume job-0001", "lnsegfm jobs resume job-0001 --detach")
)
def resume(
    job: JobId,
    detach: Annotated[bool, typer.Option("--detach", help="Do not wait for the job.")] = False,
    stop_on_interrupt: StopOnInterrupt = False,
) -> None:
    """Continue a job from its last checkpoint, in the background, and follow it."""
    with open_session() as session:
        handle = session.jobs.resume(job)
        if detach:
            print_result({"job": handle.id}, f"{handle.id} continues in the background.")
        else:
            follow_in_background(handle, stop_on_interrupt=stop_on_interrupt)


@app.command("log", cls=Command, epilog=examples("lnsegfm jobs log job-0001 --lines 50"))
def log(
    job: JobId,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many of the last lines.")] = 200,
) -> None:
    """Print the end of a job's log.

    JSON: a list of lines.
    """
    with open_session() as session:
        found = list(session.jobs.log(job, lines))
    if terminal.as_json:
        print_json(found)
    else:
        print("\n".join(found))


@app.command("remove", cls=Command, epilog=examples("lnsegfm jobs remove job-0001"))
def remove(job: JobId) -> None:
    """Delete a job with its checkpoint, log and pictures; the model that it made stays."""
    with open_session() as session:
        whole = session.jobs.remove(job)
    print_result({"job": whole}, f"Removed {whole}; the model it made stays")
