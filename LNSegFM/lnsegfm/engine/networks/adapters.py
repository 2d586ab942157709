"""Adapters (Houlsby et al., ICML 2019): small bottlenecks behind the convolutions of a network.

Plans do not describe them; which convolutions have one, and how wide it is, is read from the names and shapes of the
weights. Stock nnU-Net cannot load such weights.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

# Houlsby et al. choose the width by the task; a quarter of the channels adds a few percent of a U-Net's parameters.
REDUCTION = 4
_NAME = "adapter"
_DOWN = f".{_NAME}.down.weight"


class Bottleneck(nn.Module):
    """``x + up(act(down(x)))`` with 1x1x1 convolutions; it starts as the identity.

    Args:
        channels: Channels of ``x``.
        width: Channels in between.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.down = nn.Conv3d(channels, width, 1)
        self.act = nn.GELU()
        self.up = nn.Conv3d(width, channels, 1)
        for parameter in self.up.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` with its correction."""
        return x + self.up(self.act(self.down(x)))


def add_adapters(network: nn.Module) -> None:
    """Put a new bottleneck behind each 3D convolution except the segmentation heads."""
    convolutions = [
        module for name, module in network.named_modules() if isinstance(module, nn.Conv3d) and "seg_layers" not in name
    ]
    for convolution in convolutions:
        _attach(convolution, max(1, convolution.out_channels // REDUCTION))


def fit_adapters(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Give a plain network the bottlenecks that ``weights`` have values for."""
    modules = dict(network.named_modules())
    for name, value in weights.items():
        convolution = modules.get(name.removesuffix(_DOWN)) if name.endswith(_DOWN) else None
        # A convolution has several names in nnU-Net's networks, and needs one bottleneck.
        if not isinstance(convolution, nn.Conv3d) or hasattr(convolution, _NAME) or value.ndim != 5:
            continue
        if value.shape[0] <= convolution.out_channels:
            _attach(convolution, value.shape[0])


def is_adapter(name: str) -> bool:
    """Tell whether a parameter of this name belongs to a bottleneck."""
    return f".{_NAME}." in name


def _attach(convolution: nn.Conv3d, width: int) -> None:
    convolution.add_module(_NAME, Bottleneck(convolution.out_channels, width))
    convolution.register_forward_hook(_correct)


def _correct(convolution: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    del inputs
    return convolution.get_submodule(_NAME)(output)
