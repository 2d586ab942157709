"""What the store knows of a model, and how ``model.json`` says it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from lnsegfm.base import schema
from lnsegfm.base.errors import UserError
from lnsegfm.base.files import read_json
from lnsegfm.base.schema import Limits
from lnsegfm.models.stock_names import NAMES_KEY

CARD = "model.json"
ID_KEY = "id"
"""Of the card in an exported model: the id that it had; in the store, the folder's name tells it."""
KINDS = ("foundation", "adapted", "demonstration")
_Text = Annotated[str, Limits(length=1000)]


@dataclass(frozen=True)
class ModelCard:
    """What the store knows of a model besides its files.

    Args:
        name: Display name.
        kind: One of `KINDS`.
        architecture: Network class and size in words, for example ``PlainConvUNet``.
        configuration: nnU-Net configuration, for example ``3d_fullres``.
        folds: Names of the fold folders, without ``fold_``.
        orientation: Axis code of the voxel order the model was trained in, as in SimpleITK's ``DICOMOrient``.
        trainer: The trainer class that the source named.
        parent: Id of the model this one was adapted from, or empty.
        parent_sha256: `ModelInfo.sha256` of that model.
        lineage: How an adapted model came to be: method, hyper-parameters, case ids and label versions, seed,
            package versions.
        metrics: Hold-out scores before and after the adaptation, where there were hold-out cases.
        stock: Whether stock nnU-Net loads it; it does not know the adapters that some adapted models have.
    """

    name: _Text
    kind: Annotated[str, Limits(choices=KINDS)]
    architecture: _Text
    configuration: _Text
    folds: Annotated[tuple[Annotated[str, Limits(pattern=r"\w{1,40}")], ...], Limits(least=1, length=100)]
    orientation: _Text = "LPS"
    trainer: _Text = "nnUNetTrainer"
    parent: _Text = ""
    parent_sha256: _Text = ""
    lineage: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    stock: bool = True

    def __post_init__(self) -> None:
        schema.check(self)


@dataclass(frozen=True)
class ModelInfo:
    """An installed model: its card, where it lies and what its files are.

    Args:
        id: Folder name in the store.
        path: The nnU-Net model folder.
        card: See `ModelCard`.
        created: UTC time of the installation, ISO 8601.
        files: SHA-256 by path relative to ``path``.
    """

    id: str
    path: Path
    card: ModelCard
    created: str
    files: dict[str, str]

    @property
    def name(self) -> str:
        """Display name."""
        return self.card.name

    @property
    def sha256(self) -> str:
        """One SHA-256 over all files' names and hashes."""
        lines = "".join(f"{name}:{digest}\n" for name, digest in sorted(self.files.items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    def checkpoint(self, fold: str) -> Path:
        """Path of one fold's checkpoint."""
        return self.path / f"fold_{fold}" / "checkpoint_final.pth"


@dataclass(frozen=True)
class _Listed:
    """What ``model.json`` holds besides the card."""

    created: _Text
    files: Annotated[dict[_Text, Annotated[str, Limits(pattern="[0-9a-f]{64}")]], Limits(length=10_000)]


def read_model(folder: Path) -> ModelInfo:
    """Read the card of a model folder; its files are not compared with their hashes.

    Raises:
        UserError: The card is missing, damaged or describes no complete model.
    """
    try:
        values = schema.read(dict[str, Any], read_json(folder / CARD))
        for key in (ID_KEY, NAMES_KEY):
            values.pop(key, None)
        own = {name: values.pop(name) for name in ("created", "files") if name in values}
        listed, card = schema.read(_Listed, own), schema.read(ModelCard, values)
        for name in listed.files:
            if name != Path(name).as_posix() or Path(name).is_absolute() or ".." in Path(name).parts:
                raise ValueError(f"it lists the path '{name}'")
        missing = missing_file(card, listed.files)
        if missing:
            raise ValueError(f"it does not list {missing}")
    except (OSError, ValueError) as error:
        raise UserError(
            f"The model '{folder.name}' cannot be read.", f"{CARD}: {error}.",
            "Remove the model and install it again.",
        ) from error
    return ModelInfo(folder.name, folder, card, listed.created, listed.files)


def missing_file(card: ModelCard, files: dict[str, str]) -> str:
    """Return the first file without which nnU-Net cannot load the model, or nothing."""
    needed = ("plans.json", "dataset.json", *(f"fold_{fold}/checkpoint_final.pth" for fold in card.folds))
    return next((name for name in needed if name not in files), "")
