"""A job that was started, for those who wait for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.jobs.job_spec import JobSpec
from lnsegfm.jobs.job_status import ENDED, JobStatus
from lnsegfm.jobs.job_store import DAMAGED, Job
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_store import ModelStore

NOT_WORKED_ON = ("created", *ENDED, "interrupted", DAMAGED)
"""States in which no process works on a job, or will by itself."""
_POLL_S = 0.3


class JobHandle:
    """A job; it works on in the background whatever becomes of this object.

    Args:
        job: The job.
        models: Where its model is installed.
    """

    def __init__(self, job: Job, models: ModelStore) -> None:
        self.job = job
        self._models = models

    @property
    def id(self) -> str:
        """Id of the job."""
        return self.job.id

    @property
    def path(self) -> Path:
        """Folder of the job."""
        return self.job.path

    @property
    def spec(self) -> JobSpec:
        """What was asked for."""
        return self.job.spec

    @property
    def done(self) -> bool:
        """Whether no process works on it any more; it may have failed."""
        return self.status().state in NOT_WORKED_ON

    def status(self) -> JobStatus:
        """Return how it stands now."""
        return self.job.status()

    def watch(self, poll_s: float = _POLL_S) -> Iterator[JobStatus]:
        """Yield the status repeatedly; the last one is that of a job that is no longer worked on.

        Args:
            poll_s: Seconds between two looks.
        """
        yield from watch(self.job, poll_s)

    def wait(self, on_status: Callable[[JobStatus], object] | None = None) -> ModelInfo:
        """Block until the job has ended and return the adapted model.

        Args:
            on_status: Called with the status several times a second.

        Raises:
            UserError: It failed, was paused, or its process ended unexpectedly.
            Cancelled: It was cancelled.
        """
        status = self.status()
        for status in self.watch():
            if on_status is not None:
                on_status(status)
        check_outcome(self.job, status)
        return self._models.get(status.model_id)

    def cancel(self) -> None:
        """Ask the job to stop; it keeps its checkpoint, and nothing happens when it has ended."""
        self.job.cancel()

    def pause(self) -> None:
        """Ask the job to write a checkpoint and to end until it is resumed."""
        self.job.pause()


def watch(job: Job, poll_s: float = _POLL_S) -> Iterator[JobStatus]:
    """Yield the status of a job until it is no longer worked on; that last status is yielded too."""
    while True:
        status = job.status()
        yield status
        if status.state in NOT_WORKED_ON:
            return
        time.sleep(poll_s)


def check_outcome(job: Job, status: JobStatus) -> None:
    """Raise what became of a job that has not made a model.

    Raises:
        UserError: It failed, was paused, or its process ended unexpectedly.
        Cancelled: It was cancelled.
    """
    if status.state == "cancelled":
        raise Cancelled
    if status.state == "interrupted":
        lines = "\n".join(job.log_tail(10))
        raise UserError(f"The process of {job.id} ended unexpectedly.", lines, job.way_on)
    if status.state in ("failed", DAMAGED):
        raise UserError.from_json(status.error or {})
    if status.state != "done":
        raise UserError(f"The job '{job.id}' has made no model yet.", f"It is {status.state}.", "Resume it.")
