"""Where labels lie: exactly on the CT's voxels, or refused until the user says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from labelled_scan import ORIGIN, SPACING, VOXELS, ct, on_grid, put, truth

from lnsegfm.base.errors import UserError
from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.cli import main
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.input_options import InputOptions
from lnsegfm.images.label_grids import PlacementError, label_on_grid
from lnsegfm.inputs.labels_on_ct import lymph_nodes_on

MOVED = {
    "identity header": on_grid(truth(), (1, 1, 1), (0, 0, 0)),
    "30 mm": on_grid(truth(), origin=(-47, -23, -36)),
    "one slice": on_grid(truth(), origin=(-47, -53, -33)),
    "part of a voxel": on_grid(truth(), origin=(-45.8, -51.8, -36)),
    "signs of x and y": on_grid(truth(), origin=(47, 53, -36)),
    "axes the other way": on_grid(truth(), direction=(-1, 0, 0, 0, -1, 0, 0, 0, 1)),
    "mirrored in place": on_grid(truth(), origin=(47 - 2, -53, -36), direction=(-1, 0, 0, 0, 1, 0, 0, 0, 1)),
    "spacing swapped": on_grid(truth(), (3, 2, 2)),
}
SAID = {
    "identity header": "its header was lost", "30 mm": "(0, 30, 0) mm off, that is (0, 15, 0) voxels",
    "one slice": "that is (0, 0, 1) voxels", "part of a voxel": "(1.2, 1.2, 0) mm off",
    "signs of x and y": "RAS taken for LPS",
    "axes the other way": "axes x, y run the other way", "mirrored in place": "axes x run the other way",
    "spacing swapped": "the same in another order",
}  # fmt: skip


@pytest.mark.parametrize("fault", MOVED)
def test_labels_of_the_size_of_the_ct_with_another_header_are_refused_with_the_candidates(fault: str) -> None:
    with pytest.raises(PlacementError) as refused:
        lymph_nodes_on(ct(), MOVED[fault])
    error = refused.value
    assert "as many voxels as the CT (48 x 48 x 24), but another grid" in error.why and SAID[fault] in error.why
    assert "The same voxels would fit with the CT's header." in error.why and "The Dice of the two is" in error.why
    assert "--label-grid" in error.todo
    by_placement = {each.placement: each for each in error.candidates}
    assert by_placement["ct"].mean_hu == pytest.approx(85, abs=2) and by_placement["ct"].outside == 0
    assert error.dice is not None and error.dice < 0.9


@pytest.mark.parametrize("fault", MOVED)
def test_the_user_may_say_that_the_header_of_the_ct_is_right(fault: str) -> None:
    placed = lymph_nodes_on(ct(), MOVED[fault], InputOptions("ct"))
    assert np.array_equal(placed.array, truth())
    assert any("own header was replaced" in note for note in placed.notes)


def test_the_user_may_say_that_the_labels_own_header_is_right() -> None:
    placed = lymph_nodes_on(ct(), MOVED["one slice"], InputOptions("own"))
    assert np.array_equal(placed.array[1:], truth()[:-1]) and any("as asked" in note for note in placed.notes)


def test_transposed_labels_are_refused_although_they_share_voxels() -> None:
    with pytest.raises(PlacementError, match="its axes may be transposed"):
        lymph_nodes_on(ct(), on_grid(np.ascontiguousarray(truth().transpose(2, 1, 0))))


def test_labels_of_another_voxel_size_are_refused_with_both_grids_until_the_user_says_own() -> None:
    fine = sitk.Expand(on_grid(truth()), (2, 2, 1), sitk.sitkNearestNeighbor)
    with pytest.raises(PlacementError, match=r"96 x 96 x 24 voxels of 1 x 1 x 3 mm; the CT has 48 x 48 x 24 of 2 x 2"):
        lymph_nodes_on(ct(), fine)
    assert np.array_equal(lymph_nodes_on(ct(), fine, InputOptions("own")).array, truth())
    with pytest.raises(UserError, match="has 96 x 96 x 24 voxels"):
        lymph_nodes_on(ct(), fine, InputOptions("ct"))


def test_labels_that_share_the_voxels_of_the_ct_stay_exact() -> None:
    label = on_grid(truth())
    turned = sitk.Flip(sitk.PermuteAxes(label, (2, 0, 1)), (True, False, True))
    for part in (label, turned, sitk.Crop(label, (4, 6, 2), (3, 2, 1)), sitk.ConstantPad(label, (2, 0, 1), (0, 3, 0))):
        assert np.array_equal(lymph_nodes_on(ct(), part).array, truth())


@pytest.mark.parametrize(
    "part", [truth()[1:], truth()[3:], np.pad(truth(), ((1, 0), (0, 0), (0, 0))), truth()[:, 2:], truth()[:-1]]
)
def test_a_few_slices_less_or_more_with_the_origin_of_the_ct_are_refused_until_the_user_says(part: np.ndarray) -> None:
    label = on_grid(np.ascontiguousarray(part))
    with pytest.raises(PlacementError, match="slices may be missing at either end") as refused:
        lymph_nodes_on(ct(), label)
    assert [each.placement for each in refused.value.candidates] == ["own"]
    placed = lymph_nodes_on(ct(), label, InputOptions("own"))
    assert placed.array[:, : part.shape[1]].sum() == part.sum()


@pytest.mark.parametrize(
    "part", [(slice(-4),) * 3, (slice(-4),), (slice(2, None),), (slice(None), slice(-2), slice(-2))]
)
def test_a_part_that_was_cut_out_stays_exact(part: tuple[slice, ...]) -> None:
    ranges = [one.indices(length) for one, length in zip((*part, *[slice(None)] * (3 - len(part))), (24, 48, 48))]
    origin = [ORIGIN[axis] + SPACING[axis] * ranges[2 - axis][0] for axis in range(3)]
    expected = np.zeros_like(truth())
    expected[part] = truth()[part]
    placed = lymph_nodes_on(ct(), on_grid(np.ascontiguousarray(truth()[part]), origin=origin))
    assert np.array_equal(placed.array, expected)


def test_a_header_that_was_merely_rounded_is_no_doubt() -> None:
    rounded = on_grid(truth(), (2.001, 2.0, 3.0), (-47.04, -53.0, -36.0))
    placed = lymph_nodes_on(ct(), rounded)
    assert np.array_equal(placed.array, truth()) and "less than a quarter of a voxel" in placed.notes[0]


def test_without_a_ct_the_candidates_have_no_hu() -> None:
    with pytest.raises(PlacementError) as refused:
        label_on_grid(MOVED["30 mm"], Geometry((48, 48, 24), SPACING, ORIGIN, (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    assert [each.mean_hu for each in refused.value.candidates] == [None, None] and " HU" not in refused.value.why


def test_the_placement_is_unknown() -> None:
    with pytest.raises(UserError, match="'header'"):
        InputOptions("header")  # type: ignore[arg-type]


@pytest.mark.parametrize("command", ["add", "measure", "import", "import folder", "evaluate"])
def test_every_way_in_refuses_and_takes_the_same_option(
    command: str, own_home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = put(tmp_path / "raw" / "imagesTr", "a_0000.nii.gz", ct())
    label = put(tmp_path / "raw" / "labelsTr", "a.nii.gz", MOVED["30 mm"])
    right = put(tmp_path, "truth.nii.gz", on_grid(truth()))
    raw = str(tmp_path / "raw")
    call = {
        "add": ["cases", "add", str(image), str(label)], "measure": ["measure", str(image), str(label)],
        "import": ["cases", "import", raw], "import folder": ["import", "folder", raw, "--out", str(tmp_path / "out")],
        "evaluate": ["evaluate", str(label), str(right)],
    }[command]
    code = main(call)
    told = "".join(capsys.readouterr())
    assert code == 1 and "--label-grid" in told
    assert not CaseStore(own_home.cases).list()
    assert main([*call, "--label-grid", "ct"]) == 0
    told = "".join(capsys.readouterr())
    assert command == "evaluate" or "header was replaced by that of the CT" in told
    if command in ("add", "import"):
        (case,) = CaseStore(own_home.cases).list()
        assert case.latest.foreground_voxels == VOXELS and f"{VOXELS} voxels" in told
