"""Installing a model: nnU-Net results folder, zip of one, or a bare checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from lnsegfm.base import disk
from lnsegfm.base.errors import UserError
from lnsegfm.base.files import write_atomic, write_json
from lnsegfm.engine.networks.adapters import is_adapter
from lnsegfm.engine.networks.checkpoint_notes import CheckpointNotes, plain_json
from lnsegfm.engine.networks.checkpoints import opened_checkpoint, save_checkpoint
from lnsegfm.engine.networks.dry_run import try_plans
from lnsegfm.engine.networks.model_sources import ModelSource, located
from lnsegfm.engine.networks.network import check_weights
from lnsegfm.engine.networks.nnunet_plans import architecture_name, check_plans
from lnsegfm.engine.networks.zipped_model import WANTED, check_room
from lnsegfm.images.orientation import is_axis_code
from lnsegfm.models.exported_models import Exported, ForeignModel, plans_content, read_exported, settled
from lnsegfm.models.model_card import CARD, ModelCard, ModelInfo
from lnsegfm.models.model_content import DATASET, PLANS, parse_description, read_description
from lnsegfm.models.model_store import ModelStore

DATASET_KEYS = ("channel_names", "modality", "labels", "regions_class_order", "numTraining", "file_ending")


@dataclass(frozen=True)
class Installed:
    """What came of an installation.

    Args:
        model: The installed model.
        is_new: False where the same model, by its SHA-256, was installed already.
        note: Why the model's own description was not used, or empty.
        left_out: What of the source is not part of the model, each with the reason.
    """

    model: ModelInfo
    is_new: bool = True
    note: str = ""
    left_out: tuple[str, ...] = ()


def install_model(store: ModelStore, source: Path, **options: str) -> ModelInfo:
    """Install a model, see `install`, and return it; or the same one that is installed already."""
    return install(store, source, **options).model


def install(
    store: ModelStore, source: Path, *, name: str = "", kind: str = "foundation", orientation: str = ""
) -> Installed:
    """Check a model and copy it into the store, free of everything but weights, plans and dataset description.

    Its ensemble is nnU-Net's own choice of folds, see `lnsegfm.engine.networks.fold_choice`.

    A model that LN-Seg-FM has exported keeps its name, kind, parent, lineage, scores and voxel order, as its own
    ``model.json`` tells them, when its files are those that it describes.

    Args:
        store: Where it is installed.
        source: nnU-Net results folder (or a folder that holds exactly one), a zip of it, or ``checkpoint_*.pth``.
        name: Display name; by default the model's own, or else made from the source's name.
        kind: See `lnsegfm.models.model_card.KINDS`; for models that do not tell their own.
        orientation: Voxel order of the images it was trained on, as SimpleITK's ``DICOMOrient`` names it. By default
            RAS for nnU-Net's readers that reorient, and else LPS, the order in which DICOM CTs are stored; nnU-Net does
            not record it.

    Raises:
        UserError: Nothing installable found, unsafe content, plans that are not accepted, or weights that do not fit.
            The store is left as it was.
    """
    if orientation and not is_axis_code(orientation):
        raise UserError(
            f"The voxel order '{orientation}' is not known.", "It needs one of L/R, one of P/A and one of S/I.",
            "Say for example LPS (as in DICOM) or RAS (as in many NIfTI files).",
        )
    source = Path(source).absolute()
    with located(source, store.root) as found:
        wish = name or (source.stem if source.suffix.lower() in (".zip", ".pth") else source.name)
        try:
            exported = read_exported(found.folder) if found.folder is not None else None
            if exported is not None:
                whole = found.with_folds(exported.card.folds)
                add = partial(_stage_exported, whole, exported, name=name, orientation=orientation, store=store)
                return _added(store, exported.id or name or exported.card.name, add)
            note = ""
        except ForeignModel as reason:
            note = f"It is installed as a model from elsewhere, for {reason}."
        add = partial(_stage, found, name=wish, kind=kind, orientation=orientation)
        return _added(store, wish, add, note, found.left_out)


def _added(
    store: ModelStore, wish: str, fill: Callable[[Path], ModelCard], note: str = "", left_out: tuple[str, ...] = ()
) -> Installed:
    before = {model.id for model in store.list()}
    model = store.add(wish, fill, once=True)
    return Installed(model, model.id not in before, note, left_out)


def _stage_exported(
    found: ModelSource, exported: Exported, staging: Path, *, name: str, orientation: str, store: ModelStore
) -> ModelCard:
    """Check a model of ours as any other, then take its files as they are, so that its SHA-256 stays.

    Raises:
        ForeignModel: It holds more than our models do, or something else than its card says.
    """
    card = exported.card
    checked = _stage(
        found, staging, name=name or card.name, kind=card.kind, orientation=orientation or card.orientation
    )
    if (checked.configuration, set(checked.folds)) != (card.configuration, set(card.folds)):
        raise ForeignModel(f"its configuration or folds are not those of its {CARD}")
    assert found.folder is not None
    written = {path.relative_to(staging).as_posix() for path in staging.rglob("*") if path.is_file()}
    if written != set(exported.files):
        raise ForeignModel(f"its files are not those that its {CARD} lists")
    for file in written:
        if not _same_content(found.folder / file, staging / file):
            raise ForeignModel(f"{file} holds more than a model of LN-Seg-FM does")
        if file == PLANS:
            disk.write_bytes(staging / file, plans_content(found.folder))
        else:
            write_atomic(staging / file, partial(shutil.copyfile, found.folder / file))
    own = {field: getattr(card, field) for field in ("parent", "parent_sha256", "lineage", "metrics", "trainer")}
    return settled(replace(checked, folds=card.folds, **own), store.list())


def _same_content(source: Path, written: Path) -> bool:
    if source.name == PLANS:
        return parse_description(plans_content(source.parent)) == read_description(written)
    if source.suffix == ".json":
        return read_description(source) == read_description(written)
    with opened_checkpoint(source) as theirs, opened_checkpoint(written) as ours:
        arguments = theirs.content.get("init_args")
        same_keys = theirs.content.keys() == ours.content.keys()
        return same_keys and isinstance(arguments, dict) and bool(arguments == ours.content["init_args"])


@dataclass
class _Description:
    """What the checkpoints of a model have in common; the first one tells what the source does not."""

    plans: dict[str, Any] | None
    dataset: dict[str, Any] | None
    configuration: str = ""
    trainer: str = ""
    architecture: str = ""
    stock: bool = True
    weight_bytes: int = 0

    def add(self, notes: CheckpointNotes, configuration: str, name: str) -> None:
        """Take what is missing from a checkpoint, and check it once it is all there."""
        if self.weight_bytes:
            return
        plans, dataset = self.plans or notes.plans, self.dataset or notes.dataset
        if plans is None or dataset is None:
            raise UserError(
                f"{name} cannot be installed alone.", "Its 'init_args' hold no plans and dataset.json.", WANTED
            )
        self.configuration, self.trainer = notes.configuration or configuration, notes.trainer
        self.architecture = architecture_name(check_plans(plans, self.configuration, dataset))
        # Anything else in a stranger's dataset.json, such as lists of case files, may name patients.
        self.plans, self.dataset = plans, {key: dataset[key] for key in DATASET_KEYS if key in dataset}
        self.weight_bytes = try_plans(plans, self.configuration, self.dataset)


def _stage(found: ModelSource, staging: Path, *, name: str, kind: str, orientation: str) -> ModelCard:
    description = _Description(
        plain_json(found.plans, PLANS, "the whole"), plain_json(found.dataset, DATASET, "the whole")
    )
    for fold, path in found.checkpoints.items():
        _stage_fold(description, fold, path, staging, found.configuration)
    plans, dataset = description.plans, description.dataset
    assert plans is not None and dataset is not None
    write_json(staging / PLANS, plans)
    write_json(staging / DATASET, dataset)
    # nnU-Net's two readers that reorient both bring images to RAS.
    reoriented = str(plans.get("image_reader_writer")).endswith("WithReorient")
    return ModelCard(
        name=name, kind=kind, architecture=description.architecture, configuration=description.configuration,
        folds=tuple(found.checkpoints), orientation=orientation or ("RAS" if reoriented else "LPS"),
        trainer=description.trainer or "nnUNetTrainer", stock=description.stock,
    )


def _stage_fold(description: _Description, fold: str, path: Path, staging: Path, configuration: str) -> None:
    """Check a checkpoint by what it says of its weights, and only then read and store them."""
    with opened_checkpoint(path) as checkpoint:
        notes = CheckpointNotes.of(checkpoint.content, path.name)
        description.add(notes, configuration, path.name)
        plans, dataset = description.plans, description.dataset
        assert plans is not None and dataset is not None
        outlines = checkpoint.outlines()
        check_weights(outlines, plans, description.configuration, dataset, path.name)
        description.stock = description.stock and not any(map(is_adapter, outlines))
        check_room(staging, description.weight_bytes, path.name)
        save_checkpoint(
            staging / f"fold_{fold}" / "checkpoint_final.pth", checkpoint.weights(), plans=plans,
            configuration=description.configuration, dataset=dataset, fold=fold,
            mirroring_axes=notes.mirroring_axes,
        )
