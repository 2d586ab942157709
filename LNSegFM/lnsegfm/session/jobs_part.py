"""The jobs of a session: list, watch, pause, cancel, resume and remove them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from lnsegfm.base.errors import UserError
from lnsegfm.base.home import Home
from lnsegfm.base.prefixes import resolve
from lnsegfm.jobs.job_status import JobStatus
from lnsegfm.jobs.job_store import DAMAGED, DamagedJob, Job, JobStore
from lnsegfm.jobs.job_views import JobSummary, JobView
from lnsegfm.models.model_store import ModelStore
from lnsegfm.session.job_handle import NOT_WORKED_ON, JobHandle, watch

LOG_LINES = 200

Summaries = list[JobSummary]


class JobsPart:
    """The jobs of one home. Every id may be a beginning that only one job has.

    Args:
        home: Tells where they lie, at each call.
        command: Makes the command line of a job's process; None from it for the real runner.
    """

    def __init__(self, home: Callable[[], Home], command: Callable[[Job], Sequence[str] | None]) -> None:
        self._home, self._command = home, command
        self._read: Job | None = None

    @property
    def store(self) -> JobStore:
        """The store below."""
        return JobStore(self._home().jobs)

    def list(self) -> Summaries:
        """Return the jobs, oldest first; those that are damaged tell why, and can be removed."""
        return [_summary(job) for job in self.store.all()]

    def get(self, job_id: str) -> JobHandle:
        """Return one job.

        Raises:
            UserError: There is none of this id, or several begin so.
        """
        return JobHandle(self._job(job_id), ModelStore(self._home().models))

    def view(self, job_id: str, *, with_log: bool = False) -> JobView:
        """Read how a job stands, with all rows of its progress; for one caller at a time.

        Raises:
            UserError: The job is gone, or cannot be read.
        """
        path = self.store.root / job_id
        # The same object reads on where it stopped; a job's progress can have thousands of rows.
        job = self._read
        if job is None or job.path != path or not path.is_dir():
            job = self._read = self._job(job_id)
        status = job.status()
        try:
            rows, log = job.progress(), "\n".join(job.log_tail(LOG_LINES)) if with_log else ""
        except UserError:
            if status.state != DAMAGED:
                raise
            rows, log = [], ""  # the status says what cannot be read
        return JobView(job.id, job.spec, status, rows, log)

    def watch(self, job_id: str) -> Iterator[JobStatus]:
        """Yield the status of a job until it is no longer worked on; that last status is yielded too.

        Raises:
            UserError: There is no such job.
        """
        return watch(self._job(job_id))

    def log(self, job_id: str, lines: int = LOG_LINES) -> Sequence[str]:
        """Return the last lines of a job's log."""
        return self._job(job_id).log_tail(lines)

    def pause(self, job_id: str) -> str:
        """Ask a job to write a checkpoint and to end until it is resumed; return its id.

        Raises:
            UserError: It is not being worked on.
        """
        job = self._active(job_id, "paused")
        job.pause()
        return job.id

    def cancel(self, job_id: str) -> str:
        """Ask a job to stop; it keeps its checkpoint. Return its id.

        Raises:
            UserError: It is not being worked on.
        """
        job = self._active(job_id, "cancelled")
        job.cancel()
        return job.id

    def resume(self, job_id: str) -> JobHandle:
        """Continue a job from its last checkpoint.

        Raises:
            UserError: There is nothing to resume, or the process cannot be started.
        """
        handle = self.get(job_id)
        handle.job.resume(self._command(handle.job))
        return handle

    def remove(self, job_id: str) -> str:
        """Delete a job, also a damaged one, with its checkpoint, log and pictures; the model that it made stays.

        Returns:
            Its whole id.

        Raises:
            UserError: It is running, or there is none of this id.
        """
        whole = self.resolve(job_id)
        self.store.remove(whole)
        return whole

    def users_of(self, *, model: str = "", case: str = "") -> Sequence[str]:
        """Return the ids of the jobs being worked on that need a model or a case; these ids must be whole."""
        return self.store.users_of(model=model, case=case)

    def resolve(self, job_id: str) -> str:
        """Return the whole id of which ``job_id`` is the beginning, see `lnsegfm.base.prefixes.resolve`."""
        return resolve(job_id, (job.id for job in self.store.all()), "job")

    def _job(self, job_id: str) -> Job:
        return self.store.get(self.resolve(job_id))

    def _active(self, job_id: str, wish: str) -> Job:
        job = self._job(job_id)
        state = job.status().state
        if state in ("done", "failed", "cancelled"):
            raise UserError(f"The job '{job.id}' was not {wish}.", f"It has already finished: it is {state}.")
        if state == DAMAGED:
            raise UserError.from_json(job.status().error or {})
        if state in NOT_WORKED_ON:
            what = "has not been started" if state == "created" else f"is not running: it is {state}"
            raise UserError(f"The job '{job.id}' was not {wish}.", f"It {what}.")
        return job


def _summary(job: Job | DamagedJob) -> JobSummary:
    if isinstance(job, DamagedJob):
        return JobSummary(job.id, DAMAGED, "", "", problem=job.reason.why)
    status, spec = job.status(), job.spec
    return JobSummary(
        job.id, status.state, spec.method, job.created, status.stage, status.iteration or 0,
        status.iterations or spec.steps, spec.base_model, status.model_id, spec.name, status.waits_for,
        (status.error or {}).get("why", "") if status.state == DAMAGED else "",
    )
