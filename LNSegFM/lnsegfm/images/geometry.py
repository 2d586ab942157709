"""The grid on which the voxels of a 3D image lie in the patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import SimpleITK as sitk

from lnsegfm.base.schema import Limits

_Count = Annotated[int, Limits(1, 1_000_000)]
_Length = Annotated[float, Limits(above=0, high=1e6)]
_Position = Annotated[float, Limits(high=1e7)]


@dataclass(frozen=True)
class Geometry:
    """The grid of a 3D image in the patient, as SimpleITK describes it (LPS).

    Args:
        size: Voxels along the image axes (x, y, z); the array of the image has the reverse order.
        spacing: Distance of neighbouring voxel centres in mm, by image axis.
        origin: Position of the centre of the first voxel in mm, LPS.
        direction: 3x3 matrix, row by row; its columns are the unit vectors of the image axes in LPS.
    """

    size: tuple[_Count, _Count, _Count]
    spacing: tuple[_Length, _Length, _Length]
    origin: tuple[_Position, _Position, _Position]
    direction: Annotated[tuple[Annotated[float, Limits(high=1.001)], ...], Limits(least=9, length=9)]

    @classmethod
    def of(cls, image: sitk.Image) -> Geometry:
        """Return the grid of a 3D image."""
        return cls(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())

    @property
    def matrix(self) -> np.ndarray:
        """3x3 matrix that takes index steps (x, y, z) to mm in LPS."""
        return np.reshape(self.direction, (3, 3)) * np.asarray(self.spacing)

    def positions(self, indices: np.ndarray) -> np.ndarray:
        """Return the LPS positions in mm, shape (n, 3), of continuous indices (x, y, z), shape (n, 3)."""
        return np.asarray(indices) @ self.matrix.T + np.asarray(self.origin)

    def matches(self, other: Geometry, *, tolerance_mm: float = 0.01) -> bool:
        """Tell whether both grids have the same size and all their corners agree to ``tolerance_mm``.

        The default leaves room for the single precision in which NIfTI stores a grid.
        """
        if self.size != other.size:
            return False
        corners = np.array([np.ravel(corner) for corner in np.ndindex(2, 2, 2)]) * (np.asarray(self.size) - 1)
        apart = np.linalg.norm(self.positions(corners) - other.positions(corners), axis=1)
        return bool(apart.max() <= tolerance_mm)

    def put_on(self, image: sitk.Image) -> sitk.Image:
        """Give ``image``, which has this size, this grid and return it."""
        image.SetSpacing(self.spacing)
        image.SetOrigin(self.origin)
        image.SetDirection(self.direction)
        return image


def labels_on(image: sitk.Image, array: np.ndarray) -> sitk.Image:
    """Return a label image with exactly the grid of ``image``.

    Args:
        image: 3D image.
        array: Labels 0 to 255, shape (z, y, x) of the image.

    Returns:
        uint8 image.

    Raises:
        ValueError: The array has another shape.
    """
    if array.shape != image.GetSize()[::-1]:
        raise ValueError(f"labels of shape {array.shape} do not fit an image of shape {image.GetSize()[::-1]}")
    return Geometry.of(image).put_on(sitk.GetImageFromArray(np.ascontiguousarray(array, dtype=np.uint8)))
