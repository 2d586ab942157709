"""Measure lymph nodes segment by segment, so that two that touch stay two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import SimpleITK as sitk

from lnsegfm.images.body import Body
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.label_grids import label_on_grid
from lnsegfm.lymph_nodes.instances import LymphNode, measure
from lnsegfm.lymph_nodes.intensity import describe_in
from lnsegfm.lymph_nodes.plausibility import judge


def measure_segments(
    segments: Mapping[str, sitk.Image], ct: np.ndarray, grid: Geometry, probability: np.ndarray | None = None,
    body: Body | None = None,
) -> dict[str, list[LymphNode]]:
    """Measure the lymph nodes of each segment; of CT and probability only their boxes are read.

    Args:
        segments: Mask of each segment, not 0 inside, on any grid that fits the CT.
        ct: HU, shape (z, y, x).
        grid: The grid of the CT.
        probability: uint8 foreground probability, shape (z, y, x), 255 is certain.
        body: The patient in the CT; without it no side is told, and nothing is known to lie outside.

    Returns:
        For each segment its 26-connected regions by descending volume, numbered over all segments, each with the
        reason where it is implausible.

    Raises:
        UserError: A segment that does not fit the CT, see `lnsegfm.images.label_grids.label_on_grid`.
    """
    found: dict[str, list[LymphNode]] = {}
    last = 0
    for segment_id, mask in segments.items():
        box, labels = on_part_of(mask, grid)
        instances, nodes = measure(labels)
        certainty = None if probability is None else _part(probability, box)
        described = describe_in(body, nodes, instances, _part(ct, box), certainty)
        judged = judge(
            described, sitk.GetArrayViewFromImage(instances), ct, grid, body, [part.start for part in box]
        )
        found[segment_id] = [replace(node, number=node.number + last) for node in judged]
        last += len(nodes)
    return found


def _part(array: np.ndarray, box: tuple[slice, ...]) -> sitk.Image:
    return sitk.GetImageFromArray(np.ascontiguousarray(array[box]))


def on_part_of(mask: sitk.Image, grid: Geometry) -> tuple[tuple[slice, ...], sitk.Image]:
    """Bring a mask to the part of a grid that it lies in; return the part, by array axis, and the labels there.

    A segment of a scene lies where the scene shows it: one on another grid is resampled (nearest neighbour).
    """
    own = Geometry.of(mask)
    corners = np.array([np.ravel(corner) for corner in np.ndindex(2, 2, 2)]) * (np.asarray(own.size) - 1)
    indices = (own.positions(corners) - np.asarray(grid.origin)) @ np.linalg.inv(grid.matrix).T
    low = np.clip(np.floor(indices.min(axis=0)) - 1, 0, np.asarray(grid.size) - 1).astype(int)
    high = np.clip(np.ceil(indices.max(axis=0)) + 2, low + 1, grid.size).astype(int)
    x, y, z = (high - low).tolist()
    a, b, c = grid.positions(low[None])[0].tolist()
    part = Geometry((x, y, z), grid.spacing, (a, b, c), grid.direction)
    box = tuple(slice(first, last) for first, last in zip(low[::-1], high[::-1]))
    return box, part.put_on(sitk.GetImageFromArray(label_on_grid(mask, part, placement="own")))
