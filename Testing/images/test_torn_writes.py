"""A disk that is full half-way: nothing is reported as written, and what was there before stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from full_disk import on_full_disk

from lnsegfm.evaluation.slice_pictures import write_png
from lnsegfm.formats.image_files import write_image

NAMES = ("image.nrrd", "image.nii.gz", "image.nii", "image.mha")
ROOM = (0, 100, 400, 4096, 20_000)


def scan(seed: int, kind: type = np.int16) -> sitk.Image:
    return on_grid(np.random.default_rng(seed).integers(-1000, 1000, (12, 40, 40)).astype(kind))


def labels(seed: int) -> sitk.Image:
    """So small when compressed that a writer notices a full disk only when it closes the file."""
    values = np.zeros((12, 40, 40), np.uint8)
    values[4:7, 10 : 12 + seed, 5:9] = 1
    return on_grid(values)


def on_grid(values: np.ndarray) -> sitk.Image:
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((0.7, 0.8, 3.0))
    image.SetOrigin((-11.5, 20.25, -300.0))
    return image


@pytest.mark.parametrize("room", ROOM)
@pytest.mark.parametrize("make", [scan, labels])
@pytest.mark.parametrize("name", NAMES)
def test_a_torn_image_is_an_error_and_the_earlier_one_stays(
    name: str, make: Callable[[int], sitk.Image], room: int, tmp_path: Path
) -> None:
    path = tmp_path / name
    write_image(make(1), path)
    before, small = path.read_bytes(), make is labels

    error = on_full_disk(min(room, len(before) - 20), lambda: write_image(make(2), path, compress=small))

    assert error.startswith(f"UserError: {name} could not be written."), error
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [name]
    assert ".tmp-" not in error


@pytest.mark.parametrize("name", NAMES)
def test_a_torn_new_image_leaves_nothing(name: str, tmp_path: Path) -> None:
    assert "could not be written" in on_full_disk(4096, lambda: write_image(scan(2), tmp_path / name))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [np.int16, np.uint8, np.float32])
@pytest.mark.parametrize("name", NAMES)
def test_a_whole_image_is_no_error(name: str, kind: type, tmp_path: Path) -> None:
    image = scan(3, kind)
    assert on_full_disk(10_000_000, lambda: write_image(image, tmp_path / name)) == ""
    written = sitk.ReadImage(str(tmp_path / name))
    assert np.array_equal(sitk.GetArrayFromImage(written), sitk.GetArrayFromImage(image))


def test_a_torn_picture_is_an_error(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (80, 80, 3)).astype(np.uint8)
    assert on_full_disk(1000, lambda: write_png(picture, tmp_path / "picture.png")) != ""
    assert on_full_disk(10_000_000, lambda: write_png(picture, tmp_path / "picture.png")) == ""
