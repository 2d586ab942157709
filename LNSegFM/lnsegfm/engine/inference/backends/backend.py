"""What a backend is: it holds a model's network and runs it on batches of tiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import torch

from lnsegfm.base.computer.device_names import PrecisionName
from lnsegfm.engine.inference.quality import Quality
from lnsegfm.engine.precision import Precision

BackendName = Literal["torch", "openvino"]
Run = Callable[[torch.Tensor], torch.Tensor]
"""From a batch ``[b, 1, z, y, x]`` (float32) to its logits ``[b, heads, z, y, x]`` (float32)."""


class BackendFailed(Exception):
    """A backend cannot be used, or not any more; another one can do its work.

    Args:
        why: The cause, a part of a sentence.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Backend(Protocol):
    """A model's network, ready to run."""

    @property
    def name(self) -> BackendName:
        """Which one it is."""

    @property
    def version(self) -> str:
        """Version of the package that computes."""

    @property
    def place(self) -> str:
        """What computes: PyTorch's type of the device, or the name of the backend where it has none."""

    @property
    def place_name(self) -> str:
        """What computes, as its maker names it, where PyTorch does not know it; else empty."""

    @property
    def in_flight(self) -> int:
        """How many tiles a batch has."""

    @property
    def mirror_axes(self) -> tuple[int, ...]:
        """Spatial axes (0 = z) that the model was trained to be mirrored along."""

    def precision(self, quality: Quality, wish: PrecisionName) -> Precision:
        """Return the precision in which a segmentation computes."""

    def run(self, fold: int, precision: Precision) -> Run:
        """Return the network of one fold, by its place among them; what was returned before is not valid any more.

        Raises:
            BackendFailed: It cannot be made ready; `Run` raises the same when it fails.
        """
