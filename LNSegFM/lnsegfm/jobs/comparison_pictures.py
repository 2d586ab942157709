"""Pictures of stored cases: a thumbnail of each, and what a job changed on those that were measured."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lnsegfm.base import disk
from lnsegfm.base.errors import UserError
from lnsegfm.base.failures import reason
from lnsegfm.cases.case_info import CaseInfo
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.evaluation.slice_pictures import AFTER, BEFORE, TRUTH, box_around, draw_slice, side_by_side, write_png
from lnsegfm.images.orientation import reorient
from lnsegfm.jobs.job_results import RESULT, label_file
from lnsegfm.jobs.job_store import Job

THUMBNAIL_SIZE = 96
COMPARISON_SIZE = 320
# Anything denser is the patient, or the couch.
_AIR_HU = -400


def thumbnail(case: CaseInfo) -> Path:
    """Return the picture of a case's newest labels, on the slice that shows most of them; made when it is missing.

    It lies in the case's folder, so that it goes where the case goes.

    Raises:
        UserError: The case cannot be read, or was removed meanwhile.
    """
    path = case.path / f"thumbnail-{case.latest.number:04d}.png"
    if not path.is_file():
        hu, label = _read(case.image_path), _read(case.label_path())
        labels = sitk.GetArrayViewFromImage(label) == 1
        index = _fullest(labels)
        slice_hu, spacing = sitk.GetArrayViewFromImage(hu)[index], _spacing_yx(hu)
        body = box_around(slice_hu > _AIR_HU, spacing, margin_mm=0)
        picture = draw_slice(slice_hu, [(labels[index], TRUTH)], spacing, size=THUMBNAIL_SIZE, box=body)
        _keep(picture, path)
    return path


def comparison(job: Job, case_id: str, cases: CaseStore) -> Path:
    """Return the picture of a measured case, before and after side by side; made when it is missing.

    Both halves show the same slice, that on which the two models differ most, and the truth.

    Raises:
        UserError: The case or the labels of the job are gone.
    """
    path = job.path / RESULT / f"{case_id}-comparison.png"
    if not path.is_file():
        ref = next((ref for ref in job.spec.measured if ref.id == case_id), None)
        if ref is None:
            raise UserError(f"The job '{job.id}' did not measure the case '{case_id}'.")
        case = cases.get(case_id)
        hu = _read(case.image_path)
        truth, before, after = (
            sitk.GetArrayFromImage(_read(each)) == 1
            for each in (
                case.label_path(ref.version), *(job.path / RESULT / label_file(case_id, when) for when in _WHEN)
            )
        )
        _keep(_compared(hu, truth, before, after), path)
    return path


_WHEN = ("before", "after")


def _compared(hu: sitk.Image, truth: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    changed = before != after
    index = _fullest(changed if changed.any() else truth)
    spacing = _spacing_yx(hu)
    box = box_around(truth[index] | before[index] | after[index], spacing)
    slice_hu = sitk.GetArrayViewFromImage(hu)[index]
    halves = [
        draw_slice(slice_hu, [(truth[index], TRUTH), (mask[index], colour)], spacing, size=COMPARISON_SIZE, box=box)
        for mask, colour in ((before, BEFORE), (after, AFTER))
    ]
    return side_by_side(halves)


def _read(path: Path) -> sitk.Image:
    try:
        return reorient(sitk.ReadImage(str(path)))[0]
    except RuntimeError as error:
        raise UserError(f"{path.name} cannot be read, so there is no picture.", reason(error)) from error


def _fullest(mask: np.ndarray) -> int:
    """Index of the axial slice with most voxels of a mask (z, y, x); the middle one where it is empty."""
    area = mask.sum(axis=(1, 2))
    return int(area.argmax()) if area.any() else mask.shape[0] // 2


def _spacing_yx(image: sitk.Image) -> tuple[float, float]:
    x, y, _ = image.GetSpacing()
    return y, x


def _keep(picture: np.ndarray, path: Path) -> None:
    # Not `write_atomic`: that would make the folder again of a case that is being removed.
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        write_png(picture, temporary)
        disk.replace(temporary, path)
    except (RuntimeError, OSError) as error:
        raise UserError(f"{path.name} could not be written.", reason(error)) from error
    finally:
        temporary.unlink(missing_ok=True)
