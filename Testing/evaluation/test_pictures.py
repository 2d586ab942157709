"""Pictures of slices: the right slice, the right way up, to scale, and where they are kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lnsegfm.base.errors import UserError
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.evaluation.slice_pictures import AFTER, BEFORE, TRUTH, box_around, draw_slice
from lnsegfm.formats.image_files import write_image
from lnsegfm.images.orientation import reorient
from lnsegfm.jobs.comparison_pictures import comparison, thumbnail
from lnsegfm.jobs.job_results import RESULT, label_file
from lnsegfm.jobs.job_spec import CaseRef, JobSpec
from lnsegfm.jobs.job_store import JobStore

SIZE = (40, 32, 12)


def scan(array: np.ndarray, order: str = "LPS") -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((1.0, 1.0, 3.0))
    return reorient(image, order)[0]


def ct_and_label(order: str = "LPS") -> tuple[sitk.Image, sitk.Image]:
    """A body with a node in its right (patient's), anterior part of slice 7."""
    hu = np.full(SIZE[::-1], -1000, np.int16)
    hu[:, 4:28, 4:36] = 40
    label = np.zeros(SIZE[::-1], np.uint8)
    label[7, 6:11, 8:13] = 1
    label[3, 20:22, 20:22] = 1
    return scan(hu, order), scan(label, order)


def where(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Rows and columns of a colour as shares of the picture."""
    found = np.argwhere((picture == colour).all(axis=-1))
    assert len(found), f"nothing is drawn in {colour}"
    return found.mean(axis=0) / picture.shape[:2]


@settings(max_examples=12, deadline=None)
@given(order=st.sampled_from(["LPS", "RAS", "LAI", "PIR", "SLP", "ILA"]))
def test_a_thumbnail_is_radiological_however_the_voxels_are_stored(
    order: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = CaseStore(tmp_path_factory.mktemp("cases"))
    path = thumbnail(store.accept(*ct_and_label(order)))
    row, column = where(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), TRUTH)
    assert row < 0.5 and column < 0.5, "anterior is up, and the patient's right is on the left"


def test_a_thumbnail_is_made_once_for_each_version_and_goes_with_the_case(tmp_path: Path) -> None:
    store = CaseStore(tmp_path)
    image, label = ct_and_label()
    case = store.accept(image, label)
    path = thumbnail(case)
    stamp = path.stat().st_mtime_ns
    assert path.parent == case.path and thumbnail(case).stat().st_mtime_ns == stamp
    label[9, 7, 7] = 0
    assert thumbnail(store.accept(image, label)) != path
    store.remove(case.id)
    with pytest.raises(UserError, match="cannot be read"):
        thumbnail(case)
    assert not case.path.exists()
    assert path == store.restore(case.id).path / path.name and path.is_file()


@given(
    shape=st.tuples(st.integers(3, 40), st.integers(3, 40)),
    spacing=st.tuples(st.floats(0.3, 5), st.floats(0.3, 5)),
)
def test_a_square_is_drawn_square_whatever_the_spacing(shape: tuple[int, int], spacing: tuple[float, float]) -> None:
    wanted = shape[0] * spacing[0] / (shape[1] * spacing[1])
    assume(1 / 32 <= wanted <= 32)  # a strip of less than two pixels may fall between them
    hu = np.full(shape, 240.0)
    picture = draw_slice(hu, [], spacing, size=64)
    assert picture.shape == (64, 64, 3) and picture.dtype == np.uint8
    lit = picture[..., 0] > 127
    height, width = lit.any(axis=1).sum(), lit.any(axis=0).sum()
    assert max(height, width) >= 60
    assert abs(height - width * wanted) <= 2 * max(1.0, wanted) + 2


def test_the_box_around_a_mask_holds_it_with_a_margin() -> None:
    mask = np.zeros((100, 80), bool)
    mask[50, 20:24] = True
    rows, columns = box_around(mask, (1.0, 2.0), margin_mm=10)
    assert rows.start <= 40 and rows.stop >= 61 and columns.start <= 15 and columns.stop >= 29
    assert (rows.stop - rows.start) * 1.0 == pytest.approx((columns.stop - columns.start) * 2.0, abs=5)
    assert box_around(mask & False, (1.0, 2.0)) == (slice(None), slice(None))


def test_a_comparison_shows_before_left_and_after_right_on_the_slice_that_changed(tmp_path: Path) -> None:
    store = CaseStore(tmp_path / "cases")
    image, label = ct_and_label()
    case = store.accept(image, label)
    job = JobStore(tmp_path / "jobs").create(
        JobSpec("base", "ab", (CaseRef("case-0099", 1),), holdout=(CaseRef(case.id, 1),))
    )
    empty = np.zeros(SIZE[::-1], np.uint8)
    after = empty.copy()
    after[3, 18:24, 18:24] = 1
    for when, array in (("before", empty), ("after", after)):
        write_image(scan(array), job.path / RESULT / label_file(case.id, when))
    picture = sitk.GetArrayFromImage(sitk.ReadImage(str(comparison(job, case.id, store))))
    assert where(picture, AFTER)[1] > 0.5
    assert not (picture == BEFORE).all(axis=-1).any()
    truth = np.argwhere((picture == TRUTH).all(axis=-1))[:, 1] / picture.shape[1]
    assert (truth < 0.5).any()


def test_a_comparison_of_a_case_that_is_gone_says_so(tmp_path: Path) -> None:
    store = CaseStore(tmp_path / "cases")
    case = store.accept(*ct_and_label())
    job = JobStore(tmp_path / "jobs").create(
        JobSpec("base", "ab", (CaseRef("case-0099", 1),), holdout=(CaseRef(case.id, 1),))
    )
    with pytest.raises(UserError, match="cannot be read"):
        comparison(job, case.id, store)
    with pytest.raises(UserError, match="did not measure"):
        comparison(job, "case-0099", store)
