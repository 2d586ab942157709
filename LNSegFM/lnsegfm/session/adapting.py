"""From what a user asks to a fine-tuning job: the cases, the checks, the estimate and the start."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lnsegfm.base.computer.memory import free_memory_bytes
from lnsegfm.base.errors import UserError
from lnsegfm.base.home import Home
from lnsegfm.base.processes import PYTHON_VARIABLE
from lnsegfm.cases.case_advice import Finding, advise
from lnsegfm.cases.case_info import CaseInfo
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.cases.thin_lymph_nodes import thin_lymph_nodes
from lnsegfm.jobs.case_selection import Selection
from lnsegfm.jobs.job_spec import JobSpec
from lnsegfm.jobs.job_store import Job, JobStore
from lnsegfm.jobs.method_names import METHODS
from lnsegfm.jobs.preflight import check, disk_bytes, existing, free_gpu_bytes
from lnsegfm.jobs.timing import Calibration, Calibrations, calibrate
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_choice import refuse_rejected
from lnsegfm.models.model_facts import ModelFacts
from lnsegfm.session.adapt_options import AdaptOptions
from lnsegfm.session.case_choice import as_used
from lnsegfm.session.job_handle import JobHandle
from lnsegfm.session.models_part import ModelsPart
from lnsegfm.session.waiting import IsCancelled, Report, never, no_report

CalibrationCommand = Callable[[Path], Sequence[str]]


@dataclass(frozen=True)
class Estimate:
    """What an adaptation would do, and what it would take.

    Args:
        model: The base model.
        spec: The job as it would be made; its ``cases``, ``holdout`` and ``reference`` name cases and label versions.
        left_out: Ids of the stored cases that it would not use.
        findings: What is to be said of the cases.
        notes: What else the user should know, a sentence each.
        calibration: What an iteration costs on this computer; None where that is not known.
        disk_bytes: Disk space that it needs at most.
        disk_free: Disk space that is free.
        memory_free: Main memory that is free; None where the system does not say.
        gpu_free: Free memory of the GPU; None without one, or where the driver does not say.
        refusal: Why it would be refused on this computer; None when nothing is known against it.
    """

    model: ModelInfo
    spec: JobSpec
    left_out: tuple[str, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    calibration: Calibration | None
    disk_bytes: int
    disk_free: int
    memory_free: int | None
    gpu_free: int | None
    refusal: UserError | None

    @property
    def seconds(self) -> float | None:
        """Time of the training alone; None where the cost of an iteration is not known."""
        folds = len(self.model.card.folds) if self.spec.base_folds == "all" else 1
        return None if self.calibration is None else self.calibration.seconds * self.spec.steps * folds


class Adapting:
    """Makes, estimates and starts adaptations.

    Args:
        home: Tells where everything lies, at each call.
        models: The models.
        runner_command: Makes the command line of a job's process; None from it for the real runner.
        calibration_command: Returns what makes that of a calibration; None from it for the real one.
    """

    def __init__(
        self, home: Callable[[], Home], models: ModelsPart, runner_command: Callable[[Job], Sequence[str] | None],
        calibration_command: Callable[[], CalibrationCommand | None],
    ) -> None:
        self._home, self._models = home, models
        self._runner_command, self._calibration_command = runner_command, calibration_command

    def start(
        self, options: AdaptOptions, progress: Report = no_report, is_cancelled: IsCancelled = never
    ) -> JobHandle:
        """See `lnsegfm.session.session.Session.adapt`."""
        home = self._home()
        spec = self._spec(options, self._cases(options))
        check_packages(spec.method)
        check(home, spec, None)
        # While another training uses the device, the job is queued; time and memory would tell nothing then.
        if not self._is_taken(spec.device):
            check(home, spec, self._known(spec) or self._measure(spec, progress, is_cancelled))
        job = JobStore(home.jobs).create(spec)
        job.start(self._runner_command(job))
        return JobHandle(job, self._models.store)

    def calibrate(self, options: AdaptOptions, is_cancelled: IsCancelled = never) -> Calibration:
        """See `lnsegfm.session.session.Session.calibrate`."""
        return self._measure(self._spec(options, self._cases(options)), no_report, is_cancelled)

    def estimate(
        self, options: AdaptOptions, measure: bool = False, progress: Report = no_report,
        is_cancelled: IsCancelled = never,
    ) -> Estimate:
        """See `lnsegfm.session.session.Session.estimate`."""
        home, cases = self._home(), self._cases(options)
        spec = self._spec(options, cases)
        model = self._models.get(spec.base_model)
        calibration = self._known(spec)
        refusal = _refusal(lambda: check_packages(spec.method)) or _refusal(lambda: check(home, spec, None))
        if calibration is None and measure and refusal is None:
            try:
                calibration = self._measure(spec, progress, is_cancelled)
            except UserError as error:  # so the job would be refused
                refusal = error
        refusal = refusal or _refusal(lambda: check(home, spec, calibration))
        in_use = {ref.id for ref in (*spec.cases, *spec.measured)}
        return Estimate(
            model=model, spec=spec, left_out=tuple(case.id for case in cases if case.id not in in_use),
            findings=advise(_as_in(spec, cases)),
            notes=(*_notes(model, spec, self._models), *_thin(model, _as_in(spec, cases))), calibration=calibration,
            disk_bytes=disk_bytes(home, spec), disk_free=shutil.disk_usage(existing(home.root)).free,
            memory_free=free_memory_bytes(),
            gpu_free=free_gpu_bytes(spec.device) if calibration is not None and calibration.gpu_bytes else None,
            refusal=refusal,
        )

    def _cases(self, options: AdaptOptions) -> list[CaseInfo]:
        return as_used(CaseStore(self._home().cases).list(), options)

    def _spec(self, options: AdaptOptions, cases: Sequence[CaseInfo]) -> JobSpec:
        model, settings = self._models.chosen(options.base_model), options.settings()
        refuse_rejected(self._models.store, model.id, options.rejected_too)
        if not cases:
            raise UserError(
                "There is no case to learn from.", "No corrected case is stored yet.",
                "Accept a corrected segmentation in LN-Seg-FM, or add one by lnsegfm cases add CT LABELS.",
            )
        chosen = Selection.of(cases, options.holdout_choice, int(settings.get("seed", JobSpec.seed)))
        return JobSpec(
            base_model=model.id, base_sha256=model.sha256, cases=chosen.train, holdout=chosen.holdout,
            reference=chosen.reference, **settings,
        )

    def _is_taken(self, device: str) -> bool:
        others = [job.spec.device for job in JobStore(self._home().jobs).list() if job.status().active]
        return any("auto" in (device, other) or device == other for other in others)

    def _known(self, spec: JobSpec) -> Calibration | None:
        return Calibrations(self._home()).find(
            base_sha256=spec.base_sha256, device=spec.device, method=spec.method, batch_size=spec.batch_size,
            precision=spec.precision,
        )

    def _measure(self, spec: JobSpec, progress: Report, is_cancelled: IsCancelled) -> Calibration:
        progress(None, "Measuring time and memory of an iteration on this computer")
        return calibrate(self._home(), spec, command=self._calibration_command(), is_cancelled=is_cancelled)


def check_packages(method: str) -> None:
    """Refuse a method whose Python packages are missing.

    Raises:
        UserError: One is missing. Where jobs run in a Python of the user's choice it cannot be told, and nothing is.
    """
    if os.environ.get(PYTHON_VARIABLE):
        return
    missing = [name for name in METHODS[method].packages if importlib.util.find_spec(name) is None]
    if missing:
        names = ", ".join(missing)
        raise UserError(
            f"The method {METHODS[method].name} cannot be used.", f"It needs the Python package {names}.",
            f"Type: pip install {' '.join(missing)}",
        )


def _refusal(checks: Callable[[], None]) -> UserError | None:
    try:
        checks()
    except UserError as error:
        return error
    return None


def _as_in(spec: JobSpec, cases: Sequence[CaseInfo]) -> list[CaseInfo]:
    """Return the cases with the use they have in a job, a random choice included."""
    uses = {
        **{ref.id: "reference" for ref in spec.reference}, **{ref.id: "holdout" for ref in spec.holdout},
        **{ref.id: "train" for ref in spec.cases},
    }
    return [replace(case, use=uses.get(case.id, "excluded")) for case in cases]


def _notes(model: ModelInfo, spec: JobSpec, models: ModelsPart) -> tuple[str, ...]:
    notes = []
    if len(model.card.folds) > 1:
        folds = len(model.card.folds)
        if spec.base_folds == "all":
            notes.append(f"All {folds} folds of the model are adapted, which takes {folds} times as long.")
        else:
            before = "the whole ensemble" if spec.compare_with == "ensemble" else "this fold alone"
            notes.append(
                f"The model has {folds} folds. Its fold {model.card.folds[0]} is adapted, and the scores 'before' are "
                f"those of {before}."
            )
    if models.is_rejected(model.id):
        notes.append("The base model was rejected.")
    if model.card.kind == "demonstration":
        notes.append("The base model is the demonstration model, which was trained on phantoms and not on patients.")
    return tuple(notes)


def _thin(model: ModelInfo, cases: Sequence[CaseInfo]) -> Sequence[str]:
    try:
        facts = ModelFacts.of(model)
    except UserError:  # damaged, which is said when it is verified
        return ()
    return thin_lymph_nodes([case for case in cases if case.use == "train"], facts)
