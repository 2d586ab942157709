"""Plans and dataset descriptions that would fail, or be wrong, once a CT is segmented: refused by file and field."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lnsegfm.base.errors import UserError
from lnsegfm.engine.inference.predictor import Predictor
from lnsegfm.engine.networks.dry_run import try_plans
from lnsegfm.engine.networks.model_install import install_model
from lnsegfm.models.model_facts import ModelFacts
from lnsegfm.models.model_store import ModelStore
from tiny_models import make_model
from tiny_plans import CONFIGURATION, PLAIN, RESIDUAL, tiny_dataset, tiny_plans

_NORM = "/foreground_intensity_properties_per_channel.0"
_ARCHITECTURE = "architecture.arch_kwargs"
TORCH = "resample_torch_fornnunet"


def edited(path: str, value: Any, plans: dict[str, Any] | None = None) -> dict[str, Any]:
    """Plans with one value changed; ``path`` is relative to the configuration, or to the plans after a ``/``."""
    plans = tiny_plans() if plans is None else plans
    place: Any = plans if path.startswith("/") else plans["configurations"][CONFIGURATION]
    *parents, last = path.removeprefix("/").split(".")
    for key in parents:
        place = place[key]
    place[last] = value
    return plans


def refusal(plans: dict[str, Any], dataset: dict[str, Any] | None = None) -> str:
    with pytest.raises(UserError) as caught:
        try_plans(plans, CONFIGURATION, tiny_dataset() if dataset is None else dataset)
    assert caught.value.todo
    return caught.value.why


PLANS: list[tuple[str, Any]] = [
    ("spacing", [0.001, 2.0, 2.0]),
    ("spacing", [1e6, 2.0, 2.0]),
    ("spacing", [float("inf"), 2.0, 2.0]),
    ("spacing", [float("nan"), 2.0, 2.0]),
    ("spacing", [True, 2.0, 2.0]),
    ("patch_size", [2048, 2048, 2048]),
    ("patch_size", [15, 16, 16]),
    ("patch_size", [4, 4, 4]),
    ("patch_size", [16.5, 16, 16]),
    ("normalization_schemes", ["RGBTo01Normalization"]),
    ("use_mask_for_norm", ["no"]),
    (f"{_NORM}.std", 0.0),
    (f"{_NORM}.std", -60.0),
    (f"{_NORM}.std", float("inf")),
    (f"{_NORM}.mean", float("nan")),
    (f"{_NORM}.mean", 1e30),
    (f"{_NORM}.percentile_00_5", 251.0),
    (f"{_NORM}.percentile_99_5", -1e6),
    (f"{_NORM}.percentile_99_5", "250"),
    ("resampling_fn_data", "resample_torch_simple"),
    ("resampling_fn_data_kwargs.order", 99),
    ("resampling_fn_data_kwargs.order_z", -1),
    ("resampling_fn_data_kwargs.order", 1.5),
    ("resampling_fn_data_kwargs.force_separate_z", "yes"),
    ("resampling_fn_data_kwargs.surprise", 1),
    ("resampling_fn_data_kwargs.is_seg", True),
    ("resampling_fn_seg_kwargs.is_seg", False),
    ("resampling_fn_seg_kwargs.separate_z_anisotropy_threshold", -3),
    ("resampling_fn_probabilities_kwargs.order", 99),
    ("resampling_fn_probabilities_kwargs.is_seg", True),
    ("resampling_fn_probabilities_kwargs.num_threads", 4),
    (f"{_ARCHITECTURE}.nonlin_kwargs", {"surprise": True}),
    (f"{_ARCHITECTURE}.nonlin_kwargs.inplace", "yes"),
    (f"{_ARCHITECTURE}.nonlin_kwargs.negative_slope", 1e9),
    (f"{_ARCHITECTURE}.norm_op_kwargs.eps", -1.0),
    (f"{_ARCHITECTURE}.norm_op_kwargs.surprise", 1),
    (f"{_ARCHITECTURE}.norm_op_kwargs", []),
    (f"{_ARCHITECTURE}.dropout_op", "torch.nn.Dropout3d"),
    (f"{_ARCHITECTURE}.norm_op", "torch.nn.LeakyReLU"),
    (f"{_ARCHITECTURE}.conv_bias", "yes"),
    (f"{_ARCHITECTURE}.features_per_stage", [2, 3, 10**9]),
    (f"{_ARCHITECTURE}.kernel_sizes", [[3, 3, 3], [3, 3, 3], [999, 3, 3]]),
    (f"{_ARCHITECTURE}.strides", [[1, 1, 1], [2, 2, 2], [0, 2, 2]]),
    (f"{_ARCHITECTURE}.n_conv_per_stage", [1, 1, 10**6]),
    (f"{_ARCHITECTURE}.surprise", 1),
    ("/original_median_spacing_after_transp", [-3.0, 2.0, 2.0]),
    ("/original_median_shape_after_transp", [1e30, 24, 24]),
    ("batch_size", 10**9),
    ("data_identifier", "../../elsewhere"),
    ("architecture", None),
    ("/transpose_backward", [2, 0, 1]),
]


@pytest.mark.parametrize(("path", "value"), PLANS)
def test_the_field_of_the_plans_is_named(path: str, value: Any) -> None:
    why = refusal(edited(path, value))
    assert why.startswith("plans.json: '")
    field = path.removeprefix("/") if path.startswith("/") else f"configurations.{CONFIGURATION}.{path}"
    # A rule between two fields names one of them.
    assert f"'{field}" in why or f"'{field.rpartition('.')[0]}" in why


def test_a_network_of_too_many_weights_is_refused() -> None:
    plans = edited(f"{_ARCHITECTURE}.features_per_stage", [4096] * 3)
    why = refusal(edited(f"{_ARCHITECTURE}.kernel_sizes", [[32, 32, 32]] * 3, plans))
    assert f"configurations.{CONFIGURATION}" in why and "parameters" in why


def test_a_patch_that_no_memory_holds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lnsegfm.engine.networks.dry_run.total_memory_bytes", lambda: 1 << 30)
    assert "patch_size' of 512 x 512 x 512 voxels needs at least" in refusal(edited("patch_size", [512] * 3))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("labels", {"background": 0, "lymph node": True}),
        ("labels", {"background": 0, "lymph node": 1.0}),
        ("labels.ignore", {"background": 0, "lymph node": 1, "ignore": 7}),
        ("channel_names", {"0": 7}),
        ("channel_names.0", {"0": "x" * 300}),
        ("numTraining", "many"),
        ("numTraining", -1),
        ("file_ending", "../x"),
        ("file_ending", 7),
        ("regions_class_order", ["a"]),
    ],
)
def test_the_field_of_the_dataset_description_is_named(field: str, value: Any) -> None:
    why = refusal(tiny_plans(), {**tiny_dataset(), field.partition(".")[0]: value})
    assert why.startswith(f"dataset.json: '{field}")


def torch_resampling(plans: dict[str, Any]) -> None:
    """As nnU-Net's planners for resampling with torch write it."""
    for use in ("data", "seg", "probabilities"):
        arguments = {"is_seg": use == "seg", "force_separate_z": False, "memefficient_seg_resampling": False}
        edited(f"resampling_fn_{use}", TORCH, plans)
        edited(f"resampling_fn_{use}_kwargs", arguments, plans)


def separate_z(plans: dict[str, Any]) -> None:
    edited("resampling_fn_data_kwargs", {"is_seg": False, "order": 1, "order_z": 1, "force_separate_z": True}, plans)


def no_resampling(plans: dict[str, Any]) -> None:
    for use in ("data", "seg", "probabilities"):
        edited(f"resampling_fn_{use}", "no_resampling_hack", plans)
        edited(f"resampling_fn_{use}_kwargs", {}, plans)


def other_operations(plans: dict[str, Any]) -> None:
    edited(f"{_ARCHITECTURE}.norm_op", "torch.nn.BatchNorm3d", plans)
    edited(f"{_ARCHITECTURE}.nonlin", "torch.nn.ReLU", plans)
    edited(f"{_ARCHITECTURE}.dropout_op", "torch.nn.Dropout3d", plans)
    edited(f"{_ARCHITECTURE}.dropout_op_kwargs", {"p": 0.1, "inplace": True}, plans)


def more_than_is_read(plans: dict[str, Any]) -> None:
    """What some version of nnU-Net writes, or its users do."""
    plans.update(nnunet_version="2.7", continue_training=False, remarks=["a", {"b": None}])
    edited("deep_supervision_scales", [1, 2], plans)
    plans["configurations"]["2d"] = {"patch_size": [64, 64], "spacing": [1.0, 1.0]}
    plans["configurations"]["3d_cascade_fullres"] = {"inherits_from": CONFIGURATION, "previous_stage": "3d_lowres"}


@pytest.mark.filterwarnings("ignore:Detected old nnU-Net plans")
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("architecture", [PLAIN, RESIDUAL])
@pytest.mark.parametrize("change", [torch_resampling, separate_z, no_resampling, more_than_is_read])
def test_what_nnunets_versions_write_is_accepted(
    change: Callable[[dict[str, Any]], None], architecture: str, legacy: bool
) -> None:
    plans = tiny_plans(architecture, legacy=legacy)
    change(plans)
    assert try_plans(plans, CONFIGURATION, tiny_dataset()) > 0


def test_other_operations_of_nnunet_are_accepted() -> None:
    plans = tiny_plans()
    other_operations(plans)
    assert try_plans(plans, CONFIGURATION, tiny_dataset()) > 0


@pytest.mark.parametrize(
    ("file", "content", "field"),
    [
        ("plans.json", edited("spacing", [0.0, 2.0, 2.0]), f"configurations.{CONFIGURATION}.spacing[0]"),
        ("plans.json", edited("resampling_fn_data_kwargs.order", 99), "resampling_fn_data_kwargs.order"),
        ("dataset.json", {**tiny_dataset(), "labels": {"background": 0, "a": 1, "b": 2}}, "labels"),
        ("dataset.json", [], "dataset.json"),
    ],
)
def test_descriptions_that_were_edited_since_are_refused_wherever_they_are_read(
    tmp_path: Path, file: str, content: Any, field: str
) -> None:
    model = install_model(ModelStore(tmp_path / "models"), make_model(tmp_path / "results"))
    (model.path / file).write_text(json.dumps(content))
    for read in (ModelFacts.of, lambda each: Predictor(each, torch.device("cpu"))):
        with pytest.raises(UserError, match="is damaged") as caught:
            read(model)
        assert file in caught.value.why and field in caught.value.why
