"""All that can be done with cases, models and jobs of one home, each as one call that may take a while."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from LNSegFMFineTuneLib.core.jobs import Job, JobStore
from LNSegFMFineTuneLib.core.selection import make_spec
from LNSegFMFineTuneLib.core.status import JobStatus
from LNSegFMLib.core.case_import import ImportReport
from LNSegFMLib.core.case_info import CaseInfo
from LNSegFMLib.core.cases import CaseStore
from LNSegFMLib.core.catalogue import install_bundled
from LNSegFMLib.core.errors import UserError
from LNSegFMLib.core.home import Home
from LNSegFMLib.core.models import ModelInfo, ModelStore

_LOG_LINES = 200


@dataclass(frozen=True)
class Stored:
    """What lies on the disk.

    Args:
        cases: The stored cases.
        models: The installed models.
        jobs: Id and state of every job, newest first.
        problem: Why the demonstration model could not be installed, if it could not.
    """

    cases: Sequence[CaseInfo] = ()
    models: Sequence[ModelInfo] = ()
    jobs: Sequence[tuple[str, str]] = ()
    problem: UserError | None = None


@dataclass(frozen=True)
class JobView:
    """A job at one moment: its status, all rows of its progress, the end of its log where asked for, its method."""

    id: str
    status: JobStatus
    rows: Sequence[dict[str, Any]]
    log: str
    method: str


class Workbench:
    """The stores of the home that ``LNSEGFM_HOME`` names at the time of each call.

    Args:
        runner_command: Makes the command line of a job's process; None for the real runner.
    """

    def __init__(self, runner_command: Callable[[Job], Sequence[str]] | None = None) -> None:
        self.runner_command = runner_command
        self._job: Job | None = None

    def read_stored(self) -> Stored:
        """List everything; installs the demonstration model at the first call."""
        home, problem = Home.default(), None
        models = ModelStore(home.models)
        try:
            install_bundled(models)
        except UserError as error:
            problem = error
        jobs = [(job.id, job.status().state) for job in reversed(JobStore(home.jobs).list())]
        return Stored(CaseStore(home.cases).list(), models.list(), jobs, problem)

    def read_job(self, job_id: str, with_log: bool) -> JobView:
        """Read how a job stands; for one caller at a time.

        Raises:
            UserError: The job is gone.
        """
        path = Home.default().jobs / job_id
        # The same object reads on where it stopped; a job's progress can have thousands of rows.
        if self._job is None or self._job.path != path or not path.is_dir():
            self._job = self._jobs().get(job_id)
        status = self._job.status()
        log = "\n".join(self._job.log_tail(_LOG_LINES)) if with_log else ""
        return JobView(job_id, status, self._job.progress(), log, self._job.spec.method)

    def start_job(self, base_model: str, fields: dict[str, Any]) -> str:
        """Make a job from the cases as they are sorted now, start it and return its id.

        Args:
            base_model: Id of the model to start from.
            fields: Further fields of `LNSegFMFineTuneLib.core.spec.JobSpec`.

        Raises:
            UserError: The job cannot be made or started.
        """
        job = self._jobs().create(make_spec(Home.default(), base_model, **fields))
        job.start(self._command(job))
        return job.id

    def resume_job(self, job_id: str) -> str:
        """Go on from the last checkpoint; return the job's id.

        Raises:
            UserError: There is nothing to resume.
        """
        job = self._jobs().get(job_id)
        job.resume(self._command(job))
        return job_id

    def cancel_job(self, job_id: str) -> str:
        """Ask a job to stop; return its id."""
        self._jobs().get(job_id).cancel()
        return job_id

    def set_use(self, case_id: str, use: str) -> None:
        """Put a case to another use."""
        CaseStore(Home.default().cases).set_use(case_id, use)

    def import_folder(self, folder: str, progress: Callable[[float, str], None] | None = None) -> ImportReport:
        """Import the pairs of a folder in nnU-Net's raw layout.

        Args:
            folder: The folder with ``imagesTr`` and ``labelsTr``.
            progress: Called with the share done and a text.

        Raises:
            UserError: It is not such a folder.
        """
        return CaseStore(Home.default().cases).import_folder(Path(folder), progress=progress)

    def _jobs(self) -> JobStore:
        return JobStore(Home.default().jobs)

    def _command(self, job: Job) -> Sequence[str] | None:
        return self.runner_command(job) if self.runner_command else None
