"""A box in the patient, at any angle, and the voxels of a grid that lie in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lnsegfm.base.errors import UserError
from lnsegfm.images.boxes import Box
from lnsegfm.images.geometry import Geometry

_LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
# A face that goes through voxel centres takes them in, whatever was rounded on the way.
_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class OrientedBox:
    """A box, turned and perhaps sheared by transforms.

    Args:
        to_ras: 4x4 matrix from the box's own coordinates, in which it reaches from -1 to 1 along each axis, to mm, RAS.
    """

    to_ras: np.ndarray

    def index_box(self, grid: Geometry) -> Box:
        """Return the smallest box of voxels around all voxel centres in it.

        Args:
            grid: Grid of the CT.

        Returns:
            Half-open extents ``(i0, i1, j0, j1, k0, k1)``, within the grid.

        Raises:
            UserError: No part of it lies in the CT, or it has no volume.
        """
        unit_corners = 2.0 * np.array([np.ravel(corner) for corner in np.ndindex(2, 2, 2)]) - 1.0
        corners = unit_corners @ self._to_index(grid)[:3, :3].T + self._to_index(grid)[:3, 3]
        low = np.maximum(np.ceil(corners.min(axis=0) - _TOLERANCE), 0).astype(int)
        high = np.minimum(np.floor(corners.max(axis=0) + _TOLERANCE) + 1, grid.size).astype(int)
        if (low >= high).any():
            raise UserError(
                "The region holds no voxels of the CT.", "It lies beside the CT, or is thinner than a voxel.",
                "Move or enlarge the ROI, or choose another.",
            )
        (i0, j0, k0), (i1, j1, k1) = low.tolist(), high.tolist()
        return i0, i1, j0, j1, k0, k1

    def mask(self, grid: Geometry) -> np.ndarray:
        """Return which voxel centres of a grid lie in it, bool, shape (z, y, x) of the grid; raises as `index_box`."""
        i0, i1, j0, j1, k0, k1 = self.index_box(grid)
        to_unit = np.linalg.inv(self._to_index(grid))
        k, j, i = np.ogrid[k0:k1, j0:j1, i0:i1]
        inside = np.ones((k1 - k0, j1 - j0, i1 - i0), bool)
        for row in to_unit[:3]:
            inside &= np.abs(row[0] * i + row[1] * j + row[2] * k + row[3]) <= 1.0 + _TOLERANCE
        result = np.zeros(grid.size[::-1], bool)
        result[k0:k1, j0:j1, i0:i1] = inside
        return result

    def _to_index(self, grid: Geometry) -> np.ndarray:
        """Return the 4x4 matrix from the box's own coordinates to voxel indices (i, j, k)."""
        if abs(np.linalg.det(self.to_ras[:3, :3])) < 1e-9:
            raise UserError("The region is empty.", "The ROI has no volume.", "Draw the ROI, or choose another.")
        from_index = np.eye(4)
        from_index[:3, :3], from_index[:3, 3] = grid.matrix, grid.origin
        result: np.ndarray = np.linalg.inv(from_index) @ _LPS_FROM_RAS @ self.to_ras
        return result
