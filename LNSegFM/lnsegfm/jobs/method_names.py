"""The methods one can choose: their names and what the paper sets for them. The engine has the rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class MethodInfo:
    """What a user sees of a fine-tuning method.

    Args:
        name: As the paper's tables call it.
        text: What it trains, in one sentence.
        settings: Fields of a job that the paper sets otherwise than for fine-tuning (50 epochs, learning rate 1e-3).
        stock: Whether stock nnU-Net loads the model it makes.
        packages: Python packages it needs besides those of all methods.
    """

    name: str
    text: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    stock: bool = True
    packages: tuple[str, ...] = ()


# Section 3.1: the foundation model's own training, which the paper repeats for its two references without it.
_PRETRAINING = {"learning_rate": 1e-2, "epochs": 2000}

METHODS: dict[str, MethodInfo] = {
    "dgst": MethodInfo("DGST", "In each iteration, the γ weights of each kernel with the largest gradients; all "
                       "biases and normalisation parameters."),
    "full": MethodInfo("Full", "All parameters."),
    "scratch": MethodInfo("From scratch", "All parameters, from random values: the foundation model gives its plans "
                          "only.", _PRETRAINING),
    "allshot": MethodInfo("All-shot", "From scratch, meant for all the cases there are.", _PRETRAINING),
    "linear": MethodInfo("LinearProb", "The segmentation heads only."),
    "bias": MethodInfo("Bias", "All biases."),
    "affine": MethodInfo("Affine-IN", "Scale and shift of the instance normalisations."),
    "bias_norm": MethodInfo("Bias+Norm", "All biases and normalisation parameters."),
    "lora": MethodInfo("LoRA", "Low-rank additions to the 3D convolutions (rank 32, α 16, dropout 0.1), merged into "
                       "the weights at the end.", packages=("peft",)),
    "adapter": MethodInfo("Adapter", "Small bottlenecks added after the 3D convolutions; the model keeps them.",
                          stock=False),
    "encoder": MethodInfo("Encoder Only", "All parameters of the encoder."),
    "decoder": MethodInfo("Decoder Only", "All parameters of the decoder, segmentation heads included."),
    "drst": MethodInfo("DRST", "As DGST, but γ random weights of each kernel in each iteration."),
    "sgst": MethodInfo("SGST", "As DGST, but always the weights with the largest accumulated initial gradients."),
}
"""By the name that jobs use."""
