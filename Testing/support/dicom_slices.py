"""DICOM slices as SimpleITK writes them, for tests of series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk


def write_series(
    folder: Path,
    positions: list[tuple[float, float, float]],
    *,
    uid: str = "1.2.3",
    modality: str = "CT",
    direction: tuple[float, ...] = (1, 0, 0, 0, 1, 0),
    size: int = 8,
    name: str = "",
    sop: str = "",
) -> np.ndarray:
    """Write one DICOM file a position, numbered from the last position, and return the HU by position."""
    folder.mkdir(exist_ok=True)
    values = np.random.default_rng(len(positions)).integers(-1000, 1000, (len(positions), size, size)).astype(np.int16)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    for number in reversed(range(len(positions))):
        image = sitk.GetImageFromArray(values[number][None])
        image.SetSpacing((0.5, 0.5, 1.0))
        header = {
            "0008|0060": modality,
            "0020|000e": uid,
            "0020|000d": "1.2",
            "0008|0018": f"{sop or uid}.{number + 1}",
            "0008|103e": f"series {uid}",
            "0010|0010": "Doe^Jane",
            "0020|0013": str(len(positions) - number),
            "0020|0032": "\\".join(f"{value:.4f}" for value in positions[number]),
            "0020|0037": "\\".join(f"{value:.6f}" for value in direction),
            # SimpleITK stores HU less the intercept.
            "0028|1052": "-1024",
            "0028|1053": "1",
        }
        for key, value in header.items():
            image.SetMetaData(key, value)
        writer.SetFileName(str(folder / f"{name or uid}-{len(positions) - 1 - number}.dcm"))
        writer.Execute(image)
    return values


def rewrite(folder: Path, old: bytes, new: bytes) -> None:
    """Change the bytes of all files, for headers that SimpleITK does not write."""
    for path in folder.iterdir():
        content = path.read_bytes()
        assert content.count(old) == 1
        path.write_bytes(content.replace(old, new))


def stack(count: int, gap: float = 2.5, start: float = -50.0) -> list[tuple[float, float, float]]:
    return [(-10.0, 20.0, start + gap * number) for number in range(count)]
