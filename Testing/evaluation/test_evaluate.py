"""``lnsegfm evaluate``: against analytic spheres, an independent implementation, and cases computed by hand."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Sequence
from functools import cache
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes, mesh_surface_area

from lnsegfm.cli import main
from lnsegfm.evaluation.detection import NodeCounts, detect
from lnsegfm.evaluation.scoring import Settings, evaluate_case
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.orientation import AxisMap

Spacing = tuple[float, float, float]
Box = tuple[int, int, int]
SHAPE = (6, 60, 60)
ALL_48 = [AxisMap(p, f) for p in permutations(range(3)) for f in product((False, True), repeat=3)]


def image(array: np.ndarray, spacing: Spacing = (1.0, 1.0, 1.0)) -> sitk.Image:
    """Label image of an array (z, y, x); spacing as the image has it (x, y, z)."""
    result = sitk.GetImageFromArray(np.asarray(array, np.uint8))
    result.SetSpacing(spacing)
    result.SetOrigin((-12.5, 30.0, 7.0))
    return result


def boxes(*corners: Box, value: int = 1) -> np.ndarray:
    """Squares of (y, x, edge) in four slices of 1 mm voxels; their short axis is somewhat less than their diagonal."""
    array = np.zeros(SHAPE, np.uint8)
    for y, x, edge in corners:
        array[1:5, y : y + edge, x : x + edge] = value
    return array


def ball(radius: float, centre: Sequence[float], voxel: float = 0.5, extent: int = 80) -> sitk.Image:
    positions = np.indices((extent,) * 3) * voxel
    squares = sum((positions[axis] - centre[axis]) ** 2 for axis in range(3))
    return image(squares <= radius**2, (voxel, voxel, voxel))


def put(folder: Path, **images: sitk.Image | np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in images.items():
        labels = content if isinstance(content, sitk.Image) else image(content)
        sitk.WriteImage(labels, str(folder / f"{name}.nii.gz"), useCompression=True)
    return folder


def run(pred: Path, truth: Path, out: Path, *options: str, status: int = 0) -> dict[str, Any]:
    assert main(["evaluate", str(pred), str(truth), "--out", str(out), *options]) == status
    summary: dict[str, Any] = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return summary


def rows(out: Path, name: str = "cases") -> list[dict[str, str]]:
    with (out / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    assert main(["evaluate", *map(str, arguments)]) == 1
    error = capsys.readouterr().err
    assert "Traceback" not in error
    return error


# Analytic spheres


@pytest.mark.parametrize("other", [7.5, 8.0, 9.5, 10.0, 13.0])
def test_concentric_spheres_score_as_their_volumes_and_distance_say(tmp_path: Path, other: float) -> None:
    centre = (20.1, 20.1, 20.1)
    pred, truth = put(tmp_path / "pred", a=ball(other, centre)), put(tmp_path / "truth", a=ball(10.0, centre))
    summary = run(pred, truth, tmp_path / "out")
    small, large = sorted((other, 10.0))
    assert summary["dsc"]["mean"] == pytest.approx(2 * small**3 / (small**3 + large**3), abs=2e-3)
    # The gap is the same everywhere, and differs from the tolerance of 1 mm by at least a voxel.
    assert summary["nsd"]["mean"] == pytest.approx(float(large - small < 1), abs=0.01)


@pytest.mark.parametrize("tolerance", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("shift", [1.0, 2.0, 4.0, 8.0])
def test_shifted_spheres_score_as_geometry_says(tmp_path: Path, shift: float, tolerance: float) -> None:
    radius, voxel = 10.0, 0.5
    pred = put(tmp_path / "pred", a=ball(radius, (20.1, 20.1, 18.1 + shift), voxel))
    truth = put(tmp_path / "truth", a=ball(radius, (20.1, 20.1, 18.1), voxel))
    summary = run(pred, truth, tmp_path / "out", "--tolerance", str(tolerance))
    overlap = 1 - 0.75 * shift / radius + (shift / radius) ** 3 / 16
    assert summary["dsc"]["mean"] == pytest.approx(overlap, abs=2e-3)

    def share_within(distance: float) -> float:
        # A point of one sphere at angle t lies sqrt(r² + d² - 2 r d cos t) from the other's centre; cos t is uniform.
        low, high = ((radius**2 + shift**2 - (radius + s * distance) ** 2) / (2 * radius * shift) for s in (1, -1))
        return (min(high, 1) - max(low, -1)) / 2

    # Surface elements lie on the corners of voxels, so that distances are known to about a voxel.
    assert share_within(max(0, tolerance - voxel)) <= summary["nsd"]["mean"] <= share_within(tolerance + voxel)


# An independent implementation


def independent_dice(pred: np.ndarray, truth: np.ndarray) -> float:
    first, second = set(map(tuple, np.argwhere(pred))), set(map(tuple, np.argwhere(truth)))
    return 2 * len(first & second) / (len(first) + len(second))


def independent_nsd(pred: np.ndarray, truth: np.ndarray, spacing_zyx: Spacing, tolerance: float) -> float:
    """NSD of the same surface elements (Nikolov et al.) by a k-d tree and scikit-image's marching cubes."""
    (points, areas), (other_points, other_areas) = (surface_elements(mask, spacing_zyx) for mask in (pred, truth))
    near = cKDTree(other_points).query(points)[0] <= tolerance
    other_near = cKDTree(points).query(other_points)[0] <= tolerance
    return float((areas[near].sum() + other_areas[other_near].sum()) / (areas.sum() + other_areas.sum()))


def surface_elements(mask: np.ndarray, spacing_zyx: Spacing) -> tuple[np.ndarray, np.ndarray]:
    cells = np.lib.stride_tricks.sliding_window_view(np.pad(mask, 1), (2, 2, 2))
    count = cells.sum(axis=(3, 4, 5))
    where = np.argwhere((count > 0) & (count < 8))
    areas = [element_area(cells[tuple(index)].tobytes(), spacing_zyx) for index in where]
    return where * np.asarray(spacing_zyx), np.asarray(areas)


@cache
def element_area(cell: bytes, spacing_zyx: Spacing) -> float:
    corners = np.frombuffer(cell, bool).reshape(2, 2, 2).astype(float)
    vertices, faces, *_ = marching_cubes(corners, 0.5, spacing=spacing_zyx, method="lorensen")
    return float(mesh_surface_area(vertices, faces))


@given(
    seed=st.integers(0, 10_000),
    smoothness=st.floats(1.0, 2.5),
    tolerance=st.sampled_from([0.5, 1.0, 2.0]),
    spacing=st.sampled_from([(1.0, 1.0, 1.0), (0.8, 0.8, 3.0), (0.5, 0.7, 1.2)]),
)
@settings(max_examples=30, deadline=None)
def test_scores_agree_with_an_independent_implementation(
    seed: int, smoothness: float, tolerance: float, spacing: Spacing
) -> None:
    rng = np.random.default_rng(seed)
    base, noise = (gaussian_filter(rng.standard_normal((14, 22, 22)), smoothness) for _ in range(2))
    truth, pred = base > base.std(), base + 0.5 * noise > base.std()
    result = evaluate_case(image(pred, spacing), image(truth, spacing), Settings(tolerance_mm=tolerance))
    assert result.dsc == pytest.approx(independent_dice(pred, truth))
    # The areas of two of the 256 kinds of surface elements differ between the two tables.
    assert result.nsd == pytest.approx(independent_nsd(pred, truth, spacing[::-1], tolerance), abs=2e-3)


# Properties


def random_labels(seed: int, spacing: Spacing = (0.8, 0.8, 3.0)) -> tuple[sitk.Image, sitk.Image]:
    rng = np.random.default_rng(seed)
    fields = [gaussian_filter(rng.standard_normal((8, 16, 18)), 1.5) for _ in range(2)]
    return image(fields[0] > fields[0].std(), spacing), image(fields[1] > fields[1].std(), spacing)


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_identical_labels_score_1_find_every_node_and_have_no_false_positive(seed: int) -> None:
    labels, _ = random_labels(seed)
    result = evaluate_case(labels, labels, Settings())
    assert (result.dsc, result.nsd) == (1.0, 1.0)
    counts = NodeCounts.of([result.detection])
    assert counts.nodes == counts.found > 0
    assert counts.false_positives == 0
    assert all(each.overlap == 1 for each in result.detection.truth)


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_prediction_and_truth_can_be_exchanged(seed: int) -> None:
    first, second = random_labels(seed)
    there, back = evaluate_case(first, second, Settings()), evaluate_case(second, first, Settings())
    assert (there.dsc, there.nsd) == pytest.approx((back.dsc, back.nsd))
    # What is missed one way is false the other way.
    assert there.detection.truth == back.detection.predicted


@given(st.integers(0, 10_000), st.sampled_from(ALL_48))
@settings(max_examples=30, deadline=None)
def test_scores_do_not_depend_on_the_axis_order_of_the_stored_grid(seed: int, axes: AxisMap) -> None:
    def stored(labels: sitk.Image) -> sitk.Image:
        array = np.ascontiguousarray(axes.apply(sitk.GetArrayFromImage(labels)))
        return axes.apply_geometry(Geometry.of(labels)).put_on(sitk.GetImageFromArray(array))

    pred, truth = random_labels(seed)
    expected = evaluate_case(pred, truth, Settings())
    both = evaluate_case(stored(pred), stored(truth), Settings())
    one = evaluate_case(stored(pred), truth, Settings(resample=True))
    for result in (both, one):
        assert result.dsc == expected.dsc
        assert result.nsd == pytest.approx(expected.nsd, abs=1e-9)
        assert sorted(each.overlap for each in result.detection.truth) == sorted(
            each.overlap for each in expected.detection.truth
        )


# Lymph nodes


def counted(pred: np.ndarray, truth: np.ndarray, overlap: float = 0.0, size_class: str | None = None) -> list[int]:
    """Nodes, found ones, false positives."""
    counts = NodeCounts.of([detect(image(pred), image(truth), overlap=overlap)], size_class=size_class)
    return [counts.nodes, counts.found, counts.false_positives]


def test_a_prediction_that_merges_two_nodes_finds_both() -> None:
    assert counted(boxes((10, 10, 20)), boxes((10, 10, 6), (22, 22, 6))) == [2, 2, 0]


def test_two_parts_in_one_node_find_it_once_and_are_no_false_positives() -> None:
    assert counted(boxes((10, 10, 4), (22, 22, 4)), boxes((10, 10, 18))) == [1, 1, 0]


def test_nodes_that_touch_at_a_corner_are_one() -> None:
    assert counted(boxes((10, 10, 4)), boxes((10, 10, 4), (14, 14, 4))) == [1, 1, 0]


def test_a_node_next_to_a_prediction_without_a_common_voxel_is_missed() -> None:
    assert counted(boxes((10, 14, 4)), boxes((10, 10, 4))) == [1, 0, 1]


def test_the_overlap_counts_the_voxels_of_the_node_and_of_the_prediction() -> None:
    # 10 x 10 against 10 x 10, shifted so that 1 of 10 columns is common.
    truth, pred = boxes((10, 10, 10)), boxes((10, 19, 10))
    assert counted(pred, truth, overlap=0.0) == [1, 1, 0]
    assert counted(pred, truth, overlap=0.1) == [1, 1, 0]
    assert counted(pred, truth, overlap=0.11) == [1, 0, 1]


def test_a_spot_inside_a_large_node_does_not_find_it_by_share_and_is_no_false_positive() -> None:
    assert counted(boxes((15, 15, 3)), boxes((10, 10, 20)), overlap=0.1) == [1, 0, 0]


def test_a_flood_over_a_small_node_finds_it_and_is_a_false_positive_by_share() -> None:
    assert counted(boxes((10, 10, 20)), boxes((15, 15, 3)), overlap=0.1) == [1, 1, 1]


@pytest.mark.parametrize(("edge", "size_class"), [(5, "normal"), (9, "non-target"), (14, "target")])
def test_a_false_positive_is_counted_in_the_bin_of_its_own_size(edge: int, size_class: str) -> None:
    truth = boxes((40, 40, 5))
    pred = truth | boxes((5, 5, edge))
    for name in ("normal", "non-target", "target"):
        own = int(name == "normal")
        assert counted(pred, truth, size_class=name) == [own, own, int(name == size_class)]


def test_sensitivity_is_over_all_nodes_and_false_positives_over_all_cases(tmp_path: Path) -> None:
    truth = put(tmp_path / "truth", a=boxes((5, 5, 5), (5, 30, 14)), b=boxes((5, 5, 5)), c=boxes())
    pred = put(tmp_path / "pred", a=boxes((5, 5, 5), (5, 30, 14)), b=boxes((30, 30, 9)), c=boxes((30, 5, 9)))
    nodes = run(pred, truth, tmp_path / "out")["nodes"]
    expected = {
        "< 10 mm": [2, 1, 0.5, 0, 0.0],
        "10 to < 15 mm": [0, 0, None, 2, 2 / 3],
        ">= 15 mm": [1, 1, 1.0, 0, 0.0],
        "all": [3, 2, 2 / 3, 2, 2 / 3],
    }
    keys = ("nodes", "found", "sensitivity", "false_positives", "false_positives_per_case")
    assert nodes == {text: dict(zip(keys, numbers, strict=True)) for text, numbers in expected.items()}


def test_every_node_is_listed_with_its_size_and_place(tmp_path: Path) -> None:
    truth = put(tmp_path / "truth", a=boxes((5, 5, 5), (5, 30, 14)))
    pred = put(tmp_path / "pred", a=boxes((5, 30, 14), (40, 10, 9)))
    run(pred, truth, tmp_path / "out")
    found = {(row["result"], row["size_class"], row["overlap"]): row for row in rows(tmp_path / "out", "nodes")}
    assert set(found) == {
        ("found", "target", "1.0"),
        ("missed", "normal", "0.0"),
        ("matched", "target", "1.0"),
        ("false positive", "non-target", "0.0"),
    }
    missed = found["missed", "normal", "0.0"]
    assert float(missed["volume_mm3"]) == 4 * 5 * 5
    assert 5 <= float(missed["short_axis_mm"]) <= float(missed["long_axis_mm"]) <= 5 * math.sqrt(2)
    # Voxel (x 7, y 7, z 2.5) from the origin (-12.5, 30, 7), LPS, in RAS.
    assert [float(missed[axis]) for axis in ("r_mm", "a_mm", "s_mm")] == [5.5, -37.0, 9.5]


# Conventions and the cohort


def test_mean_and_sample_deviation_over_cases(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = put(tmp_path / "truth", a=boxes((5, 5, 8)), b=boxes((5, 5, 8)), c=boxes((5, 5, 8)))
    pred = put(tmp_path / "pred", a=boxes((5, 5, 8)), b=boxes((5, 9, 8)), c=boxes((5, 7, 8)))
    summary = run(pred, truth, tmp_path / "out")
    # 1, 1/2 and 3/4 of the columns are common.
    assert [float(row["dsc"]) for row in rows(tmp_path / "out")] == [1.0, 0.5, 0.75]
    assert summary["dsc"] == {"mean": pytest.approx(0.75), "sd": pytest.approx(0.25)}
    printed = capsys.readouterr().out
    assert "0.750 ± 0.250" in printed
    assert (tmp_path / "out" / "summary.md").read_text(encoding="utf-8") in printed


def test_a_single_case_has_no_deviation(tmp_path: Path) -> None:
    folder = put(tmp_path / "truth", a=boxes((5, 5, 8)))
    summary = run(folder, folder, tmp_path / "out")
    assert summary["dsc"] == {"mean": 1.0, "sd": None}
    assert "1.000 ± –" in (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")


def test_empty_masks_score_by_convention_and_every_output_says_so(tmp_path: Path) -> None:
    some, none = boxes((5, 5, 8)), boxes()
    truth = put(tmp_path / "truth", both=none, missed=some, invented=none)
    pred = put(tmp_path / "pred", both=none, missed=none, invented=some)
    summary = run(pred, truth, tmp_path / "out")
    table = {row["case"]: (row["dsc"], row["nsd"], row["empty"]) for row in rows(tmp_path / "out")}
    assert table == {
        "both": ("1.0", "1.0", "both empty: 1"),
        "missed": ("0.0", "0.0", "prediction empty: 0"),
        "invented": ("0.0", "0.0", "truth empty: 0"),
    }
    said = "1 where both masks are empty (1 of 3 cases) and 0 where one is (2 cases)"
    assert said in summary["conventions"][0]
    assert said in (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")


def test_cases_that_are_not_scored_are_named_and_fail_the_command_after_the_others_were_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    node = boxes((5, 5, 8))
    truth = put(tmp_path / "truth", good=node, unpredicted=node, broken=node)
    pred = put(tmp_path / "pred", good=node, unasked=node)
    (pred / "broken.nii.gz").write_bytes(b"no image")
    summary = run(pred, truth, tmp_path / "out", status=1)
    assert [row["case"] for row in rows(tmp_path / "out")] == ["good"]
    assert (summary["cases"], summary["missing_predictions"], summary["missing_truths"]) == (
        1, ["unpredicted"], ["unasked"],
    )  # fmt: skip
    assert list(summary["refused"]) == ["broken"]
    error = capsys.readouterr().err
    page = (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")
    assert "Evaluation of 1 of 4 cases" in page
    for said in ("no prediction for 1 case: unpredicted", "no truth for 1 case: unasked", "broken.nii.gz"):
        assert said in error
        assert said in page


def test_files_of_other_formats_and_other_files_in_the_folders_are_no_obstacle(tmp_path: Path) -> None:
    truth, pred = put(tmp_path / "truth", a=boxes((5, 5, 8))), tmp_path / "pred"
    pred.mkdir()
    sitk.WriteImage(image(boxes((5, 5, 8))), str(pred / "a.mha"))
    sitk.WriteImage(image(boxes((5, 5, 8))), str(truth / "b.nrrd"))
    sitk.WriteImage(image(boxes((5, 5, 8))), str(pred / "b.nii"))
    (pred / "plans.json").write_text("{}")
    (truth / "._a.nii.gz").write_bytes(b"\0")
    assert run(pred, truth, tmp_path / "out")["dsc"]["mean"] == 1.0


def test_two_files_are_one_case_whatever_their_names(tmp_path: Path) -> None:
    pred, truth = put(tmp_path / "pred", mine=boxes((5, 5, 8))), put(tmp_path / "truth", theirs=boxes((5, 5, 8)))
    run(pred / "mine.nii.gz", truth / "theirs.nii.gz", tmp_path / "out")
    assert [row["case"] for row in rows(tmp_path / "out")] == ["theirs"]


def test_nothing_of_a_file_header_or_of_the_folders_gets_into_the_outputs(tmp_path: Path) -> None:
    labels = image(boxes((5, 5, 8)))
    labels.SetMetaData("PatientName", "Mustermann")
    folder = tmp_path / "Mustermann"
    folder.mkdir()
    sitk.WriteImage(labels, str(folder / "a.nrrd"))
    run(folder, folder, tmp_path / "out")
    for path in (tmp_path / "out").iterdir():
        assert "Mustermann" not in path.read_text(encoding="utf-8")


# Labels


def test_voxels_to_ignore_count_in_neither_mask(tmp_path: Path) -> None:
    truth = boxes((5, 5, 8)) | boxes((5, 20, 8), value=2)
    pred = boxes((5, 5, 8), (5, 20, 8)) | boxes((40, 40, 5))
    folders = put(tmp_path / "pred", a=pred), put(tmp_path / "truth", a=truth)
    plain = run(*folders, tmp_path / "plain", "--label-values", "all")
    assert plain["nodes"]["all"]["nodes"] == 2
    summary = run(*folders, tmp_path / "out", "--ignore", "2")
    (row,) = rows(tmp_path / "out")
    assert int(row["ignored_voxels"]) == 4 * 64
    assert (row["nodes"], row["found"], row["false_positives"]) == ("1", "1", "1")
    assert float(row["dsc"]) == pytest.approx(2 * 64 / (64 + 64 + 25))
    assert any("ignore label 2" in text for text in summary["conventions"])


@pytest.mark.parametrize("where", ["labels", "."])
def test_the_ignore_label_is_taken_from_dataset_json(tmp_path: Path, where: str) -> None:
    truth = put(tmp_path / "raw" / "labels", a=boxes((5, 5, 8)) | boxes((5, 20, 8), value=2))
    pred = put(tmp_path / "pred", a=boxes((5, 5, 8), (5, 20, 8)))
    description = {"labels": {"background": 0, "lymph node": 1, "ignore": 2}}
    (tmp_path / "raw" / where / "dataset.json").write_text(json.dumps(description))
    summary = run(pred, truth, tmp_path / "out")
    assert (summary["settings"]["ignore"], summary["dsc"]["mean"]) == (2, 1.0)


def test_one_label_is_chosen_and_several_are_refused_or_warned_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = boxes((5, 5, 8)) | boxes((5, 20, 8), value=2)
    pred = put(tmp_path / "pred", a=boxes((5, 5, 8), value=2))
    truth = put(tmp_path / "truth", a=labels)
    said = refusal(capsys, pred, truth)
    assert "(truth)" in said and "value 1 (256 voxels), value 2 (256 voxels)" in said and "--label-values" in said
    summary = run(pred, truth, tmp_path / "all", "--label-values", "all")
    assert any("values 1, 2 were all taken" in text for text in summary["warnings"])
    assert summary["dsc"]["mean"] == pytest.approx(2 / 3)
    summary = run(pred, truth, tmp_path / "one", "--label", "2")
    assert (summary["warnings"], summary["dsc"]["mean"]) == ([], 0.0)


def test_scores_of_nothing_but_empty_masks_are_doubted(tmp_path: Path) -> None:
    folder = put(tmp_path / "labels", a=boxes((5, 5, 8)))
    summary = run(folder, folder, tmp_path / "out", "--label", "7")
    assert summary["dsc"]["mean"] == 1.0
    assert len([text for text in summary["warnings"] if "empty in every case" in text]) == 2


@pytest.mark.parametrize("kind", ["4D", "vector"])
def test_a_structure_is_chosen_from_a_file_of_several(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    def stacked(primary: np.ndarray, nodes: np.ndarray) -> sitk.Image:
        volumes = [image(primary), image(nodes)]
        return sitk.JoinSeries(volumes) if kind == "4D" else sitk.Compose(volumes)

    pred, truth = tmp_path / "pred.mha", tmp_path / "truth.mha"
    sitk.WriteImage(stacked(boxes((5, 5, 8)), boxes((30, 30, 8))), str(pred), True)
    sitk.WriteImage(stacked(boxes((5, 5, 8)), boxes((30, 34, 8))), str(truth), True)
    assert run(pred, truth, tmp_path / "primary", "--channel", "0")["dsc"]["mean"] == 1.0
    assert run(pred, truth, tmp_path / "nodes", "--structure", "GTVnd")["dsc"]["mean"] == 0.5
    # A 3D truth has the structure alone already, and the grid of the volumes is that of the file.
    single = put(tmp_path / "single", a=boxes((30, 34, 8))) / "a.nii.gz"
    assert run(pred, single, tmp_path / "mixed", "--channel", "1")["dsc"]["mean"] == 0.5
    capsys.readouterr()
    assert "holds 2 structures" in refusal(capsys, pred, truth)
    assert "no structure number 2" in refusal(capsys, pred, truth, "--channel", "2")
    assert main(["evaluate", str(pred), str(truth), "--channel", "GTVx"]) == 2
    assert "GTVp, GTVnd" in capsys.readouterr().err


def test_the_summary_is_printed_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = put(tmp_path / "truth", a=boxes((5, 5, 8)))
    summary = run(truth, truth, tmp_path / "out", "--json", "--quiet")
    printed = capsys.readouterr()
    assert json.loads(printed.out) == summary and printed.err == ""


# Grids


def test_another_grid_is_refused_with_both_grids_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = put(tmp_path / "truth", a=image(boxes((5, 5, 8)), (1.0, 1.0, 3.0)))
    pred = put(tmp_path / "pred", a=image(boxes((5, 5, 8)), (1.0, 1.25, 3.0)))
    error = refusal(capsys, pred, truth, "--out", tmp_path / "out")
    assert "60 x 60 x 6 voxels of 1, 1.25, 3 mm" in error
    assert "60 x 60 x 6 voxels of 1, 1, 3 mm" in error
    assert "--resample" in error
    assert not list((tmp_path / "out").glob("*"))


def test_a_prediction_is_resampled_onto_the_grid_of_the_truth_when_asked(tmp_path: Path) -> None:
    truth = put(tmp_path / "truth", a=boxes((10, 10, 12)))
    coarse = image(boxes((10, 10, 12))[:, ::2, ::2], (2.0, 2.0, 1.0))
    # The centre of a voxel of twice the edge lies half a voxel further.
    coarse.SetOrigin((-12.0, 30.5, 7.0))
    pred = put(tmp_path / "pred", a=coarse)
    summary = run(pred, truth, tmp_path / "out", "--resample")
    assert summary["dsc"]["mean"] == 1.0
    assert rows(tmp_path / "out")[0]["resampled"] == "1"
    assert any("brought onto the truth's grid in 1 case: a" in text for text in summary["warnings"])


def test_a_prediction_beyond_the_grid_of_the_truth_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = image(boxes((5, 5, 8)))
    elsewhere.SetOrigin((-20.0, 30.0, 7.0))
    pred, truth = put(tmp_path / "pred", a=elsewhere), put(tmp_path / "truth", a=boxes((5, 5, 8)))
    assert "outside" in refusal(capsys, pred, truth, "--resample")


# Refusals


def test_paths_that_do_not_fit_together_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    node = boxes((5, 5, 8))
    truth, pred = put(tmp_path / "truth", a=node), put(tmp_path / "pred", b=node)
    (tmp_path / "none").mkdir()
    assert "nowhere does not exist" in refusal(capsys, tmp_path / "nowhere", truth)
    assert "file cannot be compared with a folder" in refusal(capsys, pred / "b.nii.gz", truth)
    error = refusal(capsys, pred, truth)
    assert "pred holds b.nii.gz" in error
    assert "truth holds a.nii.gz" in error
    assert "none holds no label file" in refusal(capsys, tmp_path / "none", truth)
    sitk.WriteImage(image(node), str(truth / "a.mha"))
    assert "two files of the case a" in refusal(capsys, pred, truth)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tolerance", "-1"], "tolerance"),
        (["--tolerance", "nan"], "tolerance"),
        (["--overlap", "1.5"], "overlap"),
        (["--label", "0"], "label"),
        (["--ignore", "0"], "label"),
        (["--label", "2", "--ignore", "2"], "ignored"),
    ],
)
def test_options_without_sense_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    folder = put(tmp_path / "labels", a=boxes((5, 5, 8)))
    assert said in refusal(capsys, folder, folder, *options)


@pytest.mark.parametrize(
    "content", ["{", "[1]", '{"labels": 3}', '{"labels": {"ignore": "2"}}', '{"labels": {"ignore": 0}}']
)
def test_a_dataset_json_that_cannot_be_used_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    folder = put(tmp_path / "labels", a=boxes((5, 5, 8)))
    (folder / "dataset.json").write_text(content)
    assert "dataset.json" in refusal(capsys, folder, folder)
    assert main(["evaluate", str(folder), str(folder), "--ignore", "9"]) == 0


@pytest.mark.parametrize("options", [[], ["--label", "1"]])
def test_probabilities_and_slices_are_no_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    truth, pred = put(tmp_path / "truth", a=boxes((5, 5, 8))), tmp_path / "pred"
    pred.mkdir()
    sitk.WriteImage(sitk.Cast(image(boxes((5, 5, 8))), sitk.sitkFloat32) * 0.4, str(pred / "a.nrrd"))
    assert "not whole" in refusal(capsys, pred, truth, *options)
    sitk.WriteImage(image(boxes((5, 5, 8)))[:, :, 2], str(pred / "a.nrrd"))
    assert "not a single 3D volume" in refusal(capsys, pred, truth, *options)


def test_an_output_folder_that_cannot_be_made_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = put(tmp_path / "labels", a=boxes((5, 5, 8)))
    (tmp_path / "file").touch()
    assert "cannot be written" in refusal(capsys, folder, folder, "--out", tmp_path / "file" / "out")


def test_without_the_library_for_surface_distances_nothing_is_scored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = put(tmp_path / "labels", a=boxes((5, 5, 8)))
    monkeypatch.setitem(sys.modules, "surface_distance", None)
    assert "pip install surface-distance" in refusal(capsys, folder, folder)
