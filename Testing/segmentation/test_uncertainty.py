"""The expected benefit of a correction ranks scans as their true Dice does, and the worklist says why."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import spearmanr

from lnsegfm.evaluation.metrics import dice
from lnsegfm.images.probabilities import FOREGROUND_FROM
from lnsegfm.lymph_nodes.instances import LymphNode
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.segmentation.uncertainty import expected_benefit
from lnsegfm.segmentation.worklist import Candidate, rank


def benefit(probability: np.ndarray, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> float:
    image = sitk.GetImageFromArray(probability.astype(np.uint8))
    image.SetSpacing(spacing)
    return expected_benefit(image, image >= FOREGROUND_FROM)


def ball(inside: int, rim: int, outside: int = 0) -> np.ndarray:
    z, y, x = np.ogrid[-15:16, -15:16, -15:16]
    radius = np.sqrt(z**2 + y**2 + x**2)
    return np.where(radius <= 8, inside, np.where(radius <= 10, rim, outside))


def test_a_certain_segmentation_has_nothing_to_teach() -> None:
    assert benefit(ball(255, 255)) == pytest.approx(0)
    assert benefit(ball(0, 0)) == 0


def test_doubt_inside_and_missed_probability_outside_both_count() -> None:
    sure, doubtful, missed = ball(255, 255), ball(255, 160), ball(255, 110)
    assert benefit(sure) < benefit(doubtful) < 1
    assert benefit(sure) < benefit(missed) < 1


def test_a_node_that_was_nearly_found_in_a_scan_without_any_counts_for_much() -> None:
    assert benefit(ball(120, 100)) > 0.8


def test_a_few_faint_voxels_in_a_scan_without_nodes_count_for_little() -> None:
    faint = np.zeros((20, 20, 20))
    faint[10, 10, 8:12] = 100
    assert benefit(faint) < 0.06


def test_the_same_nodes_twice_are_no_more_doubtful_than_once() -> None:
    once = ball(255, 160)
    assert benefit(np.concatenate([once, once])) == pytest.approx(benefit(once), abs=0.01)


@given(arrays(np.uint8, (4, 5, 6)), st.tuples(*[st.floats(0.3, 5)] * 3))
@settings(max_examples=100, deadline=None)
def test_it_lies_between_0_and_1(probability: np.ndarray, spacing: tuple[float, float, float]) -> None:
    assert 0 <= benefit(probability, spacing) < 1


def test_volumes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="does not fit"):
        expected_benefit(sitk.Image(3, 4, 5, sitk.sitkUInt8), sitk.Image(3, 4, 6, sitk.sitkUInt8))


def test_on_phantoms_of_two_hospitals_it_ranks_as_the_true_loss_of_dice(demonstration_model: ModelInfo) -> None:
    import torch

    from lnsegfm.engine.inference.predictor import Predictor
    from lnsegfm.engine.inference.quality import QUALITIES
    from lnsegfm.phantom import make_case

    predictor = Predictor(demonstration_model, torch.device("cpu"))
    expected, true = [], []
    for domain in ("source", "hospital"):
        for seed in range(700, 706):
            case = make_case(domain, seed, size=(56, 56, 24), spacing=(3.2, 3.2, 4.5))
            probability = predictor.predict(case.ct, QUALITIES["fast"])
            labels = probability >= FOREGROUND_FROM
            expected.append(expected_benefit(probability, labels))
            true.append(1 - dice(sitk.GetArrayFromImage(labels), sitk.GetArrayFromImage(case.labels)))
    assert spearmanr(expected, true).statistic > 0.7


# The worklist


def node(number: int, confidence: float | None) -> LymphNode:
    end = (0.0, 0.0, 0.0)
    return LymphNode(number, 500.0, 8.0, 10.0, end, "normal", (end, end), (end, end), 40.0, confidence, "left")


def test_the_most_doubtful_scan_comes_first_then_unsegmented_ones_then_corrected_ones() -> None:
    ranked = rank([
        Candidate("corrected", 0.9, corrected=True), Candidate("new"), Candidate("sure", 0.01),
        Candidate("unsure", 0.2), Candidate("newer"),
    ])  # fmt: skip
    assert [each.key for each in ranked] == ["unsure", "sure", "new", "newer", "corrected"]
    assert [each.position for each in ranked] == [1, 2, 3, 4, 5]


def test_the_reasons_are_said_in_words() -> None:
    nodes = (node(1, 0.95), node(2, 0.6), node(3, None))
    reasons = {
        each.key: each.reason
        for each in rank([
            Candidate("a", 0.123, nodes), Candidate("b", 0.04), Candidate("c"), Candidate("d", 0.5, nodes, True)
        ])
    }  # fmt: skip
    assert reasons == {
        "a": "Uncertainty 12.3%; low confidence in 1 of 3 lymph nodes.",
        "b": "Uncertainty 4.0%; no lymph nodes found.",
        "c": "Not segmented yet.",
        "d": "Corrected already.",
    }


def test_an_empty_worklist_is_empty() -> None:
    assert rank([]) == []
