"""What a model is installed from: nnU-Net results folder, zip of one, or a bare checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lnsegfm.base import disk
from lnsegfm.base.errors import UserError
from lnsegfm.base.work_folders import work_folder
from lnsegfm.engine.networks.fold_choice import CHECKPOINTS, choose_folds, fold_name
from lnsegfm.engine.networks.zipped_model import (
    WANTED,
    ZippedModel,
    check_choice,
    none_or_several,
    read_object,
    zipped_model,
)
from lnsegfm.models.exported_models import plans_content
from lnsegfm.models.model_card import CARD
from lnsegfm.models.model_content import DATASET, PLANS, parse_description


@dataclass(frozen=True)
class ModelSource:
    """What was found.

    Args:
        checkpoints: Checkpoint file by fold.
        plans: Content of ``plans.json``, where it lies beside them.
        dataset: Content of ``dataset.json``, likewise.
        configuration: The one that the folder's name tells, for checkpoints that do not name theirs.
        folder: The model's folder; None for a bare checkpoint.
        left_out: What else lies there, each with the reason why it is not part of the model.
    """

    checkpoints: dict[str, Path]
    plans: dict[str, Any] | None = None
    dataset: dict[str, Any] | None = None
    configuration: str = ""
    folder: Path | None = None
    left_out: tuple[str, ...] = ()

    def with_folds(self, folds: Sequence[str]) -> ModelSource:
        """Return the same model folder with the final checkpoints of these folds, as its own card lists them."""
        assert self.folder is not None
        return replace(self, checkpoints={fold: self.folder / f"fold_{fold}" / CHECKPOINTS[0] for fold in folds})


@contextmanager
def located(source: Path, room: Path) -> Iterator[ModelSource]:
    """Find the model in a folder, a zip or a checkpoint.

    Args:
        source: Absolute path.
        room: Folder in which a zip is unpacked for the time being: of it no more than the model, once that is known to
            be no larger than its plans need and to find room.

    Raises:
        UserError: There is none, or several; or a zip that is refused, see `lnsegfm.engine.networks.zipped_model`.
    """
    if source.is_dir():
        yield _in_folder(source)
    elif source.suffix.lower() == ".zip" and source.is_file():
        # In the store, which clears away what an interrupted installation leaves, and is as large as models need.
        with work_folder(room) as folder:
            unpacked = folder / "model"
            disk.make_folder(unpacked)
            yield _of_zip(zipped_model(source, unpacked))
    elif source.suffix.lower() == ".pth" and source.is_file():
        yield _bare(source)
    else:
        why = "It does not exist." if not source.exists() else "It is neither a folder nor a .zip nor a .pth file."
        raise UserError(f"{source.name} cannot be installed as a model.", why, WANTED)


def _of_zip(found: ZippedModel) -> ModelSource:
    checkpoints = {fold: found.folder / path for fold, path in found.choice.checkpoints.items()}
    described = _described(found.folder, checkpoints, found.name)
    return replace(described, folder=found.folder, left_out=(*found.choice.left_out, *found.left_out))


def _in_folder(folder: Path) -> ModelSource:
    with_plans = sorted({path.parent for path in folder.rglob(PLANS)})
    candidates = [each for each in with_plans if any(each.glob("fold_*/*.pth"))]
    if len(candidates) != 1:
        raise none_or_several(folder.name, [path.name for path in candidates])
    model = candidates[0]
    choice = choose_folds(model)
    check_choice(choice, model.name)
    others = [f"{each.name}: it has no checkpoint" for each in with_plans if each != model and "__" in each.name]
    described = _described(model, {fold: Path(path) for fold, path in choice.checkpoints.items()}, model.name)
    return replace(described, folder=model, left_out=(*choice.left_out, *others))


def _described(model: Path, checkpoints: dict[str, Path], name: str) -> ModelSource:
    plans = read_object(model / PLANS)
    if (model / CARD).is_file():
        # Those of an exported model, with the names that it had before.
        plans = parse_description(plans_content(model))
    dataset = read_object(model / DATASET) if (model / DATASET).exists() else None
    return ModelSource(checkpoints, plans, dataset, name.rpartition("__")[2])


def _bare(checkpoint: Path) -> ModelSource:
    fold = fold_name(checkpoint.parent)
    if (checkpoint.parent.parent / PLANS).is_file() and fold:
        model = checkpoint.parent.parent
        others = [name for name in choose_folds(model).checkpoints if name != fold]
        left_out = tuple(f"fold_{name}: only the file {checkpoint.name} of fold {fold} was chosen" for name in others)
        return replace(_described(model, {fold: checkpoint}, model.name), left_out=left_out)
    return ModelSource({"all": checkpoint})
