"""Resampling by one matrix for each axis: what nnU-Net's own function gives, for all its arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

import tiny_models
from lnsegfm.engine.networks.exact_resampling import resample, with_exact_resampling

sizes = st.tuples(*[st.integers(1, 30)] * 3)
lengths = st.tuples(*[st.floats(0.4, 6)] * 3)


def image(shape: tuple[int, ...], seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    # Edges between air and tissue, where splines overshoot and clipping matters.
    return np.where(random.random((1, *shape)) < 0.5, -3.0, random.normal(0, 1, (1, *shape))).astype(np.float32)


@settings(deadline=None)
@given(
    shape=sizes, new_shape=sizes, spacing=lengths, new_spacing=lengths, order=st.integers(0, 3),
    order_z=st.sampled_from([0, 1, 3]), separate=st.sampled_from([None, False, True]), seed=st.integers(0, 99),
)
def test_it_is_what_nnunet_gives(
    shape: Any, new_shape: Any, spacing: Any, new_spacing: Any, order: int, order_z: int, separate: Any, seed: int
) -> None:
    data = image(shape, seed)
    arguments = {"order": order, "order_z": order_z, "force_separate_z": separate}
    ours = resample(data, new_shape, spacing, new_spacing, **arguments)
    theirs = resample_data_or_seg_to_shape(data, new_shape, spacing, new_spacing, is_seg=False, **arguments)
    assert ours.shape == theirs.shape and ours.dtype == np.float32
    assert np.abs(ours - theirs).max() < 2e-5


def test_preprocessing_is_that_of_nnunet_up_to_rounding() -> None:
    plans = PlansManager(tiny_models.tiny_plans())
    stock = plans.get_configuration(tiny_models.CONFIGURATION)
    exact = with_exact_resampling(stock)
    assert exact is not stock
    array = (image((30, 40, 44), 5) * 300).astype(np.float32)
    results = [
        DefaultPreprocessor(verbose=False).run_case_npy(
            array.copy(), (array > 200).astype(np.int16), {"spacing": [2.1, 0.9, 0.8]}, plans, each,
            tiny_models.tiny_dataset(),
        )
        for each in (stock, exact)
    ]  # fmt: skip
    assert np.abs(results[0][0] - results[1][0]).max() < 2e-5
    assert np.array_equal(results[0][1], results[1][1])


def test_labels_can_be_left_out_where_there_are_none() -> None:
    plans = PlansManager(tiny_models.tiny_plans())
    stock = plans.get_configuration(tiny_models.CONFIGURATION)
    array = (image((20, 24, 24), 6) * 300).astype(np.float32)
    with_and_without = [
        DefaultPreprocessor(verbose=False).run_case_npy(
            array.copy(), None, {"spacing": [2.1, 0.9, 0.8]}, plans, with_exact_resampling(stock, labels=labels),
            tiny_models.tiny_dataset(),
        )
        for labels in (True, False)
    ]  # fmt: skip
    assert np.array_equal(with_and_without[0][0], with_and_without[1][0])
    assert with_and_without[0][1].shape == with_and_without[1][1].shape


@pytest.mark.parametrize("change", [{"resampling_fn_data": "resample_torch_simple"},
                                    {"resampling_fn_data_kwargs": {"is_seg": True, "order": 1}}])  # fmt: skip
def test_other_functions_are_left_to_nnunet(change: dict[str, Any]) -> None:
    plans = tiny_models.tiny_plans()
    plans["configurations"][tiny_models.CONFIGURATION].update(change)
    configuration = PlansManager(plans).get_configuration(tiny_models.CONFIGURATION)
    assert with_exact_resampling(configuration) is configuration


def test_a_device_can_be_chosen() -> None:
    data = image((8, 9, 10), 1)
    on_cpu = resample(data, (5, 12, 10), (1, 1, 1), (1, 1, 1), device=torch.device("cpu"))
    assert np.array_equal(on_cpu, resample(data, (5, 12, 10), (1, 1, 1), (1, 1, 1)))
