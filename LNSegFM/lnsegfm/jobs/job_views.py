"""A job as lists and panels show it: what is read of it at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lnsegfm.jobs.job_spec import JobSpec
from lnsegfm.jobs.job_status import JobStatus


@dataclass(frozen=True)
class JobSummary:
    """A job in a list.

    Args:
        id: Job id.
        state: One of `lnsegfm.jobs.job_status.STATES`, a state of a newer version, or
            `lnsegfm.jobs.job_store.DAMAGED`.
        method: Name of the method, a key of `lnsegfm.jobs.method_names.METHODS`; empty where it cannot be read.
        created: UTC time at which it was made, ISO 8601; empty where it cannot be read.
        stage: What an active job does.
        iteration: Iterations done.
        iterations: Iterations in all.
        base_model: Id of the model it starts from.
        model_id: Id of the model it made; empty until it is done.
        name: Display name that was asked for, or empty.
        waits_for: Of a queued job: id of the job that holds the device.
        problem: Of a damaged job: what cannot be read of it.
    """

    id: str
    state: str
    method: str
    created: str
    stage: str = ""
    iteration: int = 0
    iterations: int = 0
    base_model: str = ""
    model_id: str = ""
    name: str = ""
    waits_for: str = ""
    problem: str = ""

    @property
    def readable(self) -> bool:
        """Whether it is known what the job was asked; what is not can only be removed."""
        return bool(self.method)


@dataclass(frozen=True)
class JobView:
    """A job at one moment: what it was asked, its status, all rows of its progress, the end of its log if asked for."""

    id: str
    spec: JobSpec
    status: JobStatus
    rows: Sequence[dict[str, Any]]
    log: str
