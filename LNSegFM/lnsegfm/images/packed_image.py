"""Images that lie in memory for later, small."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from lnsegfm.images.geometry import Geometry


@dataclass(frozen=True, eq=False)
class PackedImage:
    """A compressed uint8 image; a probability volume, nearly all zeros, takes a hundredth of its size.

    Args:
        data: Its voxels, compressed.
        geometry: Its grid.
    """

    data: bytes
    geometry: Geometry

    @classmethod
    def of(cls, image: sitk.Image) -> PackedImage:
        """Pack a uint8 image; slow for large ones, so not for the thread of the user interface."""
        # The fastest level: most of the gain is in the zeros.
        return cls(zlib.compress(sitk.GetArrayFromImage(image).tobytes(), 1), Geometry.of(image))

    def array(self) -> np.ndarray:
        """Return its voxels, shape (z, y, x), not to be written to."""
        return np.frombuffer(zlib.decompress(self.data), np.uint8).reshape(self.geometry.size[::-1])

    def image(self) -> sitk.Image:
        """Return the image."""
        return self.geometry.put_on(sitk.GetImageFromArray(self.array()))
