"""Dice and normalised surface Dice, against cases computed by hand."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from lnsegfm.base.errors import UserError
from lnsegfm.evaluation.metrics import dice, nsd, score_case

ISOTROPIC = (1.0, 1.0, 1.0)


def cube(start: tuple[int, int, int], edge: int = 8, shape: tuple[int, int, int] = (24, 24, 24)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    z, y, x = start
    mask[z : z + edge, y : y + edge, x : x + edge] = True
    return mask


def image(mask: np.ndarray, spacing: tuple[float, float, float] = ISOTROPIC) -> sitk.Image:
    result = sitk.GetImageFromArray(mask.astype(np.uint8))
    result.SetSpacing(spacing)
    return result


def test_equal_masks_score_1_and_disjoint_masks_0() -> None:
    here, there = cube((2, 2, 2)), cube((13, 13, 13))
    assert (dice(here, here), nsd(here, here, ISOTROPIC)) == (1.0, 1.0)
    assert (dice(here, there), nsd(here, there, ISOTROPIC)) == (0.0, 0.0)


def test_two_empty_masks_agree_and_one_empty_mask_does_not() -> None:
    some, none = cube((2, 2, 2)), np.zeros((24, 24, 24), bool)
    assert (dice(none, none), nsd(none, none, ISOTROPIC)) == (1.0, 1.0)
    assert (dice(some, none), nsd(some, none, ISOTROPIC)) == (0.0, 0.0)
    assert (dice(none, some), nsd(none, some, ISOTROPIC)) == (0.0, 0.0)


def test_dice_of_a_shifted_cube() -> None:
    # 8 voxels wide, shifted by 2: 6/8 of each overlap.
    assert dice(cube((4, 4, 4)), cube((6, 4, 4))) == pytest.approx(0.75)


def test_a_shift_within_the_tolerance_does_not_count_for_nsd() -> None:
    here, there = cube((4, 4, 4)), cube((5, 4, 4))
    assert nsd(here, there, ISOTROPIC, 1.0) == 1.0
    assert nsd(here, there, ISOTROPIC, 0.5) < 0.9


def test_nsd_measures_in_mm_along_the_right_axis() -> None:
    here, along_z, along_x = cube((4, 4, 4)), cube((5, 4, 4)), cube((4, 4, 5))
    spacing_zyx = (3.0, 0.8, 0.8)
    assert nsd(here, along_x, spacing_zyx) == 1.0
    assert nsd(here, along_z, spacing_zyx) < 0.95
    assert score_case(image(along_x, (0.8, 0.8, 3.0)), image(here, (0.8, 0.8, 3.0)))["nsd"] == 1.0
    assert score_case(image(along_z, (0.8, 0.8, 3.0)), image(here, (0.8, 0.8, 3.0)))["nsd"] < 0.95


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_scores_are_symmetric_and_between_0_and_1(seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.random((2, 5, 6, 7)) < rng.random()
    for score in (dice, lambda a, b: nsd(a, b, (2.0, 1.0, 0.5))):
        assert 0 <= score(first, second) <= 1
        assert score(first, second) == pytest.approx(score(second, first))
    overlap, total = np.sum(first & second), np.sum(first) + np.sum(second)
    assert dice(first, second) == pytest.approx(2 * overlap / total if total else 1)


def test_score_case_counts_every_label_as_lymph_node() -> None:
    truth = cube((4, 4, 4)).astype(np.uint8)
    truth[truth > 0] = 3
    assert score_case(image(cube((4, 4, 4))), sitk.GetImageFromArray(truth)) == {"dsc": 1.0, "nsd": 1.0}


def test_masks_that_touch_the_border_of_the_volume_are_scored() -> None:
    assert score_case(image(np.ones((3, 4, 5), bool)), image(np.ones((3, 4, 5), bool))) == {"dsc": 1.0, "nsd": 1.0}


@pytest.mark.parametrize("change", ["spacing", "origin", "direction", "size"])
def test_another_grid_is_refused(change: str) -> None:
    truth, pred = image(cube((4, 4, 4))), image(cube((4, 4, 4)))
    if change == "spacing":
        pred.SetSpacing((1.0, 1.0, 1.1))
    elif change == "origin":
        pred.SetOrigin((0.5, 0.0, 0.0))
    elif change == "direction":
        pred.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    else:
        pred = image(cube((4, 4, 4), shape=(24, 24, 25)))
    with pytest.raises(UserError, match="different voxel grids"):
        score_case(pred, truth)


def test_the_rounding_of_a_grid_in_a_nifti_file_is_no_other_grid() -> None:
    truth, pred = image(cube((4, 4, 4))), image(cube((4, 4, 4)))
    pred.SetOrigin((1e-5, 0.0, 0.0))
    assert score_case(pred, truth)["dsc"] == 1.0


def test_masks_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        dice(np.zeros((2, 2, 2)), np.zeros((2, 2, 3)))
    with pytest.raises(ValueError, match="cannot be compared"):
        nsd(np.zeros((2, 2, 2)), np.zeros((1, 2, 2)), ISOTROPIC)


def test_without_the_library_for_surface_distances_the_dice_is_still_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "surface_distance", None)
    image = sitk.Image(4, 4, 4, sitk.sitkUInt8)
    image[1, 1, 1] = 1
    assert score_case(image, image) == {"dsc": 1.0, "nsd": None}
