"""Small pictures of axial slices with contours, as arrays and PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from lnsegfm.formats.image_files import check_read_back

Colour = tuple[int, int, int]
TRUTH: Colour = (60, 220, 90)
BEFORE: Colour = (255, 150, 40)
AFTER: Colour = (80, 180, 255)
# Window of soft tissue, HU: width 400, level 40.
_DARKEST, _BRIGHTEST = -160.0, 240.0


def draw_slice(
    hu: np.ndarray,
    outlines: Sequence[tuple[np.ndarray, Colour]],
    spacing_yx: tuple[float, float],
    *,
    size: int,
    box: tuple[slice, slice] | None = None,
) -> np.ndarray:
    """Draw an axial slice, to scale, on a black square.

    Args:
        hu: Shape (y, x); rows to posterior, columns to the patient's left, so the picture is as a radiologist sees it.
        outlines: Masks of the same shape and their colours; a later one covers the earlier ones.
        spacing_yx: Voxel size in mm.
        size: Edge of the square in pixels.
        box: The part to draw; all of it by default.

    Returns:
        uint8, shape (size, size, 3), red, green, blue.
    """
    box = box or (slice(None), slice(None))
    grey = np.clip((hu[box].astype(np.float32) - _DARKEST) / (_BRIGHTEST - _DARKEST), 0, 1) * 255
    picture = np.repeat(_scaled(grey, spacing_yx, size)[..., None], 3, axis=2).astype(np.uint8)
    for mask, colour in outlines:
        scaled = _scaled(mask[box].astype(np.float32), spacing_yx, size) >= 0.5
        picture[_edge(scaled)] = colour
    return picture


def side_by_side(pictures: Sequence[np.ndarray], *, gap: int = 4) -> np.ndarray:
    """Put pictures of one height in a row, with a black gap between them."""
    parts: list[np.ndarray] = []
    for picture in pictures:
        parts += [np.zeros((picture.shape[0], gap, 3), np.uint8), picture]
    return np.concatenate(parts[1:], axis=1)


def box_around(mask: np.ndarray, spacing_yx: tuple[float, float], *, margin_mm: float = 25.0) -> tuple[slice, slice]:
    """Return a square box, in mm, around a mask of shape (y, x); the whole slice where the mask is empty."""
    if not mask.any():
        return slice(None), slice(None)
    centres, halves = [], []
    for axis, spacing in enumerate(spacing_yx):
        occupied = np.flatnonzero(mask.any(axis=1 - axis))
        centres.append((occupied[0] + occupied[-1]) / 2)
        halves.append((occupied[-1] - occupied[0] + 1) * spacing / 2 + margin_mm)
    box = []
    for centre, spacing, length in zip(centres, spacing_yx, mask.shape):
        half = max(halves) / spacing
        box.append(slice(max(0, int(centre - half)), min(length, int(centre + half) + 2)))
    return box[0], box[1]


def write_png(picture: np.ndarray, path: Path) -> None:
    """Write a picture of shape (height, width, 3), uint8, to a file in an existing folder.

    Raises:
        OSError, RuntimeError: It could not be written whole.
    """
    image = sitk.GetImageFromArray(picture, isVector=True)
    sitk.WriteImage(image, str(path))
    check_read_back(image, path)


def _scaled(array: np.ndarray, spacing_yx: tuple[float, float], size: int) -> np.ndarray:
    """Resample an array of shape (y, x) to isotropic pixels in the middle of a square of ``size`` pixels."""
    extent = [length * spacing for length, spacing in zip(array.shape, spacing_yx)]
    pixel = max(extent) / size
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing(spacing_yx[::-1])
    target = sitk.Image(size, size, image.GetPixelID())
    target.SetSpacing((pixel, pixel))
    # Both centred on the same point; the origin is the centre of the first voxel.
    target.SetOrigin([
        spacing * (length - 1) / 2 - pixel * (size - 1) / 2
        for spacing, length in zip(spacing_yx[::-1], array.shape[::-1])
    ])
    return sitk.GetArrayFromImage(sitk.Resample(image, target, sitk.Transform(), sitk.sitkLinear, 0.0))


def _edge(mask: np.ndarray) -> np.ndarray:
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return mask & ~inner
