"""What cannot be a lymph node gets a reason; what can be one, however unusual, does not."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_body import FAT, IN_AIR, IN_AIRWAY, IN_BONE, IN_COUCH, IN_LUNG, IN_MUSCLE, PlainBody

from lnsegfm.lymph_nodes.instances import LymphNode, measure
from lnsegfm.lymph_nodes.intensity import describe
from lnsegfm.lymph_nodes.plausibility import kept_apart, kind_of, renumbered, told, told_left_out
from lnsegfm.phantom import DOMAINS, make_case

ORDERS = ("LPS", "RAS", "SPL", "AIR", "PSR")


def judged(body: PlainBody, order: str = "LPS") -> list[LymphNode]:
    ct, labels = (sitk.DICOMOrient(image, order) for image in body.images())
    instances, nodes = measure(labels)
    return describe(nodes, instances, ct)


def reason(body: PlainBody, order: str = "LPS") -> str:
    (node,) = judged(body, order)
    return node.implausible


# What can be a lymph node


@settings(max_examples=40, deadline=None)
@given(
    hu=st.integers(0, 250), diameter=st.floats(4, 30), z=st.floats(-45, 45),
    spacing=st.sampled_from([(2.0, 2.0, 3.0), (1.0, 1.0, 5.0), (3.0, 3.0, 3.0)]),
)  # fmt: skip
def test_a_sphere_of_soft_tissue_is_plausible_also_where_the_scan_ends(
    hu: int, diameter: float, z: float, spacing: tuple[float, float, float]
) -> None:
    body = PlainBody(spacing)
    body.sphere((IN_MUSCLE[0], IN_MUSCLE[1], z), diameter, hu)
    assert [node.implausible for node in judged(body)] in ([""], [])  # nothing where it lies beyond the scan


@pytest.mark.parametrize("place", [(66.0, 0.0, 0.0), (0.0, -47.0, 0.0), (-24.0, 10.0, 0.0), (0.0, 9.0, 0.0)])
def test_a_lymph_node_at_skin_lung_or_bone_is_plausible(place: tuple[float, float, float]) -> None:
    body = PlainBody()
    body.sphere(place, 7, 40)
    assert reason(body) == ""


def test_a_calcified_lymph_node_is_plausible_whole_or_in_its_shell() -> None:
    whole, shell, core = PlainBody(), PlainBody(), PlainBody()
    whole.sphere(IN_MUSCLE, 14, 700)
    rim = shell.sphere(IN_MUSCLE, 16, 600)
    shell.label(rim)
    shell.hu[shell.sphere(IN_MUSCLE, 11)] = 30
    core.hu[core.sphere(IN_MUSCLE, 16)] = 600
    core.labels[:] = 0
    core.sphere(IN_MUSCLE, 12, 30)  # the model finds what lies in the calcified shell
    assert [reason(whole), reason(shell), reason(core)] == ["", "", ""]


def test_a_fatty_hilum_leaves_a_lymph_node_plausible() -> None:
    body = PlainBody()
    body.sphere(IN_MUSCLE, 20, 40)
    body.hu[body.sphere(IN_MUSCLE, 18)] = FAT
    (node,) = judged(body)
    assert node.mean_hu is not None and node.mean_hu < -50 and node.implausible == ""


def test_a_chain_of_confluent_lymph_nodes_is_plausible() -> None:
    body = PlainBody((1.0, 1.0, 3.0))
    body.ellipsoid(IN_MUSCLE, (4, 6, 60), 60)
    assert reason(body) == ""


@pytest.mark.parametrize("low, high", [(-42, -40.0), (39.0, 42)])
def test_what_the_end_of_the_scan_cuts_may_lie_in_one_slice(low: float, high: float) -> None:
    body = PlainBody((1.0, 1.0, 1.0))
    body.box((25, -15, low + 0.5 if low > 0 else -42), (40, 15, high), 60)
    first = np.flatnonzero(body.labels.any(axis=(0, 1)))
    body.labels[:, :, first[1:] if low < 0 else first[:-1]] = 0
    assert reason(body) == ""


def test_an_arm_beside_the_body_is_part_of_the_patient() -> None:
    ct, labels = arm_beside()
    instances, nodes = measure(labels)
    assert [node.implausible for node in describe(nodes, instances, ct)] == [""]


def arm_beside() -> tuple[sitk.Image, sitk.Image]:
    x, y, _ = np.ogrid[:120, :80, :20]
    hu = np.full((120, 80, 20), -1000, np.int16)
    hu[np.broadcast_to(((x - 40) / 35) ** 2 + ((y - 40) / 25) ** 2 <= 1, hu.shape)] = 40
    hu[np.broadcast_to(np.hypot(x - 100, y - 40) <= 14, hu.shape)] = 40
    labels = np.zeros(hu.shape, np.uint8)
    labels[98:102, 38:42, 9:12] = 1
    images = [sitk.GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0))) for array in (hu, labels)]
    for image in images:
        image.SetSpacing((2.0, 2.0, 3.0))
    return images[0], images[1]


@pytest.mark.parametrize("domain", sorted(DOMAINS))
@pytest.mark.parametrize("seed", [0, 1])
def test_the_lymph_nodes_of_the_phantom_are_plausible(domain: str, seed: int) -> None:
    case = make_case(domain, seed)
    instances, nodes = measure(case.labels)
    assert nodes and [node.implausible for node in describe(nodes, instances, case.ct)] == [""] * len(nodes)


def test_values_that_are_not_hu_call_nothing_implausible() -> None:
    body = PlainBody()
    body.sphere(IN_MUSCLE, 12, 60)
    ct, labels = body.images()
    instances, nodes = measure(labels)
    for other in (ct + 1024, sitk.Cast(ct, sitk.sitkFloat32) * 0.0001):
        assert [node.implausible for node in describe(nodes, instances, other)] == [""]


# What cannot be one


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("place", "diameter", "said"),
    [(IN_AIR, 14, "outside the body"), (IN_COUCH, 14, "outside the body"), (IN_AIRWAY, 8, "HU: air"),
     (IN_LUNG, 14, "HU: lung"), (IN_BONE, 14, "bone")],
)  # fmt: skip
def test_a_sphere_elsewhere_is_implausible_in_every_voxel_order(
    order: str, place: tuple[float, float, float], diameter: float, said: str
) -> None:
    body = PlainBody()
    body.sphere(place, diameter)
    assert said in reason(body, order)


@pytest.mark.parametrize(
    ("hu", "said"), [(-1010, "mean -1010 HU: air"), (-2000, "mean -2000 HU: outside the field of view"),
                     (-3024, "mean -3024 HU: outside the field of view"), (-600, "mean -600 HU: lung"),
                     (-105, "mean -105 HU: fat"), (1300, "mean 1300 HU: bone"), (2900, "mean 2900 HU: metal")],
)  # fmt: skip
def test_the_values_tell_what_it_is(hu: int, said: str) -> None:
    body = PlainBody()
    body.sphere(IN_MUSCLE, 12, hu)
    assert reason(body) == said


def test_marrow_within_bone_is_no_lymph_node() -> None:
    body = PlainBody()
    body.sphere(IN_BONE, 12, 40)
    assert reason(body) == "mean 40 HU: within bone or dense contrast medium"


@pytest.mark.parametrize("spacing", [(0.9, 0.9, 2.0), (2.0, 2.0, 3.0), (1.0, 1.0, 1.0)])
def test_a_sheet_of_single_voxels_is_a_sliver(spacing: tuple[float, float, float]) -> None:
    body = PlainBody(spacing)
    places = np.abs(body.mm[0] - 30.0)
    column = int(places[:, 0, 0].argmin())
    sheet = np.zeros(body.labels.shape, bool)
    sheet[column] = (np.abs(body.mm[1][column]) < 25) & (np.abs(body.mm[2][column]) < 12)
    body.label(sheet, 60)
    for order in ORDERS:
        assert reason(body, order).startswith("one voxel thin over ")


def test_a_sheet_within_one_slice_is_a_sliver() -> None:
    body = PlainBody((1.0, 1.0, 1.0))
    body.box((20, -15, -0.6), (45, 15, 0.4), 60)
    assert reason(body).startswith("one slice thin over ")


def test_a_bent_line_at_the_rim_of_the_field_of_view_is_implausible() -> None:
    body = PlainBody((1.0, 1.0, 2.0))
    radius = np.hypot(body.mm[0], body.mm[1])
    body.label((np.abs(radius - 88) < 0.7) & (body.mm[0] > 60) & (np.abs(body.mm[2]) < 1.5))
    assert all(node.implausible == "outside the body" for node in judged(body))


# What becomes of it


def mixed() -> tuple[sitk.Image, list[LymphNode]]:
    body = PlainBody()
    body.sphere(IN_AIR, 20)
    body.sphere(IN_MUSCLE, 12, 60)
    body.sphere(IN_BONE, 8)
    body.sphere((35.0, 0.0, 25.0), 6, 60)
    ct, labels = body.images()
    instances, nodes = measure(labels)
    return instances, describe(nodes, instances, ct)


def test_plausible_ones_are_numbered_first_and_each_keeps_its_voxels() -> None:
    instances, nodes = mixed()
    plausible, implausible, numbers = kept_apart(nodes)
    assert [node.number for node in plausible] == [1, 2] and [node.number for node in implausible] == [3, 4]
    assert plausible[0].volume_mm3 > plausible[1].volume_mm3 and implausible[0].volume_mm3 > implausible[1].volume_mm3
    array = sitk.GetArrayFromImage(renumbered(instances, numbers))
    voxel = float(np.prod(instances.GetSpacing()))
    for node in (*plausible, *implausible):
        assert np.count_nonzero(array == node.number) * voxel == pytest.approx(node.volume_mm3, abs=0.01)


def test_they_are_told_by_kind_and_volume() -> None:
    _, nodes = mixed()
    apart = kept_apart(nodes)[1]
    assert told(apart).startswith("2 implausible: 1 outside the body (4.") and " ml), 1 within bone" in told(apart)
    assert told_left_out(apart).startswith("2 implausible left out: 1 outside the body")
    assert told_left_out([]) == ""
    assert kind_of("mean -1010 HU: air") == "air" and kind_of("one voxel thin over 80 mm") == "one voxel thin"


def test_measurements_of_earlier_versions_are_read_and_the_reason_goes_through_json() -> None:
    node = mixed()[1][0]
    fields = node.to_json()
    assert LymphNode.from_json(fields) == node and node.implausible
    del fields["implausible"]
    assert LymphNode.from_json(fields).implausible == ""
