"""The lymph nodes of a label image on the grid of its CT: the one way in for all labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from lnsegfm.images.geometry import Geometry
from lnsegfm.images.input_options import InputOptions
from lnsegfm.images.label_grids import find_place, label_on_grid, seen_on_grid
from lnsegfm.inputs.label_checks import check_amount, check_tissue
from lnsegfm.inputs.label_structures import NOT_SEEN, choose_lymph_nodes, mean_hu_on

_PLACES = {
    "rounded": "The labels' header differs from that of the CT by less than a quarter of a voxel; the CT's was taken.",
    "shared": "The labels lay on another grid that shares the CT's voxels, and each was put into its own.",
    "ct": "The labels' own header was replaced by that of the CT, as asked.",
    "own": "The labels lay on another grid and were brought onto that of the CT (nearest neighbour), as asked.",
}


@dataclass(frozen=True)
class PlacedLabels:
    """The lymph nodes of a label image on the CT's grid.

    Args:
        array: uint8, shape (z, y, x) of the CT: 1 in lymph nodes, else 0.
        seen: bool, of the same shape, whether the voxel was reviewed; None where all were.
        notes: What was done and left out, a sentence each.
    """

    array: np.ndarray
    seen: np.ndarray | None
    notes: tuple[str, ...]


def lymph_nodes_on(
    ct: sitk.Image, label: sitk.Image, options: InputOptions = InputOptions(), *,
    names: Mapping[str, tuple[int, ...]] | None = None, ignore: int | None = None, judged_later: bool = False,
) -> PlacedLabels:
    """Find the lymph nodes of a label image and bring them onto the grid of the CT.

    Args:
        ct: The CT in HU.
        label: As `lnsegfm.inputs.label_reading.read_labels` gives it.
        options: What the user says where it is not certain.
        names: Values by name, as ``dataset.json`` has them; names in the label's own header count first.
        ignore: Value of what was not reviewed.
        judged_later: The caller judges each lymph node by itself, see `lnsegfm.lymph_nodes.plausibility`; the tissue
            of all together is told only.

    Raises:
        PlacementError: It is not certain where the labels lie.
        UserError: They are no labels, it is not certain which are lymph nodes, they do not fit the CT, or cannot be
            lymph nodes by their amount or HU.
    """
    grid, values = Geometry.of(ct), sitk.GetArrayViewFromImage(ct)
    chosen = choose_lymph_nodes(label, options, names=names, ignore=ignore, mean_hu=mean_hu_on(label, ct))
    own = Geometry.of(chosen.image)
    unseen = None if ignore is None else NOT_SEEN
    array = label_on_grid(chosen.image, grid, ignore=unseen, placement=options.placement, ct=values)
    seen = None if unseen is None else seen_on_grid(chosen.image, grid, unseen, placement=options.placement)
    if not options.unusual:
        check_amount(array)
    doubt = check_tissue(values, array, refuse=not (options.unusual or judged_later))
    place = _PLACES.get(find_place(own, grid, options.placement), "")
    return PlacedLabels(array, seen, (*chosen.notes, *(note for note in (place, doubt) if note)))
