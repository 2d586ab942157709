"""What CT and probability add to the lymph nodes: mean HU, confidence, and the patient's own side."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from lnsegfm.images.geometry import Geometry
from lnsegfm.lymph_nodes.instances import LymphNode, measure
from lnsegfm.lymph_nodes.intensity import describe

ALL_48 = [(p, f) for p in permutations(range(3)) for f in product((False, True), repeat=3)]
SIZE = (60, 50, 8)


def grid(array: np.ndarray, direction: np.ndarray | None = None) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((4.0, 4.0, 5.0))
    image.SetOrigin((33.0, -70.0, 210.0))
    if direction is not None:
        image.SetDirection(direction.ravel().tolist())
    return image


def patient(direction: np.ndarray | None = None) -> tuple[sitk.Image, sitk.Image, sitk.Image]:
    """CT, labels and probability; nodes of 40, 30 and 20 voxels to the left, right and in the middle of the grid."""
    x, y, _ = np.ogrid[: SIZE[0], : SIZE[1], : SIZE[2]]
    body = np.broadcast_to((((x - 30) / 24) ** 2 + ((y - 25) / 16) ** 2 <= 1), SIZE).transpose(2, 1, 0)
    ct = np.where(body, 0, -1000).astype(np.int16)
    labels = np.zeros_like(ct, np.uint8)
    probability = np.zeros_like(labels)
    for low, width, hu, certain in ((40, 4, 80, 255), (12, 3, -20, 204), (29, 2, 35, 140)):
        place = (slice(3, 4), slice(20, 30), slice(low, low + width))
        labels[place], ct[place], probability[place] = 1, hu, certain
    return grid(ct, direction), grid(labels, direction), grid(probability, direction)


def described(ct: sitk.Image, labels: sitk.Image, probability: sitk.Image | None) -> list[LymphNode]:
    instances, nodes = measure(labels)
    return describe(nodes, instances, ct, probability)


def test_mean_hu_and_confidence_are_those_of_the_node_s_voxels() -> None:
    nodes = described(*patient())
    assert [node.mean_hu for node in nodes] == [80.0, -20.0, 35.0]
    assert [node.confidence for node in nodes] == [1.0, 0.8, 0.549]


def test_without_a_probability_there_is_no_confidence() -> None:
    ct, labels, _ = patient()
    assert [node.confidence for node in described(ct, labels, None)] == [None] * 3
    instances, nodes = measure(labels)
    assert [(node.mean_hu, node.confidence, node.side) for node in nodes] == [(None, None, "")] * 3
    assert describe([], instances, ct) == []


def test_sides_are_the_patient_s_own() -> None:
    # Upright in LPS: x grows to the patient's left.
    assert [node.side for node in described(*patient())] == ["left", "right", ""]


@given(st.integers(0, 2**31))
@settings(max_examples=10, deadline=None)
def test_sides_follow_the_patient_in_oblique_and_mirrored_grids(seed: int) -> None:
    rng = np.random.default_rng(seed)
    turn = Rotation.from_rotvec(rng.uniform(-0.15, 0.15, 3)).as_matrix()
    flips = rng.choice([-1.0, 1.0], 3)
    nodes = described(*patient(turn @ np.diag(flips)))
    assert [node.side for node in nodes[:2]] == (["left", "right"] if flips[0] > 0 else ["right", "left"])


def test_the_description_does_not_depend_on_how_the_scan_is_stored() -> None:
    images = patient()
    expected = described(*images)
    for order, flips in ALL_48:
        found = described(*(sitk.Flip(sitk.PermuteAxes(image, order), flips) for image in images))
        for node, other in zip(found, expected, strict=True):
            assert (node.side, node.mean_hu, node.confidence) == (other.side, other.mean_hu, other.confidence)


def test_a_node_in_a_slice_without_a_body_has_no_side() -> None:
    _, labels, _ = patient()
    air = grid(np.full(SIZE[::-1], -1000, np.int16))
    assert [node.side for node in described(air, labels, None)] == [""] * 3


def test_images_that_do_not_fit_are_refused() -> None:
    ct, labels, _ = patient()
    instances, nodes = measure(labels)
    with pytest.raises(ValueError, match="does not fit"):
        describe(nodes, instances, ct[:-1, :, :])
    assert Geometry.of(instances) == Geometry.of(ct)
