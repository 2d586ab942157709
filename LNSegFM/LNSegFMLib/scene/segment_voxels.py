"""The voxels of one segment, to be taken out, cut into parts, and put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
import vtk
from vtk.util import numpy_support

from LNSegFMLib.scene.segmentations import BINARY, Labelmap, oriented_image
from LNSegFMLib.scene.volumes import matrix_of


@dataclass(frozen=True, eq=False)
class SegmentVoxels:
    """The voxels of one segment.

    Args:
        labelmap: 0 and 1, cut down to the segment.
        ijk_to_ras: 4x4 matrix from its IJK to mm in the segmentation's own RAS.
    """

    labelmap: Labelmap
    ijk_to_ras: np.ndarray

    @classmethod
    def of(cls, segment: Any) -> SegmentVoxels:
        """Copy them from a vtkSegment; a segment without voxels has a box without voxels."""
        image = segment.GetRepresentation(BINARY)
        matrix = vtk.vtkMatrix4x4()
        empty = Labelmap(np.zeros((0, 0, 0), np.uint8), (0, 0, 0), ())
        if image is None or image.IsEmpty():
            return cls(empty, np.eye(4))
        image.GetImageToWorldMatrix(matrix)
        extent, size = image.GetExtent(), image.GetDimensions()
        array = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars()).reshape(size[::-1])
        box = _box_of(array, segment.GetLabelValue())
        if box is None:
            return cls(empty, matrix_of(matrix))
        mask = array[box] == segment.GetLabelValue()
        first = (extent[0] + box[2].start, extent[2] + box[1].start, extent[4] + box[0].start)
        return cls(Labelmap(mask.astype(np.uint8), first, (1,)), matrix_of(matrix))

    def image(self) -> Any:
        """Return them as vtkOrientedImageData."""
        return oriented_image(self.labelmap, self.ijk_to_ras)

    def islands(self) -> list[SegmentVoxels]:
        """Return the 26-connected parts by descending size; slow for large segments."""
        numbers = sitk.GetArrayFromImage(
            sitk.RelabelComponent(sitk.ConnectedComponent(sitk.GetImageFromArray(self.labelmap.array), True))
        )
        return [
            SegmentVoxels(
                Labelmap((numbers == number).astype(np.uint8), self.labelmap.first, (1,)), self.ijk_to_ras
            )._cut_down()
            for number in range(1, int(numbers.max()) + 1)
        ]

    def united(self, other: SegmentVoxels) -> SegmentVoxels:
        """Return the voxels of both, which must lie on the same lattice."""
        parts = [each for each in (self, other) if each.labelmap.array.size]
        if not parts:
            return self
        lows = np.array([each.labelmap.first for each in parts])
        highs = lows + [each.labelmap.array.shape[::-1] for each in parts]
        first = lows.min(axis=0)
        array = np.zeros((highs.max(axis=0) - first)[::-1], np.uint8)
        for low, high, each in zip(lows - first, highs - first, parts):
            array[tuple(slice(*pair) for pair in zip(low[::-1], high[::-1]))] |= each.labelmap.array
        i, j, k = first.tolist()
        return SegmentVoxels(Labelmap(array, (i, j, k), (1,)), parts[0].ijk_to_ras)

    def without(self, other: SegmentVoxels) -> SegmentVoxels:
        """Return the voxels that are not ``other``'s; both must lie on the same lattice."""
        array = self.labelmap.array.copy()
        offset = np.subtract(other.labelmap.first, self.labelmap.first)[::-1]
        voxels = np.argwhere(other.labelmap.array) + offset
        inside = np.all((voxels >= 0) & (voxels < array.shape), axis=1)
        array[tuple(voxels[inside].T)] = 0
        return SegmentVoxels(Labelmap(array, self.labelmap.first, (1,)), self.ijk_to_ras)

    def _cut_down(self) -> SegmentVoxels:
        voxels = np.argwhere(self.labelmap.array)
        low, high = voxels.min(axis=0), voxels.max(axis=0) + 1
        array = np.ascontiguousarray(self.labelmap.array[tuple(slice(*pair) for pair in zip(low, high))])
        i, j, k = (np.asarray(self.labelmap.first) + low[::-1]).tolist()
        return SegmentVoxels(Labelmap(array, (i, j, k), (1,)), self.ijk_to_ras)


def _box_of(array: np.ndarray, value: int) -> tuple[slice, slice, slice] | None:
    """Return the box of the voxels with a value; plane by plane, since a labelmap may be shared by all of a neck."""
    planes = [index for index, plane in enumerate(array) if (plane == value).any()]
    if not planes:
        return None
    z = slice(planes[0], planes[-1] + 1)
    shadow = (array[z] == value).any(axis=0)
    rows, columns = np.flatnonzero(shadow.any(axis=1)), np.flatnonzero(shadow.any(axis=0))
    return z, slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
