"""Segmentation: the same labels as stock nnU-Net, whatever way the scan is stored."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from lnsegfm.base.background import Progress
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.engine.inference.predictor import Predictor
from lnsegfm.engine.inference.quality import QUALITIES, Quality
from lnsegfm.engine.networks.model_install import install_model
from lnsegfm.evaluation.metrics import dice
from lnsegfm.images.geometry import Geometry
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_store import ModelStore
from lnsegfm.phantom import make_case
from tiny_models import make_model

CPU = torch.device("cpu")
FAST = Quality(mirroring=False, step=1.0)


@pytest.fixture(scope="module")
def predictor(demonstration_model: ModelInfo) -> Predictor:
    return Predictor(demonstration_model, CPU)


def array(image: sitk.Image) -> np.ndarray:
    return sitk.GetArrayFromImage(image)


@pytest.mark.parametrize(
    ("domain", "seed", "spacing"),
    [("source", 901, (2.0, 2.0, 3.0)), ("source", 902, (1.6, 1.6, 4.0)), ("hospital", 903, (2.0, 2.0, 7.0))],
)
def test_labels_equal_those_of_stock_nnunet(
    predictor: Predictor, demonstration_model: ModelInfo, domain: str, seed: int, spacing: tuple[float, float, float]
) -> None:
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    case = make_case(domain, seed, size=(72, 72, 30), spacing=spacing)
    stock = nnUNetPredictor(tile_step_size=0.5, use_mirroring=True, device=CPU, allow_tqdm=False)
    try:
        stock.initialize_from_trained_model_folder(str(demonstration_model.path), use_folds=("all",))
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"stock nnU-Net cannot search its trainers here: {error}")
    properties = {"spacing": list(case.ct.GetSpacing()[::-1])}
    expected = stock.predict_single_npy_array(array(case.ct)[None].astype(np.float32), properties)
    found = array(predictor.segment(case.ct))
    assert expected.any()
    assert dice(found, expected) >= 0.999


def test_a_source_phantom_is_segmented_well(predictor: Predictor) -> None:
    case = make_case("source", 904)
    assert dice(array(predictor.segment(case.ct, Quality(mirroring=False))), array(case.labels)) > 0.6


def stored_otherwise(image: sitk.Image, order: tuple[int, ...], flips: tuple[bool, ...]) -> sitk.Image:
    return sitk.Flip(sitk.PermuteAxes(image, order), flips)


def test_the_same_patient_gives_the_same_labels_in_all_48_voxel_orders(predictor: Predictor) -> None:
    ct = make_case("source", 905, size=(40, 44, 24), spacing=(3.0, 2.8, 4.0)).ct
    expected = predictor.segment(ct, FAST)
    assert array(expected).any()
    for order in itertools.permutations(range(3)):
        for flips in itertools.product((False, True), repeat=3):
            stored = stored_otherwise(ct, order, flips)
            found = predictor.segment(stored, FAST)
            assert Geometry.of(found) == Geometry.of(stored)
            assert np.array_equal(array(found), array(stored_otherwise(expected, order, flips))), (order, flips)


def test_the_same_oblique_scan_gives_the_same_labels_in_any_voxel_order(predictor: Predictor) -> None:
    rotation = sitk.VersorTransform((0.3, 0.5, 0.8), 0.45).GetMatrix()
    ct = make_case("source", 906, size=(40, 44, 24), spacing=(3.0, 2.8, 4.0), direction=rotation).ct
    expected = predictor.segment(ct, FAST)
    assert array(expected).any()
    for order, flips in (((2, 0, 1), (True, False, True)), ((1, 0, 2), (False, True, False))):
        found = predictor.segment(stored_otherwise(ct, order, flips), FAST)
        assert np.array_equal(array(found), array(stored_otherwise(expected, order, flips)))


@pytest.mark.parametrize("pixel", [sitk.sitkInt16, sitk.sitkFloat32, sitk.sitkFloat64])
def test_any_scalar_type_gives_uint8_labels_on_the_scan_s_own_grid(predictor: Predictor, pixel: int) -> None:
    case = make_case("source", 907, size=(48, 48, 20), spacing=(2.5, 2.5, 5.0), origin=(-7.5, 3.25, 90.1))
    ct = sitk.Cast(case.ct, pixel)
    labels = predictor.segment(ct, FAST)
    assert labels.GetPixelID() == sitk.sitkUInt8
    assert Geometry.of(labels) == Geometry.of(ct)


def test_a_scan_smaller_than_a_tile_is_segmented(predictor: Predictor) -> None:
    ct = make_case("source", 908).ct[30:60, 30:58, 10:16]
    assert predictor.segment(ct, FAST).GetSize() == (30, 28, 6)


def test_progress_rises_to_one(predictor: Predictor) -> None:
    seen: list[Progress] = []
    predictor.segment(make_case("source", 909).ct, FAST, report=seen.append)
    shares = [progress.fraction for progress in seen if progress.fraction is not None]
    assert shares == sorted(shares)
    assert len(set(shares)) > 2
    assert shares[-1] == 1.0
    assert [seen[0].message, seen[-1].message] == ["Preparing the CT", "Bringing the result to the CT's grid"]
    assert "Segmenting, tile 1 of 8" in [progress.message for progress in seen]


def test_a_cancel_is_obeyed_at_the_next_step(predictor: Predictor) -> None:
    shares: list[float] = []
    with pytest.raises(Cancelled):
        predictor.segment(
            make_case("source", 909).ct, FAST, report=lambda progress: shares.append(progress.fraction or 0.0),
            is_cancelled=lambda: any(shares),
        )
    assert len([share for share in shares if share]) == 1


def test_a_tile_step_that_is_impossible_is_refused() -> None:
    with pytest.raises(UserError, match=r"tile step 0"):
        Quality(step=0)


def test_a_scan_that_is_no_ct_is_refused(predictor: Predictor) -> None:
    constant = sitk.Image(20, 20, 10, sitk.sitkInt16)
    with pytest.raises(UserError):
        predictor.segment(constant)


def test_an_ensemble_averages_its_folds(demonstration_model: ModelInfo, tmp_path: Path) -> None:
    import shutil
    from dataclasses import replace

    folder = tmp_path / "model"
    shutil.copytree(demonstration_model.path, folder)
    shutil.copytree(folder / "fold_all", folder / "fold_0")
    twice = replace(
        demonstration_model, path=folder, card=replace(demonstration_model.card, folds=("all", "0")),
    )
    ct = make_case("source", 910, size=(48, 48, 20)).ct
    one = Predictor(demonstration_model, CPU).segment(ct, FAST)
    assert array(one).any()
    assert dice(array(Predictor(twice, CPU).segment(ct, FAST)), array(one)) > 0.999


def in_order(box: tuple[int, ...], size: tuple[int, ...], order: tuple[int, ...], flips: tuple[bool, ...]) -> Any:
    """The same voxels' box in a volume stored otherwise."""
    limits: list[int] = []
    for axis, flip in zip(order, flips):
        low, high = box[2 * axis : 2 * axis + 2]
        limits += (size[axis] - high, size[axis] - low) if flip else (low, high)
    return tuple(limits)


@pytest.fixture(scope="module")
def tiny_predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A network of random weights, whose answers make no sense but depend on every voxel around."""
    folder = tmp_path_factory.mktemp("tiny")
    return Predictor(install_model(ModelStore(folder / "models"), make_model(folder / "results")), CPU)


@pytest.mark.parametrize("rotated", [False, True])
def test_a_region_equals_cropping_by_hand_in_all_48_voxel_orders(tiny_predictor: Predictor, rotated: bool) -> None:
    """Rotated: in seven of the orders."""
    rotation = sitk.VersorTransform((0.3, 0.5, 0.8), 0.45).GetMatrix() if rotated else None
    ct = make_case("source", 905, size=(40, 44, 24), spacing=(3.0, 2.8, 4.0), direction=rotation).ct
    box = (8, 20, 7, 20, 3, 12)
    by_hand = tiny_predictor.predict(ct[8:20, 7:20, 3:12], FAST)
    expected = sitk.Paste(ct * 0, sitk.Cast(by_hand, ct.GetPixelID()), by_hand.GetSize(), (0, 0, 0), box[::2])
    assert len(np.unique(array(expected))) > 10
    orders = itertools.product(itertools.permutations(range(3)), itertools.product((False, True), repeat=3))
    for order, flips in list(orders)[:: 7 if rotated else 1]:
        stored = stored_otherwise(ct, order, flips)
        found = tiny_predictor.predict(stored, FAST, region=in_order(box, ct.GetSize(), order, flips))
        assert Geometry.of(found) == Geometry.of(stored)
        assert np.array_equal(array(found), array(stored_otherwise(expected, order, flips))), (order, flips)


def test_a_region_outside_of_the_ct_is_refused(predictor: Predictor) -> None:
    ct = make_case("source", 905, size=(40, 44, 24), spacing=(3.0, 2.8, 4.0)).ct
    with pytest.raises(UserError, match="region"):
        predictor.predict(ct, FAST, region=(50, 60, 0, 10, 0, 10))


@pytest.mark.parametrize("spacing", [(3.0, 2.8, 4.0), (2.0, 2.0, 3.0), (1.2, 1.2, 7.0)])
def test_a_probability_of_a_half_or_more_is_a_label(predictor: Predictor, spacing: tuple[float, float, float]) -> None:
    rotation = sitk.VersorTransform((0.3, 0.5, 0.8), 0.45).GetMatrix()
    ct = make_case("source", 906, size=(48, 48, 16), spacing=spacing, direction=rotation).ct
    probability, labels = array(predictor.predict(ct, FAST)), array(predictor.segment(ct, FAST))
    assert probability.dtype == np.uint8
    assert np.array_equal(probability >= 128, labels == 1)
    assert set(np.unique(labels)) <= {0, 1}


def test_standard_quality_is_nnunet_s() -> None:
    assert QUALITIES["standard"] == Quality(mirroring=True, step=0.5, bfloat16=False)


def test_fast_agrees_with_standard_on_a_scan_like_those_of_the_training(predictor: Predictor) -> None:
    ct = make_case("source", 904, size=(56, 56, 28), spacing=(2.6, 2.6, 4.0)).ct
    fast, standard = (array(predictor.segment(ct, QUALITIES[name])) for name in ("fast", "standard"))
    assert dice(fast, standard) > 0.85
