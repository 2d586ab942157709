"""nnU-Net plans from strangers: every name that nnU-Net would import is held against an allow-list first.

``plans.json`` names classes and functions that nnU-Net looks up with ``pydoc.locate`` or imports by name; a name of an
attacker's choice would run code.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable
from typing import Any

from lnsegfm.base.errors import UserError
from lnsegfm.models.model_facts import resolved_configuration

NETWORK_MODULE = "dynamic_network_architectures.architectures.unet"
# Plans written before nnU-Net 2.3 name the network without its module.
LEGACY_NETWORKS = {"PlainConvUNet", "ResidualEncoderUNet"}
NETWORKS = {f"{NETWORK_MODULE}.{name}" for name in LEGACY_NETWORKS}
OPERATIONS = {
    *(f"torch.nn.{name}" for name in ("Conv3d", "InstanceNorm3d", "BatchNorm3d", "LeakyReLU", "ReLU", "Dropout3d")),
    "torch.nn.modules.conv.Conv3d",
    "torch.nn.modules.instancenorm.InstanceNorm3d",
    "torch.nn.modules.batchnorm.BatchNorm3d",
    "torch.nn.modules.activation.LeakyReLU",
    "torch.nn.modules.activation.ReLU",
    "torch.nn.modules.dropout.Dropout3d",
}
PREPROCESSORS = {"DefaultPreprocessor"}
READERS = {"SimpleITKIO", "SimpleITKIOWithReorient", "NibabelIO", "NibabelIOWithReorient"}
NORMALIZATIONS = {
    "CTNormalization",
    "ZScoreNormalization",
    "NoNormalization",
    "RescaleTo01Normalization",
    "RGBTo01Normalization",
}
RESAMPLING = {
    "resample_data_or_seg_to_shape",
    "resample_torch_simple",
    "resample_torch_fornnunet",
    "no_resampling_data_or_seg_to_shape",
}
_RESAMPLING_KEYS = ("resampling_fn_data", "resampling_fn_seg", "resampling_fn_probabilities")
_CT_STATISTICS = ("mean", "std", "percentile_00_5", "percentile_99_5")
_LAYER_COUNTS = ("n_stages", "n_conv_per_stage", "n_blocks_per_stage", "n_conv_per_stage_encoder",
                 "n_conv_per_stage_decoder")
# Far above any nnU-Net; a network with a billion layers would never be finished.
_MOST_LAYERS = 100
_LARGEST_PATCH = 2048
_PERMUTATIONS = [list(order) for order in itertools.permutations(range(3))]


def check_plans(plans: Any, configuration: str, dataset: Any) -> dict[str, Any]:
    """Refuse plans that LN-Seg-FM cannot or must not run, and return the resolved configuration.

    Args:
        plans: Content of ``plans.json``.
        configuration: nnU-Net configuration name.
        dataset: Content of ``dataset.json``.

    Raises:
        UserError: Wrong structure, a name outside the allow-lists, impossible values, a 2D or cascaded configuration,
            several input channels or several foreground classes.
    """
    if not isinstance(plans, dict) or not isinstance(plans.get("configurations"), dict):
        raise _refused("plans.json has no 'configurations'.")
    for key in ("dataset_name", "plans_name"):
        _check_file_name(key, plans.get(key))
    for key in ("transpose_forward", "transpose_backward"):
        if plans.get(key) not in _PERMUTATIONS:
            raise _refused(f"plans.json has the '{key}' {plans.get(key)!r}; expected is an order of the axes 0, 1, 2.")
    resolved = _inherited(plans, configuration)
    _check_names(plans, resolved)
    _check_grid(resolved, configuration)
    _check_normalization(plans, resolved)
    if resolved.get("previous_stage"):
        raise _refused(f"The configuration '{configuration}' is the second stage of a cascade.")
    _check_dataset(dataset)
    return resolved


def architecture_name(resolved: dict[str, Any]) -> str:
    """Return the network class without its module."""
    if "architecture" in resolved:
        return str(resolved["architecture"]["network_class_name"]).rpartition(".")[2]
    return str(resolved["UNet_class_name"])


def _inherited(plans: dict[str, Any], name: str) -> dict[str, Any]:
    try:
        return resolved_configuration(plans, name)
    except ValueError as error:
        raise _refused(str(error)) from error


def _check_names(plans: dict[str, Any], resolved: dict[str, Any]) -> None:
    if "architecture" in resolved:
        architecture = _dictionary(resolved, "architecture")
        _allow("network class", [architecture.get("network_class_name")], NETWORKS)
        arguments, imported = _dictionary(architecture, "arch_kwargs"), architecture.get("_kw_requires_import")
        if not isinstance(imported, list) or not all(isinstance(key, str) for key in imported):
            raise _refused(f"plans.json has the '_kw_requires_import' {imported!r}; expected is a list of names.")
        _check_layer_counts(arguments)
        _allow("operation", [arguments.get(key) for key in imported if arguments.get(key) is not None], OPERATIONS)
    else:
        _allow("network class", [resolved.get("UNet_class_name")], LEGACY_NETWORKS)
        _check_layer_counts(resolved)
    _allow("preprocessor", [resolved.get("preprocessor_name", "DefaultPreprocessor")], PREPROCESSORS)
    for key in _RESAMPLING_KEYS:
        _allow(f"{key} (resampling function)", [resolved.get(key)], RESAMPLING)
        _dictionary(resolved, f"{key}_kwargs")
    _allow("image reader", [plans.get("image_reader_writer", "SimpleITKIO")], READERS)
    _allow("label manager", [plans.get("label_manager", "LabelManager")], {"LabelManager"})


def _check_layer_counts(arguments: dict[str, Any]) -> None:
    for key in _LAYER_COUNTS:
        value = arguments.get(key, 1)
        counts = value if isinstance(value, list) else [value]
        if len(counts) > _MOST_LAYERS or not all(_is_integer(count, 1, _MOST_LAYERS) for count in counts):
            raise _refused(f"plans.json has an impossible '{key}'; at most {_MOST_LAYERS} are accepted.")


def _check_grid(resolved: dict[str, Any], configuration: str) -> None:
    patch, spacing = resolved.get("patch_size"), resolved.get("spacing")
    if not isinstance(patch, list) or not all(_is_integer(size, 1, _LARGEST_PATCH) for size in patch):
        raise _refused(f"plans.json has the 'patch_size' {patch!r}; expected are three sizes up to {_LARGEST_PATCH}.")
    if len(patch) != 3:
        raise _refused(f"The configuration '{configuration}' is not three-dimensional.")
    if not isinstance(spacing, list) or len(spacing) != 3 or not all(_is_number(size) and size > 0 for size in spacing):
        raise _refused(f"plans.json has the 'spacing' {spacing!r}; expected are three lengths in mm.")


def _check_normalization(plans: dict[str, Any], resolved: dict[str, Any]) -> None:
    for key in ("normalization_schemes", "use_mask_for_norm"):
        value = resolved.get(key)
        if not isinstance(value, list) or len(value) != 1:
            raise _refused(f"plans.json has the '{key}' {value!r}; expected is a list with one entry, for the CT.")
    schemes = resolved["normalization_schemes"]
    _allow("normalization", schemes, NORMALIZATIONS)
    intensities = _dictionary(plans, "foreground_intensity_properties_per_channel")
    if schemes == ["CTNormalization"]:
        statistics = intensities.get("0")
        for key in _CT_STATISTICS:
            if not isinstance(statistics, dict) or not _is_number(statistics.get(key)):
                raise _refused(f"plans.json has no number '{key}' in 'foreground_intensity_properties_per_channel'.")


def _check_file_name(key: str, name: Any) -> None:
    # nnU-Net makes folders of these names, also when it installs an exported model.
    if not isinstance(name, str) or not re.fullmatch(r"[^\\/:\x00-\x1f]{1,100}", name) or name in (".", ".."):
        raise _refused(f"plans.json has the '{key}' {str(name)[:100]!r}, which cannot be a folder's name.")


def _dictionary(parent: dict[str, Any], key: str) -> dict[str, Any]:
    value = parent.get(key)
    if not isinstance(value, dict):
        raise _refused(f"plans.json has no '{key}', or it is not an object.")
    return value


def _is_number(value: Any) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and math.isfinite(value)
    )


def _is_integer(value: Any, low: int, high: int) -> bool:
    return _is_number(value) and value == int(value) and low <= value <= high


def _allow(what: str, names: Iterable[Any], allowed: set[str]) -> None:
    for name in names:
        if not isinstance(name, str) or name not in allowed:
            raise _refused(f"plans.json names the {what} '{name}'; accepted are {', '.join(sorted(allowed))}.")


def _check_dataset(dataset: Any) -> None:
    if not isinstance(dataset, dict) or not isinstance(dataset.get("labels"), dict):
        raise _refused("dataset.json has no 'labels'.")
    channels = dataset.get("channel_names", dataset.get("modality"))
    if not isinstance(channels, dict):
        raise _refused("dataset.json has no 'channel_names'.")
    if len(channels) != 1:
        raise _refused(f"The model needs {len(channels)} image channels; LN-Seg-FM gives it one CT.")
    foreground = {name: value for name, value in dataset["labels"].items() if name not in ("background", "ignore")}
    if list(foreground.values()) != [1] or dataset["labels"].get("background") != 0:
        raise _refused(
            f"The model's labels are {dataset['labels']}; expected are background with value 0 and one foreground "
            "label with value 1."
        )


def _refused(why: str) -> UserError:
    return UserError("The model was refused.", why, "Nothing was installed. Use an nnU-Net v2 lymph node model.")
