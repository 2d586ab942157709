"""What a model is installed from: nnU-Net results folder, zip of one, or a bare checkpoint."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lnsegfm.base.archive import extract_zip
from lnsegfm.base.errors import UserError
from lnsegfm.base.files import read_json
from lnsegfm.engine.networks.fold_choice import CHECKPOINTS, choose_folds, fold_name
from lnsegfm.models.exported_models import plans_content

PLANS = "plans.json"
WANTED = "Choose an nnU-Net v2 results folder (with plans.json and fold_*), a zip of it, or a checkpoint .pth file."


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
        room: Folder in which a zip is unpacked for the time being.

    Raises:
        UserError: There is none, or several.
    """
    if source.is_dir():
        yield _in_folder(source)
    elif source.suffix.lower() == ".zip" and source.is_file():
        # In the store, which clears away what an interrupted installation leaves, and is as large as models need.
        room.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".tmp-", dir=room, ignore_cleanup_errors=True) as folder:
            extract_zip(source, Path(folder))
            yield _in_folder(Path(folder))
    elif source.suffix.lower() == ".pth" and source.is_file():
        yield _bare(source)
    else:
        why = "It does not exist." if not source.exists() else "It is neither a folder nor a .zip nor a .pth file."
        raise UserError(f"{source.name} cannot be installed as a model.", why, WANTED)


def _in_folder(folder: Path) -> ModelSource:
    with_plans = sorted({path.parent for path in folder.rglob(PLANS)})
    candidates = [each for each in with_plans if any(each.glob("fold_*/*.pth"))]
    if len(candidates) != 1:
        why = (
            "It holds no plans.json beside fold_*/checkpoint_*.pth."
            if not candidates
            else "It holds several models: " + ", ".join(path.name for path in candidates) + "."
        )
        raise UserError(f"{folder.name} cannot be installed as a model.", why, WANTED)
    model = candidates[0]
    choice = choose_folds(model)
    if not choice.checkpoints:
        raise UserError(f"{model.name} cannot be installed as a model.", f"No {' or '.join(CHECKPOINTS)}.", WANTED)
    others = [f"{each.name}: it has no checkpoint" for each in with_plans if each != model and "__" in each.name]
    return replace(_described(model, choice.checkpoints), folder=model, left_out=(*choice.left_out, *others))


def _described(model: Path, checkpoints: dict[str, Path]) -> ModelSource:
    plans = _json(model / PLANS, plans_content)
    dataset = _json(model / "dataset.json") if (model / "dataset.json").exists() else None
    return ModelSource(checkpoints, plans, dataset, model.name.rpartition("__")[2])


def _bare(checkpoint: Path) -> ModelSource:
    fold = fold_name(checkpoint.parent)
    if (checkpoint.parent.parent / PLANS).is_file() and fold:
        model = checkpoint.parent.parent
        others = [name for name in choose_folds(model).checkpoints if name != fold]
        left_out = tuple(f"fold_{name}: only the file {checkpoint.name} of fold {fold} was chosen" for name in others)
        return replace(_described(model, {fold: checkpoint}), left_out=left_out)
    return ModelSource({"all": checkpoint})


def _json(path: Path, content: Callable[[Path], bytes] | None = None) -> dict[str, Any]:
    try:
        value = json.loads(content(path.parent)) if content is not None else read_json(path)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path.name} cannot be read.", f"{error}.", WANTED) from error
    if not isinstance(value, dict):
        raise UserError(f"{path.name} cannot be read.", "It is not a JSON object.", WANTED)
    return value
