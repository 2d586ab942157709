"""What a report says of this Slicer and this computer."""

from __future__ import annotations

import getpass
import importlib.metadata
import platform
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import slicer
import vtk

from lnsegfm.base.failures import last_traceback
from lnsegfm.base.home import Home
from lnsegfm.base.wording import data_size
from lnsegfm.models.model_card import KINDS
from lnsegfm.models.published.catalogue import published_models
from lnsegfm.session import Session
from lnsegfm.setup.problem_report import anonymous, report

_PACKAGES = (
    "torch", "openvino", "nnunetv2", "numpy", "SimpleITK", "scipy", "batchgeneratorsv2",
    "dynamic-network-architectures", "surface-distance", "requests", "gdown", "pip",
)  # fmt: skip


def system_report(self_check: str, log: Sequence[str]) -> str:
    """Return the report for the clipboard: no names, no paths, nothing of any patient.

    Args:
        self_check: What the last self-check found; empty when none was made.
        log: Last lines of the log of an installation.
    """
    application = slicer.app
    packages = ", ".join(f"{name} {version}" for name in _PACKAGES if (version := _version(name)))
    home, private = Home.default(), _private_words()
    models = Session(home).models.look().models
    counts = ", ".join(f"{sum(model.card.kind == kind for model in models)} {kind}" for kind in KINDS)
    facts = {
        "3D Slicer": f"{application.applicationVersion}, revision {application.revision}",
        "System": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Python": ".".join(str(part) for part in sys.version_info[:3]),
        "Packages": packages,
        "Models": f"{counts}; {len(published_models())} known",
        "Free disk space": data_size(shutil.disk_usage(_existing(home.root)).free),
        "Self-check": anonymous(self_check, private) or "not made",
    }
    return report(facts, last_traceback(), log, private)


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _existing(folder: Path) -> Path:
    return folder if folder.exists() else _existing(folder.parent)


def _private_words() -> list[str]:
    """Return the names of this user, this computer and everything in the scene that somebody has named."""
    scene = slicer.mrmlScene
    nodes = [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]
    words = [node.GetName() or "" for node in nodes if node.IsA("vtkMRMLDisplayableNode")]
    words += [Path.home().name, platform.node()]
    with suppress(KeyError, OSError, ImportError):  # an account without a name
        words.append(getpass.getuser())
    # Patients' names have spaces, carets and commas between their parts.
    parts = [part for word in words for part in word.replace("^", " ").replace(",", " ").split() if len(part) > 3]
    return [*words, *(part for part in parts if part.casefold() not in _OWN_WORDS), *_hierarchy_names()]


_OWN_WORDS = {"lymph", "node", "nodes", "segmentation", "volume", "root", "slicer", "torch", "phantom"}


def _hierarchy_names() -> list[str]:
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    items = vtk.vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, True)
    names = [hierarchy.GetItemName(items.GetId(index)) for index in range(items.GetNumberOfIds())]
    return [name for name in names if name.casefold() not in _OWN_WORDS]
