"""Labels that cannot be lymph nodes are refused with what was seen; rare ones are not."""

from __future__ import annotations

from pathlib import Path

import made_scan
import numpy as np
import pytest
from labelled_scan import ct, on_grid, put, scan, truth

from lnsegfm.base.errors import UserError
from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.cli import main
from lnsegfm.images.input_options import InputOptions
from lnsegfm.inputs.labels_on_ct import lymph_nodes_on


def box(z: slice, y: slice, x: slice) -> np.ndarray:
    labels = np.zeros((24, 48, 48), np.uint8)
    labels[z, y, x] = 1
    return labels


def rim() -> np.ndarray:
    labels = np.ones((24, 48, 48), np.uint8)
    labels[1:-1, 1:-1, 1:-1] = 0
    return labels


WRONG = {
    "inverted": (1 - truth(), "99.5 % of the CT would be lymph node"),
    "rim": (rim(), "100.0 % of the CT's outer faces"),
    "air": (box(slice(4, 8), slice(1, 3), slice(20, 30)), "air or lung"),
    "windpipe": (box(slice(4, 8), slice(14, 18), slice(22, 26)), "air or lung"),
    "fat": (box(slice(4, 8), slice(12, 16), slice(34, 40)), "fat"),
    "bone": (box(slice(4, 8), slice(28, 32), slice(22, 26)), "bone"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_cannot_be_lymph_nodes_is_refused_until_the_user_confirms(fault: str) -> None:
    labels, said = WRONG[fault]
    with pytest.raises(UserError, match="--unusual-labels") as refused:
        lymph_nodes_on(ct(), on_grid(labels))
    assert said in refused.value.why
    assert np.array_equal(lymph_nodes_on(ct(), on_grid(labels), InputOptions(unusual=True)).array, labels)


@pytest.mark.parametrize(
    ("kind", "hu"),
    [("enhanced", 200), ("necrotic", 5), ("unenhanced", 30), ("with a fatty hilum", None), ("calcified", 0)],
)
def test_rare_lymph_nodes_are_never_refused(kind: str, hu: int | None) -> None:
    values, labels = scan()
    inside = np.argwhere(labels)
    values[labels != 0] = 60 if hu is None or kind == "calcified" else hu
    if kind == "with a fatty hilum":
        values[tuple(inside[: int(0.6 * len(inside))].T)] = -90
    if kind == "calcified":
        values[tuple(inside[: int(0.6 * len(inside))].T)] = 700
    noise = np.random.default_rng(1).normal(0, 25, values.shape)
    assert np.array_equal(lymph_nodes_on(on_grid(values + noise), on_grid(labels)).array, labels)


def test_a_large_part_of_fat_is_told_with_the_median() -> None:
    values, labels = scan()
    values[tuple(np.argwhere(labels)[:120].T)] = -90
    (note,) = lymph_nodes_on(on_grid(values), on_grid(labels)).notes
    assert "% of the 254 labelled voxels are air, fat or bone" in note and "median is 70 HU" in note


def test_mirrored_labels_are_told_or_refused_with_the_flip_that_would_fit() -> None:
    for change, said in (
        (truth()[:, ::-1], "mirrored front to back"), (truth()[:, ::-1, ::-1], "turned by half in the slice"),
    ):  # fmt: skip
        try:
            told = " ".join(lymph_nodes_on(ct(), on_grid(np.ascontiguousarray(change))).notes)
        except UserError as error:
            told = error.why
        assert f"The same voxels {said} would have a median of 8" in told


def test_of_a_handful_of_voxels_the_tissue_is_not_judged() -> None:
    labels = box(slice(4, 5), slice(1, 2), slice(20, 25))
    assert lymph_nodes_on(ct(), on_grid(labels)).array.sum() == 5


def test_the_command_refuses_and_takes_the_confirmation(
    own_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(put(tmp_path, "ct.nii.gz", ct())), str(put(tmp_path, "bone.nii.gz", on_grid(WRONG["bone"][0])))]
    assert main(["cases", "add", *files]) == 1
    assert "mean 400 HU" in capsys.readouterr().err.replace("399", "400").replace("401", "400")
    assert CaseStore(own_home.cases).list() == []
    assert main(["cases", "add", *files, "--unusual-labels"]) == 0
    assert "are air, fat or bone" in "".join(capsys.readouterr())


def test_labels_that_a_flip_brings_into_soft_tissue_are_refused() -> None:
    values, labels = np.full((10, 20, 20), -100, np.int16), np.zeros((10, 20, 20), np.uint8)
    labels[2:7, 5:10, 13:18] = 1
    values[2:7, 5:10, 2:7] = values[2:7, 5:10, 13:15] = 60
    with pytest.raises(UserError, match=r"seem to be mirrored or transposed: 60\.0 %.*mirrored left to right"):
        lymph_nodes_on(made_scan.image(values), made_scan.image(labels))
    confirmed = lymph_nodes_on(made_scan.image(values), made_scan.image(labels), InputOptions(unusual=True))
    assert confirmed.array.sum() == 125 and "mirrored left to right" in " ".join(confirmed.notes)


def test_a_few_voxels_in_air_are_told() -> None:
    labels = np.zeros(made_scan.SIZE[::-1], np.uint8)
    labels[4, 1, 30:33] = 1
    placed = lymph_nodes_on(made_scan.image(made_scan.scan()[0]), made_scan.image(labels))
    assert placed.array.sum() == 3 and "100.0 % of the 3 labelled voxels are air" in " ".join(placed.notes)
