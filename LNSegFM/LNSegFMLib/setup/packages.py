"""The Python packages that the worker needs: are they there, and how Slicer gets them."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import slicer

from lnsegfm.base.background import Task
from lnsegfm.base.errors import UserError
from lnsegfm.base.processes import PYTHON_VARIABLE
from lnsegfm.models.published.catalogue import RESOURCES
from lnsegfm.setup.pip_run import changed_in_use, installed_versions, run_pip
from lnsegfm.setup.wheels import check_wheels

_REQUIREMENTS = RESOURCES / "requirements.txt"
# Without these nothing works; the others of the file are installed along with them.
_NEEDED = ("torch", "nnunetv2")
# Downloads from Google Drive; nothing else needs it, so that it is installed when it is wanted. Older ones cannot be
# cancelled.
GDOWN = "gdown>=6.5"
# Segments faster on CPUs; what else would come along sends telemetry, or is here already.
OPENVINO = "openvino>=2025"
# torch, because the torchvision that comes along with nnU-Net would bring another one; the others are Slicer's own and
# in use.
_KEPT = ("torch", "numpy", "SimpleITK")
# Command line of pip, where it is not the one of Slicer's Python.
PIP: Sequence[str] | None = None
_may_install = True


@contextmanager
def nothing_installed() -> Iterator[None]:
    """Offer and install nothing meanwhile, as in a self-test, which answers all questions with yes."""
    global _may_install
    before, _may_install = _may_install, False
    try:
        yield
    finally:
        _may_install = before


def may_offer() -> bool:
    """Tell whether packages that are useful but not needed are to be offered."""
    return _may_install and not slicer.app.testingEnabled()


def missing_packages(also: Sequence[str] = ()) -> list[str]:
    """Return which needed packages Slicer's Python lacks or has in a version that does not do, importing none.

    Args:
        also: Names of further packages that the work at hand needs.
    """
    if foreign_python():
        return []  # we cannot look into it from here
    importlib.invalidate_caches()
    ranges = {_name(line): line for line in _requirements()}
    wanted = [ranges.get(name, name) for name in (*_NEEDED, *also)]
    return [line for line in wanted if not is_met(line)]


def is_met(requirement: str) -> bool:
    """Tell whether Slicer's Python has a package in a version that does, such as ``torch>=2.6``; imports none."""
    name = _name(requirement)
    if importlib.util.find_spec(name.replace("-", "_")) is None:
        return False
    try:
        from packaging.requirements import Requirement

        return Requirement(requirement).specifier.contains(importlib.metadata.version(name), prereleases=True)
    except ImportError:  # also where a package that is there has no metadata: then its version is not known
        return True


def foreign_python() -> str:
    """Return the Python of the user's choice in which the worker runs; empty where it is Slicer's own."""
    return os.environ.get(PYTHON_VARIABLE, "")


def offers_openvino(device: str) -> bool:
    """Tell whether OpenVINO is not there and would let this computer segment faster.

    Args:
        device: What PyTorch computes on, ``cpu`` or another; empty where that is not known.
    """
    if foreign_python() or is_met(OPENVINO):
        return False
    return device == "cpu" if device else sys.platform != "darwin" and shutil.which("nvidia-smi") is None


def needs_extension_for_gpu() -> bool:
    """Tell whether pip would bring PyTorch for the CPU alone, as on Windows; the PyTorch extension does better."""
    return os.name == "nt" and importlib.util.find_spec("PyTorchUtils") is None and not is_met("torch")


def start_installation(
    log: Path, *, only: Sequence[str] = (), wheels: Path | None = None, repair: bool = False, alone: bool = False
) -> Task:
    """Install what is missing without blocking Slicer; the task tells what pip does, and can be cancelled.

    PyTorch comes first, through the PyTorch extension where Slicer has it, which blocks with a dialog of its own. The
    rest is left to pip in a process of our own: neither `slicer.util.pip_install` nor `slicer.packaging`, which
    `install_packages` uses, can be cancelled.

    Args:
        log: File that gets pip's output.
        only: Install these requirements, not those of ``requirements.txt``.
        wheels: Take the packages from this folder of wheels alone, for a computer without the internet.
        repair: Reinstall PyTorch, although it is there.
        alone: Install nothing that the packages ask for.

    Returns:
        The task; its value is the list of the packages that changed while Slicer has them loaded, for the sake of which
        it has to be started again.

    Raises:
        UserError: The folder of wheels lacks a package, another installation is running, or PyTorch's failed.
    """
    _refuse_in_self_test()
    _refuse_second_installation()
    lines = list(only) or _requirements()
    if wheels is not None:
        check_wheels(wheels, [line for line in lines if repair or not is_met(line)])
    elif repair or not only:
        _torch_by_extension(lines, again=repair)
    by_pip = repair and importlib.util.find_spec("PyTorchUtils") is None
    again = [line for line in lines if by_pip and _name(line) == "torch"]
    wanted = [line for line in lines if not is_met(line) or line in again]
    kept = [f"{name}=={version}" for name, version in _kept(wanted) if name not in map(_name, wanted)]

    def install(progress: Callable[[float | None, str], object], is_cancelled: Callable[[], bool]) -> list[str]:
        if not wanted:
            return []
        before = installed_versions()
        with tempfile.TemporaryDirectory(prefix="lnsegfm-pip-", ignore_cleanup_errors=True) as folder:
            constraints = Path(folder) / "constraints.txt"
            constraints.write_text("\n".join(kept), encoding="utf-8")
            source = [] if wheels is None else ["--no-index", "--find-links", str(wheels)]
            force = ["--force-reinstall"] if again else []
            dependencies = ["--no-deps"] if alone else []
            arguments = ["--constraint", str(constraints), *source, *force, *dependencies, *wanted]
            run_pip(arguments, log, command=PIP, progress=progress, is_cancelled=is_cancelled)
        return changed_in_use(before, installed_versions())

    return Task(install)


def install_packages(also: Sequence[str] = ()) -> None:
    """Install what is missing; takes minutes and shows Slicer's own progress.

    PyTorch comes through the PyTorch extension, which chooses the build for this computer's GPU.

    Args:
        also: Names of further packages that the work at hand needs.

    Raises:
        UserError: The installation failed.
    """
    _refuse_in_self_test()
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
        raise _failure(error) from error
    still = missing_packages(also)
    if still:
        raise UserError(
            "The Python packages could not be installed.", f"Still missing: {', '.join(still)}.",
            "Restart Slicer and try again; Slicer's Python console has the details.",
        )


def _failure(error: Exception) -> UserError:
    return UserError(
        "The Python packages could not be installed.", f"{error}.",
        "Check the internet connection and the free disk space, then try again; Slicer's Python console has the "
        "details.",
    )


def _requirements() -> list[str]:
    lines = [line.strip() for line in _REQUIREMENTS.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def _name(requirement: str) -> str:
    return re.split(r"[<>=!~ \[;]", requirement, maxsplit=1)[0]


def _kept(wanted: Sequence[str]) -> list[tuple[str, str]]:
    if not wanted:
        return []
    found = []
    for name in _KEPT:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _refuse_in_self_test() -> None:
    if not _may_install:
        raise UserError("Nothing was installed.", "A self-test is running; it installs nothing.", "Wait for its end.")


def _refuse_second_installation() -> None:
    if importlib.util.find_spec("slicer.packaging") is None:
        return
    packaging: Any = importlib.import_module("slicer.packaging")
    if getattr(packaging, "isPipInstallInProgress", bool)():
        raise UserError(
            "Another extension is installing Python packages.", "Two installations at once would damage each other.",
            "Wait until it is done, then try again.",
        )


def _torch_by_extension(lines: Sequence[str], *, again: bool) -> None:
    try:
        _install_torch(lines, again=again)
    except (CalledProcessError, RuntimeError, ImportError) as error:
        raise _failure(error) from error


def _install_torch(wanted: Sequence[str], *, again: bool = False) -> None:
    """Let the PyTorch extension install torch where both are needed and possible; else pip does it."""
    line = next((line for line in wanted if line.startswith("torch")), "")
    if not line or (is_met(line) and not again) or importlib.util.find_spec("PyTorchUtils") is None:
        return
    utilities: Any = importlib.import_module("PyTorchUtils")
    logic = utilities.PyTorchUtilsLogic()
    if importlib.util.find_spec("torch") is not None:
        # pip would replace a build for the GPU by one for the CPU alone.
        logic.uninstallTorch()
    if logic.installTorch(askConfirmation=False, torchVersionRequirement=line.removeprefix("torch")) is None:
        raise RuntimeError("The PyTorch extension did not install PyTorch")
