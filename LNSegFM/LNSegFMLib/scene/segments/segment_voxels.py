"""The voxels of one segment, to be taken out, cut into parts, and put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk
import vtk

from LNSegFMLib.scene.matrices import matrix_of
from LNSegFMLib.scene.segments.label_boxes import Box, box_of, voxels_of
from LNSegFMLib.scene.segments.segmentations import BINARY, Labelmap, oriented_image


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
        empty = Labelmap(np.zeros((0, 0, 0), np.uint8), (0, 0, 0), ())
        if image is None or image.IsEmpty():
            return cls(empty, np.eye(4))
        matrix = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(matrix)
        box = box_of(image, segment.GetLabelValue())
        if box is None:
            return cls(empty, matrix_of(matrix))
        mask = voxels_of(image)[box] == segment.GetLabelValue()
        extent = image.GetExtent()
        first = (extent[0] + box[2].start, extent[2] + box[1].start, extent[4] + box[0].start)
        return cls(Labelmap(mask.astype(np.uint8), first, (1,)), matrix_of(matrix))

    @property
    def empty(self) -> bool:
        """Whether there are no voxels."""
        return not self.labelmap.array.size

    def box_in(self, image: Any) -> Box | None:
        """Return the part of a vtkOrientedImageData that they lie in; None where it has another lattice or ends short.

        Args:
            image: The image; its extent may start anywhere.
        """
        matrix = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(matrix)
        if self.empty or image.IsEmpty() or not np.allclose(matrix_of(matrix), self.ijk_to_ras, atol=1e-4):
            return None
        low = np.subtract(self.labelmap.first, image.GetExtent()[::2])[::-1]
        high = low + self.labelmap.array.shape
        if (low < 0).any() or (high > image.GetDimensions()[::-1]).any():
            return None
        z, y, x = (slice(int(first), int(last)) for first, last in zip(low, high))
        return z, y, x

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
            ).cut_down()
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

    def cut_down(self) -> SegmentVoxels:
        """Return the same voxels with the smallest box around them."""
        voxels = np.argwhere(self.labelmap.array)
        if not len(voxels):
            return SegmentVoxels(Labelmap(np.zeros((0, 0, 0), np.uint8), (0, 0, 0), ()), self.ijk_to_ras)
        low, high = voxels.min(axis=0), voxels.max(axis=0) + 1
        array = np.ascontiguousarray(self.labelmap.array[tuple(slice(*pair) for pair in zip(low, high))])
        i, j, k = (np.asarray(self.labelmap.first) + low[::-1]).tolist()
        return SegmentVoxels(Labelmap(array, (i, j, k), (1,)), self.ijk_to_ras)
