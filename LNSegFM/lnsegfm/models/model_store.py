"""The store of installed models.

A model is a folder ``models/<id>/`` that holds a plain nnU-Net v2 model (``plans.json``, ``dataset.json``,
``fold_*/checkpoint_final.pth``) and ``model.json`` with its card and the SHA-256 of every file. The store never looks
into checkpoints; reading them needs torch and is the engine's work (`lnsegfm.engine.networks.model_install`).
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import uuid
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

from lnsegfm.base import disk, schema
from lnsegfm.base.archive import extract_zip
from lnsegfm.base.errors import UserError
from lnsegfm.base.files import (
    new_folder,
    read_json,
    sha256,
    sweep_abandoned,
    write_atomic,
    write_json,
    write_text,
)
from lnsegfm.base.home import free_id
from lnsegfm.base.schema import Limits
from lnsegfm.models.stock_names import NAMES_KEY, StockName, renamed, stock_name

CARD = "model.json"
ID_KEY = "id"
"""Of the card in an exported model: the id that it had; in the store, the folder's name tells it."""
_DEFAULT = ".default"
_PLANS = "plans.json"
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


# Inside the class below the name `list` is the method.
Models = list[ModelInfo]


class ModelStore:
    """Installed models below one folder.

    Args:
        root: Folder of the models; made when the first one is added.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def list(self) -> Models:
        """Return the installed models, oldest first. Unfinished folders and unreadable cards are left out."""
        found = []
        for card in self.root.glob(f"*/{CARD}"):
            if card.parent.name.startswith("."):
                continue
            try:
                found.append(read_model(card.parent))
            except UserError:
                continue
        return sorted(found, key=lambda model: (model.created, model.id))

    def get(self, model_id: str) -> ModelInfo:
        """Return one model.

        Raises:
            UserError: There is no such model, or its card cannot be read.
        """
        return read_model(self._folder(model_id))

    def verify(self, model_id: str) -> ModelInfo:
        """Compare every file of a model with its recorded SHA-256 and return the model.

        Raises:
            UserError: A file is missing or was changed; the message names it.
        """
        model = self.get(model_id)
        todo = "Remove the model and install it again."
        for name, expected in model.files.items():
            path = model.path / name
            if not path.is_file():
                raise UserError(f"The model '{model.name}' is damaged.", f"{name} is missing.", todo)
            if sha256(path) != expected:
                raise UserError(
                    f"The model '{model.name}' is damaged.",
                    f"{name} is not the file that was installed (its SHA-256 differs).",
                    todo,
                )
        return model

    def add(self, wish: str, fill: Callable[[Path], ModelCard], *, once: bool = False) -> ModelInfo:
        """Add a model: complete, or not at all.

        Args:
            wish: What the id is made from.
            fill: Puts the model's files into the empty folder it is given and returns the card.
            once: Return the installed model that has the same SHA-256, where there is one, instead of adding another.

        Raises:
            UserError: A file that the card promises was not put there; or what ``fill`` raises.
        """
        disk.make_folder(self.root)
        sweep_abandoned(self.root)
        with tempfile.TemporaryDirectory(prefix=".tmp-", dir=self.root, ignore_cleanup_errors=True) as folder:
            staging = Path(folder) / "model"
            staging.mkdir()
            card = fill(staging)
            files = {
                path.relative_to(staging).as_posix(): sha256(path)
                for path in sorted(staging.rglob("*"))
                if path.is_file()
            }
            missing = _missing(card, files)
            if missing:
                raise UserError(f"The model '{card.name}' is incomplete.", f"{missing} is missing.")
            same = next((model for model in self.list() if model.files == files), None) if once else None
            if same is not None:
                return same
            created = datetime.now(timezone.utc).isoformat(timespec="microseconds")
            write_json(staging / CARD, {"created": created, "files": files, **asdict(card)})
            return read_model(self._publish(staging, wish))

    def rename(self, model_id: str, name: str) -> None:
        """Give a model another display name; its id, its files and what was adapted from it stay.

        Raises:
            UserError: The name is empty, or there is no such model.
        """
        if not name.strip():
            raise UserError("The model was not renamed.", "The name is empty.", "Type a name.")
        folder = self._folder(model_id)
        values = read_json(folder / CARD)
        write_json(folder / CARD, {**values, "name": name.strip()})

    def remove(self, model_id: str) -> None:
        """Delete a model. A bundled model that was removed is not installed again by `ensure_bundled`."""
        folder = self._folder(model_id)
        try:
            kind = read_model(folder).card.kind
        except UserError:
            kind = ""
        doomed = self.root / f".tmp-{uuid.uuid4().hex[:8]}"
        disk.replace(folder, doomed)
        disk.remove_tree(doomed)
        if kind == "demonstration":
            disk.mark(self.root / f".removed-{model_id}")

        disk.remove_file(self._marker(model_id))

    @property
    def default_id(self) -> str:
        """Id of the model that was accepted last, for modules to begin with; empty when there is none."""
        try:
            model_id = (self.root / _DEFAULT).read_text(encoding="utf-8").strip()
        except OSError:
            return ""
        usable = (self.root / model_id / CARD).is_file() and not self.is_rejected(model_id)
        return model_id if model_id and usable else ""

    def set_default(self, model_id: str) -> None:
        """Make a model the one to begin with; one that was rejected is taken back by this.

        Raises:
            UserError: It is not installed.
        """
        self._folder(model_id)
        disk.remove_file(self._marker(model_id))
        write_text(self.root / _DEFAULT, model_id)

    def reject(self, model_id: str) -> None:
        """Keep a model aside: it stays installed, but is not the default.

        Where it was the default, the nearest ancestor that was not rejected takes its place.

        Raises:
            UserError: It is not installed.
        """
        was_default = self.default_id == model_id
        self._folder(model_id)
        disk.mark(self._marker(model_id))
        if was_default:
            heirs = [model.id for model in self.ancestors(model_id) if not self.is_rejected(model.id)]
            write_text(self.root / _DEFAULT, heirs[0] if heirs else "")

    def is_rejected(self, model_id: str) -> bool:
        """Tell whether a model was rejected."""
        return self._marker(model_id).exists()

    def rejected(self) -> set[str]:
        """Return the ids of the rejected models."""
        return {model.id for model in self.list() if self.is_rejected(model.id)}

    def ancestors(self, model_id: str) -> Models:
        """Return the installed models that this one was adapted from, its parent first."""
        return ancestors_among(self.list(), model_id)

    def descendants(self, model_id: str) -> Models:
        """Return the models that were adapted from this one, directly or through others."""
        models, family = self.list(), {model_id}
        for model in models:
            if model.card.parent in family:
                family.add(model.id)
        return [model for model in models if model.id in family - {model_id}]

    def export(self, model_id: str, target: Path) -> StockName:
        """Write a verified model as a zip that ``nnUNetv2_install_pretrained_model_from_zip`` accepts.

        Returns:
            The names under which stock nnU-Net finds it, see `lnsegfm.models.stock_names`.
        """
        model = self.verify(model_id)
        name = self.stock_name(model_id)
        plans, names = renamed((model.path / _PLANS).read_bytes(), name)

        def write(temporary: Path) -> None:
            with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
                for file in model.files:
                    if file != _PLANS:
                        archive.write(model.path / file, f"{name.folder}/{file}")
                archive.writestr(f"{name.folder}/{_PLANS}", plans)
                card = {**read_json(model.path / CARD), ID_KEY: model.id, **({NAMES_KEY: names} if names else {})}
                archive.writestr(f"{name.folder}/{CARD}", json.dumps(card, indent=2, ensure_ascii=False) + "\n")

        write_atomic(target, write)
        return name

    def stock_name(self, model_id: str) -> StockName:
        """Return the names that a model has in stock nnU-Net once it was exported and installed there."""
        model = self.get(model_id)
        return stock_name(
            read_json(model.path / _PLANS), model_id=model.id, sha256=model.sha256,
            configuration=model.card.configuration, folds=model.card.folds,
        )

    def ensure_bundled(self, archive: Path, digest: str, model_id: str) -> None:
        """Install the model that comes with the extension, once; needs no torch, since its SHA-256 is known.

        Args:
            archive: Zip with the content of a model folder of this store.
            digest: Its SHA-256.
            model_id: The id it gets.

        Raises:
            UserError: ``archive`` is missing or not the file that was published.
        """
        if (self.root / model_id).exists() or (self.root / f".removed-{model_id}").exists():
            return
        if not archive.is_file() or sha256(archive) != digest:
            raise UserError(
                "The bundled demonstration model is damaged.", f"{archive.name} is not the published file.",
                "Install the extension again.",
            )
        try:
            with new_folder(self.root / model_id) as staging:
                extract_zip(archive, staging)
        except OSError:
            # Another process may have installed it in the meantime.
            if not (self.root / model_id / CARD).is_file():
                raise

    def _marker(self, model_id: str) -> Path:
        return self.root / f".rejected-{model_id}"

    def _folder(self, model_id: str) -> Path:
        folder = self.root / model_id
        named = model_id == Path(model_id).name and not model_id.startswith(".")
        if not model_id or not named or not (folder / CARD).is_file():
            known = ", ".join(model.id for model in self.list()) or "none"
            raise UserError(
                f"The model '{model_id}' is not installed.", f"Installed: {known}.", "Install it or choose another."
            )
        return folder

    def _publish(self, staging: Path, wish: str) -> Path:
        while True:
            target = self.root / free_id(self.root, wish)
            try:
                disk.replace(staging, target)
                return target
            except OSError:
                # Another process may have taken the id in the meantime.
                if not target.exists():
                    raise


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
        missing = _missing(card, listed.files)
        if missing:
            raise ValueError(f"it does not list {missing}")
    except (OSError, ValueError) as error:
        raise UserError(
            f"The model '{folder.name}' cannot be read.", f"{CARD}: {error}.",
            "Remove the model and install it again.",
        ) from error
    return ModelInfo(folder.name, folder, card, listed.created, listed.files)


def ancestors_among(models: Iterable[ModelInfo], model_id: str) -> Models:
    """Return those of the models that one of them was adapted from, its parent first."""
    known = {model.id: model for model in models}
    found: Models = []
    parent = known[model_id].card.parent if model_id in known else ""
    # A card that somebody edited may name itself.
    while parent in known and known[parent] not in found:
        found.append(known[parent])
        parent = known[parent].card.parent
    return found


def _missing(card: ModelCard, files: dict[str, str]) -> str:
    """Return the first file without which nnU-Net cannot load the model, or nothing."""
    needed = ("plans.json", "dataset.json", *(f"fold_{fold}/checkpoint_final.pth" for fold in card.folds))
    return next((name for name in needed if name not in files), "")
