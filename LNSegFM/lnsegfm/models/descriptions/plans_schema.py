"""What nnU-Net's ``plans.json`` may say: every field that is used, with its limits.

The names of classes and functions in it are looked up and called by nnU-Net, so that a name of an attacker's choice
would run code; they are held against lists. What nnU-Net's versions write beside these fields is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from lnsegfm.base.schema import Limits, SchemaError, read
from lnsegfm.models.descriptions.network_schema import Architecture, LegacyArchitecture
from lnsegfm.models.descriptions.resampling_schema import RESAMPLING, check_resampling
from lnsegfm.models.descriptions.schema_fields import within

PREPROCESSORS = ("DefaultPreprocessor",)
READERS = ("SimpleITKIO", "SimpleITKIOWithReorient", "NibabelIO", "NibabelIOWithReorient")
_CT_NORMALIZATION = "CTNormalization"
# Not that of pictures, which fails where a value is negative.
NORMALIZATIONS = (_CT_NORMALIZATION, "ZScoreNormalization", "NoNormalization", "RescaleTo01Normalization")
_LARGEST_PATCH = 2048
_LARGEST_PATCH_VOXELS = 1 << 28
_MOST_CONFIGURATIONS = 64
# CTs are stored in 16 bits; rescaled ones reach further, but not by orders of magnitude.
_HU = 1e5
_CHANNEL = "foreground_intensity_properties_per_channel"

# nnU-Net makes folders of these names, also when it installs an exported model.
FolderName = Annotated[str, Limits(length=100, pattern=r"(?!\.{1,2}$)[^\\/:\x00-\x1f\ud800-\udfff]+")]
Voxels = Annotated[int, Limits(1, _LARGEST_PATCH)]
Millimetres = Annotated[float, Limits(0.05, 50)]
Extent = Annotated[float, Limits(above=0, high=1e5)]
Axis = Annotated[int, Limits(0, 2)]
Hounsfield = Annotated[float, Limits(high=_HU)]
FunctionName = Annotated[str, Limits(choices=RESAMPLING)]
Arguments = dict[str, Any]


@dataclass(frozen=True)
class Intensities:
    """Statistics of the HU in lymph nodes, by which a CT is normalised."""

    mean: Hounsfield
    std: Annotated[float, Limits(above=0, high=_HU)]
    percentile_00_5: Hounsfield
    percentile_99_5: Hounsfield

    def __post_init__(self) -> None:
        if self.percentile_00_5 >= self.percentile_99_5:
            raise SchemaError(
                "percentile_99_5", f"must be greater than 'percentile_00_5', {self.percentile_00_5:g}, not "
                f"{self.percentile_99_5:g}",
            )


@dataclass(frozen=True)
class Configuration:
    """One of the plans' configurations, with what it inherits; lists are by the array's axes after transposition."""

    patch_size: tuple[Voxels, Voxels, Voxels]
    spacing: tuple[Millimetres, Millimetres, Millimetres]
    normalization_schemes: tuple[Annotated[str, Limits(choices=NORMALIZATIONS)]]
    use_mask_for_norm: tuple[bool]
    resampling_fn_data: FunctionName
    resampling_fn_data_kwargs: Arguments
    resampling_fn_seg: FunctionName
    resampling_fn_seg_kwargs: Arguments
    resampling_fn_probabilities: FunctionName
    resampling_fn_probabilities_kwargs: Arguments
    preprocessor_name: Annotated[str, Limits(choices=PREPROCESSORS)] = PREPROCESSORS[0]
    data_identifier: FolderName = "nnUNetPlans"
    batch_size: Annotated[int, Limits(1, 4096)] = 2
    batch_dice: bool = False
    previous_stage: Annotated[str, Limits(length=100)] | None = None
    architecture: Architecture | None = None

    def __post_init__(self) -> None:
        voxels = self.patch_size[0] * self.patch_size[1] * self.patch_size[2]
        if voxels > _LARGEST_PATCH_VOXELS:
            raise SchemaError("patch_size", f"has {voxels} voxels; at most {_LARGEST_PATCH_VOXELS} are accepted")
        if self.previous_stage:
            raise SchemaError("previous_stage", "makes it the second stage of a cascade, which is not supported")
        for use in ("data", "seg", "probabilities"):
            name = f"resampling_fn_{use}"
            arguments = getattr(self, f"{name}_kwargs")
            check_resampling(getattr(self, name), arguments, f"{name}_kwargs", is_seg=use == "seg")


@dataclass(frozen=True)
class Plans:
    """What is common to all configurations."""

    dataset_name: FolderName
    plans_name: FolderName
    transpose_forward: tuple[Axis, Axis, Axis]
    transpose_backward: tuple[Axis, Axis, Axis]
    configurations: Annotated[dict[str, dict[str, Any]], Limits(length=_MOST_CONFIGURATIONS)]
    foreground_intensity_properties_per_channel: dict[str, Any]
    image_reader_writer: Annotated[str, Limits(choices=READERS)] = READERS[0]
    original_median_spacing_after_transp: tuple[Extent, Extent, Extent] | None = None
    original_median_shape_after_transp: tuple[Extent, Extent, Extent] | None = None
    label_manager: Annotated[str, Limits(choices=("LabelManager",))] = "LabelManager"

    def __post_init__(self) -> None:
        if sorted(self.transpose_forward) != [0, 1, 2]:
            raise SchemaError("transpose_forward", f"must be an order of the axes, not {list(self.transpose_forward)}")
        inverse = tuple(self.transpose_forward.index(axis) for axis in range(3))
        if self.transpose_backward != inverse:
            raise SchemaError(
                "transpose_backward", f"must undo 'transpose_forward' as {list(inverse)} does, not "
                f"{list(self.transpose_backward)}",
            )


@dataclass(frozen=True)
class CheckedPlans:
    """Plans that were held against the schema.

    Args:
        plans: What is common to all configurations.
        configuration: The configuration that was asked for.
        resolved: The same as JSON, with all that it inherits.
    """

    plans: Plans
    configuration: Configuration
    resolved: dict[str, Any]

    @property
    def reorients(self) -> bool:
        """Whether nnU-Net's reader brings images to RAS."""
        return self.plans.image_reader_writer.endswith("WithReorient")


def read_plans(content: Any, configuration: str) -> CheckedPlans:
    """Hold the content of a ``plans.json`` against the schema.

    Args:
        content: What the file says.
        configuration: nnU-Net configuration name.

    Raises:
        SchemaError: A field is missing, of another type or beyond its limits; it names the field.
    """
    plans = read(Plans, content, newer=True)
    resolved = resolved_configuration(content, configuration)
    where = f"configurations.{configuration}"
    patch = resolved.get("patch_size")
    if isinstance(patch, list) and len(patch) == 2:
        raise SchemaError(where, "is not three-dimensional")
    with within(where):
        chosen = read(Configuration, resolved, newer=True)
        if "architecture" not in resolved:
            read(LegacyArchitecture, resolved, newer=True)
        elif chosen.architecture is None:
            raise SchemaError("architecture", "must be an object with named fields, not null")
    if chosen.normalization_schemes == (_CT_NORMALIZATION,):
        with within(f"{_CHANNEL}.0"):
            read(Intensities, plans.foreground_intensity_properties_per_channel.get("0"), newer=True)
    return CheckedPlans(plans, chosen, resolved)


def resolved_configuration(plans: Mapping[str, Any], name: Any) -> dict[str, Any]:
    """Return a configuration of nnU-Net's plans with what it inherits from others.

    Raises:
        SchemaError: There is no such configuration, or it inherits from itself.
    """
    configurations = plans["configurations"]
    merged: dict[str, Any] = {}
    seen: set[str] = set()
    while True:
        values = configurations.get(name) if isinstance(name, str) else None
        if not isinstance(values, dict):
            raise SchemaError("configurations", f"has no configuration '{str(name)[:100]}'")
        if name in seen:
            raise SchemaError(f"configurations.{name}", "inherits from itself")
        seen.add(name)
        merged = {**values, **merged}
        if "inherits_from" not in values:
            return merged
        name = values["inherits_from"]
