"""Lymph nodes that have no voxel left once their labels are resampled, and what they are given instead.

nnU-Net resamples labels linearly and keeps what is at least one half: a lymph node that is smaller than the voxels of
the model, or lies on one thin slice, disappears, and the network would learn that it is background. Such a lymph node,
and no other, is put back: into the new voxels that hold most of it, which are those with at least half as many of its
old voxels as the one with the most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.wording import by
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.orientation import axis_map
from lnsegfm.lymph_nodes.instances import label_instances

_LYMPH_NODE = 1
_PART_OF_MOST = 0.5
_CORNERS = np.array([np.ravel(corner) for corner in np.ndindex(2, 2, 2)])


@dataclass(frozen=True)
class KeptLymphNode:
    """A lymph node that had no voxel left.

    Args:
        number: Its number in the CT's labels; 1 is the largest lymph node.
        voxels: Number of its voxels in the CT.
        volume_mm3: Their volume.
        centroid_ras: Their mean position, mm.
        kept: Number of voxels that it was given; 0 where it lies in the part that nnU-Net cuts off.
    """

    number: int
    voxels: int
    volume_mm3: float
    centroid_ras: tuple[float, float, float]
    kept: int

    def words(self, spacing: Sequence[float]) -> str:
        """Say what became of it.

        Args:
            spacing: Voxel size of the model in mm, by the axes (x, y, z).
        """
        r, a, s = (f"{value:.0f}" for value in self.centroid_ras)
        text = (
            f"Lymph node {self.number} ({self.voxels} voxel{'s' * (self.voxels > 1)}, {self.volume_mm3:.3g} mm³, at "
            f"R {r}, A {a}, S {s} mm) has no voxel left at the model's voxels of {by(spacing)} mm"
        )
        if not self.kept:
            return f"{text}. It lies where the CT has the value 0 only and is cut off; nothing is learnt from it."
        voxels = "the voxel that holds" if self.kept == 1 else f"the {self.kept} voxels that hold"
        return f"{text} and would be learnt as background. It is learnt as {voxels} it."


def keep_lymph_nodes(
    labels: sitk.Image, resampled: np.ndarray, properties: Mapping[str, Any], transpose: Sequence[int]
) -> list[KeptLymphNode]:
    """Put lymph nodes without a voxel back into labels that nnU-Net has preprocessed.

    Args:
        labels: Labels before preprocessing, 1 is lymph node; on a grid with right angles.
        resampled: The same afterwards, ``[1, ...]``; it is changed where, and only where, a lymph node has vanished.
        properties: What nnU-Net's preprocessor noted about the case.
        transpose: ``transpose_forward`` of the plans: the array axis (0 = z) by axis of ``resampled``.

    Returns:
        The lymph nodes that had vanished, by number.
    """
    numbers = sitk.GetArrayFromImage(label_instances(labels == _LYMPH_NODE)).transpose(transpose)
    box = [(int(low), int(high)) for low, high in properties["bbox_used_for_cropping"]]
    part = numbers[tuple(slice(low, high) for low, high in box)]
    ratio = np.array(resampled.shape[1:]) / part.shape
    vanished = sorted(set(range(1, int(numbers.max()) + 1)) - _surviving(part, resampled[0], ratio))
    if not vanished:
        return []
    voxels = dict(enumerate(_voxels_by_number(numbers), 1))
    return [
        _put_back(Geometry.of(labels), number, voxels[number], resampled[0], box, ratio, transpose)
        for number in vanished
    ]


def _surviving(numbers: np.ndarray, resampled: np.ndarray, ratio: np.ndarray) -> set[int]:
    """The numbers that have a part in a voxel of the resampled labels, of whose eight neighbours each is made."""
    centres = (np.argwhere(resampled == _LYMPH_NODE) + 0.5) / ratio - 0.5
    found: set[int] = set()
    for corner in _CORNERS:
        index = np.clip(np.floor(centres).astype(int) + corner, 0, np.array(numbers.shape) - 1)
        found.update(np.unique(numbers[tuple(index.T)]).tolist())
    return found


def _voxels_by_number(numbers: np.ndarray) -> list[np.ndarray]:
    """Return the indices, shape (n, 3), of the voxels of each number from 1."""
    indices = np.argwhere(numbers)
    values = numbers[tuple(indices.T)]
    ends = np.cumsum(np.bincount(values)[1:])
    return np.split(indices[np.argsort(values, kind="stable")], ends[:-1])


def _put_back(
    grid: Geometry, number: int, voxels: np.ndarray, resampled: np.ndarray, box: Sequence[tuple[int, int]],
    ratio: np.ndarray, transpose: Sequence[int],
) -> KeptLymphNode:
    low, high = np.transpose(box)
    inside = voxels[((voxels >= low) & (voxels < high)).all(axis=1)] - low
    cells, counts = np.unique(np.floor((inside + 0.5) * ratio).astype(int), axis=0, return_counts=True)
    cells = np.minimum(cells, np.array(resampled.shape) - 1)
    most = cells[counts >= _PART_OF_MOST * counts.max()] if len(cells) else cells
    resampled[tuple(most.T)] = _LYMPH_NODE
    order = np.argsort(transpose)  # from the axes of the plans back to (z, y, x)
    x, y, z = grid.positions(voxels[:, order][:, ::-1].mean(axis=0)[None])[0]
    volume = float(len(voxels) * np.prod(grid.spacing))
    return KeptLymphNode(number, len(voxels), volume, (-float(x), -float(y), float(z)), len(most))


def extents_of(labels: sitk.Image) -> tuple[tuple[int, int, int], ...]:
    """Return the voxels (x, y, z) of the box around each lymph node, by its number.

    Args:
        labels: 3D labels on a grid with right angles; what is not 0 is lymph node.
    """
    numbers = sitk.GetArrayFromImage(label_instances(labels))
    if not numbers.any():
        return ()
    sizes = (np.ptp(voxels, axis=0) + 1 for voxels in _voxels_by_number(numbers))
    return tuple((int(i), int(j), int(k)) for k, j, i in sizes)


def thinner_than(
    extents: Sequence[Sequence[int]], grid: Geometry, spacing: Sequence[float], orientation: str
) -> list[int]:
    """Return the numbers of the lymph nodes that are thinner than a voxel of a model, and may vanish.

    Args:
        extents: Voxels (x, y, z) of the box around each lymph node, by its number.
        grid: Grid of the CT.
        spacing: Voxel size of the model in mm, by the axes (x, y, z) of its voxel order.
        orientation: Its voxel order.

    Raises:
        UserError: The grid is sheared.
    """
    order = list(axis_map(grid.direction, orientation).permutation)
    return [
        number for number, extent in enumerate(extents, 1)
        if (np.array(extent)[order] * np.array(grid.spacing)[order] < np.array(spacing)).any()
    ]
