"""The session: one home, and everything that can be done with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from lnsegfm.base.errors import UserError
from lnsegfm.base.home import Home
from lnsegfm.base.processes import child_environment
from lnsegfm.images.input_options import InputOptions
from lnsegfm.session.adapt_options import AdaptOptions
from lnsegfm.session.waiting import IsCancelled, Report, never, no_report

if TYPE_CHECKING:
    from lnsegfm.base.background import Progress
    from lnsegfm.jobs.job_store import Job
    from lnsegfm.jobs.stored import Stored
    from lnsegfm.jobs.timing import Calibration
    from lnsegfm.lymph_nodes.instances import LymphNode
    from lnsegfm.segmentation.segment_files import SegmentedFile
    from lnsegfm.segmentation.worker_client import WorkerClient
    from lnsegfm.session.adapting import Adapting, Estimate
    from lnsegfm.session.cases_part import CasesPart
    from lnsegfm.session.doctor import Doctor
    from lnsegfm.session.job_handle import JobHandle
    from lnsegfm.session.jobs_part import JobsPart
    from lnsegfm.session.models_part import ModelsPart
    from lnsegfm.session.segmenting import Batch, SegmentChoices, Segmenting


class Session:
    """The models, cases and jobs of one home, and what a user can ask for.

    Every call may take a while and can be made from any thread, see `lnsegfm.base.background.Task`. Calls that report
    take a callable ``progress(fraction, message)``, and calls that can be stopped a callable ``is_cancelled()``.

    Args:
        home: The folder of models, cases and jobs; None for the one that ``LNSEGFM_HOME`` names at the time of each
            call, or else the user's data folder.
        worker_command: Command line of the process that runs networks; None for the real one.
        runner_command: Makes the command line of a job's process; None for the real runner.
        calibration_command: Makes that of the process that measures an iteration, from its folder; None for the real.
    """

    def __init__(
        self,
        home: Home | None = None,
        *,
        worker_command: Sequence[str] | None = None,
        runner_command: Callable[[Job], Sequence[str]] | None = None,
        calibration_command: Callable[[Path], Sequence[str]] | None = None,
    ) -> None:
        self._fixed_home = home
        self.worker_command = worker_command
        self._worker: WorkerClient | None = None
        self._worker_home: Home | None = None
        self.runner_command = runner_command
        self.calibration_command = calibration_command

    def __enter__(self) -> Session:
        """Return the session itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the session."""
        self.close()

    def close(self) -> None:
        """End the process that runs networks; jobs continue. A later call starts a fresh one."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    @property
    def home(self) -> Home:
        """The folder of models, cases and jobs."""
        return self._fixed_home or Home.default()

    @property
    def worker(self) -> WorkerClient:
        """The process that runs networks and reads checkpoints; it starts with the first request."""
        if self._worker is not None and self._worker_home != self.home:
            self.close()  # it works in the home it was started in
        if self._worker is None:
            from lnsegfm.segmentation.worker_client import WorkerClient

            self._worker_home = self.home
            env = child_environment(extra={"LNSEGFM_HOME": str(self._worker_home.root)})
            self._worker = WorkerClient(self.worker_command, env=env)
        return self._worker

    @property
    def worker_busy(self) -> bool:
        """Whether that process works on a request, be it one that was cancelled."""
        return self._worker is not None and self._worker.busy

    # The parts. Each is imported when it is first asked for, so that a list of models needs no SimpleITK.

    @cached_property
    def models(self) -> ModelsPart:
        """The installed and the published models."""
        from lnsegfm.session.models_part import ModelsPart

        return ModelsPart(lambda: self.home, lambda: self.worker)

    @cached_property
    def cases(self) -> CasesPart:
        """The corrected cases."""
        from lnsegfm.session.cases_part import CasesPart

        return CasesPart(lambda: self.home)

    @cached_property
    def jobs(self) -> JobsPart:
        """The fine-tuning jobs."""
        from lnsegfm.session.jobs_part import JobsPart

        return JobsPart(lambda: self.home, self._command)

    @cached_property
    def doctor(self) -> Doctor:
        """What killed processes have left in the home."""
        from lnsegfm.session.doctor import Doctor

        return Doctor(lambda: self.home)

    @cached_property
    def _adapting(self) -> Adapting:
        from lnsegfm.session.adapting import Adapting

        return Adapting(lambda: self.home, self.models, self._command, lambda: self.calibration_command)

    @cached_property
    def _segmenting(self) -> Segmenting:
        from lnsegfm.session.segmenting import Segmenting

        return Segmenting(self.models, lambda: self.worker)

    # Segmentation

    def segment(
        self, ct: Path, labels: Path, choices: SegmentChoices | None = None, *, probability: Path | None = None,
        measurements: Path | None = None, series: str = "", overwrite: bool = False,
        progress: Callable[[Progress], None] | None = None, is_cancelled: IsCancelled = never,
    ) -> SegmentedFile:
        """Segment the lymph nodes of a CT and write what was found, with its provenance beside it.

        Args:
            ct: A file (NIfTI, NRRD, MetaImage, multi-frame DICOM), or a folder of DICOM slices.
            labels: File for the labels, 1 is lymph node, on the CT's own grid (.nii.gz, .nrrd, .mha).
            choices: How to segment; None for the default model and nnU-Net's own labels.
            probability: File for the foreground probability, uint8, 255 is certain.
            measurements: CSV file for the measurements.
            series: Series Instance UID, where a folder holds several series.
            overwrite: Replace existing files also when an earlier segmentation did not write them, or when they were
                changed since.
            progress: Told how far it is.
            is_cancelled: Asked often.

        Raises:
            UserError: The CT cannot be segmented, there is no model for patients, or a file cannot be written.
            Cancelled: The user cancelled.
        """
        from lnsegfm.session.segmenting import SegmentChoices, show_nothing

        return self._segmenting.file(
            ct, labels, choices or SegmentChoices(), probability=probability, measurements=measurements,
            series=series, overwrite=overwrite, progress=progress or show_nothing, is_cancelled=is_cancelled,
        )

    def warm_up(self, choices: SegmentChoices | None = None) -> None:
        """Load the model in the background, so that the first segmentation begins at once.

        Nothing happens while a job is active on this computer, which needs the memory, or the worker is at work. What
        goes wrong, such as a model that cannot be read, the segmentation says.

        Args:
            choices: See `segment`.
        """
        from lnsegfm.jobs.job_store import JobStore
        from lnsegfm.session.segmenting import SegmentChoices

        busy = self.worker_busy or any(job.status().active for job in JobStore(self.home.jobs).list())
        if self.worker_command is None and not busy:
            with suppress(UserError):
                self._segmenting.warm_up(choices or SegmentChoices())

    def segment_folder(
        self, source: Path | Sequence[Path], results: Path, choices: SegmentChoices | None = None, *,
        overwrite: bool = False, progress: Callable[[Progress], None] | None = None, is_cancelled: IsCancelled = never,
    ) -> Batch:
        """Find the CTs of a folder, or of several files and folders, to be segmented with one loaded model.

        nnU-Net's ``NAME_0000.nii.gz`` gives ``NAME.nii.gz``; folders of DICOM slices are found; folders are kept. What
        an earlier call segmented in the same way from the same CT is skipped.

        Args:
            source: The folder; or several folders and files.
            results: Folder for the labels.
            choices: See `segment`.
            overwrite: See `segment`.
            progress: Told how far each CT is.
            is_cancelled: Asked often.

        Returns:
            The CTs; going through ``.outcomes`` segments them. A CT that fails does not keep the others from it.

        Raises:
            UserError: There is no CT in the folder, two CTs would have the same result, or there is no model for
                patients.
        """
        from lnsegfm.session.segmenting import SegmentChoices, show_nothing

        sources = [source] if isinstance(source, (str, Path)) else list(source)
        return self._segmenting.folder(
            sources, results, choices or SegmentChoices(), overwrite=overwrite, progress=progress or show_nothing,
            is_cancelled=is_cancelled,
        )

    def measure(
        self, ct: Path, labels: Path, *, series: str = "", keep_implausible: bool = False,
        input_options: InputOptions = InputOptions(), warnings: list[str] | None = None,
    ) -> tuple[LymphNode, ...]:
        """Measure the lymph nodes of labels: axes, volume, mean HU and side.

        Args:
            ct: As for `segment`.
            labels: Label file on the CT's grid or one that shares its voxels; one value, or segments with names.
            series: As for `segment`.
            keep_implausible: Return what cannot be a lymph node as well, behind all others; ``implausible`` says why.
            input_options: What the user says of a CT and labels that are not certain.
            warnings: Gets a sentence for what the user should know of the scan and its labels, and for what was left
                out; without it, they are logged.

        Returns:
            The 26-connected lymph nodes by number, the largest first.

        Raises:
            UserError: A file cannot be read, the labels are not certain or cannot be lymph nodes, or do not fit the CT.
        """
        from lnsegfm.session.segmenting import measure_files

        return measure_files(
            ct, labels, series, keep_implausible=keep_implausible, input_options=input_options,
            warnings=warnings,
        )

    # Adaptation

    def adapt(
        self, options: AdaptOptions = AdaptOptions(), *, progress: Report = no_report, is_cancelled: IsCancelled = never
    ) -> JobHandle:
        """Start a job that adapts a model to the stored cases, once it is clear that it can work on this computer.

        Disk space, main memory and GPU memory are checked. What an iteration needs is measured first where that is not
        known yet for this model, method, batch size and device; that takes up to a minute.

        Args:
            options: What is asked.
            progress: Told what is being checked.
            is_cancelled: Asked while something is measured.

        Returns:
            The job; it works in the background and outlives this process. Wait for it with ``.wait()``.

        Raises:
            UserError: The job cannot be made, cannot work on this computer, or cannot be started.
            Cancelled: The user cancelled before there was a job.
        """
        return self._adapting.start(options, progress, is_cancelled)

    def estimate(
        self, options: AdaptOptions = AdaptOptions(), *, measure: bool = False, progress: Report = no_report,
        is_cancelled: IsCancelled = never,
    ) -> Estimate:
        """Tell what `adapt` would do with the same options, and what it would take; no job is made.

        Args:
            options: What would be asked.
            measure: Measure an iteration where its cost is not known yet, which takes up to a minute.
            progress: Told what is being measured.
            is_cancelled: Asked while something is measured.

        Raises:
            UserError: No job can be made of this, for example because there is no training case. What this computer
                lacks is not raised but told, as `lnsegfm.session.adapting.Estimate.refusal`.
            Cancelled: The user cancelled.
        """
        return self._adapting.estimate(options, measure, progress, is_cancelled)

    def calibrate(self, options: AdaptOptions, *, is_cancelled: IsCancelled = never) -> Calibration:
        """Measure what an iteration of such a job costs on this computer and remember it; takes up to a minute.

        Raises:
            UserError: Nothing could be measured, with the reason.
            Cancelled: The user cancelled.
        """
        return self._adapting.calibrate(options, is_cancelled)

    # What panels show

    def read_stored(self) -> Stored:
        """List everything; installs the demonstration model at the first call."""
        from lnsegfm.cases.case_advice import advise
        from lnsegfm.jobs.stored import Stored
        from lnsegfm.jobs.timing import Calibrations
        from lnsegfm.models.model_choice import default_model, default_problem

        problem = None
        try:
            self.models.install_bundled()
        except UserError as error:
            problem = error
        store = self.models.store
        (cases, damaged_cases), (models, damaged_models) = self.cases.store.survey(), store.survey()
        suggested = default_model(store)
        return Stored(
            cases, advise(cases), models, list(reversed(self.jobs.list())), Calibrations(self.home),
            store.default_id, frozenset(store.rejected()), problem or default_problem(store),
            suggested.id if suggested is not None else "", damaged_cases, damaged_models,
        )

    def comparison(self, job_id: str, case_id: str) -> str:
        """Return the file of a picture, see `lnsegfm.jobs.comparison_pictures.comparison`.

        Raises:
            UserError: The case or the labels of the job are gone.
        """
        from lnsegfm.jobs.comparison_pictures import comparison

        return str(comparison(self.jobs.get(job_id).job, self.cases.resolve(case_id), self.cases.store))

    def comparisons(self, job_id: str, case_ids: Sequence[str]) -> dict[str, bytes]:
        """Return the pictures of measured cases as PNG, by case id; cases that are gone have none."""
        pictures = {}
        for case_id in case_ids:
            try:
                pictures[case_id] = Path(self.comparison(job_id, case_id)).read_bytes()
            except (UserError, OSError):
                continue
        return pictures

    def _command(self, job: Job) -> Sequence[str] | None:
        return self.runner_command(job) if self.runner_command else None
