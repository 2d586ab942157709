"""The Python packages that the worker needs: are they there, and how Slicer gets them."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import slicer

from LNSegFMLib.core.catalogue import RESOURCES
from LNSegFMLib.core.errors import UserError
from LNSegFMLib.core.processes import PYTHON_VARIABLE

_NEEDED = ("torch", "nnunetv2")


def missing_packages() -> list[str]:
    """Return which of the needed packages Slicer's Python lacks, without importing any."""
    if os.environ.get(PYTHON_VARIABLE):
        return []  # the worker runs in a Python of the user's choice, into which we cannot look from here
    importlib.invalidate_caches()
    return [name for name in _NEEDED if importlib.util.find_spec(name) is None]


def install_packages(requirements: Path = RESOURCES / "requirements.txt") -> None:
    """Install what is missing; takes minutes and shows Slicer's own progress.

    PyTorch comes through the PyTorch extension, which chooses the build for this computer's GPU.

    Raises:
        UserError: The installation failed.
    """
    lines = [line.strip() for line in requirements.read_text(encoding="utf-8").splitlines()]
    wanted = [line for line in lines if line and not line.startswith("#")]
    try:
        _install_torch(wanted)
        if importlib.util.find_spec("slicer.packaging") is None:
            slicer.util.pip_install(wanted)
        else:
            # Slicer 5.12 and later: Slicer's own build of SimpleITK stays, and a restart is offered where it is needed.
            packaging: Any = importlib.import_module("slicer.packaging")
            packaging.pip_ensure(
                packaging.load_requirements(requirements), skip_packages=["SimpleITK"], prompt_install=False,
                requester="LN-Seg-FM",
            )
    except (CalledProcessError, RuntimeError, ImportError) as error:
        raise UserError(
            "The Python packages could not be installed.", f"{error}.",
            "Check the internet connection and the free disk space, then try again; Slicer's Python console has the "
            "details.",
        ) from error
    still = missing_packages()
    if still:
        raise UserError(
            "The Python packages could not be installed.", f"Still missing: {', '.join(still)}.",
            "Restart Slicer and try again; Slicer's Python console has the details.",
        )


def _install_torch(wanted: Sequence[str]) -> None:
    """Let the PyTorch extension install torch where both are needed and possible; else pip does it."""
    if importlib.util.find_spec("torch") is not None or importlib.util.find_spec("PyTorchUtils") is None:
        return
    version = next(line for line in wanted if line.startswith("torch")).removeprefix("torch")
    utilities: Any = importlib.import_module("PyTorchUtils")
    if utilities.PyTorchUtilsLogic().installTorch(askConfirmation=False, torchVersionRequirement=version) is None:
        raise RuntimeError("The PyTorch extension did not install PyTorch")
