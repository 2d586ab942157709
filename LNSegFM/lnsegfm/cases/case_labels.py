"""The labels of a correction: checked, brought onto the grid of the case, and compared with their draft."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.errors import UserError
from lnsegfm.cases.case_info import IGNORE, CaseInfo
from lnsegfm.evaluation.metrics import dice
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.input_options import ONLY_CERTAIN, InputOptions
from lnsegfm.images.label_grids import label_on_grid
from lnsegfm.images.orientation import axis_map
from lnsegfm.inputs.labels_on_ct import lymph_nodes_on


@dataclass(frozen=True)
class Draft:
    """What is known of a correction besides its voxels, and what is said of it."""

    model: str
    model_sha256: str
    no_nodes: bool
    note: str
    ignore: int | None = None
    label: sitk.Image | None = None
    options: InputOptions = ONLY_CERTAIN
    names: Mapping[str, tuple[int, ...]] | None = None
    notes: list[str] = field(default_factory=list)


def check_measurable(info: CaseInfo, partial: bool) -> None:
    """Refuse a use for which the labels must tell of the whole CT.

    Args:
        info: The case, with the use that is wanted.
        partial: Whether only a part of the CT was reviewed for the labels.

    Raises:
        UserError: The use is ``holdout`` or ``reference``, and the labels are partial.
    """
    measured = {"holdout": "hold-out", "reference": "reference"}
    if partial and info.use in measured:
        raise UserError(
            f"The case '{info.id}' cannot be a {measured[info.use]} case.",
            "Only part of its CT was reviewed, so it is not known what a model should find in the rest.",
            "Use it for training, or correct the whole CT.",
        )


def checked_label(image: sitk.Image, label: sitk.Image, draft: Draft) -> np.ndarray:
    """Return the labels to be stored, uint8, shape (z, y, x) of the CT: 0, 1 and `IGNORE`."""
    placed = lymph_nodes_on(image, label, draft.options, names=draft.names, ignore=draft.ignore)
    array, no_nodes = placed.array, draft.no_nodes
    draft.notes.extend(placed.notes)
    if no_nodes and array.any():
        raise UserError(
            "The case was not stored.",
            f"It was said to show no lymph nodes, but {np.count_nonzero(array)} voxels are labelled.",
            "Delete the segments, or do not state that there are no nodes.",
        )
    if not no_nodes and not array.any():
        raise UserError(
            "The case was not stored.", " ".join(["The segmentation is empty.", *placed.notes]),
            "Segment the lymph nodes, or state that the CT shows none.",
        )
    if placed.seen is not None:
        array[~placed.seen] = IGNORE
    return array


def in_order_of(grid: Geometry, image: sitk.Image, array: np.ndarray) -> np.ndarray:
    """Return labels of a CT in the voxel order in which the same CT is stored."""
    own = Geometry.of(image)
    to_grid = axis_map(grid.direction).invert(axis_map(own.direction).apply(array))
    return np.ascontiguousarray(to_grid)


def draft_dice(draft: Draft, grid: Geometry, corrected: np.ndarray) -> float | None:
    if draft.label is None:
        return None
    seen = corrected != IGNORE
    drawn = label_on_grid(draft.label, grid, placement=draft.options.placement)
    return dice(drawn[seen] != 0, corrected[seen] == 1)
