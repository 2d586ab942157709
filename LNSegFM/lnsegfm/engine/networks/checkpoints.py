"""nnU-Net checkpoints without pickle's powers, and without the memory that they only claim to need.

Stock nnU-Net opens checkpoints with ``weights_only=False``: any code in them runs. Here a checkpoint may hold tensors,
plain containers and the few numpy types that nnU-Net's own logger leaves in it, and nothing else. Its weights are held
against the network of the plans before any of them is read; the optimiser's state never is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import write_atomic
from lnsegfm.engine.networks.plain_pickle import Forbidden
from lnsegfm.engine.networks.tensor_file import DAMAGE, StoredTensor, TensorFile, opened_tensors

_TODO = "Nothing was loaded. Get the file from a source you trust, or export it again with a stock nnU-Net v2."
_WEIGHTS = "network_weights"
Weights = dict[str, torch.Tensor]


class Checkpoint:
    """An opened nnU-Net checkpoint of which no weights were read yet; see `opened_checkpoint`.

    Args:
        path: The file.
        tensors: The same, opened.

    Raises:
        UserError: It is a checkpoint of something else.
    """

    def __init__(self, path: Path, tensors: TensorFile) -> None:
        self._path, self._tensors = path, tensors
        content = tensors.content
        if not isinstance(content, dict) or not isinstance(content.get(_WEIGHTS), dict):
            raise UserError(f"{path.name} is not an nnU-Net v2 checkpoint.", f"It has no '{_WEIGHTS}'.", _TODO)
        self.content: dict[str, Any] = content
        """What is in it besides tensors."""

    def outlines(self) -> Weights:
        """Return the weights' shapes and types as tensors without data, by their plain names.

        Raises:
            UserError: A weight is no plain tensor, or claims more than the file has; the message names it.
        """
        found = {}
        for key, value in self.content[_WEIGHTS].items():
            if not isinstance(value, StoredTensor):
                raise _refused(self._path.name, f"The weight '{str(key)[:200]}' is not a plain tensor.")
            if fault := self._tensors.fault(value):
                raise _refused(self._path.name, f"The weight '{str(key)[:200]}' {fault}.")
            found[_plain_name(key)] = value.outline()
        return found

    def tensors(self) -> Weights:
        """Read the weights, by the names that the file gives them.

        Raises:
            UserError: See `outlines`.
        """
        self.outlines()
        with _damage_told(self._path):
            return {key: self._tensors.tensor(value) for key, value in self.content[_WEIGHTS].items()}

    def weights(self) -> Weights:
        """Read the weights, by their plain names.

        Raises:
            UserError: See `outlines` and `network_weights`.
        """
        return network_weights({_WEIGHTS: self.tensors()}, self._path.name)


@contextmanager
def opened_checkpoint(path: Path) -> Iterator[Checkpoint]:
    """Open an nnU-Net checkpoint.

    Raises:
        UserError: Not a checkpoint, or it needs more than tensors and plain data; the message names file and need.
    """
    with ExitStack() as stack:
        with _damage_told(path):
            tensors = stack.enter_context(opened_tensors(path))
        yield Checkpoint(path, tensors)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read an nnU-Net checkpoint onto the CPU; of the tensors in it only the weights.

    Raises:
        UserError: See `opened_checkpoint` and `Checkpoint.outlines`.
    """
    with opened_checkpoint(path) as checkpoint:
        return {**checkpoint.content, _WEIGHTS: checkpoint.tensors()}


def read_tensors(path: Path) -> Any:
    """Read all that ``torch.save`` wrote onto the CPU, where it is tensors and plain data.

    Raises:
        UserError: Not a checkpoint, or it needs more than that; the message names file and need.
    """
    with _damage_told(path), opened_tensors(path) as tensors:
        return tensors.whole()


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    try:
        yield
    except Forbidden as error:
        raise _refused(path.name, f"It needs '{error.name}', which could run code.") from error
    except (OSError, *DAMAGE) as error:
        said = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        reason = f"{type(error).__name__}: {said}".splitlines()[0]
        raise UserError(f"The checkpoint {path.name} cannot be read.", reason[:500], _TODO) from error


def network_weights(checkpoint: dict[str, Any], name: str) -> Weights:
    """Return a checkpoint's weights without the prefixes that DDP and ``torch.compile`` leave in their names.

    Args:
        checkpoint: From `load_checkpoint`.
        name: The file's name, for messages.

    Raises:
        UserError: An entry is not a plain tensor, or holds NaN or infinite values; the message names it.
    """
    weights = {}
    for key, value in checkpoint[_WEIGHTS].items():
        if not (isinstance(value, torch.Tensor) and value.layout == torch.strided and value.device.type == "cpu"):
            raise _refused(name, f"The weight '{str(key)[:200]}' is not a plain tensor.")
        if not torch.isfinite(value).all():
            raise _refused(name, f"The weight '{str(key)[:200]}' holds NaN or infinite values: its training diverged.")
        weights[_plain_name(key)] = value
    return weights


def _plain_name(key: Any) -> str:
    return re.sub(r"^(module\.|_orig_mod\.)+", "", str(key))


def _refused(name: str, why: str) -> UserError:
    return UserError(f"The checkpoint {name} was refused.", why, _TODO)


def save_checkpoint(
    path: Path,
    weights: dict[str, torch.Tensor],
    *,
    plans: dict[str, Any],
    configuration: str,
    dataset: dict[str, Any],
    fold: str,
    mirroring_axes: tuple[int, ...] | None,
) -> None:
    """Write a checkpoint that stock nnU-Net v2 loads for inference, atomically.

    It names the trainer ``nnUNetTrainer``: stock nnU-Net looks the class up by name, and the network is the plans' own.
    Optimiser state and logs of the source are left behind.
    """
    content = {
        "network_weights": {key: _alone(value.detach().cpu()) for key, value in weights.items()},
        "trainer_name": "nnUNetTrainer",
        "init_args": {
            "plans": plans,
            "configuration": configuration,
            "fold": int(fold) if fold.isdigit() else fold,
            "dataset_json": dataset,
        },
        "inference_allowed_mirroring_axes": mirroring_axes,
    }
    write_atomic(path, lambda temporary: write_tensors(content, temporary))


def write_tensors(content: Any, path: Path) -> None:
    """Write with ``torch.save``, which hides why it failed when it is given a path: a full disk stays an `OSError`."""
    # torch.save does not look at how much of a block an unbuffered file took; a buffered one takes all or raises.
    with path.open("wb") as stream:
        torch.save(content, stream)


def _alone(tensor: torch.Tensor) -> torch.Tensor:
    """Return ``tensor`` without the rest of the memory it is part of, which ``torch.save`` would write as well."""
    if tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.nbytes:
        # Not copied: nnU-Net's decoder holds its encoder's tensors again, and shared memory is written once.
        return tensor
    return tensor.clone(memory_format=torch.contiguous_format)
