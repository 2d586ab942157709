"""nnU-Net plans from strangers: every name that nnU-Net would import is held against an allow-list first.

``plans.json`` names classes and functions that nnU-Net looks up with ``pydoc.locate`` or imports by name; a name of an
attacker's choice would run code.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from LNSegFMLib.core.errors import UserError

NETWORKS = {
    "dynamic_network_architectures.architectures.unet.PlainConvUNet",
    "dynamic_network_architectures.architectures.unet.ResidualEncoderUNet",
}
# Plans written before nnU-Net 2.3 name the network without its module.
LEGACY_NETWORKS = {"PlainConvUNet", "ResidualEncoderUNet"}
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


def check_plans(plans: Any, configuration: str, dataset: Any) -> dict[str, Any]:
    """Refuse plans that LN-Seg-FM cannot or must not run, and return the resolved configuration.

    Args:
        plans: Content of ``plans.json``.
        configuration: nnU-Net configuration name.
        dataset: Content of ``dataset.json``.

    Raises:
        UserError: Wrong structure, a name outside the allow-lists, a 2D or cascaded configuration, several input
            channels or several foreground classes.
    """
    if not isinstance(plans, dict) or not isinstance(plans.get("configurations"), dict):
        raise _refused("plans.json has no 'configurations'.")
    for key in ("dataset_name", "plans_name", "foreground_intensity_properties_per_channel", "transpose_forward"):
        if key not in plans:
            raise _refused(f"plans.json has no '{key}'.")
    resolved = _inherited(plans["configurations"], configuration)
    _check_names(plans, resolved)
    if len(resolved.get("patch_size", ())) != 3:
        raise _refused(f"The configuration '{configuration}' is not three-dimensional.")
    if resolved.get("previous_stage"):
        raise _refused(f"The configuration '{configuration}' is the second stage of a cascade.")
    _check_dataset(dataset)
    return resolved


def architecture_name(resolved: dict[str, Any]) -> str:
    """Return the network class without its module."""
    if "architecture" in resolved:
        return str(resolved["architecture"]["network_class_name"]).rpartition(".")[2]
    return str(resolved["UNet_class_name"])


def _inherited(configurations: dict[str, Any], name: str) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    seen: set[str] = set()
    while True:
        values = configurations.get(name)
        if not isinstance(values, dict):
            raise _refused(f"plans.json has no configuration '{name}'.")
        if name in seen:
            raise _refused(f"The configuration '{name}' inherits from itself.")
        seen.add(name)
        merged = {**values, **merged}
        if "inherits_from" not in values:
            return merged
        name = values["inherits_from"]


def _check_names(plans: dict[str, Any], resolved: dict[str, Any]) -> None:
    if "architecture" in resolved:
        architecture = resolved["architecture"]
        _allow("network class", [architecture.get("network_class_name")], NETWORKS)
        arguments = architecture.get("arch_kwargs", {})
        imported = architecture.get("_kw_requires_import", [])
        _allow("operation", [arguments.get(key) for key in imported if arguments.get(key) is not None], OPERATIONS)
    else:
        _allow("network class", [resolved.get("UNet_class_name")], LEGACY_NETWORKS)
    _allow("preprocessor", [resolved.get("preprocessor_name", "DefaultPreprocessor")], PREPROCESSORS)
    _allow("normalization", resolved.get("normalization_schemes", []), NORMALIZATIONS)
    _allow("resampling function", [resolved.get(key) for key in _RESAMPLING_KEYS], RESAMPLING)
    _allow("image reader", [plans.get("image_reader_writer", "SimpleITKIO")], READERS)
    _allow("label manager", [plans.get("label_manager", "LabelManager")], {"LabelManager"})


def _allow(what: str, names: Iterable[Any], allowed: set[str]) -> None:
    for name in names:
        if name not in allowed:
            raise _refused(f"plans.json names the {what} '{name}'; accepted are {', '.join(sorted(allowed))}.")


def _check_dataset(dataset: Any) -> None:
    if not isinstance(dataset, dict) or not isinstance(dataset.get("labels"), dict):
        raise _refused("dataset.json has no 'labels'.")
    channels = dataset.get("channel_names", dataset.get("modality", {}))
    if len(channels) != 1:
        raise _refused(f"The model needs {len(channels)} image channels; LN-Seg-FM gives it one CT.")
    foreground = {name: value for name, value in dataset["labels"].items() if name not in ("background", "ignore")}
    if len(foreground) != 1 or list(foreground.values()) != [1]:
        raise _refused(f"The model's labels are {dataset['labels']}; expected is one foreground label with value 1.")


def _refused(why: str) -> UserError:
    return UserError("The model was refused.", why, "Nothing was installed. Use an nnU-Net v2 lymph node model.")
