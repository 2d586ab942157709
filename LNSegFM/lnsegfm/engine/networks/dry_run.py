"""Plans are tried before a model is installed: on a network without data, and on a CT of a few voxels.

What does not fit together fails here and not in a patient's CT: a patch that the strides do not divide, arguments that
a function of the installed nnU-Net does not take.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from lnsegfm.base.computer.memory import total_memory_bytes
from lnsegfm.base.errors import UserError
from lnsegfm.base.wording import by, data_size
from lnsegfm.engine.networks.network import outlined_network

_USUAL_BYTES = 64 << 30
_SINGLE = 4
_SIZE = 12
_TODO = "Nothing was installed. Use an nnU-Net v2 lymph node model."


def try_plans(plans: dict[str, Any], configuration: str, dataset: dict[str, Any]) -> int:
    """Run the plans' network and its preprocessing once, without weights.

    Args:
        plans: Content of ``plans.json``.
        configuration: nnU-Net configuration name.
        dataset: Content of ``dataset.json``.

    Returns:
        The bytes of the network's weights in single precision.

    Raises:
        UserError: The plans are not accepted, do not fit together, or need more memory than the computer has; the
            message names file and field.
    """
    network = outlined_network(plans, configuration, dataset)
    manager = PlansManager(copy.deepcopy(plans))
    settings = manager.get_configuration(configuration)
    where = f"configurations.{configuration}"
    with _fault_told(f"{where}.patch_size' does not fit the network"):
        needed = _working_bytes(network, settings.patch_size)
    present = total_memory_bytes() or _USUAL_BYTES
    if needed > present:
        raise _refused(
            f"plans.json: '{where}.patch_size' of {by(settings.patch_size)} voxels needs at least "
            f"{data_size(needed, memory=True)} of memory; this computer has {data_size(present, memory=True)}."
        )
    _try_resampling(manager, settings, dataset, where)
    return _SINGLE * sum(parameter.numel() for parameter in network.parameters())


def _working_bytes(network: torch.nn.Module, patch: list[int]) -> int:
    """Return the least memory that the network's largest step takes."""
    largest = 0

    def note(_module: torch.nn.Module, given: tuple[Any, ...], made: Any) -> None:
        nonlocal largest
        sizes = [each.numel() for each in (*given, made) if isinstance(each, torch.Tensor)]
        largest = max(largest, _SINGLE * sum(sizes))

    for module in network.modules():
        module.register_forward_hook(note)
    with torch.no_grad():
        network.eval()(torch.empty((1, 1, *patch), device="meta"))
    return largest


def _try_resampling(
    manager: PlansManager, settings: ConfigurationManager, dataset: dict[str, Any], where: str
) -> None:
    """Preprocess a small CT, and bring logits back to its grid, with equal and with thick voxels."""
    values = np.random.default_rng(0).uniform(-1000, 1500, (1, _SIZE, _SIZE, _SIZE)).astype(np.float32)
    for thick in (1.0, 5.0):
        spacing = [1.25 * length for length in settings.spacing]
        spacing[0] = thick * max(spacing)
        original = [spacing[axis] for axis in manager.transpose_backward]
        # Thick voxels become many.
        part = values[:, : max(2, int(_SIZE / thick))].transpose(
            [0, *(axis + 1 for axis in manager.transpose_backward)]
        )
        with _fault_told(f"{where}.resampling_fn_data', 'resampling_fn_seg' or 'normalization_schemes' fails"):
            data, _, found = DefaultPreprocessor(verbose=False).run_case_npy(
                part, None, {"spacing": original}, manager, settings, dataset
            )
        if not np.isfinite(data).all():
            raise _refused(f"plans.json: '{where}.normalization_schemes' gives a CT values that are not finite.")
        shape = found["shape_after_cropping_and_before_resampling"]
        logits = torch.zeros((2, *data.shape[1:]))
        with _fault_told(f"{where}.resampling_fn_probabilities' fails"):
            back = settings.resampling_fn_probabilities(logits, shape, settings.spacing, spacing)
            if tuple(back.shape) != (2, *shape):
                raise ValueError(f"the shape is {tuple(back.shape)}, not {(2, *shape)}")


@contextmanager
def _fault_told(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # whatever nnU-Net, numpy, scipy and torch raise
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        raise _refused(f"plans.json: '{what} ({reason}).") from error


def _refused(why: str) -> UserError:
    return UserError("The model was refused.", why, _TODO)
