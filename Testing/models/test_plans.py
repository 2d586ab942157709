"""Plans from strangers: what LN-Seg-FM can run is accepted, every name that would be imported is checked first."""

from __future__ import annotations

import copy
import sys
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny_models
from lnsegfm.base.errors import UserError
from lnsegfm.engine.networks.network import build_network, check_weights
from lnsegfm.engine.networks.nnunet_plans import architecture_name, check_plans
from tiny_models import CONFIGURATION, PLAIN, RESIDUAL, tiny_dataset, tiny_plans


def edited(path: str, value: Any, *, legacy: bool = False) -> dict[str, Any]:
    """Plans with one value changed; ``path`` is relative to the configuration, or to the plans after a ``/``."""
    plans = tiny_plans(legacy=legacy)
    place: Any = plans if path.startswith("/") else plans["configurations"][CONFIGURATION]
    *parents, last = path.removeprefix("/").split(".")
    for key in parents:
        place = place[key]
    place[last] = value
    return plans


def without(path: str) -> dict[str, Any]:
    plans = tiny_plans()
    place: Any = plans if path.startswith("/") else plans["configurations"][CONFIGURATION]
    del place[path.removeprefix("/")]
    return plans


def refused(plans: Any, dataset: Any = None, configuration: str = CONFIGURATION) -> UserError:
    with pytest.raises(UserError) as caught:
        check_plans(plans, configuration, tiny_dataset() if dataset is None else dataset)
    assert caught.value.todo
    return caught.value


@pytest.mark.filterwarnings("ignore:Detected old nnU-Net plans")
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("architecture", [PLAIN, RESIDUAL])
def test_standard_architectures_are_accepted_and_built(architecture: str, legacy: bool) -> None:
    plans = tiny_plans(architecture, legacy=legacy)
    before = copy.deepcopy(plans)
    assert architecture_name(check_plans(plans, CONFIGURATION, tiny_dataset())) == architecture
    network = build_network(plans, CONFIGURATION, tiny_dataset(), deep_supervision=False).eval()
    assert type(network).__name__ == architecture
    with torch.no_grad():
        assert network(torch.zeros(1, 1, *tiny_models.PATCH)).shape == (1, 2, *tiny_models.PATCH)
    assert plans == before


def test_deep_supervision_changes_the_outputs_and_not_the_tensors() -> None:
    deep, plain = (
        build_network(tiny_plans(), CONFIGURATION, tiny_dataset(), deep_supervision=choice) for choice in (True, False)
    )
    assert deep.state_dict().keys() == plain.state_dict().keys()
    assert isinstance(deep(torch.zeros(1, 1, 16, 16, 16)), (list, tuple))


@pytest.mark.filterwarnings("ignore:Detected old nnU-Net plans")
def test_building_a_network_loads_neither_timm_nor_torchvision() -> None:
    before = set(sys.modules)
    build_network(tiny_plans(RESIDUAL, legacy=True), CONFIGURATION, tiny_dataset(), deep_supervision=True)
    assert not {"timm", "torchvision"} & (set(sys.modules) - before)


def test_inherited_configurations_are_resolved() -> None:
    plans = tiny_plans()
    plans["configurations"]["mine"] = {"inherits_from": "between", "patch_size": [8, 8, 8]}
    plans["configurations"]["between"] = {"inherits_from": CONFIGURATION, "patch_size": [4, 4, 4], "batch_size": 7}
    resolved = check_plans(plans, "mine", tiny_dataset())
    assert (resolved["patch_size"], resolved["batch_size"]) == ([8, 8, 8], 7)
    assert resolved["spacing"] == [3.0, 2.0, 2.0]


def test_endless_inheritance_is_refused() -> None:
    plans = tiny_plans()
    plans["configurations"]["a"] = {"inherits_from": "b"}
    plans["configurations"]["b"] = {"inherits_from": "a"}
    assert "inherits from itself" in refused(plans, configuration="a").why


EVIL_NAMES: list[tuple[str, Any, str]] = [
    ("architecture.network_class_name", "os.system", "network_class_name"),
    ("architecture.network_class_name", "antigravity", "network_class_name"),
    ("architecture.network_class_name", None, "network_class_name"),
    ("architecture.network_class_name", ["os.system"], "network_class_name"),
    ("architecture.network_class_name", {"a": 1}, "network_class_name"),
    ("architecture.arch_kwargs.conv_op", "os.system", "conv_op"),
    ("architecture.arch_kwargs.conv_op", ["os.system"], "conv_op"),
    ("architecture.arch_kwargs.norm_op", "builtins.eval", "norm_op"),
    ("architecture.arch_kwargs.nonlin", "builtins.exec", "nonlin"),
    ("preprocessor_name", "Evil", "preprocessor"),
    ("normalization_schemes", ["Evil"], "normalization"),
    ("resampling_fn_data", "evil", "resampling"),
    ("resampling_fn_seg", "evil", "resampling"),
    ("resampling_fn_probabilities", "evil", "resampling"),
    ("/image_reader_writer", "Evil", "image_reader_writer"),
    ("/label_manager", "Evil", "label_manager"),
]


@pytest.mark.parametrize(("path", "value", "what"), EVIL_NAMES)
def test_names_outside_the_lists_are_refused(path: str, value: Any, what: str) -> None:
    why = refused(edited(path, value)).why
    assert what in why
    assert str(value) in why or "evil" in why.lower()


def test_arguments_that_are_declared_as_imports_are_checked_whatever_they_are_called() -> None:
    plans = tiny_plans()
    architecture = plans["configurations"][CONFIGURATION]["architecture"]
    architecture["arch_kwargs"]["surprise"] = "os.system"
    architecture["_kw_requires_import"].append("surprise")
    assert "os.system" in refused(plans).why


def test_legacy_network_names_are_checked() -> None:
    assert "os.system" in refused(edited("UNet_class_name", "os.system", legacy=True)).why


def test_names_in_a_configuration_that_is_inherited_are_checked() -> None:
    plans = edited("preprocessor_name", "Evil")
    plans["configurations"]["mine"] = {"inherits_from": CONFIGURATION}
    assert "Evil" in refused(plans, configuration="mine").why


@pytest.mark.parametrize(
    "key", ["/dataset_name", "/plans_name", "/configurations", "/foreground_intensity_properties_per_channel",
            "/transpose_forward", "/transpose_backward", "patch_size", "spacing", "normalization_schemes",
            "resampling_fn_data", "resampling_fn_probabilities_kwargs", "use_mask_for_norm"],
)  # fmt: skip
def test_missing_entries_are_named(key: str) -> None:
    assert key.removeprefix("/") in refused(without(key)).why


@pytest.mark.parametrize("name", ["../x", "a/b", "a\\b", "..", "", "C:x", 7, None, "x" * 300])
def test_names_that_would_lead_a_path_astray_are_refused(name: Any) -> None:
    """They become folder names when the model is exported, and again when nnU-Net installs that file."""
    assert "dataset_name" in refused(edited("/dataset_name", name)).why
    assert "plans_name" in refused(edited("/plans_name", name)).why


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("patch_size", [64, 64], "three-dimensional"),
        ("patch_size", ["a", 1, 1], "patch_size"),
        ("patch_size", [0, 16, 16], "patch_size"),
        ("patch_size", [16, 16, 10**9], "patch_size"),
        ("patch_size", 16, "patch_size"),
        ("spacing", [1.0, -1.0, 1.0], "spacing"),
        ("spacing", [1.0, float("nan"), 1.0], "spacing"),
        ("spacing", [1.0, 1.0], "spacing"),
        ("inherits_from", ["3d_fullres"], "3d_fullres"),
        ("patch_size", [10**400] * 3, "patch_size"),
        ("/transpose_forward", [0, 1, 1], "transpose_forward"),
        ("/transpose_backward", [2, 1], "transpose_backward"),
        ("previous_stage", "3d_lowres", "cascade"),
        ("architecture", "text", "architecture"),
        ("architecture.arch_kwargs", ["text"], "arch_kwargs"),
        ("architecture.arch_kwargs.n_stages", 10**9, "n_stages"),
        ("architecture._kw_requires_import", 5, "_kw_requires_import"),
        ("normalization_schemes", "CTNormalization", "normalization_schemes"),
        ("normalization_schemes", ["CTNormalization"] * 2, "normalization_schemes"),
        ("/foreground_intensity_properties_per_channel", {}, "foreground_intensity_properties_per_channel"),
        ("/foreground_intensity_properties_per_channel", {"0": {"mean": 1.0}}, "std"),
    ],
)
def test_impossible_values_are_refused(path: str, value: Any, why: str) -> None:
    assert why in refused(edited(path, value)).why


def test_intensities_are_not_asked_of_a_model_that_does_not_use_them() -> None:
    plans = edited("normalization_schemes", ["ZScoreNormalization"])
    plans["foreground_intensity_properties_per_channel"] = {}
    check_plans(plans, CONFIGURATION, tiny_dataset())


@pytest.mark.parametrize("plans", [None, [], "text", {}, {"configurations": []}, {"configurations": {}}])
def test_what_is_no_plans_at_all_is_refused(plans: Any) -> None:
    refused(plans)


@pytest.mark.parametrize("configuration", ["", "2d", "3d_lowres"])
def test_an_unknown_configuration_is_refused_by_name(configuration: str) -> None:
    assert f"'{configuration}'" in refused(tiny_plans(), configuration=configuration).why


@pytest.mark.parametrize(
    ("dataset", "why"),
    [
        ({}, "labels"),
        ([], "dataset.json"),
        ({"labels": {"background": 0, "node": 1}}, "channel"),
        ({"labels": {"background": 0, "node": 1}, "channel_names": {"0": "CT", "1": "PET"}}, "2 image channels"),
        ({"labels": {"background": 0, "node": 1}, "channel_names": 5}, "channel"),
        ({"labels": {"background": 0, "a": 1, "b": 2}, "channel_names": {"0": "CT"}}, "one foreground label"),
        ({"labels": {"background": 0, "a": [1, 2]}, "channel_names": {"0": "CT"}}, "one foreground label"),
        ({"labels": {"background": 1, "a": 1}, "channel_names": {"0": "CT"}}, "background"),
        ({"labels": {"a": 1}, "channel_names": {"0": "CT"}}, "background"),
    ],
)
def test_data_that_is_not_one_ct_and_one_label_is_refused(dataset: Any, why: str) -> None:
    assert why in refused(tiny_plans(), dataset).why


def test_an_ignore_label_and_the_older_word_modality_are_accepted() -> None:
    dataset = {"labels": {"background": 0, "LN": 1, "ignore": 2}, "modality": {"0": "CT"}}
    check_plans(tiny_plans(), CONFIGURATION, dataset)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.sampled_from(["", "os.system", "3d_fullres"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["0", "mean", "n_stages"]), inner),
    max_leaves=5,
)
KEYS = [
    *(f"/{key}" for key in tiny_plans()),
    *tiny_plans()["configurations"][CONFIGURATION],
    *(f"architecture.{key}" for key in tiny_plans()["configurations"][CONFIGURATION]["architecture"]),
]


@given(st.sampled_from(KEYS), JSON, st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_value_anywhere_is_accepted_or_refused_in_words(path: str, value: Any, in_dataset: bool) -> None:
    dataset = {**tiny_dataset(), "labels": value} if in_dataset else tiny_dataset()
    plans = tiny_plans() if in_dataset else edited(path, value)
    try:
        check_plans(plans, CONFIGURATION, dataset)
    except UserError as error:
        assert error.why


def test_arguments_that_do_not_fit_the_network_are_told() -> None:
    with pytest.raises(UserError, match="cannot be built") as caught:
        plans = edited("architecture.arch_kwargs.strides", [[1, 1, 1]])
        build_network(plans, CONFIGURATION, tiny_dataset(), deep_supervision=True)
    assert caught.value.why


def test_fitting_weights_pass_and_nothing_is_allocated_for_the_comparison() -> None:
    weights = tiny_models.tiny_checkpoint(tiny_plans())["network_weights"]
    check_weights(weights, tiny_plans(), CONFIGURATION, tiny_dataset(), "a.pth")
    half = {name: value.half() for name, value in weights.items()}
    check_weights(half, tiny_plans(), CONFIGURATION, tiny_dataset(), "a.pth")


def test_missing_superfluous_and_misshapen_tensors_are_named_with_shapes() -> None:
    weights = dict(tiny_models.tiny_checkpoint(tiny_plans())["network_weights"])
    missing, wrong = "encoder.stages.1.0.convs.0.conv.weight", "decoder.seg_layers.1.weight"
    del weights[missing]
    weights[wrong] = torch.zeros(3, 2, 1, 1, 1)
    weights["lora.weight"] = torch.zeros(1)
    with pytest.raises(UserError, match=r"a\.pth") as caught:
        check_weights(weights, tiny_plans(), CONFIGURATION, tiny_dataset(), "a.pth")
    assert f"'{missing}' is missing (expected shape 3x2x3x3x3)" in caught.value.why
    assert f"'{wrong}' has shape 3x2x1x1x1, expected 2x2x1x1x1" in caught.value.why
    assert "'lora.weight' is not part of the network" in caught.value.why


def test_a_long_list_of_problems_is_cut() -> None:
    with pytest.raises(UserError, match=r"and \d+ more"):
        check_weights({}, tiny_plans(), CONFIGURATION, tiny_dataset(), "a.pth")


@pytest.mark.parametrize("dtype", [torch.int8, torch.complex64, torch.bool])
def test_tensors_of_another_kind_of_number_are_named(dtype: torch.dtype) -> None:
    weights = dict(tiny_models.tiny_checkpoint(tiny_plans())["network_weights"])
    name = "decoder.seg_layers.1.bias"
    weights[name] = weights[name].to(dtype)
    with pytest.raises(UserError, match=r"decoder\.seg_layers\.1\.bias"):
        check_weights(weights, tiny_plans(), CONFIGURATION, tiny_dataset(), "a.pth")
