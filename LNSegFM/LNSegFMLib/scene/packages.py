"""The Python packages that the worker needs: are they there, and how Slicer gets them."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import re
from collections.abc import Sequence
from subprocess import CalledProcessError
from typing import Any

import slicer

from LNSegFMLib.core.catalogue import RESOURCES
from LNSegFMLib.core.errors import UserError
from LNSegFMLib.core.processes import PYTHON_VARIABLE

_REQUIREMENTS = RESOURCES / "requirements.txt"
# Without these nothing works; the others of the file are installed along with them.
_NEEDED = ("torch", "nnunetv2")


def missing_packages(also: Sequence[str] = ()) -> list[str]:
    """Return which needed packages Slicer's Python lacks or has in a version that does not do, importing none.

    Args:
        also: Names of further packages that the work at hand needs.
    """
    if os.environ.get(PYTHON_VARIABLE):
        return []  # the worker runs in a Python of the user's choice, into which we cannot look from here
    importlib.invalidate_caches()
    ranges = {re.split(r"[<>=!~ ]", line, maxsplit=1)[0]: line for line in _requirements()}
    wanted = [ranges.get(name, name) for name in (*_NEEDED, *also)]
    return [line for name, line in zip((*_NEEDED, *also), wanted) if not _is_met(name, line)]


def _is_met(name: str, requirement: str) -> bool:
    if importlib.util.find_spec(name) is None:
        return False
    try:
        from packaging.requirements import Requirement

        return Requirement(requirement).specifier.contains(importlib.metadata.version(name), prereleases=True)
    except ImportError:  # also where a package that is there has no metadata: then its version is not known
        return True


def _requirements() -> list[str]:
    lines = [line.strip() for line in _REQUIREMENTS.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def install_packages(also: Sequence[str] = ()) -> None:
    """Install what is missing; takes minutes and shows Slicer's own progress.

    PyTorch comes through the PyTorch extension, which chooses the build for this computer's GPU.

    Args:
        also: Names of further packages that the work at hand needs.

    Raises:
        UserError: The installation failed.
    """
    wanted = _requirements()
    try:
        _install_torch(wanted)
        if importlib.util.find_spec("slicer.packaging") is None:
            slicer.util.pip_install([*wanted, *also])
        else:
            # Slicer 5.12 and later: Slicer's own build of SimpleITK stays, and a restart is offered where it is needed.
            packaging: Any = importlib.import_module("slicer.packaging")
            packaging.pip_ensure(
                packaging.load_requirements(_REQUIREMENTS), skip_packages=["SimpleITK"], prompt_install=False,
                requester="LN-Seg-FM",
            )
            if also:
                slicer.util.pip_install(list(also))
    except (CalledProcessError, RuntimeError, ImportError) as error:
        raise UserError(
            "The Python packages could not be installed.", f"{error}.",
            "Check the internet connection and the free disk space, then try again; Slicer's Python console has the "
            "details.",
        ) from error
    still = missing_packages(also)
    if still:
        raise UserError(
            "The Python packages could not be installed.", f"Still missing: {', '.join(still)}.",
            "Restart Slicer and try again; Slicer's Python console has the details.",
        )


def _install_torch(wanted: Sequence[str]) -> None:
    """Let the PyTorch extension install torch where both are needed and possible; else pip does it."""
    line = next(line for line in wanted if line.startswith("torch"))
    if _is_met("torch", line) or importlib.util.find_spec("PyTorchUtils") is None:
        return
    utilities: Any = importlib.import_module("PyTorchUtils")
    logic = utilities.PyTorchUtilsLogic()
    if importlib.util.find_spec("torch") is not None:
        # pip would replace a build for the GPU by one for the CPU alone.
        logic.uninstallTorch()
    if logic.installTorch(askConfirmation=False, torchVersionRequirement=line.removeprefix("torch")) is None:
        raise RuntimeError("The PyTorch extension did not install PyTorch")
