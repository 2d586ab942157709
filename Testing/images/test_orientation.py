"""Orientation: the same patient in the same voxel order, however the scan was stored."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from lnsegfm.base.errors import UserError
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.orientation import AxisMap, axis_map, reorient, restore

ALL_48 = [AxisMap(p, f) for p in permutations(range(3)) for f in product((False, True), repeat=3)]
QUARTER = np.pi / 4


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """Rotation by angles in radians about x, then y, then z."""
    result = np.eye(3)
    for axis, angle in enumerate((x, y, z)):
        turn = np.eye(3)
        i, j = (each for each in range(3) if each != axis)
        turn[i, i] = turn[j, j] = np.cos(angle)
        turn[i, j], turn[j, i] = -np.sin(angle), np.sin(angle)
        result = turn @ result
    return result


def scan(direction: np.ndarray, seed: int = 0) -> sitk.Image:
    array = np.random.default_rng(seed).integers(-1000, 1000, (4, 3, 5)).astype(np.int16)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.9, 1.4, 3.0))
    image.SetOrigin((-12.5, 40.0, 7.0))
    image.SetDirection(direction.ravel().tolist())
    return image


def stored_as(image: sitk.Image, axes: AxisMap) -> sitk.Image:
    """The same voxels at the same places in the patient, in another axis order; done by SimpleITK."""
    result = sitk.PermuteAxes(image, axes.permutation)
    return sitk.Flip(result, axes.flips, False)


# Whole numbers, because SimpleITK complains on stderr about directions of subnormal numbers.
ANGLES = st.integers(-18000, 18000).map(lambda hundredths: np.deg2rad(hundredths / 100))
GRIDS = {
    "straight": np.eye(3),
    "oblique": rotation(0.3, -0.2, 0.1),
    "45 degrees about x": rotation(QUARTER, 0, 0),
    "45 degrees about z": rotation(0, 0, QUARTER),
    "45 degrees about two axes": rotation(QUARTER, QUARTER, 0),
    "body diagonal": rotation(0.2, 0, 0) @ rotation(QUARTER, np.arctan(np.sqrt(0.5)), QUARTER),
}


@pytest.mark.parametrize("name", GRIDS)
def test_all_48_ways_to_store_a_scan_give_the_same_voxels_in_the_same_order(name: str) -> None:
    image = scan(GRIDS[name])
    expected, _ = reorient(image)
    for axes in ALL_48:
        found, _ = reorient(stored_as(image, axes))
        assert np.array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(expected))
        assert Geometry.of(found).matches(Geometry.of(expected), tolerance_mm=1e-9)


@given(ANGLES, ANGLES, ANGLES, st.sampled_from(ALL_48), st.sampled_from(["LPS", "RAS", "PIR"]))
@settings(max_examples=60, deadline=None)
def test_any_oblique_scan_gives_the_same_however_it_was_stored(
    x: float, y: float, z: float, axes: AxisMap, to: str
) -> None:
    image = scan(rotation(x, y, z))
    expected, _ = reorient(image, to)
    found, _ = reorient(stored_as(image, axes), to)
    assert np.array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(expected))
    assert Geometry.of(found).matches(Geometry.of(expected), tolerance_mm=1e-9)


@pytest.mark.parametrize("name", [name for name in GRIDS if "45" in name])
def test_a_tie_is_not_broken_by_the_rounding_of_the_stored_direction(name: str) -> None:
    image = scan(GRIDS[name])
    expected, _ = reorient(image)
    rng = np.random.default_rng(1)
    for axes in ALL_48:
        stored = stored_as(image, axes)
        stored.SetDirection((np.array(stored.GetDirection()) + rng.uniform(-1e-6, 1e-6, 9)).tolist())
        found, _ = reorient(stored)
        assert np.array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(expected))


@given(ANGLES, ANGLES, ANGLES, st.sampled_from(ALL_48))
@settings(max_examples=60, deadline=None)
def test_a_voxel_keeps_its_value_and_place_in_the_patient(x: float, y: float, z: float, axes: AxisMap) -> None:
    image = stored_as(scan(rotation(x, y, z)), axes)
    found, _ = reorient(image)
    for index in np.ndindex(*found.GetSize()):
        there = image.TransformPhysicalPointToIndex(found.TransformIndexToPhysicalPoint(index))
        assert found[index] == image[there]


@given(ANGLES, ANGLES, ANGLES, st.sampled_from(ALL_48))
@settings(max_examples=60, deadline=None)
def test_the_result_is_a_right_handed_grid_closest_to_the_target(x: float, y: float, z: float, axes: AxisMap) -> None:
    found, _ = reorient(stored_as(scan(rotation(x, y, z)), axes))
    direction = np.reshape(found.GetDirection(), (3, 3))
    assert np.linalg.det(direction) == pytest.approx(1)
    best = max(np.trace(direction[:, other.permutation] * np.where(other.flips, -1, 1)) for other in ALL_48)
    assert np.trace(direction) == pytest.approx(best, abs=2e-4)


@given(ANGLES, ANGLES, ANGLES, st.sampled_from(ALL_48))
@settings(max_examples=40, deadline=None)
def test_restore_returns_the_exact_image_and_grid(x: float, y: float, z: float, axes: AxisMap) -> None:
    image = stored_as(scan(rotation(x, y, z)), axes)
    changed, used = reorient(image, "RAS")
    for way_back in (changed, sitk.GetArrayFromImage(changed)):
        back = restore(way_back, used, image)
        assert np.array_equal(sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(image))
        assert Geometry.of(back) == Geometry.of(image)
        assert back.GetPixelID() == image.GetPixelID()


@pytest.mark.parametrize("axes", ALL_48)
def test_apply_invert_and_apply_geometry_agree_with_simpleitk(axes: AxisMap) -> None:
    image = scan(rotation(0.1, 0.2, 0.3))
    array = sitk.GetArrayFromImage(image)
    changed = stored_as(image, axes)
    assert np.array_equal(axes.apply(array), sitk.GetArrayFromImage(changed))
    assert np.array_equal(axes.invert(axes.apply(array)), array)
    assert axes.apply_geometry(Geometry.of(image)).matches(Geometry.of(changed), tolerance_mm=1e-9)


@pytest.mark.parametrize("target", ["LPS", "RAS", "ASL", "IPR"])
def test_straight_scans_follow_the_axis_codes_of_simpleitk(target: str) -> None:
    for axes in ALL_48:
        stored = stored_as(scan(np.eye(3)), axes)
        found, _ = reorient(stored, target)
        expected = sitk.DICOMOrient(stored, target)
        assert np.array_equal(sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(expected))
        assert Geometry.of(found).matches(Geometry.of(expected), tolerance_mm=1e-9)


def test_a_sheared_grid_is_refused() -> None:
    sheared = np.eye(3)
    sheared[1, 2] = 0.2
    with pytest.raises(UserError, match=r"sheared.*tilted gantry.*Resample"):
        axis_map(sheared.ravel().tolist())


@pytest.mark.parametrize("code", ["LP", "LPX", "LRS", "LPSS", ""])
def test_a_word_that_is_no_axis_code_is_refused(code: str) -> None:
    with pytest.raises(UserError, match="not an axis code"):
        axis_map(np.eye(3).ravel().tolist(), code)


def test_restore_refuses_another_size() -> None:
    image = scan(np.eye(3))
    _, axes = reorient(image)
    with pytest.raises(ValueError, match="does not fit"):
        restore(np.zeros((4, 3, 6), np.uint8), axes, image)
