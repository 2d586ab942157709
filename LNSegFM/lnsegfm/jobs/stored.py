"""What a home holds at one moment, and what comes into it, for those who show it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.cases.case_advice import Finding
from lnsegfm.cases.case_info import CaseInfo
from lnsegfm.images.input_options import Notes
from lnsegfm.jobs.job_views import JobSummary, JobView
from lnsegfm.jobs.timing import Calibrations
from lnsegfm.models.damaged import Damaged
from lnsegfm.models.model_card import ModelInfo

__all__ = ["ImportPair", "JobSummary", "JobView", "Stored"]


@dataclass(frozen=True)
class Stored:
    """What lies on the disk.

    Args:
        cases: The stored cases.
        findings: What is to be said of them.
        models: The installed models.
        jobs: The jobs, newest first.
        calibrations: What was measured of this computer.
        default_model: Id of the model that was accepted last; empty when there is none.
        rejected: Ids of the models that were rejected.
        suggested_model: Id of the model to begin with, never a rejected one; empty when there is none.
        problem: Why the demonstration model could not be installed, or the default model cannot be used.
        damaged_cases: What lies among the cases and cannot be read.
        damaged_models: What lies among the models and cannot be read.
    """

    cases: Sequence[CaseInfo] = ()
    findings: Sequence[Finding] = ()
    models: Sequence[ModelInfo] = ()
    jobs: Sequence[JobSummary] = ()
    calibrations: Calibrations = field(default_factory=Calibrations)
    default_model: str = ""
    rejected: frozenset[str] = frozenset()
    problem: UserError | None = None
    suggested_model: str = ""
    damaged_cases: Sequence[Damaged] = ()
    damaged_models: Sequence[Damaged] = ()


@dataclass(frozen=True)
class ImportPair:
    """A CT with labels that is to be imported.

    Args:
        name: What the user calls it; for the report alone, it is not stored.
        read_image: Makes the CT.
        read_label: Makes the labels.
        draft_model: Id of the model that made the first draft, or empty.
        draft_model_sha256: SHA-256 of that model, or empty.
        notes: What is to be told of the labels when they are stored.
    """

    name: str
    read_image: Callable[[], sitk.Image]
    read_label: Callable[[], sitk.Image]
    draft_model: str = ""
    draft_model_sha256: str = ""
    notes: tuple[str, ...] = ()

    def read(self, notes: Notes) -> tuple[sitk.Image, sitk.Image]:
        """Make the CT and the labels; ``notes`` are those of files, of which there are none."""
        del notes
        return self.read_image(), self.read_label()
