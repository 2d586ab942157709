"""What a user may choose for a segmentation, and what the worker makes of it."""

from __future__ import annotations

import json
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from lnsegfm.base.background import Progress
from lnsegfm.base.errors import UserError
from lnsegfm.base.home import Home
from lnsegfm.base.processes import child_environment
from lnsegfm.engine.inference.operations import Operations
from lnsegfm.evaluation.metrics import dice
from lnsegfm.images.crop import crop, put_back, region_box
from lnsegfm.images.geometry import Geometry
from lnsegfm.lymph_nodes.instances import LymphNode, measure
from lnsegfm.phantom import make_case
from lnsegfm.segmentation.segment_options import SegmentOptions
from lnsegfm.segmentation.segment_run import SegmentResult, SegmentRun
from lnsegfm.segmentation.worker_client import WorkerClient

MODEL = "phantom-demonstration"
ALL_48 = [(p, f) for p in permutations(range(3)) for f in product((False, True), repeat=3)]


def array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


# The choices


@pytest.mark.parametrize("region", ["whole", "body", (1, 5, -2, 8, 0, 3)])
def test_options_survive_json(region: Any) -> None:
    options = SegmentOptions("m", "cuda:1", "fast", region, 4.5)
    assert SegmentOptions.from_json(json.loads(json.dumps(options.to_json()))) == options


def test_the_default_is_what_nnunet_does_with_the_whole_ct() -> None:
    assert SegmentOptions("m") == SegmentOptions("m", "auto", "standard", "whole", 0.0, False)
    assert SegmentOptions.from_json({"model": "m"}) == SegmentOptions("m")


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"quality": "superb"}, "superb"),
        ({"region": "head"}, "head"),
        ({"region": (1, 2, 3)}, "1, 2, 3"),
        ({"region": (0.5, 2, 0, 2, 0, 2)}, "0.5"),
        ({"minimum_short_axis_mm": -1.0}, "-1"),
        ({"minimum_short_axis_mm": float("nan")}, "nan"),
    ],
)
def test_what_is_not_possible_is_refused_with_its_value(choice: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        SegmentOptions("m", **choice)
    assert said in f"{caught.value.what} {caught.value.why}"
    assert caught.value.todo


# The region


def counted(size: tuple[int, int, int] = (7, 6, 5)) -> sitk.Image:
    image = sitk.GetImageFromArray(np.arange(1, np.prod(size) + 1, dtype=np.int16).reshape(size[::-1]))
    image.SetSpacing((0.7, 1.1, 3.0))
    image.SetOrigin((5.0, -6.0, 70.0))
    image.SetDirection(sitk.VersorTransform((0.3, -0.2, 0.9), 0.7).GetMatrix())
    return image


@given(st.tuples(*[st.integers(-3, 9)] * 6))
@settings(max_examples=100, deadline=None)
def test_a_box_is_cut_out_where_it_meets_the_ct_and_put_back_there(box: tuple[int, ...]) -> None:
    image = counted()
    kept = [slice(max(low, 0), max(high, 0)) for low, high in zip(box[::2], box[1::2])]
    by_hand = array(image)[kept[2], kept[1], kept[0]]
    if min(by_hand.shape) < 2:
        with pytest.raises(UserError, match="region"):
            region_box(image, box)  # type: ignore[arg-type]
        return
    inside = region_box(image, box)  # type: ignore[arg-type]
    part = crop(image, inside)
    assert np.array_equal(array(part), by_hand)
    first = [list(part.TransformContinuousIndexToPhysicalPoint((0, 0, 0)))]
    assert np.allclose(first, [image.TransformContinuousIndexToPhysicalPoint([float(low) for low in inside[::2]])])
    back = put_back(part, image, inside)
    assert Geometry.of(back) == Geometry.of(image)
    expected = np.zeros_like(array(image))
    expected[kept[2], kept[1], kept[0]] = by_hand
    assert np.array_equal(array(back), expected)


# Small lymph nodes


def blocks() -> sitk.Image:
    """Nodes of 36, 30, 16, 4 and 4 voxels of 1 mm; their short axes in the slices are 2, 5, 4, 2, 2."""
    labels = np.zeros((12, 16, 24), np.uint8)
    labels[1:2, 1:3, 1:19] = 1
    labels[4:5, 1:6, 1:7] = 1
    labels[7:8, 1:5, 1:5] = 1
    labels[10:11, 1:3, 1:3] = labels[10:11, 8:10, 1:3] = 1
    return sitk.GetImageFromArray(labels)


def test_lymph_nodes_below_the_smallest_short_axis_go_and_the_numbers_close_up() -> None:
    _, everything = measure(blocks())
    instances, nodes = measure(blocks(), minimum_short_axis_mm=3.5)
    assert [node.number for node in nodes] == [1, 2]
    assert [node.volume_mm3 for node in nodes] == [30.0, 16.0]
    assert [np.count_nonzero(array(instances) == number) for number in (1, 2)] == [30, 16]
    assert array(instances).max() == 2
    assert len(everything) == 5


def test_a_smallest_short_axis_of_nothing_changes_nothing_and_a_huge_one_leaves_nothing() -> None:
    instances, nodes = measure(blocks())
    again, same = measure(blocks(), minimum_short_axis_mm=0.0)
    assert same == nodes
    assert np.array_equal(array(again), array(instances))
    none, no_nodes = measure(blocks(), minimum_short_axis_mm=99.0)
    assert no_nodes == []
    assert not array(none).any()


def test_which_nodes_remain_and_their_numbers_do_not_depend_on_how_the_labels_are_stored() -> None:
    instances, nodes = measure(blocks(), minimum_short_axis_mm=2.5)
    for order, flips in ALL_48:
        stored = sitk.Flip(sitk.PermuteAxes(blocks(), order), flips)
        found, others = measure(stored, minimum_short_axis_mm=2.5)
        assert np.array_equal(array(found), array(sitk.Flip(sitk.PermuteAxes(instances, order), flips)))
        assert [node.short_axis_mm for node in others] == [node.short_axis_mm for node in nodes]


# The worker's side


@pytest.fixture(scope="module")
def operations(demonstration_home: Home) -> Operations:
    return Operations(demonstration_home)


def segmented(operations: Operations, folder: Path, ct: sitk.Image, **options: Any) -> tuple[dict[str, Any], Path]:
    folder.mkdir(exist_ok=True)
    sitk.WriteImage(ct, str(folder / "ct.nrrd"))
    files = {name: str(folder / f"{name}.nrrd") for name in ("output", "instances", "probability")}
    arguments = SegmentOptions(MODEL, "cpu", **{"quality": "fast", **options}).to_json()
    answer = operations.segment({"image": str(folder / "ct.nrrd"), **files, **arguments}, print, lambda: False)
    return answer, folder


def written(folder: Path, name: str) -> np.ndarray:
    return array(sitk.ReadImage(str(folder / f"{name}.nrrd")))


def test_everything_that_is_asked_for_is_written_on_the_ct_s_grid(operations: Operations, tmp_path: Path) -> None:
    ct = make_case("source", 31, size=(56, 56, 24), spacing=(3.2, 3.2, 4.0)).ct
    answer, folder = segmented(operations, tmp_path, ct)
    labels, instances, probability = (written(folder, name) for name in ("output", "instances", "probability"))
    for name in ("output", "instances", "probability"):
        assert Geometry.of(sitk.ReadImage(str(folder / f"{name}.nrrd"))).matches(Geometry.of(ct))
    assert labels.any()
    assert np.array_equal(labels, instances > 0)
    assert np.array_equal(labels, probability >= 128)
    assert probability.dtype == np.uint8
    nodes = [LymphNode.from_json(node) for node in answer["nodes"]]
    for node in nodes:
        inside = instances == node.number
        assert node.mean_hu == pytest.approx(array(ct)[inside].mean(), abs=0.1)
        assert node.confidence == pytest.approx(probability[inside].mean() / 255, abs=0.001)
        assert node.side in ("left", "right", "")
    assert 0 < answer["expected_benefit"] < 1


def test_small_nodes_are_left_out_of_labels_and_list_but_not_of_the_probability(
    operations: Operations, tmp_path: Path
) -> None:
    ct = make_case("source", 31, size=(56, 56, 24), spacing=(3.2, 3.2, 4.0)).ct
    all_nodes = segmented(operations, tmp_path / "all", ct)[0]["nodes"]
    limit = sorted(node["short_axis_mm"] for node in all_nodes)[len(all_nodes) // 2]
    answer, folder = segmented(operations, tmp_path / "large", ct, minimum_short_axis_mm=limit)
    assert 0 < len(answer["nodes"]) < len(all_nodes)
    assert all(node["short_axis_mm"] >= limit for node in answer["nodes"])
    assert written(folder, "instances").max() == len(answer["nodes"])
    assert np.array_equal(written(folder, "probability"), written(tmp_path / "all", "probability"))
    assert np.count_nonzero(written(folder, "output")) < np.count_nonzero(written(tmp_path / "all", "output"))


def test_the_body_region_finds_what_the_whole_ct_does(operations: Operations, tmp_path: Path) -> None:
    case = make_case("source", 32, size=(90, 90, 20), spacing=(3.2, 3.2, 4.5))
    answer, folder = segmented(operations, tmp_path / "body", case.ct, region="body")
    segmented(operations, tmp_path / "whole", case.ct)
    assert dice(written(folder, "output"), written(tmp_path / "whole", "output")) > 0.8
    assert answer["nodes"]


def test_stages_are_told_in_words(operations: Operations, tmp_path: Path) -> None:
    ct = make_case("source", 31, size=(40, 40, 16), spacing=(4.0, 4.0, 5.0)).ct
    sitk.WriteImage(ct, str(tmp_path / "ct.nrrd"))
    seen: list[Progress] = []
    operations.segment(
        {"image": str(tmp_path / "ct.nrrd"), **SegmentOptions(MODEL, "cpu", "fast").to_json()}, seen.append,
        lambda: False,
    )
    stages = list(dict.fromkeys(progress.message.partition(",")[0] for progress in seen))
    assert stages == [
        "Loading the model", "Reading the CT", "Preparing the CT", "Segmenting",
        "Bringing the result to the CT's grid", "Measuring lymph nodes",
    ]  # fmt: skip


# Through the worker process


@pytest.fixture(scope="module")
def worker(demonstration_home: Home) -> Any:
    client = WorkerClient(env=child_environment(extra={"LNSEGFM_HOME": str(demonstration_home.root)}))
    yield client
    client.close()


@pytest.mark.parametrize("wanted", [True, False])
def test_a_run_brings_instances_nodes_and_the_probability_where_it_is_wanted(
    worker: WorkerClient, own_home: Home, wanted: bool
) -> None:
    rotation = sitk.VersorTransform((0.3, 0.5, 0.8), 0.3).GetMatrix()
    ct = make_case("source", 33, size=(44, 44, 20), spacing=(3.2, 3.2, 4.0), direction=rotation).ct
    options = SegmentOptions(MODEL, "cpu", "fast", probability=wanted)
    result: SegmentResult = SegmentRun(worker, lambda: ct, options, lambda result: result).wait(120)
    assert Geometry.of(result.instances) == Geometry.of(ct)
    assert [node.number for node in result.nodes] == list(range(1, array(result.instances).max() + 1))
    assert all(node.mean_hu is not None and node.confidence is not None for node in result.nodes)
    assert (result.probability is not None) == wanted
    if result.probability is not None:
        assert Geometry.of(result.probability) == Geometry.of(ct)
        assert np.array_equal(array(result.probability) >= 128, array(result.instances) > 0)
    assert list(own_home.exchange.iterdir()) == []
