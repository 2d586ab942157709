"""Measure lymph nodes segment by segment, so that two that touch stay two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import SimpleITK as sitk

from LNSegFMLib.core.images import Geometry
from LNSegFMLib.core.label_grids import label_on_grid
from LNSegFMLib.core.node_intensity import describe
from LNSegFMLib.core.nodes import LymphNode, measure


def measure_segments(
    segments: Mapping[str, sitk.Image], ct: sitk.Image, probability: sitk.Image | None = None
) -> dict[str, list[LymphNode]]:
    """Measure the lymph nodes of each segment.

    Args:
        segments: Mask of each segment, not 0 inside, on any grid that fits the CT.
        ct: HU.
        probability: uint8 foreground probability on the CT's grid, 255 is certain.

    Returns:
        For each segment its 26-connected regions by descending volume, numbered over all segments.

    Raises:
        UserError: A segment that does not fit the CT, see `LNSegFMLib.core.label_grids.label_on_grid`.
    """
    grid = Geometry.of(ct)
    found: dict[str, list[LymphNode]] = {}
    batch = _Batch(grid)
    described: dict[int, LymphNode] = {}
    for segment_id, mask in segments.items():
        box, labels = on_part_of(mask, grid)
        instances, nodes = measure(labels)
        if batch.overlaps(box, instances):
            described.update(batch.described(ct, probability))
            batch = _Batch(grid, batch.last)
        found[segment_id] = batch.add(box, instances, nodes)
    described.update(batch.described(ct, probability))
    return {segment_id: [described[node.number] for node in nodes] for segment_id, nodes in found.items()}


class _Batch:
    """Lymph nodes of segments that do not overlap, in one image."""

    def __init__(self, grid: Geometry, last: int = 0) -> None:
        self.last = last
        self._grid = grid
        self._numbers = np.zeros(grid.size[::-1], np.uint32)
        self._nodes: list[LymphNode] = []

    def overlaps(self, box: tuple[slice, ...], instances: sitk.Image) -> bool:
        return bool(self._numbers[box][sitk.GetArrayViewFromImage(instances) != 0].any())

    def add(self, box: tuple[slice, ...], instances: sitk.Image, nodes: list[LymphNode]) -> list[LymphNode]:
        array = sitk.GetArrayViewFromImage(instances)
        self._numbers[box][array != 0] = array[array != 0] + self.last
        added = [replace(node, number=node.number + self.last) for node in nodes]
        self._nodes += added
        self.last += len(nodes)
        return added

    def described(self, ct: sitk.Image, probability: sitk.Image | None) -> Iterator[tuple[int, LymphNode]]:
        if not self._nodes:
            return
        instances = self._grid.put_on(sitk.GetImageFromArray(self._numbers))
        for node in describe(self._nodes, instances, ct, probability):
            yield node.number, node


def on_part_of(mask: sitk.Image, grid: Geometry) -> tuple[tuple[slice, ...], sitk.Image]:
    """Bring a mask to the part of a grid that it lies in; return the part, by array axis, and the labels there."""
    own = Geometry.of(mask)
    corners = np.array([np.ravel(corner) for corner in np.ndindex(2, 2, 2)]) * (np.asarray(own.size) - 1)
    indices = (own.positions(corners) - np.asarray(grid.origin)) @ np.linalg.inv(grid.matrix).T
    low = np.clip(np.floor(indices.min(axis=0)) - 1, 0, np.asarray(grid.size) - 1).astype(int)
    high = np.clip(np.ceil(indices.max(axis=0)) + 2, low + 1, grid.size).astype(int)
    x, y, z = (high - low).tolist()
    a, b, c = grid.positions(low[None])[0].tolist()
    part = Geometry((x, y, z), grid.spacing, (a, b, c), grid.direction)
    box = tuple(slice(first, last) for first, last in zip(low[::-1], high[::-1]))
    return box, part.put_on(sitk.GetImageFromArray(label_on_grid(mask, part)))
