"""Lymph nodes that vanish at the model's voxel size are kept and named; all others stay as nnU-Net resamples them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from lnsegfm.base.errors import UserError
from lnsegfm.base.home import Home
from lnsegfm.cases.case_info import CaseInfo
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.cases.thin_lymph_nodes import thin_lymph_nodes
from lnsegfm.engine.finetuning.training_data import PreparedCases, TrainingCase, preprocess
from lnsegfm.formats.image_files import write_image
from lnsegfm.images.orientation import reorient
from lnsegfm.lymph_nodes.vanishing import extents_of, thinner_than
from lnsegfm.models.model_facts import ModelFacts
from small_scans import STRAIGHT, boxes_on, small_scan
from tiny_models import CONFIGURATION, tiny_dataset, tiny_plans

ONE = (slice(20, 21), slice(21, 22), slice(22, 23))
LARGE = (slice(30, 40), slice(30, 40), slice(20, 32))
THIN_SLICE = (slice(10, 18), slice(10, 18), slice(11, 12))
FINE = (0.75, 0.75, 0.75)
SIDEWAYS = (0.0, 0.0, 1.0, -1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def prepared(
    tmp_path: Path, image: sitk.Image, labels: sitk.Image, *, plans: dict[str, Any] | None = None,
    orientation: str = "LPS", ignore: int | None = None,
) -> tuple[np.ndarray, dict[str, Any], list[str], np.ndarray]:
    """Preprocess a case; return our labels, where they lie, the notes, and the labels of stock nnU-Net."""
    write_image(image, tmp_path / "ct.nrrd")
    write_image(labels, tmp_path / "labels.nrrd")
    manager, dataset = PlansManager(copy.deepcopy(plans or tiny_plans())), tiny_dataset()
    if ignore is not None:
        dataset["labels"]["ignore"] = 2
    case = TrainingCase("case-0007", tmp_path / "ct.nrrd", tmp_path / "labels.nrrd", ignore)
    folder = tmp_path / "cases"
    folder.mkdir()
    notes = preprocess([case], manager, CONFIGURATION, dataset, orientation, folder, lambda _: None)
    _, ours, _, properties = PreparedCases(str(folder)).load_case("case-0007")
    ct, truth = case.read(orientation)
    _, stock, _ = DefaultPreprocessor(verbose=False).run_case_npy(
        sitk.GetArrayFromImage(ct)[None].astype(np.float32), sitk.GetArrayFromImage(truth)[None].astype(np.int16),
        {"spacing": list(ct.GetSpacing()[::-1])}, manager, manager.get_configuration(CONFIGURATION), dataset,
    )
    return np.asarray(ours[:]), properties["class_locations"], notes, stock.astype(np.int16)


@pytest.fixture
def fine() -> sitk.Image:
    return small_scan((48, 48, 48), FINE)


def test_the_only_lymph_node_of_one_voxel_is_kept_and_named(tmp_path: Path, fine: sitk.Image) -> None:
    ours, places, notes, stock = prepared(tmp_path, fine, boxes_on(fine, [ONE]))
    assert not (stock == 1).any()
    # The voxel whose centre is at (20.5, 21.5, 22.5) * 0.75 mm from the corner, in voxels of 2 x 2 x 3 mm.
    assert np.argwhere(ours[0] == 1).tolist() == [[5, 8, 7]]
    assert np.asarray(places[1]).tolist() == [[0, 5, 8, 7]]
    assert len(notes) == 1
    assert notes[0].startswith("case-0007: Lymph node 1 (1 voxel, 0.422 mm³, at R 5, A 14, S 6 mm)")
    assert "no voxel left at the model's voxels of 2 x 2 x 3 mm and would be learnt as background" in notes[0]
    assert notes[0].endswith("It is learnt as the voxel that holds it.")


def test_it_is_named_again_when_a_preparation_goes_on_after_an_interruption(
    tmp_path: Path, fine: sitk.Image
) -> None:
    _ours, _places, notes, _stock = prepared(tmp_path, fine, boxes_on(fine, [ONE]))
    case = TrainingCase("case-0007", tmp_path / "ct.nrrd", tmp_path / "labels.nrrd")
    done: list[str] = []
    again = preprocess(
        [case], PlansManager(tiny_plans()), CONFIGURATION, tiny_dataset(), "LPS", tmp_path / "cases", done.append
    )
    assert again == notes and done == []


def test_one_that_stays_is_not_touched_beside_one_that_vanishes(tmp_path: Path, fine: sitk.Image) -> None:
    ours, _places, notes, stock = prepared(tmp_path, fine, boxes_on(fine, [LARGE, ONE]))
    changed = np.argwhere(ours != stock)
    assert changed.tolist() == [[0, 5, 8, 7]]
    assert len(notes) == 1 and "Lymph node 2 " in notes[0]


def test_without_vanishing_lymph_nodes_it_is_stock_preprocessing(tmp_path: Path, fine: sitk.Image) -> None:
    ours, places, notes, stock = prepared(tmp_path, fine, boxes_on(fine, [LARGE]))
    assert notes == [] and np.array_equal(ours, stock)
    assert len(places[1]) > 1


def test_a_lymph_node_on_one_thin_slice_keeps_its_extent_in_the_slice(tmp_path: Path, fine: sitk.Image) -> None:
    ours, _places, notes, stock = prepared(tmp_path, fine, boxes_on(fine, [THIN_SLICE]))
    assert not (stock == 1).any() and len(notes) == 1
    z, y, x = np.argwhere(ours[0] == 1).T
    assert set(z) == {2}  # 11.5 * 0.75 / 3
    assert (np.ptp(y) + 1, np.ptp(x) + 1) == (3, 3)  # 6 mm in voxels of 2 mm
    assert "8.625" not in notes[0] and f"the {len(z)} voxels that hold it" in notes[0]


@pytest.mark.parametrize("direction", [STRAIGHT, SIDEWAYS])
@pytest.mark.parametrize("orientation", ["LPS", "RAS"])
@pytest.mark.parametrize("transpose", [[0, 1, 2], [2, 0, 1]])
def test_it_is_kept_at_its_place_however_the_voxels_are_stored(
    tmp_path: Path, direction: tuple[float, ...], orientation: str, transpose: list[int]
) -> None:
    image = small_scan((48, 44, 40), FINE, direction)
    plans = tiny_plans()
    plans.update(transpose_forward=transpose, transpose_backward=np.argsort(transpose).tolist())
    spacing = np.array([3.0, 2.0, 2.0])[transpose]
    plans["configurations"][CONFIGURATION]["spacing"] = spacing.tolist()
    labels = boxes_on(image, [ONE])
    ours, _places, notes, _stock = prepared(tmp_path, image, labels, plans=plans, orientation=orientation)
    assert len(notes) == 1
    ordered, _ = reorient(labels, orientation)
    index = np.argwhere(sitk.GetArrayFromImage(ordered).transpose(transpose))[0]
    size = np.array(ordered.GetSize()[::-1])[transpose]
    expected = np.floor((index + 0.5) * np.array(ours.shape[1:]) / size).astype(int)
    assert np.argwhere(ours[0] == 1).tolist() == [expected.tolist()]
    position = np.array(labels.TransformIndexToPhysicalPoint((20, 21, 22))) * (-1, -1, 1)
    r, a, s = (f"{value:.0f}" for value in position)
    assert f"at R {r}, A {a}, S {s} mm" in notes[0]


def test_the_part_that_was_not_reviewed_stays_ignored(tmp_path: Path, fine: sitk.Image) -> None:
    labels = boxes_on(fine, [ONE])
    array = sitk.GetArrayFromImage(labels)
    array[:10] = 2
    ignoring = sitk.GetImageFromArray(array)
    ignoring.CopyInformation(labels)
    ours, places, notes, stock = prepared(tmp_path, fine, ignoring, ignore=2)
    assert len(notes) == 1 and (ours != stock).sum() == 1
    assert (ours == 2).any() and not (ours[ours != stock] == 2).any()
    assert {1, (-1, 0, 1)} <= set(places) and len(places[1]) == 1


def test_one_in_the_part_that_is_cut_off_is_named(tmp_path: Path) -> None:
    image = small_scan((48, 48, 48), FINE, fill=0)
    corner = (slice(2, 3), slice(2, 3), slice(2, 3))
    ours, _places, notes, stock = prepared(tmp_path, image, boxes_on(image, [corner, LARGE]))
    assert np.array_equal(ours, stock)
    assert len(notes) == 1 and "It lies where the CT has the value 0 only and is cut off" in notes[0]


def test_a_case_that_is_too_thin_is_refused_by_name(tmp_path: Path) -> None:
    image = small_scan((48, 48, 3), (2.0, 2.0, 0.4))
    with pytest.raises(UserError, match=r"1\.2 mm is too thin") as caught:
        prepared(tmp_path, image, boxes_on(image, [(slice(9, 12), slice(9, 12), slice(1, 2))]))
    assert "case-0007" in caught.value.what


# What is told before a job, from stored sizes


def stored(home: Home, image: sitk.Image, boxes: list[tuple[slice, slice, slice]]) -> CaseInfo:
    store = CaseStore(home.cases)
    return store.get(store.accept(image, boxes_on(image, boxes)).id)


FACTS = ModelFacts(("0",), {}, (2.0, 2.0, 3.0), (16, 16, 16), "LPS")


def test_a_case_keeps_the_sizes_of_its_lymph_nodes(own_home: Home, fine: sitk.Image) -> None:
    case = stored(own_home, fine, [ONE, LARGE, THIN_SLICE])
    assert case.latest.extents == ((10, 10, 12), (8, 8, 1), (1, 1, 1))
    assert case.latest.nodes == 3
    assert extents_of(boxes_on(fine, [])) == ()


def test_thin_lymph_nodes_are_named_before_the_job(own_home: Home, fine: sitk.Image) -> None:
    (said,) = thin_lymph_nodes([stored(own_home, fine, [ONE, LARGE, THIN_SLICE])], FACTS)
    assert said.startswith("case-0001: lymph nodes 2 (6 x 6 x 0.75 mm), 3 (0.75 x 0.75 x 0.75 mm) are thinner than")
    assert "voxels of 2 x 2 x 3 mm" in said


def test_nothing_is_said_of_large_ones_or_where_sizes_were_not_stored(own_home: Home, fine: sitk.Image) -> None:
    case = stored(own_home, fine, [LARGE])
    assert thin_lymph_nodes([case], FACTS) == []
    text = (case.path / "case.json").read_text()
    assert '"extents"' in text
    (case.path / "case.json").write_text(text.replace('"extents"', '"extents_of_a_later_version"', 0))
    older = CaseInfo.read(case.path)
    assert thin_lymph_nodes([older], FACTS) == []


def test_the_axes_are_those_of_the_model() -> None:
    sideways = small_scan((40, 48, 44), (3.0, 0.75, 3.0), SIDEWAYS)  # the first axis runs from front to back
    from lnsegfm.images.geometry import Geometry

    grid = Geometry.of(sideways)
    assert thinner_than([(1, 5, 1), (1, 2, 1)], grid, (2.0, 2.0, 3.0), "LPS") == [2]
