"""Installing a model: nnU-Net results folder, zip of one, or a bare checkpoint."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import read_json, write_json
from lnsegfm.engine.networks.adapters import is_adapter
from lnsegfm.engine.networks.checkpoints import load_checkpoint, network_weights, save_checkpoint
from lnsegfm.engine.networks.model_sources import PLANS, WANTED, ModelSource, located
from lnsegfm.engine.networks.network import check_weights
from lnsegfm.engine.networks.nnunet_plans import architecture_name, check_plans
from lnsegfm.images.orientation import is_axis_code
from lnsegfm.models.exported_models import Exported, ForeignModel, plans_content, read_exported, settled
from lnsegfm.models.model_store import CARD, ModelCard, ModelInfo, ModelStore

_AXES = (0, 1, 2)

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
        kind: See `lnsegfm.models.model_store.KINDS`; for models that do not tell their own.
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


def _plain(value: Any, name: str) -> Any:
    """Return what ``value`` is after a way through JSON, which is how plans and dataset description are stored."""
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(
            f"{name} cannot be installed.", f"The plans or dataset description in it are not JSON: {error}.", WANTED
        ) from error


def _mirroring_axes(checkpoint: dict[str, Any], name: str) -> tuple[int, ...] | None:
    axes = checkpoint.get("inference_allowed_mirroring_axes")
    if axes is None:
        return None
    if not isinstance(axes, (list, tuple)) or len(set(map(str, axes))) < len(axes) or any(a not in _AXES for a in axes):
        why = f"Its mirroring axes are {axes!r}; expected are some of the axes 0, 1, 2."
        raise UserError(f"{name} cannot be installed.", why, WANTED)
    return tuple(int(axis) for axis in axes)


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
            (staging / file).write_bytes(plans_content(found.folder))
        else:
            shutil.copyfile(found.folder / file, staging / file)
    own = {field: getattr(card, field) for field in ("parent", "parent_sha256", "lineage", "metrics", "trainer")}
    return settled(replace(checked, folds=card.folds, **own), store.list())


def _same_content(source: Path, written: Path) -> bool:
    if source.name == PLANS:
        return bool(json.loads(plans_content(source.parent)) == read_json(written))
    if source.suffix == ".json":
        return bool(read_json(source) == read_json(written))
    theirs, ours = load_checkpoint(source), load_checkpoint(written)
    arguments = theirs.get("init_args")
    return theirs.keys() == ours.keys() and isinstance(arguments, dict) and arguments == ours["init_args"]


def _stage(found: ModelSource, staging: Path, *, name: str, kind: str, orientation: str) -> ModelCard:
    plans, dataset = found.plans, found.dataset
    configuration = architecture = trainer = ""
    stock = True
    for fold, path in found.checkpoints.items():
        checkpoint = load_checkpoint(path)
        arguments = checkpoint.get("init_args")
        arguments = arguments if isinstance(arguments, dict) else {}
        plans = plans or _plain(arguments.get("plans"), path.name)
        dataset = dataset or _plain(arguments.get("dataset_json"), path.name)
        if plans is None or dataset is None:
            raise UserError(
                f"{path.name} cannot be installed alone.", "Its 'init_args' hold no plans and dataset.json.", WANTED
            )
        configuration = configuration or str(arguments.get("configuration") or found.configuration)
        trainer = trainer or str(checkpoint.get("trainer_name", ""))
        resolved = check_plans(plans, configuration, dataset)
        # Anything else in a stranger's dataset.json, such as lists of case files, may name patients.
        dataset = {key: dataset[key] for key in DATASET_KEYS if key in dataset}
        architecture = architecture_name(resolved)
        weights = network_weights(checkpoint, path.name)
        check_weights(weights, plans, configuration, dataset, path.name)
        stock = stock and not any(map(is_adapter, weights))
        save_checkpoint(
            staging / f"fold_{fold}" / "checkpoint_final.pth", weights, plans=plans, configuration=configuration,
            dataset=dataset, fold=fold, mirroring_axes=_mirroring_axes(checkpoint, path.name),
        )
    assert plans is not None and dataset is not None
    write_json(staging / "plans.json", plans)
    write_json(staging / "dataset.json", dataset)
    # nnU-Net's two readers that reorient both bring images to RAS.
    reoriented = str(plans.get("image_reader_writer")).endswith("WithReorient")
    orientation = orientation or ("RAS" if reoriented else "LPS")
    return ModelCard(
        name=name, kind=kind, architecture=architecture, configuration=configuration,
        folds=tuple(found.checkpoints), orientation=orientation, trainer=trainer or "nnUNetTrainer",
        stock=stock,
    )
