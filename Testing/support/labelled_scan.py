"""A small invented scan with two lymph nodes, and label files of it with every kind of fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

SPACING = (2.0, 2.0, 3.0)
ORIGIN = (-47.0, -53.0, -36.0)
VOXELS = 254


def scan() -> tuple[np.ndarray, np.ndarray]:
    """Return HU (int16) and labels (uint8) of shape (z, y, x) = (24, 48, 48): a body in air, bone, a windpipe."""
    z, y, x = (axis.astype(float) for axis in np.ogrid[:24, :48, :48])

    def within(centre: Sequence[float], radii_mm: Sequence[float]) -> np.ndarray:
        parts = [((p - c) * s / r) ** 2 for p, c, s, r in zip((x, y, z), centre, SPACING, radii_mm, strict=True)]
        return np.asarray(sum(parts)) <= 1

    hu = np.full((24, 48, 48), -1000.0)
    for centre, radii, value in (
        ((24, 25, 12), (42, 38, 1e6), -105), ((24, 32, 12), (22, 16, 1e6), 57), ((24, 30, 12), (9, 9, 1e6), 400),
        ((24, 16, 12), (8, 8, 1e6), -1000),
    ):  # fmt: skip
        hu[within(centre, radii)] = value
    labels = within((12, 22, 10), (6, 6, 7.5)) | within((36, 20, 15), (8, 7, 9))
    hu[labels] = 85
    hu += np.random.default_rng(3).normal(0, 8, hu.shape)
    return np.rint(hu).astype(np.int16), labels.astype(np.uint8)


def on_grid(
    array: np.ndarray, spacing: Sequence[float] = SPACING, origin: Sequence[float] = ORIGIN,
    direction: Sequence[float] = (1, 0, 0, 0, 1, 0, 0, 0, 1),
) -> sitk.Image:
    """Return an array as an image, by default on the scan's grid."""
    made = sitk.GetImageFromArray(array)
    made.SetSpacing(tuple(map(float, spacing)))
    made.SetOrigin(tuple(map(float, origin)))
    made.SetDirection(tuple(map(float, direction)))
    return made


def ct() -> sitk.Image:
    """Return the scan."""
    return on_grid(scan()[0])


def truth() -> np.ndarray:
    """Return its labels."""
    return scan()[1]


def with_segments(image: sitk.Image, segments: Sequence[Mapping[str, object]]) -> sitk.Image:
    """Return a label image with the header of Slicer's ``.seg.nrrd``; keys are Name, LabelValue, Layer, Tags."""
    noted = sitk.Image(image)
    for number, tags in enumerate(segments):
        for key, value in {"ID": f"Segment_{number + 1}", "Layer": 0, **tags}.items():
            noted.SetMetaData(f"Segment{number}_{key}", str(value))
    return noted


def structures() -> np.ndarray:
    """Return labels of 1 (lymph nodes), 2 (an artery) and 3 (a heart)."""
    labels = truth()
    labels[2:22, 18:22, 15:18] = 2
    labels[0:8, 22:40, 20:38] = 3
    return labels


def put(folder: Path, name: str, image: sitk.Image) -> Path:
    """Write an image and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(folder / name))
    return folder / name
