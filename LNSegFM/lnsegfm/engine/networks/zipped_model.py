"""A model in a zip file: of it is unpacked what the model needs, after its plans have told how much that may be."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from lnsegfm.base.archive import opened_zip
from lnsegfm.base.errors import UserError
from lnsegfm.base.wording import data_size
from lnsegfm.engine.networks.dry_run import try_plans
from lnsegfm.engine.networks.fold_choice import CHECKPOINTS, FoldChoice, choose_among
from lnsegfm.models.model_card import CARD
from lnsegfm.models.model_content import DATASET, LARGEST_DESCRIPTION, PLANS, read_description

WANTED = "Choose an nnU-Net v2 results folder (with plans.json and fold_*), a zip of it, or a checkpoint .pth file."
MOST_FOLDS = 32
# A checkpoint has the weights, twice as much of the optimiser's state, and in files that were written by others the
# weights under each of their four names.
_COPIES = 6
_BESIDE_WEIGHTS = 16 << 20
_FOLD_CHECKPOINT = re.compile(rf"fold_\w+/{re.escape(CHECKPOINTS[0])}")
_MOST_CONFIGURATIONS = 16
_MOST_TOLD = 10


@dataclass(frozen=True)
class ZippedModel:
    """What was unpacked.

    Args:
        folder: Where.
        name: Name of the model's folder in the zip file, or of the zip file.
        choice: Its folds; the paths are relative to ``folder``.
        left_out: What else lies in the zip file, each with the reason why it is not part of the model.
    """

    folder: Path
    name: str
    choice: FoldChoice
    left_out: tuple[str, ...]


def zipped_model(source: Path, room: Path) -> ZippedModel:
    """Unpack the model of a zip file: plans, dataset description, card, and the checkpoints of its folds.

    Args:
        source: The zip file.
        room: Empty folder in which the model is put.

    Raises:
        UserError: It holds no model or several, no dataset.json, descriptions or checkpoints that are larger than a
            model's may be, or more than the disk has room for. Nothing but the descriptions is written before.
    """
    with opened_zip(source) as content:
        files = [PurePosixPath(name) for name in content.names]
        model, left_out = _place(source, files)
        name = model.name or source.stem
        inside = {path.relative_to(model): str(path) for path in files if path.is_relative_to(model)}
        choice = choose_among(inside)
        check_choice(choice, name)
        if PurePosixPath(DATASET) not in inside:
            why = f"It has no {DATASET} beside {PLANS}, which tells what the model segments."
            raise UserError(f"{source.name} cannot be installed as a model.", why, WANTED)
        for file in (PLANS, DATASET, CARD):
            if PurePosixPath(file) in inside:
                content.extract(inside[PurePosixPath(file)], room / file, LARGEST_DESCRIPTION)
        weights = _weight_bytes(room, name.rpartition("__")[2])
        checkpoints = {path: inside[path] for path in _checkpoints(choice, inside, (room / CARD).is_file())}
        most = _COPIES * weights + _BESIDE_WEIGHTS
        for entry in checkpoints.values():
            content.check_size(entry, most)
        check_room(room, sum(map(content.size, checkpoints.values())) + len(checkpoints) * weights, source.name)
        for path, entry in checkpoints.items():
            content.extract(entry, room / path, most)
    return ZippedModel(room, name, choice, left_out)


def none_or_several(name: str, candidates: Sequence[str]) -> UserError:
    """Return the refusal of a folder or zip file that does not hold one model."""
    why = (
        f"It holds no {PLANS} beside fold_*/checkpoint_*.pth."
        if not candidates
        else f"It holds several models: {', '.join(candidates[:_MOST_TOLD])}."
    )
    return UserError(f"{name} cannot be installed as a model.", why, WANTED)


def check_choice(choice: FoldChoice, name: str) -> None:
    """Refuse a model without folds, or with more than any ensemble has."""
    if not choice.checkpoints:
        raise UserError(f"{name} cannot be installed as a model.", f"No {' or '.join(CHECKPOINTS)}.", WANTED)
    if len(choice.checkpoints) > MOST_FOLDS:
        why = f"It has {len(choice.checkpoints)} folds; at most {MOST_FOLDS} are accepted."
        raise UserError(f"{name} cannot be installed as a model.", why, WANTED)


def check_room(folder: Path, needed: int, name: str) -> None:
    """Refuse what the disk has no room for, before it is written.

    Args:
        folder: Where it is written.
        needed: Bytes.
        name: What is installed.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{name} was not installed.", f"It needs {data_size(needed)} on the disk; {data_size(free)} are free.",
            "Free disk space, or use another home.",
        )


def _place(source: Path, files: Sequence[PurePosixPath]) -> tuple[PurePosixPath, tuple[str, ...]]:
    """Return the model's folder in the zip file, and what else looks like one."""
    with_plans = sorted({path.parent for path in files if path.name == PLANS})
    with_folds = {
        path.parent.parent for path in files if path.suffix == ".pth" and path.parent.name.startswith("fold_")
    }
    candidates = [folder for folder in with_plans if folder in with_folds]
    if len(candidates) != 1:
        raise none_or_several(source.name, [folder.name for folder in candidates])
    others = [folder.name for folder in with_plans if folder != candidates[0] and "__" in folder.name]
    return candidates[0], tuple(f"{name}: it has no checkpoint" for name in others)


def _checkpoints(
    choice: FoldChoice, inside: Mapping[PurePosixPath, str], has_card: bool
) -> Iterable[PurePosixPath]:
    chosen = {PurePosixPath(path.as_posix()) for path in choice.checkpoints.values()}
    if has_card:
        # A model of ours says itself which folds it has.
        of_card = [path for path in inside if len(path.parts) == 2 and _FOLD_CHECKPOINT.fullmatch(str(path))]
        chosen |= set(of_card[:MOST_FOLDS])
    return sorted(chosen)


def _weight_bytes(room: Path, configuration: str) -> int:
    """Return the bytes of the weights of a network of the plans.

    Which of the plans' networks it is, the checkpoint tells, which is not unpacked yet: where the folder's name does
    not tell it as well, the largest counts.
    """
    plans, dataset = (read_object(room / name) for name in (PLANS, DATASET))
    listed = plans.get("configurations")
    if not isinstance(listed, dict) or configuration in listed or len(listed) > _MOST_CONFIGURATIONS:
        return try_plans(plans, configuration, dataset)
    found, refusal = [], None
    for name in listed:
        try:
            found.append(try_plans(plans, name, dataset))
        except UserError as error:
            refusal = refusal or error
    if not found:
        raise refusal or UserError("The model was refused.", f"{PLANS} has no configurations.", WANTED)
    return max(found)


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON file that describes a model, or refuse it by name."""
    try:
        return read_description(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path.name} cannot be read.", f"{error}.", WANTED) from error
