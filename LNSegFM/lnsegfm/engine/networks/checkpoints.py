"""nnU-Net checkpoints without pickle's full powers.

Stock nnU-Net opens checkpoints with ``weights_only=False``: any code in them runs. Here a checkpoint may hold tensors,
plain containers and the few numpy types that nnU-Net's own logger leaves in it, and nothing else.
"""

from __future__ import annotations

import pickle
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import write_atomic

# What torch's unpickler raises depends on the byte that is damaged.
_DAMAGE = (
    EOFError, RuntimeError, LookupError, ValueError, TypeError, AttributeError, AssertionError, ArithmeticError,
    MemoryError, struct.error,
)
_TODO = "Nothing was loaded. Get the file from a source you trust, or export it again with a stock nnU-Net v2."


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read an nnU-Net checkpoint with `read_tensors`.

    Raises:
        UserError: See `read_tensors`; also when it is a checkpoint of something else.
    """
    content = read_tensors(path)
    if not isinstance(content, dict) or not isinstance(content.get("network_weights"), dict):
        raise UserError(f"{path.name} is not an nnU-Net v2 checkpoint.", "It has no 'network_weights'.", _TODO)
    return content


def read_tensors(path: Path) -> Any:
    """Read what ``torch.save`` wrote onto the CPU, with ``weights_only=True`` and a small allow-list.

    Raises:
        UserError: Not a checkpoint, or it needs a global outside the allow-list; the message names file and global.
    """
    if tuple(int(number) for number in torch.__version__.split("+")[0].split(".")[:2]) < (2, 6):
        raise UserError(
            f"PyTorch {torch.__version__} is too old to read model files safely.",
            "Before 2.6 a checkpoint can run code even when only its weights are read (CVE-2025-32434).",
            "Install PyTorch 2.6 or later.",
        )
    try:
        with torch.serialization.safe_globals(_allowed_globals()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        offending = _offending_global(str(error))
        why = f"It needs '{offending}', which could run code." if offending else "It is not a plain torch checkpoint."
        raise UserError(f"The checkpoint {path.name} was refused.", why, _TODO) from error
    except (OSError, *_DAMAGE) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise UserError(f"The checkpoint {path.name} cannot be read.", reason, _TODO) from error


def network_weights(checkpoint: dict[str, Any], name: str) -> dict[str, torch.Tensor]:
    """Return a checkpoint's weights without the prefixes that DDP and ``torch.compile`` leave in their names.

    Args:
        checkpoint: From `load_checkpoint`.
        name: The file's name, for messages.

    Raises:
        UserError: An entry is not a plain tensor, or holds NaN or infinite values; the message names it.
    """
    weights = {}
    for key, value in checkpoint["network_weights"].items():
        if not (isinstance(value, torch.Tensor) and value.layout == torch.strided and value.device.type == "cpu"):
            raise UserError(f"The checkpoint {name} was refused.", f"The weight '{key}' is not a plain tensor.", _TODO)
        if not torch.isfinite(value).all():
            why = f"The weight '{key}' holds NaN or infinite values: its training diverged."
            raise UserError(f"The checkpoint {name} was refused.", why, _TODO)
        weights[re.sub(r"^(module\.|_orig_mod\.)+", "", str(key))] = value
    return weights


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


def _allowed_globals() -> list[Any]:
    dtypes = [getattr(np.dtypes, name) for name in ("Float64DType", "Float32DType", "Float16DType", "Int64DType")]
    multiarray = getattr(np, "_core", None) or np.core
    scalar = multiarray.multiarray.scalar
    # Checkpoints carry the module name of the numpy that wrote them: 1.x and 2.x differ.
    names = [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar")]
    return [*names, np.dtype, *dtypes, torch.device]


def _offending_global(message: str) -> str:
    found = re.search(r"GLOBAL ([\w.]+)", message) or re.search(r"class ([\w.]+)", message)
    return found.group(1) if found else ""
