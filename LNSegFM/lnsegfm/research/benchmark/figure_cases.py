"""The slices that Fig. 2 shows: where they lie and how they are read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.images.geometry import Geometry, labels_on
from lnsegfm.images.label_grids import label_on_grid
from lnsegfm.images.orientation import reorient
from lnsegfm.inputs.reading_apart import read_ct, read_labels


@dataclass(frozen=True)
class FigureCase:
    """A test case of a dataset, to be drawn as one row.

    Args:
        dataset: Name of the dataset.
        ct: The CT; any format of `lnsegfm.inputs.reading.read_ct`.
        truth: Its true labels; whatever is not 0 is lymph node.
        predictions: Labels by method.
    """

    dataset: str
    ct: Path
    truth: Path
    predictions: Mapping[str, Path]


@dataclass(frozen=True)
class Slice:
    """An axial slice: rows run to posterior, columns to the patient's left, so it is seen from the feet.

    Args:
        hu: Shape (y, x).
        truth: Mask of the same shape.
        predictions: Masks by method.
        spacing_yx: Voxel size in mm along the rows' and the columns' index.
    """

    hu: np.ndarray
    truth: np.ndarray
    predictions: Mapping[str, np.ndarray]
    spacing_yx: tuple[float, float]


def read_slice(case: FigureCase) -> Slice:
    """Read the axial slice with the largest area of truth.

    Raises:
        UserError: A file cannot be read, labels do not fit the CT, or the truth is empty; it names the dataset.
    """
    try:
        return _read(case)
    except UserError as error:
        raise UserError(f"{case.dataset}: {error.what}", error.why, error.todo) from error


def _read(case: FigureCase) -> Slice:
    ct = read_ct(case.ct)
    truth = _upright_mask(read_labels(case.truth), ct)
    if not truth.any():
        raise UserError("The case has no lymph node to show.", "Its truth is empty.", "Choose another case.")
    upright, _ = reorient(ct)
    z = int(np.argmax(truth.sum(axis=(1, 2))))
    predictions = {method: _upright_mask(read_labels(path), ct)[z] for method, path in case.predictions.items()}
    spacing_x, spacing_y, _ = upright.GetSpacing()
    return Slice(sitk.GetArrayFromImage(upright)[z], truth[z], predictions, (spacing_y, spacing_x))


def _upright_mask(labels: sitk.Image, ct: sitk.Image) -> np.ndarray:
    on_ct = labels_on(ct, label_on_grid(labels, Geometry.of(ct)))
    return sitk.GetArrayFromImage(reorient(on_ct)[0]).astype(bool)
