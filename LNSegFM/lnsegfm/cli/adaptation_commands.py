"""``lnsegfm adapt`` and ``lnsegfm jobs``."""

from __future__ import annotations

import argparse
import time
from dataclasses import fields
from typing import Any

from tqdm import tqdm

from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.base.home import Home
from lnsegfm.cli.model_commands import refuse_rejected
from lnsegfm.jobs.case_selection import make_spec
from lnsegfm.jobs.job_spec import PRESETS, JobSpec, preset_settings
from lnsegfm.jobs.job_status import ENDED, JobStatus
from lnsegfm.jobs.job_store import Job, JobStore
from lnsegfm.jobs.method_names import METHODS
from lnsegfm.models.catalogue import install_bundled
from lnsegfm.models.model_store import ModelStore

# Fields of a job that `lnsegfm adapt` fills in itself.
_COMPUTED = ("base_model", "base_sha256", "cases", "holdout")
NOT_WORKED_ON = (*ENDED, "interrupted")


def add_to(commands: Any) -> None:
    """Add the commands' parsers."""
    adapt = commands.add_parser("adapt", help="fine-tune a model to the stored cases in a background job")
    adapt.add_argument("-m", "--model", required=True, help="id of the base model")
    adapt.add_argument("--preset", default="paper", choices=tuple(PRESETS))
    adapt.add_argument("--rejected", action="store_true", help="start from the model although it was rejected")
    adapt.add_argument("--detach", action="store_true", help="do not wait for the job")
    for entry in fields(JobSpec):
        if entry.name not in _COMPUTED:
            choices = tuple(METHODS) if entry.name == "method" else None
            adapt.add_argument(
                f"--{entry.name.replace('_', '-')}", type=type(entry.default), choices=choices,
                help=f"paper: {entry.default}",
            )
    adapt.set_defaults(run=_adapt)
    jobs = commands.add_parser("jobs", help="list, watch, cancel and resume jobs")
    jobs.set_defaults(run=_list)
    actions = jobs.add_subparsers(metavar="ACTION")
    actions.add_parser("list", help="all jobs").set_defaults(run=_list)
    named = {"watch": _watch, "cancel": _cancel, "resume": _resume, "log": _log, "remove": _remove}
    for name, action in named.items():
        parser = actions.add_parser(name)
        parser.add_argument("job", help="job id")
        parser.set_defaults(run=action)


def _store() -> JobStore:
    return JobStore(Home.default().jobs)


def _adapt(options: argparse.Namespace) -> None:
    home = Home.default()
    install_bundled(ModelStore(home.models))
    refuse_rejected(ModelStore(home.models), options.model, options.rejected)
    names = [entry.name for entry in fields(JobSpec) if entry.name not in _COMPUTED]
    changes = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    settings = {**preset_settings(options.preset, options.method or JobSpec.method), **changes}
    job = _store().create(make_spec(home, options.model, **settings))
    job.start()
    print(f"Job {job.id} runs in the background; its folder is {job.path}")
    if not options.detach:
        follow(job)


def follow(job: Job) -> None:
    """Show a job's progress until it ends.

    Raises:
        UserError: The job failed or its process ended unexpectedly.
        Cancelled: Somebody cancelled it.
    """
    with tqdm(total=job.spec.steps, unit="it") as bar:
        while (status := job.status()).state not in NOT_WORKED_ON:
            _show(bar, status)
            time.sleep(0.3)
        _show(bar, status)
    if status.state == "cancelled":
        raise Cancelled
    if status.state == "paused":
        print(f"Paused; 'lnsegfm jobs resume {job.id}' continues from the checkpoint.")
        return
    if status.state == "interrupted":
        raise UserError(
            f"The process of {job.id} ended unexpectedly.", "\n".join(job.log_tail(10)),
            job.way_on,
        )
    if status.state == "failed":
        raise UserError.from_json(status.error or {})
    print(f"The model is '{status.model_id}'.")
    if status.metrics:
        before, after = status.metrics["mean"]["before"], status.metrics["mean"]["after"]
        for metric, name in (("dsc", "DSC"), ("nsd", "NSD@1mm")):
            if before[metric] is not None and after[metric] is not None:
                print(f"Hold-out {name}: {before[metric]:.3f} -> {after[metric]:.3f}")


def _show(bar: Any, status: JobStatus) -> None:
    bar.set_description_str(_stage(status) or status.state)
    if status.loss is not None:
        bar.set_postfix_str(f"loss {status.loss:.3f}")
    bar.update((status.iteration or 0) - bar.n)


def _list(options: argparse.Namespace) -> None:
    del options
    for job in _store().list():
        status = job.status()
        print(f"{job.id:12s}  {status.state:11s}  {status.iteration or 0}/{job.spec.steps}  {job.spec.method}  "
              f"{status.model_id or _stage(status)}")


def _stage(status: JobStatus) -> str:
    return f"waits for {status.waits_for}" if status.state == "queued" else status.stage


def _watch(options: argparse.Namespace) -> None:
    follow(_store().get(options.job))


def _cancel(options: argparse.Namespace) -> None:
    _store().get(options.job).cancel()
    print("Cancel was asked for; the job keeps its checkpoint.")


def _resume(options: argparse.Namespace) -> None:
    job = _store().get(options.job)
    job.resume()
    follow(job)


def _remove(options: argparse.Namespace) -> None:
    _store().get(options.job).remove()
    print(f"Removed {options.job}; the model it made stays")


def _log(options: argparse.Namespace) -> None:
    print("\n".join(_store().get(options.job).log_tail(200)))
