"""Which folds of an nnU-Net results folder are the model: nnU-Net's own choice, and what it leaves out."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

# The paper evaluates the final checkpoints, and nnU-Net predicts with them unless it is told otherwise.
CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_best.pth", "checkpoint_latest.pth")
_POSTPROCESSING = "postprocessing.pkl"
_FOLD = re.compile(r"fold_(0|[1-9]\d*|all)")
ALL = "all"
_MOST_TOLD = 50


@dataclass(frozen=True)
class FoldChoice:
    """The folds of a model.

    Args:
        checkpoints: Path of the checkpoint by fold: the numbered ones in ascending order, or ``all`` alone. Empty where
            there is none.
        left_out: What else lies there, each with the reason why it is not part of the model.
    """

    checkpoints: dict[str, PurePath]
    left_out: tuple[str, ...] = ()


def fold_name(folder: PurePath) -> str:
    """Return the fold whose folder this is, such as ``0`` or ``all``; empty where it is another folder."""
    match = _FOLD.fullmatch(folder.name)
    return match.group(1) if match else ""


def choose_folds(model: Path) -> FoldChoice:
    """Choose among the folds in a folder as `choose_among` does; the paths are those of the files."""
    folders = [each.relative_to(model) for each in model.glob("fold_*") if each.is_dir()]
    files = [path.relative_to(model) for folder in folders for path in (model / folder).iterdir() if path.is_file()]
    files += [path.relative_to(model) for path in model.rglob(_POSTPROCESSING)]
    choice = choose_among(files, [*folders, *(each.relative_to(model) for each in model.glob("fold_*"))])
    return FoldChoice({fold: model / path for fold, path in choice.checkpoints.items()}, choice.left_out)


def choose_among(files: Iterable[PurePath], folders: Iterable[PurePath] = ()) -> FoldChoice:
    """Choose as stock nnU-Net does when it is told no folds (``auto_detect_available_folds``).

    The ensemble is that of all numbered folds that are finished, which is those with a ``checkpoint_final.pth``.
    ``fold_all`` is taken only where there is no finished numbered one, for its one network has seen the cases on which
    the others were validated. Where nothing is finished, the same choice is made among the next of `CHECKPOINTS`.

    Args:
        files: The files of the model, relative to the folder with ``plans.json`` and ``fold_*``.
        folders: Folders there that may be empty.
    """
    listed = _Listing(files, folders)
    numbered = sorted((fold for fold in listed.folds if fold != ALL), key=int)
    checkpoint, taken = CHECKPOINTS[0], []
    for name in CHECKPOINTS:
        having = [fold for fold in (*numbered, ALL) if name in listed.folds.get(fold, ())]
        if having:
            checkpoint, taken = name, [fold for fold in having if fold != ALL] or having
            break
    rest = [fold for fold in (*numbered, ALL) if fold in listed.folds and fold not in taken]
    left_out = [_why_not(fold, listed.folds[fold], checkpoint) for fold in rest]
    if taken and checkpoint != CHECKPOINTS[0]:
        left_out.insert(0, f"{CHECKPOINTS[0]}: no fold has one, so no training is finished; {checkpoint} is taken")
    left_out += listed.others(taken, checkpoint)
    if len(left_out) > _MOST_TOLD:
        left_out[_MOST_TOLD:] = [f"and {len(left_out) - _MOST_TOLD} more"]
    return FoldChoice({fold: PurePath(f"fold_{fold}", checkpoint) for fold in taken}, tuple(left_out))


def _why_not(fold: str, names: Collection[str], checkpoint: str) -> str:
    if checkpoint in names:
        return f"fold_{fold}: nnU-Net does not combine it with numbered folds"
    there = [name for name in CHECKPOINTS if name in names]
    if not there:
        return f"fold_{fold}: it has no checkpoint"
    return f"fold_{fold}: it is not finished (it has {' and '.join(there)}, but no {checkpoint})"


class _Listing:
    """What lies in a model's folder, as far as it could be taken for part of the model."""

    def __init__(self, files: Iterable[PurePath], folders: Iterable[PurePath]) -> None:
        self.folds: dict[str, set[str]] = {}
        self._other_folders: set[str] = set()
        self._postprocessing: set[str] = set()
        for folder in folders:
            self._note(folder)
        for file in files:
            if len(file.parts) > 1:
                names = self._note(PurePath(file.parts[0]))
                if names is not None and len(file.parts) == 2:
                    names.add(file.name)
            if file.name == _POSTPROCESSING:
                self._postprocessing.add(file.as_posix())

    def _note(self, folder: PurePath) -> set[str] | None:
        fold = fold_name(folder)
        if fold:
            return self.folds.setdefault(fold, set())
        if folder.name.startswith("fold_"):
            self._other_folders.add(folder.name)
        return None

    def others(self, taken: Iterable[str], checkpoint: str) -> list[str]:
        """Tell of what is not a fold but could be taken for part of the model."""
        found = [f"{name}: it is not a fold's folder" for name in sorted(self._other_folders)]
        folds_by_file: dict[str, list[str]] = {}
        for fold in taken:
            for name in sorted(self.folds[fold]):
                if name.endswith(".pth") and name != checkpoint:
                    folds_by_file.setdefault(name, []).append(f"fold_{fold}")
        found += [f"{name} of {', '.join(folds)}: {checkpoint} is taken" for name, folds in folds_by_file.items()]
        return found + [
            f"{path}: nnU-Net's post-processing is not applied" for path in sorted(self._postprocessing)
        ]
