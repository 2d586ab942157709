"""LoRA (Hu et al., ICLR 2022) on the 3D convolutions of a network, by the library peft."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import nn

from lnsegfm.base.errors import UserError

RANK, ALPHA, DROPOUT = 32, 16, 0.1


def add_lora(network: nn.Module) -> None:
    """Replace each 3D convolution by itself and a trainable low-rank addition; everything else is frozen.

    peft replaces a module under one of its names. nnU-Net's blocks name a convolution twice (``conv`` and
    ``all_modules.0``) and call it by the other name, so that peft alone would train additions without any effect.

    Raises:
        UserError: peft is not installed.
    """
    convolutions = {name: module for name, module in network.named_modules() if isinstance(module, nn.Conv3d)}
    peft = _peft()
    peft.inject_adapter_in_model(
        peft.LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=DROPOUT, target_modules=list(convolutions)), network
    )
    _replace(network, {id(module): network.get_submodule(name) for name, module in convolutions.items()})


@torch.no_grad()
def merge_lora(network: nn.Module) -> None:
    """Add the low-rank additions to the weights they belong to and put the plain convolutions back."""
    layers: list[Any] = [module for module in network.modules() if hasattr(module, "get_base_layer")]
    for layer in layers:
        for name, scaling in layer.scaling.items():
            down, up = layer.lora_A[name].weight, layer.lora_B[name].weight
            # Not by peft's merge(), which takes a 1x1x1 kernel for a 2D one and fails.
            layer.get_base_layer().weight += scaling * torch.einsum("or,ri...->oi...", up.flatten(1), down)
    _replace(network, {id(layer): layer.get_base_layer() for layer in layers})


def _replace(network: nn.Module, replacements: dict[int, nn.Module]) -> None:
    """Put other modules, by the id of the old ones, in all places where these are named."""
    # Not inside the new ones: a LoRA layer holds the convolution it replaces.
    new = {id(module) for module in replacements.values()}
    for parent in [module for module in network.modules() if id(module) not in new]:
        # named_children() leaves out a second name of the same child.
        for name, child in parent._modules.items():
            if id(child) in replacements:
                parent._modules[name] = replacements[id(child)]


def _peft() -> Any:
    # peft imports transformers, which imports torchvision where it finds one; one that does not match torch, as
    # nnU-Net's dependencies may bring it, cannot be imported. Neither needs it here.
    sys.modules.setdefault("torchvision", None)  # type: ignore[arg-type]
    try:
        import peft
    except ImportError as error:
        raise UserError(
            "The method LoRA cannot be used.", f"The Python package peft cannot be imported: {error}.",
            "Install it (python -m pip install peft; in Slicer: slicer.util.pip_install('peft')), or choose another "
            "method.",
        ) from error
    return peft
