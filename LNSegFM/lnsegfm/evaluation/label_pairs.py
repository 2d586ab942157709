"""Predictions and truths on the disk: which files belong together, and the one structure that is taken from each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.inputs.dataset_labels import DatasetLabels
from lnsegfm.inputs.reading_apart import read_labels

SEGRAP_CHANNELS = {"GTVp": 0, "GTVnd": 1}
"""Volumes of a 4D file in SegRap2023's submission format, task 2 (HiLab-git/SegRap2023, ``Docker_tutorial``)."""
_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")


@dataclass(frozen=True)
class LabelPairs:
    """Label files by case name.

    Args:
        matched: Prediction and truth of each case that has both.
        missing_predictions: Cases with a truth alone.
        missing_truths: Cases with a prediction alone.
    """

    matched: dict[str, tuple[Path, Path]]
    missing_predictions: tuple[str, ...] = ()
    missing_truths: tuple[str, ...] = ()


def find_pairs(pred: Path, truth: Path) -> LabelPairs:
    """Match label files by case name, the file name without its ending (``NAME.nii.gz``, ``NAME.mha``, ...).

    Args:
        pred: A label file, or a folder of them.
        truth: The same kind; two files are one case, whatever they are called.

    Raises:
        UserError: One of the two is not there, a file and a folder, two files of one name in a folder, or not a single
            case in common.
    """
    for path in (pred, truth):
        if not path.exists():
            raise UserError("There is nothing to evaluate.", f"{path} does not exist.", "Check the path.")
    if pred.is_dir() != truth.is_dir():
        raise UserError(
            "A file cannot be compared with a folder.", f"{pred.name} and {truth.name} are one of each.",
            "Give two label files, or two folders whose files have the same names.",
        )
    if truth.is_file():
        return LabelPairs({_case_name(truth) or truth.name: (pred, truth)})
    predictions, truths = _label_files(pred), _label_files(truth)
    names = sorted(predictions.keys() & truths.keys())
    if not names:
        raise UserError(
            "No prediction has the name of a truth.", f"{_examples(pred, predictions)} {_examples(truth, truths)}",
            "Name both files of a case alike, for example NAME.nii.gz.",
        )
    return LabelPairs(
        {name: (predictions[name], truths[name]) for name in names},
        missing_predictions=tuple(sorted(truths.keys() - predictions.keys())),
        missing_truths=tuple(sorted(predictions.keys() - truths.keys())),
    )


def read_structure(path: Path, channel: int | None = None, notes: list[str] | None = None) -> sitk.Image:
    """Read a label file; of several volumes (4D) or components (vectors) in it, take one.

    Layers of named segments are returned as they are, unless ``channel`` is given.

    Args:
        path: Image file.
        channel: Number of the volume or component, from 0; a file with only one is read as it is.
        notes: Gets a text for each oddity of the file.

    Raises:
        UserError: Not readable, or several volumes and ``channel`` is not the number of one.
    """
    image = read_labels(path, notes)
    components = image.GetNumberOfComponentsPerPixel()
    is_series = image.GetDimension() == 4
    count = image.GetSize()[3] if is_series else components
    if count == 1 and not is_series:
        return image
    if channel is None and any(key.startswith("Segment0_") for key in image.GetMetaDataKeys()):
        return image  # layers of segments, which are told apart by their names
    chosen = 0 if count == 1 else channel
    if chosen is None or not 0 <= chosen < count:
        raise UserError(
            f"{path.name} holds {count} structures.",
            "None was chosen." if chosen is None else f"It has no structure number {chosen}.",
            f"Choose one of 0 to {count - 1} with --channel, or by SegRap2023's names {' and '.join(SEGRAP_CHANNELS)}.",
        )
    if not is_series:
        return sitk.VectorIndexSelectionCast(image, chosen)
    # Any other way to collapse the fourth axis may replace the direction of the remaining three.
    keep = sitk.ExtractImageFilter.DIRECTIONCOLLAPSETOSUBMATRIX
    return sitk.Extract(image, (*image.GetSize()[:3], 0), (0, 0, 0, chosen), keep)


def find_ignore_label(truth: Path) -> int | None:
    """Return the value of nnU-Net's label 'ignore', where a ``dataset.json`` says it.

    Args:
        truth: Label file or folder. The file is looked for in the folder of the labels and in the one above it, where
            nnU-Net's raw layout has it.

    Raises:
        UserError: ``dataset.json`` cannot be read, or its 'ignore' is not a positive whole number.
    """
    try:
        labels = DatasetLabels.beside(truth)
    except UserError as error:
        raise UserError(
            "The truth's dataset.json cannot be used.", error.why, "Correct it, or give the value with --ignore."
        ) from error
    return None if labels is None else labels.ignore


def _case_name(path: Path) -> str:
    """File name without its ending; empty when it is not that of an image."""
    ending = next((ending for ending in _ENDINGS if path.name.lower().endswith(ending)), None)
    return "" if ending is None or path.name.startswith(".") else path.name[: -len(ending)]


def _label_files(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(path for path in folder.iterdir() if path.is_file() and _case_name(path)):
        first = found.setdefault(_case_name(path), path)
        if first is not path:
            raise UserError(
                f"There are two files of the case {_case_name(path)} in {folder.name}.",
                f"They are {first.name} and {path.name}.", "Remove one of them.",
            )
    return found


def _examples(folder: Path, files: dict[str, Path]) -> str:
    if not files:
        return f"{folder.name} holds no label file."
    names = [path.name for path in files.values()]
    return f"{folder.name} holds {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}."
