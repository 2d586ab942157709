"""Which backend runs a model on a device, and the word why."""

from __future__ import annotations

import torch

from lnsegfm.base.errors import UserError
from lnsegfm.engine import openvino_runtime
from lnsegfm.engine.inference.backends.backend import Backend, BackendFailed
from lnsegfm.engine.inference.backends.openvino_backend import OpenVinoBackend
from lnsegfm.engine.inference.backends.torch_backend import TorchBackend
from lnsegfm.engine.networks.fold_weights import FoldWeights
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.segmentation.backend_names import AUTO, OPENVINO, OPENVINO_DEVICES, check_backend

_INSTALL = "Install OpenVINO in the module's Setup section (pip install openvino), or choose 'auto'."


def choose(backend: str, device: torch.device, *, device_was_chosen: bool) -> str:
    """Turn the user's choice into what OpenVINO is to compute on.

    Args:
        backend: One of `lnsegfm.segmentation.backend_names.BACKENDS`. ``auto`` takes OpenVINO on the CPU where it is
            installed, since it is faster there, and PyTorch elsewhere.
        device: PyTorch's device.
        device_was_chosen: The user named the device, so that another one may not take its place.

    Returns:
        OpenVINO's name of a device; empty where PyTorch is to compute.

    Raises:
        UserError: There is no such backend, it does not go with the device, or OpenVINO is not installed.
    """
    check_backend(backend)
    there = openvino_runtime.version() is not None
    if backend == AUTO:
        return OPENVINO_DEVICES[OPENVINO] if device.type == "cpu" and there else ""
    if backend not in OPENVINO_DEVICES:
        return ""
    if not there:
        raise UserError("OpenVINO is not installed.", "", _INSTALL)
    if device_was_chosen and (device.type != "cpu" or backend != OPENVINO):
        raise UserError(
            f"The backend '{backend}' does not go with the device '{device}'.",
            "OpenVINO computes on the CPU, or on what its own name tells.", "Leave the device at 'auto'.",
        )
    return OPENVINO_DEVICES[backend]


def make_backend(
    openvino_device: str, model: ModelInfo, folds: FoldWeights, patch: tuple[int, ...], strides: list[list[int]],
    device: torch.device,
) -> tuple[Backend, str]:
    """Make a backend ready; PyTorch takes over where OpenVINO cannot.

    Args:
        openvino_device: See `choose`.
        model: The installed model, its files verified.
        folds: Its weights.
        patch: Its patch ``(z, y, x)``.
        strides: Of its network's levels, each ``(z, y, x)``.
        device: Where PyTorch computes.

    Returns:
        The backend, and why it is not the wished one; empty where it is.
    """
    if openvino_device:
        try:
            return OpenVinoBackend(model, folds, patch, strides, openvino_device), ""
        except BackendFailed as error:
            return TorchBackend(folds, device), error.why
    return TorchBackend(folds, device), ""
