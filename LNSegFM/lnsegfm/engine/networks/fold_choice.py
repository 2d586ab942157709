"""Which folds of an nnU-Net results folder are the model: nnU-Net's own choice, and what it leaves out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# The paper evaluates the final checkpoints, and nnU-Net predicts with them unless it is told otherwise.
CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_best.pth", "checkpoint_latest.pth")
_FOLD = re.compile(r"fold_(0|[1-9]\d*|all)")
ALL = "all"


@dataclass(frozen=True)
class FoldChoice:
    """The folds of a model.

    Args:
        checkpoints: Checkpoint file by fold: the numbered ones in ascending order, or ``all`` alone. Empty where there
            is none.
        left_out: What else lies there, each with the reason why it is not part of the model.
    """

    checkpoints: dict[str, Path]
    left_out: tuple[str, ...] = ()


def fold_name(folder: Path) -> str:
    """Return the fold whose folder this is, such as ``0`` or ``all``; empty where it is another folder."""
    match = _FOLD.fullmatch(folder.name)
    return match.group(1) if match else ""


def choose_folds(model: Path) -> FoldChoice:
    """Choose as stock nnU-Net does when it is told no folds (``auto_detect_available_folds``).

    The ensemble is that of all numbered folds that are finished, which is those with a ``checkpoint_final.pth``.
    ``fold_all`` is taken only where there is no finished numbered one, for its one network has seen the cases on which
    the others were validated. Where nothing is finished, the same choice is made among the next of `CHECKPOINTS`.

    Args:
        model: Folder with ``plans.json`` and ``fold_*``.
    """
    folders = {fold_name(each): each for each in model.glob("fold_*") if each.is_dir() and fold_name(each)}
    numbered = sorted((fold for fold in folders if fold != ALL), key=int)
    checkpoint, taken = CHECKPOINTS[0], []
    for name in CHECKPOINTS:
        having = [fold for fold in (*numbered, ALL) if fold in folders and (folders[fold] / name).is_file()]
        if having:
            checkpoint, taken = name, [fold for fold in having if fold != ALL] or having
            break
    rest = [fold for fold in (*numbered, ALL) if fold in folders and fold not in taken]
    left_out = [_why_not(folders[fold], checkpoint) for fold in rest]
    if taken and checkpoint != CHECKPOINTS[0]:
        left_out.insert(0, f"{CHECKPOINTS[0]}: no fold has one, so no training is finished; {checkpoint} is taken")
    return FoldChoice(
        {fold: folders[fold] / checkpoint for fold in taken},
        (*left_out, *_others(model, [folders[fold] for fold in taken], checkpoint)),
    )


def _why_not(folder: Path, checkpoint: str) -> str:
    if (folder / checkpoint).is_file():
        return f"{folder.name}: nnU-Net does not combine it with numbered folds"
    there = [name for name in CHECKPOINTS if (folder / name).is_file()]
    if not there:
        return f"{folder.name}: it has no checkpoint"
    return f"{folder.name}: it is not finished (it has {' and '.join(there)}, but no {checkpoint})"


def _others(model: Path, taken: list[Path], checkpoint: str) -> list[str]:
    """What is not a fold but could be taken for part of the model."""
    found = [f"{each.name}: it is not a fold's folder" for each in sorted(model.glob("fold_*")) if not fold_name(each)]
    folds_by_file: dict[str, list[str]] = {}
    for folder in taken:
        for path in sorted(folder.glob("*.pth")):
            if path.name != checkpoint:
                folds_by_file.setdefault(path.name, []).append(folder.name)
    found += [f"{name} of {', '.join(folds)}: {checkpoint} is taken" for name, folds in folds_by_file.items()]
    for path in sorted(model.rglob("postprocessing.pkl")):
        found.append(f"{path.relative_to(model).as_posix()}: nnU-Net's post-processing is not applied")
    return found
