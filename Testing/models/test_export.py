"""From logits to labels: the short way gives nnU-Net's labels, and is taken only where it does."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from skimage.transform import resize

from lnsegfm.base.errors import UserError
from lnsegfm.engine.inference.probability_export import positive_after_resampling, probability_from_logits
from lnsegfm.engine.inference.quality import Quality
from lnsegfm.engine.inference.sliding_window import SlidingWindow
from lnsegfm.engine.inference.tile_progress import TileProgress
from lnsegfm.images.probabilities import FOREGROUND_FROM
from tiny_models import CONFIGURATION, tiny_dataset, tiny_plans

shapes = st.tuples(*[st.integers(1, 12)] * 3)


def assert_same_where_clear(positive: np.ndarray, resized: np.ndarray) -> None:
    """Rounding may decide either way where the resampled value is zero up to rounding."""
    clear = np.abs(resized) > 1e-9
    assert np.array_equal(positive[clear], resized[clear] > 0)


@given(shapes, shapes, st.integers(0, 2**32 - 1), st.floats(-2.5, 2.0))
@settings(max_examples=200, deadline=None)
def test_positives_are_those_of_skimage(
    shape: tuple[int, ...], wanted: tuple[int, ...], seed: int, offset: float
) -> None:
    difference = np.random.default_rng(seed).normal(size=shape) + offset
    positive = positive_after_resampling(difference, wanted)
    assert positive.shape == wanted
    assert positive.dtype == bool
    assert_same_where_clear(positive, resize(difference, wanted, order=1, mode="edge", anti_aliasing=False, clip=False))


@given(shapes, st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_the_same_shape_changes_nothing(shape: tuple[int, ...], seed: int) -> None:
    difference = np.random.default_rng(seed).integers(-1, 2, shape).astype(np.float32)
    assert np.array_equal(positive_after_resampling(difference, shape), difference > 0)


@pytest.mark.parametrize("corner", [(0, 0, 0), (7, 9, 11), (0, 9, 5), (3, 4, 5)])
@pytest.mark.parametrize("wanted", [(8, 10, 12), (20, 25, 30), (3, 4, 5), (1, 1, 1)])
def test_a_single_positive_voxel_is_found_wherever_it_lies(corner: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    difference = np.full((8, 10, 12), -0.1)
    difference[corner] = 5.0
    resized = resize(difference, wanted, order=1, mode="edge", anti_aliasing=False, clip=False)
    assert_same_where_clear(positive_after_resampling(difference, wanted), resized)


def test_nothing_positive_gives_no_label() -> None:
    assert not positive_after_resampling(np.zeros((3, 4, 5)), (6, 8, 10)).any()


def case(spacing: list[float], seed: int = 0) -> tuple[torch.Tensor, dict[str, Any]]:
    """Logits with a few blobs, and what nnU-Net notes about a case that was cropped and resampled."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 0.3, (2, 10, 14, 12)).astype(np.float32)
    logits[0] += 2
    logits[1, 2:5, 3:8, 4:9] += 5
    logits[1, 8:, 12:, :2] += 4
    return torch.from_numpy(logits), {
        "spacing": spacing,
        "shape_before_cropping": (22, 30, 26),
        "bbox_used_for_cropping": [[1, 18], [3, 28], [2, 23]],
        "shape_after_cropping_and_before_resampling": (17, 25, 21),
    }


def labels_from(logits: torch.Tensor, plans: PlansManager, properties: dict[str, Any]) -> np.ndarray:
    probability = probability_from_logits(logits, plans, plans.get_configuration(CONFIGURATION), properties)
    assert probability.dtype == np.uint8
    return probability >= FOREGROUND_FROM


def labels_both_ways(plans: dict[str, Any], spacing: list[float]) -> tuple[np.ndarray, np.ndarray]:
    manager = PlansManager(copy.deepcopy(plans))
    configuration, labels = manager.get_configuration(CONFIGURATION), manager.get_label_manager(tiny_dataset())
    logits, properties = case(spacing)
    ours = labels_from(logits.clone(), manager, properties)
    stock = convert_predicted_logits_to_segmentation_with_correct_shape(
        logits, manager, configuration, labels, properties, num_threads_torch=1
    )
    return ours, stock


def settings_of(plans: dict[str, Any]) -> dict[str, Any]:
    return plans["configurations"][CONFIGURATION]


@pytest.mark.parametrize("spacing", [[2.0, 1.0, 1.0], [2.5, 1.3, 1.1]])
def test_labels_are_those_of_stock_nnunet_by_the_short_way(spacing: list[float]) -> None:
    ours, stock = labels_both_ways(tiny_plans(), spacing)
    assert stock.any()
    assert np.array_equal(ours, stock)
    assert ours.shape == (22, 30, 26)


def test_transposed_plans_give_labels_in_the_order_of_the_image() -> None:
    plans = {**tiny_plans(), "transpose_forward": [1, 2, 0], "transpose_backward": [2, 0, 1]}
    ours, stock = labels_both_ways(plans, [1.0, 2.0, 1.0])
    assert ours.shape == stock.shape == (26, 22, 30)
    assert np.array_equal(ours, stock)


def anisotropic(plans: dict[str, Any]) -> list[float]:
    settings_of(plans)["spacing"] = [5.0, 1.0, 1.0]
    return [6.0, 1.0, 1.0]


def cubic(plans: dict[str, Any]) -> list[float]:
    settings_of(plans)["resampling_fn_probabilities_kwargs"]["order"] = 3
    return [2.0, 1.0, 1.0]


def torch_resampling(plans: dict[str, Any]) -> list[float]:
    settings_of(plans)["resampling_fn_probabilities"] = "resample_torch_fornnunet"
    settings_of(plans)["resampling_fn_probabilities_kwargs"] = {
        "is_seg": False, "force_separate_z": None, "memefficient_seg_resampling": False,
    }  # fmt: skip
    return [2.0, 1.0, 1.0]


def forced_separate_z(plans: dict[str, Any]) -> list[float]:
    settings_of(plans)["resampling_fn_probabilities_kwargs"]["force_separate_z"] = True
    return [2.0, 1.0, 1.0]


def own_threshold(plans: dict[str, Any]) -> list[float]:
    settings_of(plans)["resampling_fn_probabilities_kwargs"]["separate_z_anisotropy_threshold"] = 1.4
    return [2.0, 1.0, 1.0]


@pytest.mark.parametrize("change", [anisotropic, cubic, torch_resampling, forced_separate_z, own_threshold])
def test_other_resampling_gives_the_labels_of_stock_nnunet(change: Any) -> None:
    plans = tiny_plans()
    spacing = change(plans)
    ours, stock = labels_both_ways(plans, spacing)
    assert stock.any()
    assert np.array_equal(ours, stock)


@given(
    shape=shapes, wanted=shapes, axis=st.integers(0, 2), seed=st.integers(0, 2**32 - 1), offset=st.floats(-2.5, 2.0)
)
@settings(max_examples=200, deadline=None)
def test_thick_slices_are_resampled_as_nnunet_does(
    shape: tuple[int, ...], wanted: tuple[int, ...], axis: int, seed: int, offset: float
) -> None:
    difference = np.random.default_rng(seed).normal(size=shape) + offset
    stock = resample_data_or_seg(difference[None], wanted, axis=axis, order=1, do_separate_z=True, order_z=0)[0]
    assert_same_where_clear(positive_after_resampling(difference, wanted, axis), stock)


@pytest.mark.parametrize("change", [None, anisotropic, cubic, torch_resampling])
def test_the_probability_is_that_of_stock_nnunet_to_eight_bits(change: Any) -> None:
    plans = tiny_plans()
    spacing = change(plans) if change else [2.5, 1.3, 1.1]
    manager = PlansManager(copy.deepcopy(plans))
    configuration = manager.get_configuration(CONFIGURATION)
    logits, properties = case(spacing)
    ours = probability_from_logits(logits.clone(), manager, configuration, properties)
    _, stock = convert_predicted_logits_to_segmentation_with_correct_shape(
        logits, manager, configuration, manager.get_label_manager(tiny_dataset()), properties,
        return_probabilities=True, num_threads_torch=1,
    )
    # Outside of nnU-Net's crop it calls everything background.
    inside = tuple(slice(low, high) for low, high in properties["bbox_used_for_cropping"])
    assert np.abs(ours[inside] / 255 - stock[1][inside]).max() < 1 / 255
    outside = ours.copy()
    outside[inside] = 0
    assert not outside.any()


def test_an_ignore_label_does_not_add_an_output() -> None:
    plans, dataset = tiny_plans(), tiny_dataset()
    dataset["labels"]["ignore"] = 2
    manager = PlansManager(plans)
    labels = manager.get_label_manager(dataset)
    assert labels.num_segmentation_heads == 2
    logits, properties = case([2.0, 1.0, 1.0])
    ours = labels_from(logits, manager, properties)
    assert set(np.unique(ours)) == {0, 1}


def test_cropping_of_one_axis_only_puts_labels_where_they_belong() -> None:
    manager = PlansManager(tiny_plans())
    logits = torch.zeros(2, 4, 4, 4)
    logits[0] = 1
    logits[1, 0, 0, 0] = 9
    properties = {
        "spacing": [3.0, 2.0, 2.0], "shape_before_cropping": (6, 4, 4),
        "bbox_used_for_cropping": [[2, 6], [0, 4], [0, 4]], "shape_after_cropping_and_before_resampling": (4, 4, 4),
    }  # fmt: skip
    labels = labels_from(logits, manager, properties)
    assert np.argwhere(labels).tolist() == [[2, 0, 0]]


def quiet() -> TileProgress:
    return TileProgress(lambda progress: None, lambda: False)


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e6])
def test_logits_that_are_not_finite_are_told_and_not_taken_for_background(value: float) -> None:
    """1e6 is more than the half precision of the sums holds."""

    class Network(torch.nn.Module):
        def forward(self, tile: torch.Tensor) -> torch.Tensor:
            return torch.full((len(tile), 2, *tile.shape[2:]), value)

    window = SlidingWindow((8, 8, 8), Quality(), (), 2, 2)
    progress = quiet()
    with pytest.raises(UserError, match="not finite") as caught:
        window.predict(Network(), torch.zeros(1, 10, 10, 10), torch.device("cpu"), progress)
    assert caught.value.todo


def test_overlapping_tiles_of_a_scan_smaller_and_larger_than_a_tile_average_to_what_the_network_says() -> None:
    class Network(torch.nn.Module):
        def forward(self, tile: torch.Tensor) -> torch.Tensor:
            return torch.cat([tile, -tile], 1)

    data = torch.randn(1, 5, 13, 20, generator=torch.Generator().manual_seed(0))
    shares: list[float | None] = []
    window = SlidingWindow((8, 8, 8), Quality(), (0, 2), 2, 2)
    progress = TileProgress(
        lambda progress: shares.append(progress.fraction), lambda: False, window.workload(data.shape[1:], folds=1)
    )
    logits = window.predict(Network(), data, torch.device("cpu"), progress)
    assert logits.shape == (2, 5, 13, 20)
    difference = (logits - torch.cat([data, -data])).abs()
    # In the volume's corners nnU-Net's weights are at the end of what half precision holds.
    assert difference.max() < 0.3
    assert (difference > 0.01).float().mean() < 0.01
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_too_little_gpu_memory_means_fewer_tiles_then_sums_in_main_memory_then_a_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[tuple[str, str, int]] = []

    def no_room(window: SlidingWindow, network: Any, data: Any, device: Any, home: Any, in_flight: int, _: Any) -> Any:
        tried.append((device.type, home.type, in_flight))
        raise RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)")

    monkeypatch.setattr(SlidingWindow, "_sum_tiles", no_room)
    progress = quiet()
    with pytest.raises(UserError, match="too little memory"):
        SlidingWindow((8, 8, 8), Quality(), (), 2, 2).predict(
            torch.nn.Identity(), torch.zeros(1, 9, 9, 9), torch.device("cuda"), progress
        )
    assert tried == [("cuda", "cuda", 2), ("cuda", "cuda", 1), ("cuda", "cpu", 1)]


def test_other_errors_of_the_network_are_not_taken_for_a_lack_of_memory() -> None:
    class Network(torch.nn.Module):
        def forward(self, tile: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("a broken driver")

    progress = quiet()
    with pytest.raises(RuntimeError, match="broken driver"):
        SlidingWindow((8, 8, 8), Quality(), (), 2, 2).predict(
            Network(), torch.zeros(1, 9, 9, 9), torch.device("cpu"), progress
        )
