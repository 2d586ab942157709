"""All that can be done with cases and jobs of one home, each as one call that may take a while."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lnsegfm.base.errors import UserError
from lnsegfm.base.home import Home
from lnsegfm.cases.case_advice import advise
from lnsegfm.cases.case_import import ImportReport
from lnsegfm.cases.case_info import CaseInfo
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.jobs.case_selection import make_spec
from lnsegfm.jobs.comparison_pictures import comparison, thumbnail
from lnsegfm.jobs.job_store import Job, JobStore
from lnsegfm.jobs.preflight import check
from lnsegfm.jobs.removal import refuse_while_used
from lnsegfm.jobs.stored import ImportPair, JobSummary, JobView, Stored
from lnsegfm.jobs.timing import Calibration, Calibrations, calibrate
from lnsegfm.models.catalogue import install_bundled
from lnsegfm.models.model_store import ModelStore

_LOG_LINES = 200


class Workbench:
    """The stores of the home that ``LNSEGFM_HOME`` names at the time of each call.

    Args:
        runner_command: Makes the command line of a job's process; None for the real runner.
        calibration_command: Makes that of a calibration from its folder; None for the real one.
    """

    def __init__(
        self,
        runner_command: Callable[[Job], Sequence[str]] | None = None,
        calibration_command: Callable[[Path], Sequence[str]] | None = None,
    ) -> None:
        self.runner_command = runner_command
        self.calibration_command = calibration_command
        self._job: Job | None = None

    @property
    def cases(self) -> CaseStore:
        """The stored cases."""
        return CaseStore(Home.default().cases)

    @property
    def models(self) -> ModelStore:
        """The installed models."""
        return ModelStore(Home.default().models)

    @property
    def jobs(self) -> JobStore:
        """The jobs."""
        return JobStore(Home.default().jobs)

    def read_stored(self) -> Stored:
        """List everything; installs the demonstration model at the first call."""
        problem = None
        try:
            install_bundled(self.models)
        except UserError as error:
            problem = error
        jobs = [
            JobSummary(job.id, job.status().state, job.spec.method, job.created) for job in reversed(self.jobs.list())
        ]
        cases, models = self.cases.list(), self.models.list()
        rejected = frozenset(model.id for model in models if self.models.is_rejected(model.id))
        return Stored(
            cases, advise(cases), models, jobs, Calibrations(Home.default()), self.models.default_id, rejected, problem,
            self.models.suggested_id,
        )

    def read_job(self, job_id: str, with_log: bool) -> JobView:
        """Read how a job stands; for one caller at a time.

        Raises:
            UserError: The job is gone.
        """
        path = Home.default().jobs / job_id
        # The same object reads on where it stopped; a job's progress can have thousands of rows.
        if self._job is None or self._job.path != path or not path.is_dir():
            self._job = self.jobs.get(job_id)
        status = self._job.status()
        log = "\n".join(self._job.log_tail(_LOG_LINES)) if with_log else ""
        return JobView(job_id, self._job.spec, status, self._job.progress(), log)

    def calibrate(
        self, base_model: str, fields: dict[str, Any], is_cancelled: Callable[[], bool] = lambda: False
    ) -> Calibration:
        """Measure what an iteration of such a job costs, see `lnsegfm.jobs.timing.calibrate`."""
        spec = make_spec(Home.default(), base_model, **fields)
        return calibrate(Home.default(), spec, command=self.calibration_command, is_cancelled=is_cancelled)

    def start_job(
        self, base_model: str, fields: dict[str, Any], is_cancelled: Callable[[], bool] = lambda: False
    ) -> str:
        """Make a job from the cases as they are sorted now, start it and return its id.

        What an iteration costs is measured first where that is not known yet. While another training uses the device,
        the job is queued; time and memory would tell nothing then and are not looked at.

        Args:
            base_model: Id of the model to start from.
            fields: Further fields of `lnsegfm.jobs.job_spec.JobSpec`, and those of `make_spec`.
            is_cancelled: Asked while something is measured.

        Raises:
            UserError: The job cannot be made, cannot work on this computer, or cannot be started.
            Cancelled: The user cancelled before the job was there.
        """
        home = Home.default()
        spec = make_spec(home, base_model, **fields)
        check(home, spec, None)
        if not self._is_taken(spec.device):
            known = Calibrations(home).find(
                base_sha256=spec.base_sha256, device=spec.device, method=spec.method, batch_size=spec.batch_size
            )
            check(home, spec, known or self.calibrate(base_model, fields, is_cancelled))
        job = self.jobs.create(spec)
        job.start(self._command(job))
        return job.id

    def _is_taken(self, device: str) -> bool:
        others = [job.spec.device for job in self.jobs.list() if job.status().active]
        return any("auto" in (device, other) or device == other for other in others)

    def resume_job(self, job_id: str) -> str:
        """Go on from the last checkpoint; return the job's id.

        Raises:
            UserError: There is nothing to resume.
        """
        job = self.jobs.get(job_id)
        job.resume(self._command(job))
        return job_id

    def cancel_job(self, job_id: str) -> str:
        """Ask a job to stop; return its id."""
        self.jobs.get(job_id).cancel()
        return job_id

    def pause_job(self, job_id: str) -> str:
        """Ask a job to stop until it is resumed; return its id."""
        self.jobs.get(job_id).pause()
        return job_id

    def remove_job(self, job_id: str) -> None:
        """Delete a job; the model that it made stays.

        Raises:
            UserError: It is running.
        """
        self.jobs.get(job_id).remove()

    def set_use(self, case_id: str, use: str) -> None:
        """Put a case to another use."""
        self.cases.set_use(case_id, use)

    def remove_case(self, case_id: str) -> str:
        """Move a case into the trash; return its id.

        Raises:
            UserError: A running job needs it.
        """
        refuse_while_used(f"case '{case_id}'", self.jobs.users_of(case=case_id))
        self.cases.remove(case_id)
        return case_id

    def thumbnail(self, case: CaseInfo) -> str:
        """Return the file of a case's thumbnail, see `lnsegfm.jobs.comparison_pictures.thumbnail`."""
        return str(thumbnail(case))

    def comparison(self, job_id: str, case_id: str) -> str:
        """Return the file of a picture, see `lnsegfm.jobs.comparison_pictures.comparison`."""
        return str(comparison(self.jobs.get(job_id), case_id, self.cases))

    def comparisons(self, job_id: str, case_ids: Sequence[str]) -> dict[str, bytes]:
        """Return the pictures of measured cases as PNG, by case id; cases that are gone have none."""
        pictures = {}
        for case_id in case_ids:
            try:
                pictures[case_id] = Path(self.comparison(job_id, case_id)).read_bytes()
            except (UserError, OSError):
                continue
        return pictures

    def import_folder(self, folder: str, progress: Callable[[float, str], None] | None = None) -> ImportReport:
        """Import the pairs of a folder in nnU-Net's raw layout.

        Args:
            folder: The folder with ``imagesTr`` and ``labelsTr``.
            progress: Called with the share done and a text.

        Raises:
            UserError: It is not such a folder.
        """
        return self.cases.import_folder(Path(folder), progress=progress)

    def import_pairs(
        self, pairs: Sequence[ImportPair], progress: Callable[[float, str], None] | None = None
    ) -> ImportReport:
        """Import CTs with their labels; bad pairs are reported, the others imported.

        Args:
            pairs: What is to be imported.
            progress: Called with the share done and a text.
        """
        report = ImportReport()
        for number, pair in enumerate(pairs):
            if progress is not None:
                progress(number / len(pairs), f"{number + 1} / {len(pairs)}")
            try:
                info, is_new = self.cases.accept_once(
                    pair.read_image(), pair.read_label(), draft_model=pair.draft_model,
                    draft_model_sha256=pair.draft_model_sha256,
                )
            except UserError as error:
                report.skipped.append((pair.name, str(error)))
                continue
            if is_new:
                report.imported.append(info.id)
            else:
                report.skipped.append((pair.name, f"It is stored already, as {info.id}."))
        return report

    def _command(self, job: Job) -> Sequence[str] | None:
        return self.runner_command(job) if self.runner_command else None
