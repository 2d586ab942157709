"""The store of installed models.

A model is a folder ``models/<id>/`` that holds a plain nnU-Net v2 model (``plans.json``, ``dataset.json``,
``fold_*/checkpoint_final.pth``) and ``model.json`` with its card and the SHA-256 of every file. The store never looks
into checkpoints; reading them needs torch and is the engine's work (`lnsegfm.engine.networks.model_install`).
"""

from __future__ import annotations

import json
import os
import uuid
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

from lnsegfm.base import disk
from lnsegfm.base.archive import extract_zip
from lnsegfm.base.errors import UserError
from lnsegfm.base.files import read_json, sha256, write_atomic, write_json
from lnsegfm.base.locks import FileLock, LockHeld
from lnsegfm.base.work_folders import clear_dead, work_folder
from lnsegfm.models.ancestry import ancestors_among, descendants_among
from lnsegfm.models.damaged import Damaged
from lnsegfm.models.model_card import CARD, ID_KEY, ModelCard, ModelInfo, missing_file, read_model
from lnsegfm.models.model_decisions import Decisions, mentioned
from lnsegfm.models.model_ids import REMOVED, free_id, mark_used
from lnsegfm.models.stock_names import NAMES_KEY, StockName, renamed, stock_name

DELETING = ".deleting-"
"""Beginning of the names of what is being deleted; what is still there of it is deleted at the next change."""
LOCK = ".lock"
"""Of the whole store; held while it is changed."""
_WAIT_S = 20.0
_PLANS = "plans.json"
# Inside the class below the name `list` is the method.
Models = list[ModelInfo]
AllDamaged = list[Damaged]


class ModelStore:
    """Installed models below one folder; several processes may use it at once.

    Every change is made in one step, or in steps of which all but one can be seen by nobody: a process that is killed
    leaves the store as it was before or as it is afterwards. Reading takes no lock and waits for nobody.

    An id is never given twice, so that what names a model by its id never comes to mean another one.

    Args:
        root: Folder of the models; made when the first one is added.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def list(self) -> Models:
        """Return the installed models, oldest first; without those that cannot be read, see `damaged`."""
        return self.survey()[0]

    def damaged(self) -> AllDamaged:
        """Return what cannot be read, by id; it can be removed."""
        return self.survey()[1]

    def survey(self) -> tuple[Models, AllDamaged]:
        """Return the installed models, oldest first, and what cannot be read, by id."""
        found, damaged = [], []
        for folder in self._places():
            try:
                found.append(read_model(folder))
            except UserError as error:
                damaged.append(Damaged(folder.name, folder, error))
        found.sort(key=lambda model: (model.created, model.id))
        return found, damaged

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
        clear_dead(self.root)
        with work_folder(self.root) as folder:
            staging = folder / "model"
            disk.make_folder(staging)
            card = fill(staging)
            files = {
                path.relative_to(staging).as_posix(): sha256(path)
                for path in sorted(staging.rglob("*"))
                if path.is_file()
            }
            missing = missing_file(card, files)
            if missing:
                raise UserError(f"The model '{card.name}' is incomplete.", f"{missing} is missing.")
            disk.sync_tree(staging)
            with self._locked():
                models = self.list()
                same = next((model for model in models if model.files == files), None) if once else None
                if same is not None:
                    return same
                created = datetime.now(timezone.utc).isoformat(timespec="microseconds")
                write_json(staging / CARD, {"created": created, "files": files, **asdict(card)})
                target = self.root / free_id(self.root, wish, models, read_model(staging).sha256)
                disk.replace(staging, target)
            return read_model(target)

    def rename(self, model_id: str, name: str) -> None:
        """Give a model another display name; its id, its files and what was adapted from it stay.

        Raises:
            UserError: The name is empty, or there is no such model.
        """
        if not name.strip():
            raise UserError("The model was not renamed.", "The name is empty.", "Type a name.")
        self.get(model_id)
        with self._locked():
            folder = self.get(model_id).path
            write_json(folder / CARD, {**read_json(folder / CARD), "name": name.strip()})

    def remove(self, model_id: str) -> None:
        """Delete a model, also a damaged one; its id is not given again.

        A bundled model that was removed is not installed again by `ensure_bundled`, unless it was damaged.

        Raises:
            UserError: There is no such model.
        """
        self._place(model_id)
        with self._locked():
            folder = self._place(model_id)
            mark_used(self.root, model_id)
            if _is_demonstration(folder):
                disk.mark(self.root / f"{REMOVED}{model_id}")  # says nothing as long as the model is there
            doomed = self.root / f"{DELETING}{uuid.uuid4().hex[:8]}"
            disk.replace(folder, doomed)
            disk.remove_tree(doomed)
            self._forget_decisions(model_id)

    @property
    def default_id(self) -> str:
        """Id of the model that was accepted last, for modules to begin with; empty when there is none."""
        decisions = Decisions.read(self.root)
        if not decisions.default or not (self._named(decisions.default) / CARD).is_file():
            return ""
        if decisions.default in decisions.rejected:
            # As a process of version 0.1.0 left it that was killed while it rejected the default.
            return self._heir(decisions.default, decisions)
        return decisions.default

    @property
    def problem(self) -> UserError | None:
        """Why it is not known which models were accepted and rejected, if it is not."""
        return Decisions.read(self.root).problem

    def set_default(self, model_id: str) -> None:
        """Make a model the one to begin with; one that was rejected is taken back by this.

        Raises:
            UserError: It is not installed.
        """
        self.get(model_id)
        with self._locked():
            self.get(model_id)
            Decisions.read(self.root).accept(model_id).write(self.root, self._ids())

    def reject(self, model_id: str) -> None:
        """Keep a model aside: it stays installed, but is not the default.

        Where it was the default, the nearest ancestor that was not rejected takes its place.

        Raises:
            UserError: It is not installed.
        """
        self.get(model_id)
        with self._locked():
            self.get(model_id)
            decisions = Decisions.read(self.root)
            decisions.reject(model_id, self._heir(model_id, decisions)).write(self.root, self._ids())

    def is_rejected(self, model_id: str) -> bool:
        """Tell whether a model was rejected."""
        return model_id in Decisions.read(self.root).rejected

    def rejected(self) -> set[str]:
        """Return the ids of the rejected models."""
        return self._ids() & Decisions.read(self.root).rejected

    def ancestors(self, model_id: str) -> Models:
        """Return the installed models that this one was adapted from, its parent first."""
        return ancestors_among(self.list(), model_id)

    def descendants(self, model_id: str) -> Models:
        """Return the models that were adapted from this one, directly or through others."""
        return descendants_among(self.list(), model_id)

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
        if self._has_bundled(model_id):
            return
        if not archive.is_file() or sha256(archive) != digest:
            raise UserError(
                "The bundled demonstration model is damaged.", f"{archive.name} is not the published file.",
                "Install the extension again.",
            )
        disk.make_folder(self.root)
        clear_dead(self.root)
        with work_folder(self.root) as folder:
            staging = folder / "model"
            disk.make_folder(staging)
            extract_zip(archive, staging)
            disk.sync_tree(staging)
            with self._locked():
                # Another process may have installed it in the meantime.
                if not self._has_bundled(model_id):
                    self._forget_decisions(model_id)
                    disk.replace(staging, self.root / model_id)

    def _has_bundled(self, model_id: str) -> bool:
        return (self.root / model_id).exists() or (self.root / f"{REMOVED}{model_id}").exists()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the store, and first finish what a killed process has begun to delete."""
        disk.make_folder(self.root)
        try:
            with FileLock(self.root / LOCK, wait_s=_WAIT_S):
                for rest in self.root.glob(f"{DELETING}*"):
                    disk.remove_tree(rest)
                yield
        except LockHeld as error:
            raise UserError(
                "The model store is busy.", f"Another process has been changing it for {_WAIT_S:.0f} s.",
                "Try again when it is done.",
            ) from error

    def _places(self) -> Iterator[Path]:
        """Yield the folders in which models lie or should lie."""
        for folder in sorted(self.root.iterdir() if self.root.is_dir() else ()):
            if not folder.name.startswith(".") and folder.is_dir():
                yield folder

    def _ids(self) -> set[str]:
        return {folder.name for folder in self._places()}

    def _named(self, model_id: str) -> Path:
        """Return where a model of this id would lie; the id of no model leads to a place where there is none."""
        usable = model_id and model_id == Path(model_id).name and not model_id.startswith(".") and "\0" not in model_id
        return self.root / (model_id if usable else ".none")

    def _folder(self, model_id: str) -> Path:
        folder = self._named(model_id)
        if not os.path.lexists(folder / CARD):
            raise self._not_installed(model_id)
        return folder

    def _place(self, model_id: str) -> Path:
        """Return the folder of a model that may be damaged."""
        folder = self._named(model_id)
        if not folder.is_dir():
            raise self._not_installed(model_id)
        return folder

    def _not_installed(self, model_id: str) -> UserError:
        known = ", ".join(model.id for model in self.list()) or "none"
        return UserError(
            f"The model '{model_id}' is not installed.", f"Installed: {known}.", "Install it or choose another."
        )

    def _heir(self, model_id: str, decisions: Decisions) -> str:
        heirs = (model.id for model in self.ancestors(model_id) if model.id not in {model_id, *decisions.rejected})
        return next(heirs, "")

    def _forget_decisions(self, model_id: str) -> None:
        if model_id in mentioned(self.root):
            Decisions.read(self.root).without(model_id).write(self.root, self._ids())


def _is_demonstration(folder: Path) -> bool:
    try:
        return read_model(folder).card.kind == "demonstration"
    except UserError:
        return False
