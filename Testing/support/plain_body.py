"""A plain body in air, above a couch, for tests of what may be a lymph node and where."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

AIR, FAT, MUSCLE, LUNG, BONE, COUCH = -1000, -100, 50, -800, 900, 40
# Centres in mm (left, posterior, superior) from the middle of the body.
IN_MUSCLE, IN_LUNG, IN_AIRWAY, IN_BONE = (35.0, 0.0, 0.0), (-40.0, 0.0, 0.0), (0.0, -25.0, 0.0), (0.0, 25.0, 0.0)
IN_AIR, IN_COUCH = (75.0, -55.0, 0.0), (20.0, 80.0, 0.0)
_HALF_MM = (90.0, 100.0, 42.0)
_BODY_MM = (70.0, 50.0)
_FAT_MM = 6.0


class PlainBody:
    """An elliptic body of 140 x 100 mm with lung, airway and bone, and labels that are painted into it.

    Args:
        spacing: Voxel size in mm (x, y, z).
        noise: Standard deviation in HU.
    """

    def __init__(self, spacing: Sequence[float] = (2.0, 2.0, 3.0), noise: float = 10.0) -> None:
        self.spacing = tuple(float(step) for step in spacing)
        size = [round(2 * half / step) for half, step in zip(_HALF_MM, self.spacing)]
        self.mm = np.meshgrid(
            *((np.arange(count) - (count - 1) / 2) * step for count, step in zip(size, self.spacing)), indexing="ij"
        )
        x, y, _ = self.mm
        self.hu = np.full(size, float(AIR))
        self.hu[(x / _BODY_MM[0]) ** 2 + (y / _BODY_MM[1]) ** 2 <= 1] = FAT
        self.hu[(x / (_BODY_MM[0] - _FAT_MM)) ** 2 + (y / (_BODY_MM[1] - _FAT_MM)) ** 2 <= 1] = MUSCLE
        self.hu[np.hypot(x - IN_LUNG[0], y - IN_LUNG[1]) <= 18] = LUNG
        self.hu[np.hypot(x - IN_AIRWAY[0], y - IN_AIRWAY[1]) <= 8] = AIR
        self.hu[np.hypot(x - IN_BONE[0], y - IN_BONE[1]) <= 15] = BONE
        self.hu[(y > 70) & (y < 92) & (np.abs(x) < 85)] = COUCH
        self.hu += np.random.default_rng(0).normal(0, noise, size)
        self.labels = np.zeros(size, np.uint8)

    def sphere(self, centre: Sequence[float], diameter: float, hu: float | None = None) -> np.ndarray:
        """Label a sphere and return its voxels; its values become ``hu`` where that is given."""
        return self.ellipsoid(centre, (diameter / 2,) * 3, hu)

    def ellipsoid(self, centre: Sequence[float], radii: Sequence[float], hu: float | None = None) -> np.ndarray:
        """Label an ellipsoid and return its voxels; radii in mm."""
        away = sum(((axis - middle) / radius) ** 2 for axis, middle, radius in zip(self.mm, centre, radii))
        inside = np.asarray(away <= 1)
        self.label(inside, hu)
        return inside

    def box(self, low: Sequence[float], high: Sequence[float], hu: float | None = None) -> np.ndarray:
        """Label a box and return its voxels; corners in mm."""
        inside = np.all([(axis >= a) & (axis <= b) for axis, a, b in zip(self.mm, low, high)], axis=0)
        self.label(inside, hu)
        return inside

    def label(self, inside: np.ndarray, hu: float | None = None) -> None:
        """Label voxels, and give them a value where one is given."""
        self.labels[inside] = 1
        if hu is not None:
            self.hu[inside] = hu

    def images(self) -> tuple[sitk.Image, sitk.Image]:
        """Return CT (int16) and labels (uint8)."""
        found = []
        for array in (np.rint(self.hu).astype(np.int16), self.labels):
            image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose(2, 1, 0)))
            image.SetSpacing(self.spacing)
            image.SetOrigin([-half for half in _HALF_MM])
            found.append(image)
        return found[0], found[1]
