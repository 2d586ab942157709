"""PyTorch as backend: on CUDA, Apple's GPU and the CPU, with whatever network the weights fit."""

from __future__ import annotations

import torch

from lnsegfm.base.computer.device_names import PrecisionName
from lnsegfm.engine.inference.backends.backend import BackendName, Run
from lnsegfm.engine.inference.quality import Quality
from lnsegfm.engine.networks.fold_weights import FoldWeights
from lnsegfm.engine.precision import Precision, autocast, bfloat16_is_faster

# On CPUs PyTorch's 3D convolution of a single item takes another path, which is five times slower for networks of few
# channels and no faster for large ones. Fixed, not measured, so that labels do not depend on how busy a computer is.
IN_FLIGHT = 2


class TorchBackend:
    """Runs a network in PyTorch.

    Args:
        folds: The network's weights.
        device: Where it runs.
    """

    name: BackendName = "torch"
    version = torch.__version__
    place_name = ""
    in_flight = IN_FLIGHT

    def __init__(self, folds: FoldWeights, device: torch.device) -> None:
        self._folds, self._device = folds, device
        self._in_use: dict[str, torch.Tensor] | None = None
        if device.type == "cuda":
            torch.backends.cudnn.benchmark = True
        self.place = device.type
        self.mirror_axes = folds.mirror_axes
        self._use(0)

    def precision(self, quality: Quality, wish: PrecisionName) -> Precision:
        """Return half precision on CUDA, as nnU-Net; else single, or bfloat16 where quality and CPU allow it."""
        if wish != "auto":
            return wish
        if self._device.type == "cuda":
            return "half"
        return "bfloat16" if self._device.type == "cpu" and quality.bfloat16 and bfloat16_is_faster() else "single"

    def run(self, fold: int, precision: Precision) -> Run:
        """Return the network of one fold."""
        network = self._use(fold)

        def run(batch: torch.Tensor) -> torch.Tensor:
            with autocast(self._device, precision):
                return network(batch).float()

        return run

    def _use(self, fold: int) -> torch.nn.Module:
        weights = self._folds.weights(fold)
        if self._in_use is weights:
            return self._folds.network
        self._in_use = weights
        return self._folds.load(fold).to(self._device).eval()
