"""The patient in a CT: found apart from couch and air, however the scan is stored."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lnsegfm.images.body import body_box, find_body
from lnsegfm.images.geometry import Geometry

SPACING = (2.0, 2.0, 3.0)
ALL_48 = [(p, f) for p in permutations(range(3)) for f in product((False, True), repeat=3)]


def scan(
    *,
    centre: tuple[int, int] = (64, 60),
    radii: tuple[int, int] = (30, 22),
    size: tuple[int, int, int] = (128, 128, 24),
) -> np.ndarray:
    """An elliptic patient with a trachea, in noisy air: int16 (z, y, x), centre and radii (x, y) in voxels."""
    x, y = np.ogrid[: size[0], : size[1]]
    inside = (((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2 <= 1).T
    airway = (np.hypot(x - centre[0], y - centre[1] + 8) <= 5).T
    level = np.where(inside & ~airway, 20, -1000)
    noise = np.random.default_rng(1).normal(0, 15, (size[2], size[1], size[0]))
    return np.clip(level + noise, -1024, 3071).astype(np.int16)


def image_of(array: np.ndarray, *, direction: tuple[float, ...] | None = None) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING)
    image.SetOrigin((-120.0, 31.0, 700.0))
    if direction is not None:
        image.SetDirection(direction)
    return image


def assert_around(box: tuple[int, ...], low: tuple[int, int], high: tuple[int, int]) -> None:
    """The box holds the body's voxels (x, y) and between 10 and 32 mm more on each side."""
    for axis in range(2):
        assert 10 <= (low[axis] - box[2 * axis]) * SPACING[axis] <= 32
        assert 10 <= (box[2 * axis + 1] - high[axis]) * SPACING[axis] <= 32


def test_the_box_is_the_body_s_with_a_margin_and_all_slices() -> None:
    box = body_box(image_of(scan()))
    assert_around(box, (34, 38), (95, 83))
    assert box[4:] == (0, 24)


def test_a_couch_that_the_body_lies_on_is_left_out() -> None:
    array = scan()
    array[:, 81:84, 5:123] = 150  # a shell of 6 mm, which touches the back
    array[:, 84:110, 5:123] = -900
    array[:, 110:113, 5:123] = 150
    assert_around(body_box(image_of(array)), (34, 38), (95, 83))


def test_a_mask_around_the_head_does_not_widen_the_box() -> None:
    array = scan()
    array[:, 20:22, 20:110] = 100
    array[:, 20:90, 20:22] = 100
    assert_around(body_box(image_of(array)), (34, 38), (95, 83))


def test_both_legs_count_where_nothing_connects_them() -> None:
    legs = np.maximum(scan(centre=(35, 60), radii=(15, 18)), scan(centre=(90, 60), radii=(14, 18)))
    assert_around(body_box(image_of(legs)), (20, 42), (105, 79))


def test_lungs_and_airways_belong_to_the_body() -> None:
    array = scan(radii=(45, 35))
    array[:, 45:75, 35:60] = -850
    body = find_body(image_of(array))
    assert body is not None
    x, y = 47, 60
    assert body.mask[12, y // body.steps[1], x // body.steps[0]]


def test_where_no_body_is_the_box_is_the_whole_image() -> None:
    assert find_body(image_of(np.full((10, 30, 40), -1000, np.int16))) is None
    assert body_box(image_of(np.full((10, 30, 40), -1000, np.int16))) == (0, 40, 0, 30, 0, 10)
    assert body_box(image_of(np.full((10, 30, 40), 1000, np.int16))) == (0, 40, 0, 30, 0, 10)


@pytest.mark.parametrize("rotation", [None, (0.2, -0.1, 0.3)])
def test_the_box_holds_the_same_voxels_in_all_48_voxel_orders(rotation: tuple[float, ...] | None) -> None:
    direction = None if rotation is None else tuple(Rotation.from_rotvec(rotation).as_matrix().ravel())
    image = image_of(scan(centre=(50, 55), size=(117, 101, 11)), direction=direction)
    box = body_box(image)
    for order, flips in ALL_48:
        stored = sitk.Flip(sitk.PermuteAxes(image, order), flips)
        expected: list[int] = []
        for axis, flip in zip(order, flips):
            low, high, count = box[2 * axis], box[2 * axis + 1], image.GetSize()[axis]
            expected += (count - high, count - low) if flip else (low, high)
        assert body_box(stored) == tuple(expected), (order, flips)


@given(st.integers(0, 2**31), st.integers(40, 80))
@settings(max_examples=15, deadline=None)
def test_the_midline_halves_the_body_in_any_grid_near_upright(seed: int, centre: int) -> None:
    rng = np.random.default_rng(seed)
    turn = Rotation.from_rotvec(rng.uniform(-0.2, 0.2, 3)).as_matrix()
    flips = np.diag(rng.choice([-1.0, 1.0], 3))
    image = image_of(scan(centre=(centre, 60), size=(128, 128, 8)), direction=tuple((turn @ flips).ravel()))
    body = find_body(image)
    assert body is not None
    middle = Geometry.of(image).positions(np.array([[centre, 60, 4]]))[0] * (-1, -1, 1)
    found = body.midline_r(tuple(middle))
    assert found == pytest.approx(middle[0], abs=4.0)


def test_outside_of_the_scan_there_is_no_midline() -> None:
    body = find_body(image_of(scan()))
    assert body is not None
    assert body.midline_r((0.0, 0.0, 0.0)) is None
