"""What nnU-Net's plans may say of a network: two classes, few operations, and sizes that a computer can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from lnsegfm.base.schema import Limits, SchemaError, read
from lnsegfm.models.descriptions.schema_fields import within

NETWORK_MODULE = "dynamic_network_architectures.architectures.unet"
_PLAIN, _RESIDUAL = "PlainConvUNet", "ResidualEncoderUNet"
# Plans written before nnU-Net 2.3 name the network without its module.
LEGACY_NETWORKS = (_PLAIN, _RESIDUAL)
NETWORKS = tuple(f"{NETWORK_MODULE}.{name}" for name in LEGACY_NETWORKS)
# nnU-Net's planners make up to 8 stages of up to 512 channels and 6 blocks. Twice as much is built within seconds.
_MOST_STAGES = 12
_PER_STAGE = Limits(length=_MOST_STAGES, least=1)

Channels = Annotated[int, Limits(1, 4096)]
Layers = Annotated[int, Limits(1, 16)]
Kernel = Annotated[int, Limits(1, 32)]
Step = Annotated[int, Limits(1, 16)]
KernelByStage = Annotated[list[tuple[Kernel, Kernel, Kernel] | Kernel], _PER_STAGE]
StepByStage = Annotated[list[tuple[Step, Step, Step] | Step], _PER_STAGE]
LayersByStage = Annotated[list[Layers], Limits(length=_MOST_STAGES)]


@dataclass(frozen=True)
class NoArguments:
    """Of an operation to which the plans' arguments are not given."""


@dataclass(frozen=True)
class NormArguments:
    """Of ``InstanceNorm3d`` and ``BatchNorm3d``, besides the channels."""

    eps: Annotated[float, Limits(above=0, high=1)] = 1e-5
    momentum: Annotated[float, Limits(0, 1)] | None = 0.1
    affine: bool = False
    track_running_stats: bool = False


@dataclass(frozen=True)
class ReluArguments:
    """Of ``ReLU``."""

    inplace: bool = False


@dataclass(frozen=True)
class LeakyReluArguments(ReluArguments):
    """Of ``LeakyReLU``."""

    negative_slope: Annotated[float, Limits(0, 1)] = 0.01


@dataclass(frozen=True)
class DropoutArguments:
    """Of ``Dropout3d``."""

    p: Annotated[float, Limits(0, 1)] = 0.5
    inplace: bool = False


def _paths(module: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{start}.{name}" for name in names for start in ("torch.nn", f"torch.nn.modules.{module}"))


_CONVOLUTIONS = _paths("conv", "Conv3d")
_NORMS = (*_paths("instancenorm", "InstanceNorm3d"), *_paths("batchnorm", "BatchNorm3d"))
_ACTIVATIONS = _paths("activation", "LeakyReLU", "ReLU")
_DROPOUTS = _paths("dropout", "Dropout3d")
OPERATIONS = (*_CONVOLUTIONS, *_NORMS, *_ACTIVATIONS, *_DROPOUTS)
"""What plans may have imported for the network."""
_ARGUMENTS: Mapping[str, Any] = {
    "InstanceNorm3d": NormArguments, "BatchNorm3d": NormArguments, "LeakyReLU": LeakyReluArguments,
    "ReLU": ReluArguments, "Dropout3d": DropoutArguments,
}
Operands = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class NetworkArguments:
    """What both network classes take; `NetworkArguments` of other names fail when the network is built."""

    n_stages: Annotated[int, Limits(1, _MOST_STAGES)]
    features_per_stage: Annotated[list[Channels], _PER_STAGE] | Channels
    conv_op: Annotated[str, Limits(choices=_CONVOLUTIONS)]
    kernel_sizes: KernelByStage | Kernel
    strides: StepByStage | Step
    n_conv_per_stage_decoder: LayersByStage | Layers
    conv_bias: bool = False
    norm_op: Annotated[str, Limits(choices=_NORMS)] | None = None
    norm_op_kwargs: Operands | None = None
    dropout_op: Annotated[str, Limits(choices=_DROPOUTS)] | None = None
    dropout_op_kwargs: Operands | None = None
    nonlin: Annotated[str, Limits(choices=_ACTIVATIONS)] | None = None
    nonlin_kwargs: Operands | None = None
    deep_supervision: bool = False

    def __post_init__(self) -> None:
        for name in ("norm_op", "dropout_op", "nonlin"):
            operation, arguments = getattr(self, name), getattr(self, f"{name}_kwargs")
            if operation is None:
                continue
            with within(f"{name}_kwargs"):
                if arguments is None and name == "dropout_op":
                    raise SchemaError("", "must be an object")
                read(_ARGUMENTS[operation.rpartition(".")[2]], arguments or {})


@dataclass(frozen=True, kw_only=True)
class PlainArguments(NetworkArguments):
    """Of ``PlainConvUNet``."""

    n_conv_per_stage: LayersByStage | Layers
    nonlin_first: bool = False


@dataclass(frozen=True, kw_only=True)
class ResidualArguments(NetworkArguments):
    """Of ``ResidualEncoderUNet``."""

    n_blocks_per_stage: LayersByStage | Layers
    bottleneck_channels: Annotated[list[Channels], _PER_STAGE] | Channels | None = None
    stem_channels: Channels | None = None


@dataclass(frozen=True)
class Architecture:
    """The network as nnU-Net 2.3 and later describe it."""

    network_class_name: Annotated[str, Limits(choices=NETWORKS)]
    arch_kwargs: Operands
    _kw_requires_import: Annotated[list[Annotated[str, Limits(length=100)]], Limits(length=100)] = field(repr=False)

    def __post_init__(self) -> None:
        with within("arch_kwargs"):
            # A class that is imported is called; so what is declared as one is looked at whatever it is called.
            for name in self._kw_requires_import:
                if self.arch_kwargs.get(name) is not None and self.arch_kwargs[name] not in OPERATIONS:
                    shown = str(self.arch_kwargs[name])[:100]
                    raise SchemaError(name, f"must be one of {', '.join(OPERATIONS)}, not {shown!r}")
            read(_NETWORK_ARGUMENTS[self.network_class_name.rpartition(".")[2]], self.arch_kwargs)


@dataclass(frozen=True)
class LegacyArchitecture:
    """The network as nnU-Net before 2.3 described it, among the other fields of a configuration."""

    UNet_class_name: Annotated[str, Limits(choices=LEGACY_NETWORKS)]
    UNet_base_num_features: Channels
    unet_max_num_features: Channels
    n_conv_per_stage_encoder: Annotated[list[Layers], _PER_STAGE]
    n_conv_per_stage_decoder: LayersByStage
    num_pool_per_axis: Annotated[list[Annotated[int, Limits(0, _MOST_STAGES)]], Limits(length=3)]
    pool_op_kernel_sizes: StepByStage
    conv_kernel_sizes: KernelByStage


_NETWORK_ARGUMENTS: Mapping[str, Any] = {_PLAIN: PlainArguments, _RESIDUAL: ResidualArguments}
