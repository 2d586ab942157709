"""An image on its way from one process to another: what describes it as JSON, and its voxels as bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import SimpleITK as sitk


def described(image: sitk.Image) -> tuple[dict[str, Any], memoryview]:
    """Return what describes an image, of JSON types, and its voxels."""
    array = sitk.GetArrayFromImage(image)
    description = {
        "shape": list(array.shape), "type": array.dtype.str, "vector": image.GetNumberOfComponentsPerPixel() > 1,
        "spacing": image.GetSpacing(), "origin": image.GetOrigin(), "direction": image.GetDirection(),
        "metadata": {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()},
    }
    return description, array.reshape(-1).view(np.uint8).data


def restored(description: dict[str, Any], data: bytes | bytearray) -> sitk.Image:
    """Return the image that `described` was asked about: same voxels, grid and header entries."""
    array = np.frombuffer(data, np.dtype(description["type"])).reshape(description["shape"])
    image = sitk.GetImageFromArray(array, isVector=description["vector"])
    image.SetSpacing(description["spacing"])
    image.SetOrigin(description["origin"])
    image.SetDirection(description["direction"])
    for key, text in description["metadata"].items():
        image.SetMetaData(key, text)
    return image
