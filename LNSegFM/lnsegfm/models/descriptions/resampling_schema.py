"""The arguments of nnU-Net's resampling functions, which are called when a CT is segmented and not before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from lnsegfm.base.schema import Limits, SchemaError, read
from lnsegfm.models.descriptions.schema_fields import within

Order = Annotated[int, Limits(0, 5)]
Anisotropy = Annotated[float, Limits(above=0, high=1000)]
Mode = Literal["linear", "nearest", "nearest-exact", "area", "bilinear", "trilinear"]


@dataclass(frozen=True)
class SplineArguments:
    """Of ``resample_data_or_seg_to_shape``, with its own defaults."""

    is_seg: bool = False
    order: Order = 3
    order_z: Order = 0
    force_separate_z: bool | None = False
    separate_z_anisotropy_threshold: Anisotropy = 3


@dataclass(frozen=True)
class TorchArguments:
    """Of ``resample_torch_fornnunet``, with its own defaults."""

    is_seg: bool = False
    num_threads: Annotated[int, Limits(1, 256)] = 4
    device: Literal["cpu"] = "cpu"
    memefficient_seg_resampling: bool = False
    force_separate_z: bool | None = None
    separate_z_anisotropy_threshold: Anisotropy = 3
    mode: Mode = "linear"
    aniso_axis_mode: Mode = "nearest-exact"


@dataclass(frozen=True)
class NoArguments:
    """Of ``no_resampling_hack``."""


_ARGUMENTS: Mapping[str, type[SplineArguments] | type[TorchArguments] | type[NoArguments]] = {
    "resample_data_or_seg_to_shape": SplineArguments,
    "resample_torch_fornnunet": TorchArguments,
    "no_resampling_hack": NoArguments,
}
RESAMPLING = tuple(_ARGUMENTS)
"""Names of the functions that plans may name."""


def check_resampling(function: str, arguments: Mapping[str, Any], where: str, *, is_seg: bool) -> None:
    """Hold the arguments of a resampling function against what it takes.

    Args:
        function: One of `RESAMPLING`.
        arguments: What the plans give it.
        where: Their field.
        is_seg: Whether it resamples labels.

    Raises:
        SchemaError: One is not known, of another type or beyond its limits; or ``is_seg`` is not what it must be.
    """
    with within(where):
        checked = read(_ARGUMENTS[function], arguments)
        if getattr(checked, "is_seg", is_seg) != is_seg:
            raise SchemaError("is_seg", f"must be {str(is_seg).lower()} here")
