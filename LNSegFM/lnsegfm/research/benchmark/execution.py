"""Doing the runs of an experiment: as jobs, on one device or several side by side."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lnsegfm.base.computer.cpu_count import cpu_count
from lnsegfm.jobs.job_store import DEVICE_VARIABLE, Job, JobStore
from lnsegfm.research.benchmark.planned_runs import Planned, same_run

_POLL_S = 0.5


@dataclass
class Progress:
    """How far the experiment is.

    Args:
        total: Number of runs.
        done: Number of runs that are done.
        failed: Names of runs that failed, with the reason.
        running: What the runs at work are doing, in words.
    """

    total: int
    done: int
    failed: dict[str, str]
    running: list[str]


def find_jobs(store: JobStore, planned: Sequence[Planned]) -> list[Job | None]:
    """Return the job of each run; None for a run that has none yet. Nothing is made."""
    known = store.list()
    return [next((job for job in known if same_run(job.spec, run.spec)), None) for run in planned]


def make_jobs(store: JobStore, planned: Sequence[Planned]) -> list[Job]:
    """Return the job of each run, making those that are missing.

    The ids follow from the plan, so that an experiment that was interrupted has the same as one that was not.
    """
    found = find_jobs(store, planned)
    return [job or store.create(run.spec, token=_token(run)) for job, run in zip(found, planned)]


def run_jobs(
    jobs: Sequence[Job], devices: Sequence[str], report: Callable[[Progress], None], *,
    start: Callable[[Job], None] | None = None,
) -> Progress:
    """Do the jobs that are not done, one at a time on each device, and return how it ended.

    Jobs are processes of their own: when this one is killed, those at work go on, and the next call waits for them. A
    job that failed is tried once more.

    Args:
        jobs: The jobs, in the order in which they are to be done.
        devices: The devices; the same one twice for two jobs at once.
        report: Called often.
        start: Starts or resumes a job; by default as a process on its device.

    Raises:
        KeyboardInterrupt: The user stopped it; the jobs at work are cancelled, and keep their checkpoints.
    """
    waiting = [job for job in jobs if job.status().state != "done"]
    at_work: dict[int, Job] = {}
    tries: dict[str, int] = {}
    failed: dict[str, str] = {}
    try:
        while waiting or at_work:
            for slot, job in list(at_work.items()):
                status = job.status()
                if not status.active:
                    del at_work[slot]
                    if status.state != "done" and tries[job.id] < 2:
                        waiting.insert(0, job)
                    elif status.state != "done":
                        failed[job.spec.name] = (status.error or {}).get("what") or status.message
            for slot, device in enumerate(devices):
                if slot not in at_work and waiting:
                    job = _next(waiting)
                    tries[job.id] = tries.get(job.id, 0) + 1
                    if job.can_resume:
                        _start(job, device, devices, start)
                    at_work[slot] = job
            running = [f"{job.spec.name}: {status.stage} {status.iteration}/{job.spec.steps}"
                       for job in at_work.values() for status in [job.status()]]
            report(Progress(len(jobs), len(jobs) - len(waiting) - len(at_work) - len(failed), failed, running))
            time.sleep(_POLL_S)
    except KeyboardInterrupt:
        for job in at_work.values():
            job.cancel()
        raise
    return Progress(len(jobs), len(jobs) - len(failed), failed, [])


def _next(waiting: list[Job]) -> Job:
    """Take the first of the jobs; one that another process works on already comes before all others."""
    chosen = next((job for job in waiting if job.status().active), waiting[0])
    waiting.remove(chosen)
    return chosen


def _start(job: Job, device: str, devices: Sequence[str], start: Callable[[Job], None] | None) -> None:
    if device == "cpu":
        # Two trainings that both take all cores slow each other down far more than by half.
        job.environment["OMP_NUM_THREADS"] = str(max(1, cpu_count() // list(devices).count("cpu")))
    job.environment[DEVICE_VARIABLE] = device
    if start is not None:
        start(job)
    else:
        job.start()


def _token(run: Planned) -> str:
    fields = replace(run.spec, device="auto").to_json()
    if run.spec.precision == "auto":
        del fields["precision"]  # runs of experiments that began before there was a choice keep their folders
    content = json.dumps(fields, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:6]
