"""Lymph nodes: instances and measurements, against analytic ellipsoids and cases computed by hand."""

from __future__ import annotations

import json
from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lnsegfm.base.errors import UserError
from lnsegfm.images.geometry import Geometry
from lnsegfm.lymph_nodes.instances import LymphNode, label_instances, measure, size_class

SPACING = (0.8, 0.8, 3.0)
ALL_48 = [(p, f) for p in permutations(range(3)) for f in product((False, True), repeat=3)]


def volume(array: np.ndarray, spacing: tuple[float, float, float] = SPACING) -> sitk.Image:
    image = sitk.GetImageFromArray(np.asarray(array, np.uint8))
    image.SetSpacing(spacing)
    return image


def slice_of(*rows: str) -> np.ndarray:
    """One axial slice from a drawing, inside an empty volume of three slices."""
    drawn = np.array([[letter == "#" for letter in row] for row in rows])
    return np.pad(drawn[None], ((1, 1), (2, 2), (2, 2)))


def only(image: sitk.Image) -> LymphNode:
    _, found = measure(image)
    assert len(found) == 1
    return found[0]


# Hand-computed cases


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 0.8, 3.0), (0.7, 1.3, 2.0), (1.3, 0.7, 2.0)])
def test_a_single_voxel_has_its_own_size(spacing: tuple[float, float, float]) -> None:
    node = only(volume(slice_of("#"), spacing))
    assert node.long_axis_mm == pytest.approx(max(spacing[:2]))
    assert node.short_axis_mm == pytest.approx(min(spacing[:2]))
    assert node.volume_mm3 == pytest.approx(np.prod(spacing), abs=1e-3)


def test_a_row_of_voxels_is_as_long_as_the_row_and_as_thick_as_a_voxel() -> None:
    node = only(volume(slice_of("#####"), (0.8, 1.0, 3.0)))
    assert (node.long_axis_mm, node.short_axis_mm) == (pytest.approx(4.0), pytest.approx(1.0))
    node = only(volume(slice_of("#####"), (1.0, 0.5, 3.0)))
    assert (node.long_axis_mm, node.short_axis_mm) == (pytest.approx(5.0), pytest.approx(0.5))


def test_a_block_with_a_point_at_both_ends_is_measured_along_and_across() -> None:
    block = slice_of("...###...", "...###...", "#########", "...###...", "...###...")
    node = only(volume(block, (1.0, 1.0, 1.0)))
    assert (node.long_axis_mm, node.short_axis_mm) == (pytest.approx(9.0), pytest.approx(5.0))
    node = only(volume(block.transpose(0, 2, 1), (0.5, 2.0, 1.0)))
    assert (node.long_axis_mm, node.short_axis_mm) == (pytest.approx(18.0), pytest.approx(2.5))


def test_a_spur_of_single_voxels_does_not_count_as_thickness() -> None:
    spurred = slice_of("....#....", "....#....", "#########", "#########", "#########")
    assert only(volume(spurred, (1.0, 1.0, 1.0))).short_axis_mm == pytest.approx(4, abs=0.7)


def test_the_ends_of_the_axes_are_in_ras_and_as_far_apart_as_the_axes_are_long() -> None:
    image = volume(slice_of("#####", "#####", "#####"), (1.0, 2.0, 3.0))
    image.SetOrigin((10.0, 20.0, 30.0))
    node = only(image)
    for ends, length in ((node.long_axis_ras, node.long_axis_mm), (node.short_axis_ras, node.short_axis_mm)):
        assert np.linalg.norm(np.subtract(*ends)) == pytest.approx(length, abs=0.01)
    # The middle voxel has index (4, 3, 1).
    assert node.centroid_ras == pytest.approx((-14.0, -26.0, 33.0))
    assert np.mean(node.long_axis_ras, axis=0) == pytest.approx(node.centroid_ras, abs=0.01)
    assert np.mean(node.short_axis_ras, axis=0) == pytest.approx(node.centroid_ras, abs=0.26)
    assert np.subtract(*node.long_axis_ras) @ np.subtract(*node.short_axis_ras) == pytest.approx(0, abs=0.02)


def test_the_short_axis_is_a_chord_of_the_node_not_its_bounding_box() -> None:
    bent = np.zeros((3, 30, 30))
    bent[1, 4:6, 4:26] = 1
    bent[1, 4:26, 4:6] = 1
    node = only(volume(bent, (1.0, 1.0, 1.0)))
    assert node.long_axis_mm == pytest.approx(np.hypot(21.5, 21.5), abs=1)
    assert node.short_axis_mm < 5


def test_an_unlabelled_core_does_not_make_a_node_thinner() -> None:
    y, x = np.ogrid[:41, :41]
    radius = np.hypot(y - 20, x - 20)
    ring = np.zeros((3, 41, 41))
    ring[1] = (radius <= 15) & (radius > 8)
    node = only(volume(ring, (1.0, 1.0, 1.0)))
    assert node.short_axis_mm == pytest.approx(30, abs=1)
    assert node.volume_mm3 == ring.sum()


def test_an_open_ring_is_as_thick_as_its_rim() -> None:
    y, x = np.ogrid[:41, :41]
    radius = np.hypot(y - 20, x - 20)
    ring = np.zeros((3, 41, 41))
    ring[1] = (radius <= 15) & (radius > 12) & ((x > 16) | (abs(y - 20) > 5))
    assert only(volume(ring, (1.0, 1.0, 1.0))).short_axis_mm < 20


def test_axes_are_those_of_the_slice_with_the_longest_long_axis() -> None:
    array = np.zeros((5, 20, 20))
    y, x = np.ogrid[:20, :20]
    array[1] = np.hypot(y - 9, x - 9) <= 6  # 13 wide and high
    array[2, 9, 2:17] = 1  # 15 long, 1 high: a smaller bounding box, but a longer long axis
    node = only(volume(array, (1.0, 1.0, 1.0)))
    assert (node.long_axis_mm, node.short_axis_mm) == (pytest.approx(15.0), pytest.approx(1.0))
    assert node.long_axis_ras[0][2] == 2.0


def test_axes_lie_in_the_axial_plane_when_slices_are_sagittal() -> None:
    array = np.zeros((9, 9, 9))
    array[1:8, 2:7, 3:6] = 1  # 7 along image z, 5 along y, 3 along x
    image = volume(array, (1.0, 1.0, 1.0))
    image.SetDirection((0, 0, 1, 1, 0, 0, 0, 1, 0))  # x to posterior, y to superior, z to left
    node = only(image)
    assert 7 <= node.long_axis_mm <= np.hypot(7, 3)
    assert node.short_axis_mm == pytest.approx(3, abs=1)
    assert node.long_axis_ras[0][2] == node.long_axis_ras[1][2]


@pytest.mark.parametrize(
    ("voxels", "expected"), [(15, "target"), (14, "non-target"), (10, "non-target"), (9, "normal")]
)
def test_size_classes_of_recist_hold_at_their_limits(voxels: int, expected: str) -> None:
    array = np.zeros((3, 24, 44))
    array[1, 2 : 2 + voxels, 18:25] = 1
    array[1, 2 + voxels // 2, 2:42] = 1  # points at both ends, so that the block's height is the short axis
    node = only(volume(array, (1.0, 1.0, 1.0)))
    assert node.short_axis_mm == pytest.approx(voxels)
    assert node.size_class == expected


def test_a_length_just_below_a_limit_by_rounding_counts_as_the_limit() -> None:
    assert size_class(sum([0.1] * 150)) == "target"
    assert size_class(14.999) == "non-target"
    assert size_class(9.99) == "normal"


# Instances


def test_voxels_that_touch_at_a_corner_are_one_node_and_others_are_not() -> None:
    array = np.zeros((4, 6, 6))
    array[0, 0, 0] = array[1, 1, 1] = 1
    array[1, 3, 3] = 1
    _, found = measure(volume(array))
    assert [round(node.volume_mm3 / np.prod(SPACING)) for node in found] == [2, 1]


def test_numbers_go_down_with_the_volume_and_match_the_measurements() -> None:
    array = np.zeros((9, 20, 20))
    array[1, 1, 1] = array[3:6, 3:6, 3:6] = array[7, 10:14, 10:14] = 1
    instances, found = measure(volume(array))
    numbers = sitk.GetArrayFromImage(instances)
    assert [node.number for node in found] == [1, 2, 3]
    assert [np.count_nonzero(numbers == number) for number in (1, 2, 3)] == [27, 16, 1]
    assert np.array_equal(numbers > 0, array > 0)
    assert np.array_equal(sitk.GetArrayFromImage(label_instances(volume(array))), numbers)
    assert Geometry.of(instances) == Geometry.of(volume(array))


@given(st.integers(0, 10_000), st.floats(0.02, 0.3))
@settings(max_examples=25, deadline=None)
def test_instances_equal_those_of_scipy(seed: int, share: float) -> None:
    from scipy import ndimage

    array = np.random.default_rng(seed).random((6, 7, 8)) < share
    numbers = sitk.GetArrayFromImage(label_instances(volume(array)))
    expected, count = ndimage.label(array, np.ones((3, 3, 3)))
    assert numbers.max() == count
    assert len(set(zip(numbers.ravel(), expected.ravel()))) == len(np.unique(expected))
    assert np.all(np.diff(np.bincount(numbers.ravel(), minlength=1)[1:]) <= 0)


def test_other_values_than_1_count_as_lymph_node_too() -> None:
    array = np.zeros((3, 5, 5), np.float32)
    array[1, 1, 1], array[1, 1, 2] = 2.0, 7.0
    image = sitk.GetImageFromArray(array)
    assert only(image).volume_mm3 == 2


def test_small_regions_can_be_left_out() -> None:
    array = np.zeros((3, 9, 9))
    array[1, 1, 1] = array[1, 4:7, 4:7] = 1
    instances, found = measure(volume(array, (1.0, 1.0, 1.0)), minimum_volume_mm3=1.5)
    assert [node.volume_mm3 for node in found] == [9]
    assert np.count_nonzero(sitk.GetArrayViewFromImage(instances)) == 9


def test_an_empty_labelmap_has_no_nodes() -> None:
    instances, found = measure(volume(np.zeros((3, 4, 5))))
    assert found == []
    assert not sitk.GetArrayViewFromImage(instances).any()
    assert instances.GetSize() == (5, 4, 3)


def test_a_node_that_fills_the_volume_is_measured() -> None:
    node = only(volume(np.ones((2, 10, 10)), (1.0, 1.0, 1.0)))
    assert node.volume_mm3 == 200
    assert 10 <= node.short_axis_mm <= node.long_axis_mm <= np.hypot(10, 10)


@pytest.mark.parametrize(
    "image", [sitk.Image(4, 4, sitk.sitkUInt8), sitk.Image([3, 3, 3], sitk.sitkVectorUInt8, 2)], ids=["2D", "vector"]
)
def test_what_is_no_3d_labelmap_is_refused(image: sitk.Image) -> None:
    with pytest.raises(UserError):
        measure(image)


# Analytic ellipsoids


def ellipsoid(seed: int) -> tuple[sitk.Image, float, float, float, tuple[float, float]]:
    """A random ellipsoid in a random oblique grid.

    Returns:
        Labels; analytic long and short axis of the largest section in the grid's axial stack, mm; analytic volume,
        mm3; in-plane voxel sizes, mm.
    """
    rng = np.random.default_rng(seed)
    direction = Rotation.random(random_state=seed).as_matrix()[:, rng.permutation(3)] * rng.choice([-1, 1], 3)
    spacing, radii = rng.uniform(0.5, 1.5, 3), rng.uniform(4, 12, 3)
    turned = Rotation.random(random_state=seed + 1).as_matrix()
    quadric = turned @ np.diag(radii**-2) @ turned.T
    size = np.ceil(28 / spacing).astype(int)
    centre = direction @ (spacing * (size - 1) / 2) + rng.uniform(-1, 1, 3)
    indices = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), -1)
    offset = (indices * spacing) @ direction.T - centre
    inside = np.einsum("...i,ij,...j->...", offset, quadric, offset) <= 1
    image = sitk.GetImageFromArray(np.ascontiguousarray(inside.transpose(2, 1, 0)).astype(np.uint8))
    image.SetSpacing(spacing.tolist())
    image.SetDirection(direction.ravel().tolist())
    plane = [axis for axis in range(3) if axis != np.abs(direction[2]).argmax()]
    # Parallel sections of an ellipsoid are alike, and the one through the centre is the largest.
    section = direction[:, plane].T @ quadric @ direction[:, plane]
    long_mm, short_mm = 2 / np.sqrt(np.linalg.eigvalsh(section))
    return image, long_mm, short_mm, 4 / 3 * np.pi * np.prod(radii), tuple(spacing[plane])


@given(st.integers(0, 2**31))
@settings(max_examples=60, deadline=None)
@example(11)
@example(51)
@example(16532069)
def test_ellipsoids_in_oblique_grids_are_measured_to_one_voxel(seed: int) -> None:
    image, long_mm, short_mm, volume_mm3, voxel = ellipsoid(seed)
    # Two stacks that are equally far from axial are both right.
    _, second, first = sorted(np.abs(image.GetDirection()[6:]))
    assume(first - second > 1e-3)
    node, diagonal = only(image), float(np.hypot(*voxel))
    assert node.long_axis_mm == pytest.approx(long_mm, abs=diagonal)
    assert node.short_axis_mm == pytest.approx(short_mm, abs=diagonal)
    assert node.volume_mm3 == pytest.approx(volume_mm3, rel=0.1)


def test_the_short_axis_of_ellipsoids_is_right_on_average() -> None:
    errors = []
    for seed in range(60):
        image, _, short_mm, _, voxel = ellipsoid(seed)
        errors.append((only(image).short_axis_mm - short_mm) / max(voxel))
    assert abs(np.mean(errors)) < 0.25


@given(st.integers(0, 2**31), st.sampled_from(ALL_48))
@settings(max_examples=40, deadline=None)
def test_measurements_do_not_depend_on_how_the_scan_was_stored(
    seed: int, axes: tuple[tuple[int, int, int], tuple[bool, bool, bool]]
) -> None:
    image, *_ = ellipsoid(seed % 50)
    # Two equal voxels apart from the ellipsoid: their numbers must not be swapped either.
    image[0, 0, 0] = image[image.GetWidth() - 1, 0, 0] = 1
    expected_instances, expected = measure(image)
    stored = sitk.Flip(sitk.PermuteAxes(image, axes[0]), axes[1], False)
    instances, found = measure(stored)
    for node, other in zip(found, expected, strict=True):
        for name, value in node.to_json().items():
            if value is None or isinstance(value, str):
                assert value == getattr(other, name)
            else:
                assert np.allclose(value, getattr(other, name), atol=0.002), name
    again = sitk.Flip(sitk.PermuteAxes(expected_instances, axes[0]), axes[1], False)
    assert np.array_equal(sitk.GetArrayFromImage(instances), sitk.GetArrayFromImage(again))


def test_a_lymph_node_survives_json() -> None:
    image, *_ = ellipsoid(3)
    node = only(image)
    assert LymphNode.from_json(json.loads(json.dumps(node.to_json()))) == node


def test_sixty_lymph_nodes_of_a_full_size_scan_are_all_found() -> None:
    rng = np.random.default_rng(5)
    array = np.zeros((150, 512, 512), np.uint8)
    z, y, x = np.ogrid[-6:7, -16:17, -16:17]
    node = (z / 6) ** 2 + (y / 12) ** 2 + (x / 16) ** 2 <= 1
    for place in rng.permutation(10 * 14 * 14)[:60]:
        cz, cy, cx = np.unravel_index(place, (10, 14, 14)) * np.array([14, 35, 35]) + np.array([8, 18, 18])
        array[cz - 6 : cz + 7, cy - 16 : cy + 17, cx - 16 : cx + 17] |= node
    assert len(measure(volume(array))[1]) == 60
