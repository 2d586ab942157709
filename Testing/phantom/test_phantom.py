"""The phantom: seeded, plausible, the same patient on any grid, and domains that differ as documented."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import generate_binary_structure, label
from scipy.spatial.transform import Rotation

from lnsegfm.base.errors import UserError
from lnsegfm.phantom import DOMAINS, PhantomCase, make_case

ALL = sorted(DOMAINS)
NECKS = ("source", "hospital")


@cache
def case(domain: str, seed: int, noise: float = 1.0) -> PhantomCase:
    return make_case(domain, seed, noise=noise)


def voxels(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


def centre_of(image: sitk.Image) -> np.ndarray:
    return np.array(image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()]))


@pytest.mark.parametrize("domain", ALL)
def test_case_is_a_ct_in_hu_with_labels_on_its_grid(domain: str) -> None:
    made = case(domain, 1)
    assert made.ct.GetPixelID() == sitk.sitkInt16
    assert made.labels.GetPixelID() == sitk.sitkUInt8
    for image in (made.ct, made.labels):
        assert image.GetSize() == (96, 96, 40)
        assert image.GetSpacing() == (2.0, 2.0, 3.0)
        assert image.GetOrigin() == (0.0, 0.0, 0.0)
    hu = voxels(made.ct)
    assert hu.min() >= -1024
    assert 400 < hu.max() < 2000  # bone
    corners = hu[:, [0, -1], [0, -1]] if domain != "mediastinum" else hu[:, 0, [0, -1]]
    assert np.median(corners) < -900  # air around the patient
    assert set(np.unique(voxels(made.labels))) == {0, 1}


@pytest.mark.parametrize("domain", ALL)
def test_same_arguments_give_the_same_voxels_and_another_seed_another_patient(domain: str) -> None:
    first, again, other = case(domain, 5), make_case(domain, 5), case(domain, 6)
    assert np.array_equal(voxels(first.ct), voxels(again.ct))
    assert np.array_equal(voxels(first.labels), voxels(again.labels))
    assert not np.array_equal(voxels(first.labels), voxels(other.labels))


@pytest.mark.parametrize("domain", ALL)
def test_every_case_has_two_to_eight_separate_lymph_nodes_or_clusters(domain: str) -> None:
    for seed in range(4):
        made = case(domain, seed)
        found = label(voxels(made.labels), generate_binary_structure(3, 3))[1]
        assert 1 <= found <= 8
        assert 2 <= len(made.nodes) <= 24


@pytest.mark.parametrize("domain", ALL)
def test_lymph_nodes_have_diameters_of_4_to_20_mm(domain: str) -> None:
    smallest = [2 * min(node.radii) for seed in range(6) for node in case(domain, seed).nodes]
    assert min(smallest) >= 4.0
    assert max(smallest) <= 20.0
    assert np.std(smallest) > 1.0


def test_label_is_exactly_what_the_ellipsoids_enclose() -> None:
    made = make_case(
        "hospital", 2, direction=Rotation.from_euler("xyz", [20, -15, 30], degrees=True).as_matrix().ravel()
    )
    index = np.indices(voxels(made.ct).shape)[::-1].reshape(3, -1)
    steps = np.array(made.ct.GetDirection()).reshape(3, 3) * made.ct.GetSpacing()
    points = (steps @ index).T + made.ct.GetOrigin()
    inside = np.zeros(len(points), bool)
    for node in made.nodes:
        local = (points - node.centre) @ node.axes / node.radii
        inside |= np.square(local).sum(axis=1) <= 1.0
    differing = inside != voxels(made.labels).ravel().astype(bool)
    assert differing.sum() <= 2  # rounding of points on a surface


@pytest.mark.parametrize("domain", ALL)
def test_lymph_nodes_keep_clear_of_bone_air_and_vessels(domain: str) -> None:
    for seed in range(4):
        made = case(domain, seed, 0.0)
        hu = voxels(made.ct)[voxels(made.labels) > 0]
        assert hu.min() > -100  # the blurred border to fat, no air
        assert hu.max() < 125  # no bone, and no blood with contrast


def share_between(made: PhantomCase, low: float, high: float) -> float:
    hu = voxels(made.ct)
    return float(((hu > low) & (hu < high)).mean())


def test_hospital_shows_no_contrast_where_source_has_bright_vessels() -> None:
    def brightest_beside_the_throat(domain: str, seed: int) -> float:
        # 20 to 40 mm to the side, before the spine: vessels, muscle and fat, but neither bone nor gland
        hu = voxels(case(domain, seed, 0.0).ct)[17:23, 44:51]
        return float(max(hu[:, :, 28:38].max(), hu[:, :, 58:68].max()))

    for seed in range(4):
        assert brightest_beside_the_throat("source", seed) > 140
        assert brightest_beside_the_throat("hospital", seed) < 85


def test_hospital_nodes_are_darker_than_source_nodes_and_than_muscle() -> None:
    def brightness(domain: str) -> float:
        return float(
            np.median(
                np.concatenate(
                    [voxels(case(domain, seed, 0.0).ct)[voxels(case(domain, seed).labels) > 0] for seed in range(6)]
                )
            )
        )

    assert brightness("source") > brightness("hospital") + 20
    assert 5 < brightness("hospital") < 50


def test_hospital_is_noisier_and_its_noise_is_coarser() -> None:
    def noise(domain: str) -> tuple[float, float]:
        levels, neighbours = [], []
        for seed in range(4):
            rest = (voxels(case(domain, seed).ct).astype(float) - voxels(case(domain, seed, 0.0).ct))[:, 20:-20, 20:-20]
            levels.append(rest.std())
            neighbours.append(np.corrcoef(rest[..., 1:].ravel(), rest[..., :-1].ravel())[0, 1])
        return float(np.mean(levels)), float(np.mean(neighbours))

    (source, source_grain), (hospital, hospital_grain) = noise("source"), noise("hospital")
    assert 9 <= source <= 14 < 18 <= hospital <= 26
    assert hospital_grain > source_grain + 0.05


def test_only_the_shifted_domains_have_confluent_lymph_nodes() -> None:
    def overlapping(domain: str) -> int:
        return sum(
            len(made.nodes) > label(voxels(made.labels), generate_binary_structure(3, 3))[1]
            for made in (make_case(domain, seed, size=(120, 120, 60)) for seed in range(6))
        )

    assert overlapping("source") == 0
    assert overlapping("hospital") >= 2


def test_mediastinum_shows_lungs_and_the_neck_does_not() -> None:
    def soft_lung(domain: str) -> float:
        return share_between(case(domain, 0, 0.0), -930, -700)

    assert soft_lung("mediastinum") > 0.15
    assert soft_lung("source") < 0.05


@settings(max_examples=6, deadline=None)
@given(st.permutations([0, 1, 2]), st.tuples(*[st.sampled_from((-1, 1))] * 3), st.sampled_from(ALL))
def test_flipped_and_permuted_grids_show_the_same_patient(
    order: list[int], signs: tuple[int, int, int], domain: str
) -> None:
    upright = case(domain, 3, 0.0)
    size, spacing = np.array([96, 96, 40])[order], np.array([2.0, 2.0, 3.0])[order]
    direction = np.zeros((3, 3))
    direction[order, range(3)] = signs
    origin = centre_of(upright.ct) - direction @ (spacing * (size - 1) / 2)
    stored = make_case(domain, 3, size=size, spacing=spacing, direction=direction.ravel(), origin=origin, noise=0.0)
    for image, reference, tolerance in ((stored.ct, upright.ct, 1), (stored.labels, upright.labels, 0)):
        back = sitk.Resample(image, reference, sitk.Transform(), sitk.sitkNearestNeighbor, -1e4 if tolerance else 9)
        difference = np.abs(voxels(back).astype(int) - voxels(reference))
        assert difference.max() <= tolerance
    assert np.allclose([n.centre for n in stored.nodes], [n.centre for n in upright.nodes], atol=1e-6)


@settings(max_examples=4, deadline=None)
@given(st.tuples(*[st.floats(-40, 40)] * 3), st.floats(0.9, 1.2), st.sampled_from(ALL))
def test_oblique_grids_show_the_same_patient(angles: tuple[float, float, float], fineness: float, domain: str) -> None:
    upright = case(domain, 4, 0.0)
    direction = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    size, spacing = np.array([80, 80, 60]), np.array([2.4, 2.4, 2.4]) * fineness
    origin = centre_of(upright.ct) - direction @ (spacing * (size - 1) / 2)
    oblique = make_case(
        domain, 4, size=size.tolist(), spacing=spacing, direction=direction.ravel(), origin=origin, noise=0.0
    )
    back = sitk.Resample(oblique.ct, upright.ct, sitk.Transform(), sitk.sitkLinear, -30000.0)
    seen, truth = voxels(back).astype(float), voxels(upright.ct).astype(float)
    shared = seen > -2000
    assert np.corrcoef(seen[shared], truth[shared])[0, 1] > 0.98
    volume = voxels(oblique.labels).sum() * np.prod(spacing)
    inside_both = all(abs(n.centre[2] - centre_of(upright.ct)[2]) < 48 for n in upright.nodes)
    if inside_both:
        assert volume == pytest.approx(voxels(upright.labels).sum() * 12.0, rel=0.25)


def test_finer_grids_show_the_same_lymph_node_volume() -> None:
    coarse = make_case("source", 8, size=(96, 96, 60))
    fine = make_case("source", 8, size=(128, 128, 120), spacing=(1.5, 1.5, 1.5))
    assert voxels(fine.labels).sum() * 1.5**3 == pytest.approx(voxels(coarse.labels).sum() * 12.0, rel=0.15)


def test_small_volume_in_the_middle_still_holds_a_lymph_node() -> None:
    for seed in range(4):
        for domain in ALL:
            made = make_case(domain, seed, size=(40, 40, 20), spacing=(3.0, 3.0, 4.0))
            assert voxels(made.labels).any()


def test_every_domain_is_described() -> None:
    assert {"source", "hospital", "mediastinum"} <= set(DOMAINS)
    assert all(len(text) > 20 for text in DOMAINS.values())


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"domain": "moon"}, "moon"),
        ({"seed": -1}, "-1"),
        ({"size": (96, 96, 1)}, "(96, 96, 1)"),
        ({"size": (96, 96)}, "(96, 96)"),
        ({"size": (100_000, 100_000, 100)}, "100000"),
        ({"spacing": (2.0, 0.0, 3.0)}, "0.0"),
        ({"spacing": (2.0, float("nan"), 3.0)}, "nan"),
        ({"direction": (1, 0.5, 0, 0, 1, 0, 0, 0, 1)}, "0.5"),
        ({"origin": (0.0, float("inf"), 0.0)}, "inf"),
        ({"noise": -1.0}, "-1.0"),
        ({"size": (4, 4, 4)}, "8 x 8 x 12"),
    ],
)
def test_impossible_arguments_are_refused_with_the_value(arguments: dict, named: str) -> None:
    with pytest.raises(UserError) as refused:
        make_case(**{"domain": "source", "seed": 1, **arguments})
    assert named in str(refused.value)
    assert refused.value.todo
