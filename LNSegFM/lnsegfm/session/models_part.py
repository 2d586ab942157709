"""The models of a session: list, choose, get, pass on and remove them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lnsegfm.base.errors import UserError
from lnsegfm.base.home import Home
from lnsegfm.base.outputs import check_outputs
from lnsegfm.base.prefixes import resolve
from lnsegfm.images.boxes import Region
from lnsegfm.jobs.job_store import JobStore
from lnsegfm.models.damaged import Damaged
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_choice import default_model, default_problem, model_for_segmentation
from lnsegfm.models.model_content import DATASET, read_description
from lnsegfm.models.model_facts import ModelFacts
from lnsegfm.models.model_store import ModelStore
from lnsegfm.models.published.catalogue import install_bundled, published_models
from lnsegfm.session.removal import refuse_while_used
from lnsegfm.session.waiting import IsCancelled, Report, never, no_report, wait_for

if TYPE_CHECKING:
    from lnsegfm.images.geometry import Geometry
    from lnsegfm.models.published.drive import Drive
    from lnsegfm.models.stock_names import StockName
    from lnsegfm.segmentation.worker_client import WorkerClient

GDOWN = "gdown>=6.5"
_INSTALLABLE = "Choose an nnU-Net v2 results folder (with plans.json and fold_*), a zip of it, or a checkpoint .pth."

Models = list[ModelInfo]
AllDamaged = list[Damaged]


@dataclass(frozen=True)
class PublishedModel:
    """A model that one can get.

    Args:
        id: Id in the catalogue.
        name: Display name.
        kind: One of `lnsegfm.models.model_card.KINDS`.
        architecture: Network class and size in words.
        dice: Mean Dice on the authors' own test cases, 0 to 1; None where none was published.
        page: Where it is published; empty for a model that comes with this software.
        supported: Whether this version can install it.
    """

    id: str
    name: str
    kind: str
    architecture: str
    dice: float | None
    page: str
    supported: bool


@dataclass(frozen=True)
class ModelsThere:
    """The installed models at one moment, for those who list them.

    Args:
        models: The models, oldest first.
        rejected: Ids of those that were rejected.
        default: Id of the model to begin with, never a rejected one; empty when there is none.
        accepted: Id of the model that was accepted last; empty before any was.
        damaged: What lies in the store and cannot be read.
        problem: Why the model that was accepted last cannot be told or used, if it cannot.
    """

    models: tuple[ModelInfo, ...]
    rejected: frozenset[str]
    default: str
    accepted: str
    damaged: tuple[Damaged, ...] = ()
    problem: UserError | None = None


@dataclass(frozen=True)
class InstalledModel:
    """What became of an installation.

    Args:
        model: The installed model.
        is_new: Whether it was installed now; the same files are installed once only.
        note: What the user should know, such as why a model is treated as one from elsewhere; may be empty.
        facts: The folds of its ensemble, its labels, voxel size and patch.
        left_out: What lay in the source and is not part of the model, such as unfinished folds, each with the reason.
    """

    model: ModelInfo
    is_new: bool
    note: str
    facts: ModelFacts
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExportedModel:
    """A model that was written as a zip.

    Args:
        model: The model.
        path: The zip.
        stock: Whether stock nnU-Net loads it.
        name: Where it lies in stock nnU-Net once it was installed there.
        file_ending: Of the scans that it takes in stock nnU-Net, such as ``.nii.gz``.
    """

    model: ModelInfo
    path: Path
    stock: bool
    name: StockName
    file_ending: str


class ModelsPart:
    """The models of one home. Every id may be a beginning that only one model has.

    Args:
        home: Tells where they lie, at each call.
        worker: Returns the process that reads checkpoints.
    """

    def __init__(self, home: Callable[[], Home], worker: Callable[[], WorkerClient]) -> None:
        self._home, self._worker = home, worker

    @property
    def store(self) -> ModelStore:
        """The store below."""
        return ModelStore(self._home().models)

    def install_bundled(self) -> None:
        """Install the demonstration model unless it is there or was removed; the other calls do it, too.

        Raises:
            UserError: Its file is missing or damaged.
        """
        install_bundled(self.store)

    def list(self) -> Models:
        """Return the installed models, oldest first."""
        self.install_bundled()
        return self.store.list()

    def damaged(self) -> AllDamaged:
        """Return what lies among the installed models and cannot be read, by id; `remove` takes it, too."""
        return self.store.damaged()

    def look(self) -> ModelsThere:
        """Return the models that are there, without installing the demonstration model where it is missing."""
        store = self.store
        default, (models, damaged) = default_model(store), store.survey()
        return ModelsThere(
            tuple(models), frozenset(store.rejected()), "" if default is None else default.id, store.default_id,
            tuple(damaged), default_problem(store),
        )

    def get(self, model_id: str) -> ModelInfo:
        """Return one model.

        Raises:
            UserError: It is not installed, or several ids begin so.
        """
        return self.store.get(self.resolve(model_id))

    def resolve(self, model_id: str) -> str:
        """Return the whole id of which ``model_id`` is the beginning, see `lnsegfm.base.prefixes.resolve`."""
        known = self._known()
        if not any(each.startswith(model_id) for each in known):
            self.install_bundled()  # it may be the demonstration model
            known = self._known()
        return resolve(model_id, known, "model")

    def _known(self) -> Sequence[str]:
        models, damaged = self.store.survey()
        return [*(model.id for model in models), *(each.id for each in damaged)]

    # Which one is used

    @property
    def default(self) -> ModelInfo | None:
        """The model to begin with, see `lnsegfm.models.model_choice.default_model`."""
        self.list()  # installs the demonstration model where it is missing
        return default_model(self.store)

    @property
    def default_id(self) -> str:
        """Id of the model that was accepted last; empty before any was."""
        return self.store.default_id

    def chosen(self, model_id: str = "") -> ModelInfo:
        """Return the model of this id, or the default model for an empty one.

        Raises:
            UserError: It is not installed, or there is no default model.
        """
        if model_id:
            return self.get(model_id)
        model = self.default
        if model is None:
            problem = default_problem(self.store)
            if problem is not None:
                raise problem
            raise UserError(
                "There is no model to begin with.",
                "No model is installed." if not self.list() else "No model was accepted.",
                "Install one, or accept one of the installed models.",
            )
        return model

    def for_segmentation(
        self, model_id: str = "", *, rejected_too: bool = False
    ) -> tuple[ModelInfo, Sequence[str]]:
        """Return the model that segments, and what the user should know of it.

        Args:
            model_id: The model that the user asked for; empty for the default model.
            rejected_too: The user agrees to a model that was rejected.

        Raises:
            UserError: It is not installed or was rejected, or none was asked for and there is no default model for
                patients.
        """
        wish = self.get(model_id).id if model_id else ""
        if not wish:
            self.install_bundled()
        return model_for_segmentation(self.store, wish, rejected_too=rejected_too)

    def warnings(self, model_id: str) -> Sequence[str]:
        """Return what the user should know of an installed model before it segments; its whole id is needed.

        Raises:
            UserError: It is not installed.
        """
        return model_for_segmentation(self.store, model_id, rejected_too=True)[1]

    def set_default(self, model_id: str) -> ModelInfo:
        """Make a model the default; one that was rejected is taken back by this. Return it.

        Raises:
            UserError: It is not installed.
        """
        model = self.get(model_id)
        self.store.set_default(model.id)
        return model

    def accept(self, model_id: str) -> ModelInfo:
        """Accept an adapted model: from now on it is the default. Return it; see `set_default`."""
        return self.set_default(model_id)

    def reject(self, model_id: str) -> ModelInfo:
        """Keep a model aside: it stays installed but is not the default. Return it.

        Where it was the default, the nearest ancestor that was not rejected takes its place.

        Raises:
            UserError: It is not installed.
        """
        model = self.get(model_id)
        self.store.reject(model.id)
        return model

    def is_rejected(self, model_id: str) -> bool:
        """Tell whether a model was rejected."""
        return self.store.is_rejected(self.resolve(model_id))

    def ancestors(self, model_id: str) -> Models:
        """Return the installed models that one was adapted from, its parent first."""
        return self.store.ancestors(self.resolve(model_id))

    def descendants(self, model_id: str) -> Models:
        """Return the installed models that were adapted from one, directly or not."""
        return self.store.descendants(self.resolve(model_id))

    def roll_back(self, model_id: str = "", *, to: str = "") -> ModelInfo:
        """Make an ancestor of a model the default again, and return that ancestor.

        Args:
            model_id: The model to go back from; the default model when empty.
            to: The ancestor; its parent when empty.

        Raises:
            UserError: It has no installed ancestor, or ``to`` is none.
        """
        model = self.chosen(model_id)
        ancestors = {each.id: each for each in self.ancestors(model.id)}
        if not ancestors:
            raise UserError(
                f"There is nothing to go back to from '{model.id}'.",
                "No model that it was adapted from is installed.", "Choose another default model.",
            )
        target = resolve(to, ancestors, "ancestor") if to else next(iter(ancestors))
        if target not in ancestors:
            raise UserError(
                f"'{model.id}' was not adapted from '{target}'.", f"Its ancestors are: {', '.join(ancestors)}.",
                "Choose one of these.",
            )
        return self.set_default(target)

    # They come

    def install(
        self, source: Path | str, *, name: str = "", orientation: str = "", progress: Report = no_report,
        is_cancelled: IsCancelled = never,
    ) -> InstalledModel:
        """Check a model and copy it into the home; another process reads it.

        Args:
            source: nnU-Net v2 results folder, a zip of it, or a checkpoint ``.pth``.
            name: Display name; made from the source's name when empty.
            orientation: Voxel order of the images it was trained on, such as ``LPS`` or ``RAS``; empty for RAS where
                nnU-Net's reader reorients, and else LPS.
            progress: Called with what is being done.
            is_cancelled: Asked often.

        Raises:
            UserError: Nothing installable there, unsafe content, or weights that do not fit the plans.
            Cancelled: The user cancelled; nothing was installed.
        """
        path = Path(source).absolute()
        if not path.exists():
            raise UserError(f"{path.name} cannot be installed as a model.", "It does not exist.", _INSTALLABLE)
        request = self._worker().request("install", source=str(path), name=name, orientation=orientation)
        value = wait_for(request, progress, is_cancelled)
        model = self.store.get(value["model"])
        return InstalledModel(
            model, value["is_new"], value["note"], ModelFacts.of(model), tuple(value.get("left_out", ()))
        )

    def facts(self, model_id: str) -> ModelFacts:
        """Return the folds, labels, voxel size and patch of an installed model.

        Raises:
            UserError: It is not installed, or its files are damaged.
        """
        return ModelFacts.of(self.get(model_id))

    def check_region(self, model_id: str, grid: Geometry, region: Region) -> None:
        """Refuse, before any work, a CT or region that a model cannot segment because of its size.

        Args:
            model_id: Whole id of the model.
            grid: Grid of the CT.
            region: What of it is to be segmented.

        Raises:
            UserError: It is thinner than a voxel of the model or does not fit into memory, or the box lies outside of
                the CT; or there is no such model.
        """
        try:
            facts = self.facts(model_id)
        except UserError:
            self.store.get(model_id)
            return  # damaged, which is said when it is verified
        from lnsegfm.models.grid_limits import check_region

        check_region(grid, region, facts)

    def published(self) -> Sequence[PublishedModel]:
        """Return the models of the catalogue."""
        return [
            PublishedModel(
                str(entry["id"]), str(entry["name"]), str(entry["kind"]), str(entry["architecture"]),
                entry["internal_dice"], str(entry.get("download", "")), bool(entry["supported"]),
            )
            for entry in published_models()
        ]

    def download(
        self, published_id: str, *, drive: Drive | None = None, trust_changed: bool = False,
        progress: Report = no_report, is_cancelled: IsCancelled = never,
    ) -> InstalledModel:
        """Download a published model, or what is missing of it, and install it.

        Args:
            published_id: Id in the catalogue, see `published`.
            drive: Google Drive; None for that of the package gdown.
            trust_changed: Install it although a file is not the one that was downloaded the first time.
            progress: Called with the share done and a text.
            is_cancelled: Asked often; what has come over is kept for the next time.

        Raises:
            UserError: It cannot be fetched, is not what was published, or cannot be installed.
            Cancelled: The user cancelled.
        """
        from lnsegfm.models.published.drive import GdownDrive
        from lnsegfm.models.published.model_download import ModelDownloads

        entry = self._entry(published_id)
        if drive is None and "drive_names" in entry and importlib.util.find_spec("gdown") is None:
            raise UserError(
                f"'{entry['name']}' cannot be downloaded.", "The Python package gdown is not installed.",
                f"Type: pip install '{GDOWN}'",
            )
        downloads, name = ModelDownloads(self._home()), str(entry["name"])
        fetched = downloads.fetch(entry, drive or GdownDrive(), progress=progress, is_cancelled=is_cancelled)
        if fetched.changed and not trust_changed:
            raise UserError(
                f"'{name}' was not installed.",
                f"{', '.join(fetched.changed)} is not the file that was downloaded the first time; its publisher gives "
                "no SHA-256 to compare with.", "If you trust the new file, say so (--trust-changed).",
            )
        if fetched.changed:
            downloads.accept(str(entry["id"]), fetched)
        found = self.install(fetched.source, name=name, progress=progress, is_cancelled=is_cancelled)
        downloads.clear(str(entry["id"]))
        return found

    def _entry(self, published_id: str) -> dict[str, Any]:
        entries = {str(entry["id"]): entry for entry in published_models() if "download" in entry}
        entry = entries.get(resolve(published_id, entries, "published model"))
        if entry is None:
            raise UserError(
                f"There is no published model '{published_id}'.", f"There are: {', '.join(entries)}.", "Choose one."
            )
        if not entry["supported"]:
            raise UserError(
                f"'{entry['name']}' cannot be installed.", f"This version does not know its {entry['architecture']}.",
                "Choose another model.",
            )
        return entry

    # They are kept, passed on and go

    def verify(self, model_id: str) -> ModelInfo:
        """Compare every file of a model with its recorded SHA-256 and return the model.

        Raises:
            UserError: A file is missing or was changed.
        """
        return self.store.verify(self.resolve(model_id))

    def rename(self, model_id: str, name: str) -> ModelInfo:
        """Give a model another display name; its id stays. Return it.

        Raises:
            UserError: The name is empty, or there is no such model.
        """
        whole = self.resolve(model_id)
        self.store.rename(whole, name)
        return self.store.get(whole)

    def export(self, model_id: str, target: Path, *, overwrite: bool = False) -> ExportedModel:
        """Write a verified model as a zip for stock nnU-Net.

        Args:
            model_id: The model.
            target: The zip.
            overwrite: Replace an existing file.

        Raises:
            UserError: A file of the model is missing or was changed; the zip cannot be written, exists, or is a file
                of a model.
        """
        model = self.get(model_id)
        files = [path for path in self._home().models.rglob("*") if path.is_file()]
        check_outputs([Path(target)], files, overwrite=overwrite)
        name = self.store.export(model.id, Path(target))
        ending = str(read_description(model.path / DATASET).get("file_ending", ".nii.gz"))
        return ExportedModel(model, Path(target), model.card.stock, name, ending)

    def remove(self, model_id: str) -> Models:
        """Delete a model, also a damaged one, and return the models that were adapted from it; those stay usable.

        Raises:
            UserError: It is not installed, or a running job needs it.
        """
        whole = self.resolve(model_id)
        refuse_while_used(f"model '{whole}'", JobStore(self._home().jobs).users_of(model=whole))
        heirs = self.store.descendants(whole)
        self.store.remove(whole)
        return heirs
