"""Which device the work runs on, and why."""

from __future__ import annotations

import torch

from lnsegfm.base.computer.cpu_count import cpu_count
from lnsegfm.base.computer.device_names import DEVICES, is_device
from lnsegfm.base.errors import UserError

CHOICES = ("auto", "cuda", "mps", "cpu")


def choose_device(wish: str) -> tuple[torch.device, str]:
    """Turn the user's choice into a device and a sentence that explains it; from now on this process computes on it.

    Args:
        wish: One of `CHOICES`, or ``cuda:N``.

    Raises:
        UserError: Unknown choice, or a device that is not there. It is never replaced silently.
    """
    if not is_device(wish):
        raise UserError(f"Unknown device '{wish}'.", f"Known are {DEVICES}.", "Choose one of these.")
    _limit_threads()
    name, _, index = wish.partition(":")
    cuda, mps = torch.cuda.is_available(), _mps_is_enough()
    if name == "cuda" and cuda and int(index or 0) >= torch.cuda.device_count():
        there = ", ".join(f"cuda:{number}" for number in range(torch.cuda.device_count()))
        raise UserError(f"There is no GPU '{wish}'.", f"PyTorch finds {there}.", "Choose one of these, or 'auto'.")
    if name == "cuda" and not cuda:
        raise UserError("No CUDA GPU can be used.", _why_no_cuda(), "Choose 'auto' or 'cpu', or repair the driver.")
    if wish == "mps" and not mps:
        raise UserError(
            "Apple's GPU (MPS) can not be used.",
            "PyTorch finds none, or is older than 2.8, which brought 3D transposed convolutions.",
            "Choose 'auto' or 'cpu'.",
        )
    if name == "cuda" or (wish == "auto" and cuda):
        device = torch.device("cuda", int(index or 0))
        free, total = torch.cuda.mem_get_info(device)
        return device, f"{torch.cuda.get_device_name(device)}, {free / 1024**3:.1f} of {total / 1024**3:.1f} GB free"
    if wish == "mps" or (wish == "auto" and mps):
        return torch.device("mps"), "Apple GPU (MPS)"
    reason = "as chosen" if wish == "cpu" else _why_no_cuda()
    count = torch.get_num_threads()
    return torch.device("cpu"), f"CPU with {count} thread{'s' * (count > 1)}: {reason}"


def gpu_memory(device: torch.device) -> dict[str, int]:
    """Return ``gpu_bytes``, the most that PyTorch has held so far, and ``gpu_total_bytes``; nothing without CUDA."""
    if device.type != "cuda":
        return {}
    total = torch.cuda.get_device_properties(device).total_memory
    return {"gpu_bytes": torch.cuda.max_memory_reserved(device), "gpu_total_bytes": total}


def _limit_threads() -> None:
    # PyTorch counts the CPUs of the computer, or those that the process is bound to. Of the time that a container is
    # granted it does not know, and many threads on little time hold each other up.
    count = cpu_count()
    if torch.get_num_threads() > count:
        torch.set_num_threads(count)


def _mps_is_enough() -> bool:
    if not torch.backends.mps.is_available():
        return False
    try:
        torch.conv_transpose3d(torch.zeros(1, 1, 2, 2, 2, device="mps"), torch.zeros(1, 1, 2, 2, 2, device="mps"))
    except (RuntimeError, NotImplementedError):
        return False
    return True


def _why_no_cuda() -> str:
    if torch.version.cuda is None and getattr(torch.version, "hip", None) is None:
        return f"the installed PyTorch {torch.__version__} has no GPU support"
    return f"PyTorch {torch.__version__} finds no GPU or its driver does not work"
