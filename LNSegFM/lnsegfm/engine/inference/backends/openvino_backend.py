"""OpenVINO as backend: a converted network, compiled for this computer's CPU or Intel's GPU or NPU."""

from __future__ import annotations

import gc
import tempfile
from pathlib import Path
from typing import Any

import torch

from lnsegfm.base.computer.device_names import PrecisionName
from lnsegfm.engine import openvino_runtime
from lnsegfm.engine.inference.backends.backend import BackendFailed, BackendName, Run
from lnsegfm.engine.inference.backends.conversion import check, convert, small_tile
from lnsegfm.engine.inference.backends.conversion_cache import ConversionCache, fold_name
from lnsegfm.engine.inference.quality import Quality
from lnsegfm.engine.networks.fold_weights import FoldWeights
from lnsegfm.engine.precision import Precision, bfloat16_is_faster
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.segmentation.backend_names import OPENVINO_DEVICES

_HINTS: dict[Precision, str] = {"single": "f32", "bfloat16": "bf16", "half": "f16"}


class OpenVinoBackend:
    """Runs a network in OpenVINO. It is converted once, which takes seconds; the result is kept beside the model.

    Args:
        model: The installed model, its files verified.
        folds: The network's weights; read only where nothing was kept.
        patch: The model's patch ``(z, y, x)``.
        strides: Of the network's levels, each ``(z, y, x)``.
        device: One of `openvino_runtime.devices`.

    Raises:
        BackendFailed: It is not installed, or cannot take the network.
        UserError: The checkpoint is not accepted.
    """

    name: BackendName = "openvino"
    # More take more memory and less than 5 % less time.
    in_flight = 1

    def __init__(
        self, model: ModelInfo, folds: FoldWeights, patch: tuple[int, ...], strides: list[list[int]],
        device: str = "CPU",
    ) -> None:
        self.version = openvino_runtime.version() or ""
        self._folds, self._patch, self._device = folds, patch, device
        self._small = small_tile(patch, strides)
        self._compiled: tuple[int, Precision, Any] | None = None
        # By the backend's own name of it: PyTorch's devices have none for what else OpenVINO computes on.
        names = {value: name for name, value in OPENVINO_DEVICES.items()}
        self.place = "cpu" if device == "CPU" else names[device]
        self.place_name = ""
        cache = ConversionCache(model, patch, self.version)
        try:
            if device not in openvino_runtime.devices():
                raise BackendFailed(f"OpenVINO finds no {device} here")
            self.place_name = "" if device == "CPU" else openvino_runtime.name_of(device)
            known = cache.find()
            if known is not None:
                self._folder, self.mirror_axes = cache.folder, known.mirror_axes
                return
            self.mirror_axes = folds.mirror_axes
            # Gone with this object, and with the process's own folder for temporary files.
            self._elsewhere = tempfile.TemporaryDirectory(prefix="lnsegfm-", ignore_cleanup_errors=True)
            self._folder = cache.make(self._convert, self.mirror_axes, Path(self._elsewhere.name))
            folds.forget()
        except (ImportError, RuntimeError, OSError, AttributeError) as error:
            raise _failed(error) from error

    def precision(self, quality: Quality, wish: PrecisionName) -> Precision:
        """Return single precision, or bfloat16 where quality and CPU allow it; half precision on other devices."""
        if wish != "auto":
            return wish
        if self._device != "CPU":
            return "half"
        may = quality.bfloat16 and bfloat16_is_faster()
        return "bfloat16" if may and openvino_runtime.computes_in("CPU", "BF16") else "single"

    def run(self, fold: int, precision: Precision) -> Run:
        """Return the network of one fold, compiled for single tiles."""
        if self._compiled is None or self._compiled[:2] != (fold, precision):
            if self._compiled is not None:
                self._compiled = None
                gc.collect()  # before memory is taken again
            self._compiled = (fold, precision, self._compile(fold, precision))
        request = self._compiled[2]

        def run(batch: torch.Tensor) -> torch.Tensor:
            try:
                # The output is a copy: the next pass would write over the request's own.
                return torch.from_numpy(request.infer({0: batch.numpy()})[0])
            except RuntimeError as error:
                raise _failed(error) from error

        return run

    def _compile(self, fold: int, precision: Precision) -> Any:
        """Return a request of one fold's network."""
        core = openvino_runtime.core()
        options: dict[str, Any] = {
            # Always: what OpenVINO takes by itself is bfloat16 on some CPUs.
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
            "PERFORMANCE_HINT": "LATENCY",
        }
        if self._device == "CPU":
            # Slicer and other programs need the processors as well.
            options |= {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "ENABLE_CPU_PINNING": False}
        try:
            model = self._read(self._folder / f"{fold_name(fold)}.xml")
            model.reshape([self.in_flight, 1, *self._patch])
            return core.compile_model(model, self._device, options).create_infer_request()
        except RuntimeError as error:
            raise _failed(error) from error

    def _read(self, path: Path) -> Any:
        # Not mapped into memory: on Windows the model could not be removed, and who cut the file would end the process.
        return openvino_runtime.core().read_model(path, config={"ENABLE_MMAP": False})

    def _convert(self, folder: Path, fold: int) -> float:
        network = self._folds.load(fold)
        path = folder / f"{fold_name(fold)}.xml"
        # By default it would be written in half precision.
        openvino_runtime.load().save_model(convert(network, self._small), path, compress_to_fp16=False)
        return check(network, self._read(path), self._small)


def _failed(error: Exception) -> BackendFailed:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return BackendFailed(f"OpenVINO does not work ({first[:200]})")
