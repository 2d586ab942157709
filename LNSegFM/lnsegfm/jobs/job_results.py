"""What a job leaves in its ``result`` folder: labels and scores of the measured cases, before and after."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

from lnsegfm.base import schema
from lnsegfm.base.files import write_atomic
from lnsegfm.evaluation.metrics import Scores
from lnsegfm.jobs.job_spec import JobSpec
from lnsegfm.jobs.job_store import JobStore

RESULT = "result"


def label_file(case_id: str, when: str) -> str:
    """Name of the labels of a case; ``when`` is ``before`` or ``after``."""
    return f"{case_id}-{when}.nrrd"


def reuse_scores(jobs: JobStore, folder: Path, spec: JobSpec) -> dict[str, Scores]:
    """Copy what other jobs measured of the same base model on the same cases, so that it is not done again.

    Args:
        jobs: Where the other jobs are.
        folder: The job that needs the scores; the labels go into its ``result``.
        spec: What it was asked.

    Returns:
        The scores that were found, by case id.
    """
    missing, found = set(spec.measured), {}
    for job in jobs.list():
        shared = missing & set(job.spec.measured)
        same = (job.spec.base_sha256, job.spec.compare_with) == (spec.base_sha256, spec.compare_with)
        if job.path == folder or not same or not shared:
            continue
        try:
            scores = read_scores(job.path / RESULT / "before.json")
        except (OSError, ValueError):
            continue
        for case in shared:
            labels = job.path / RESULT / label_file(case.id, "before")
            if case.id in scores and labels.is_file():
                write_atomic(folder / RESULT / labels.name, partial(shutil.copyfile, labels))
                found[case.id] = scores[case.id]
                missing.discard(case)
    return found


def read_scores(path: Path) -> dict[str, Scores]:
    """Read the scores by case id that a job has kept.

    Raises:
        OSError, ValueError: There are none, or the file is damaged.
    """
    # Counts stay whole numbers.
    read: dict[str, Any] = schema.read_file(dict[str, dict[str, int | float | None]], path)
    return read
