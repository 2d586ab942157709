"""A scan far from a model's training scans gets a warning; ordinary scans of neck and chest get none."""

from __future__ import annotations

from typing import Any

import pytest
import SimpleITK as sitk
from plain_body import PlainBody

from lnsegfm.images.body import find_body
from lnsegfm.phantom import make_case
from lnsegfm.segmentation.training_range import TrainingRange

# A model of neck and chest: 300 x 300 x 330 mm, slices of 3 mm.
USUAL = TrainingRange((300.0, 300.0, 330.0), 3.0, (-80.0, 250.0))


def empty(size: tuple[int, int, int], spacing: tuple[float, float, float]) -> sitk.Image:
    image = sitk.Image(size, sitk.sitkInt16) - 1000
    half = [count // 4 for count in size]
    inside = sitk.Image([count - 2 * cut for count, cut in zip(size, half)], sitk.sitkInt16) + 40
    image = sitk.Paste(image, inside, inside.GetSize(), [0, 0, 0], half)
    image.SetSpacing(spacing)
    return image


def said(image: sitk.Image, trained: TrainingRange = USUAL, **options: Any) -> str:
    return " ".join(trained.differences(image, find_body(image), **options))


@pytest.mark.parametrize(
    ("size", "spacing"),
    [((64, 64, 40), (8.0, 8.0, 3.0)),  # 512 x 512 x 120 mm, a part of a neck
     ((30, 30, 60), (6.0, 6.0, 5.0)),  # slices of 5 mm
     ((100, 100, 100), (5.0, 5.0, 1.0)), ((100, 100, 140), (5.0, 5.0, 5.0)),  # chest, abdomen and pelvis
     ((128, 128, 60), (6.1, 6.1, 5.0))],  # a wide bore
)  # fmt: skip
def test_ordinary_scans_get_no_warning(size: tuple[int, int, int], spacing: tuple[float, float, float]) -> None:
    assert said(empty(size, spacing)) == ""


@pytest.mark.parametrize(
    ("size", "spacing", "words"),
    [((60, 60, 350), (8.0, 8.0, 3.0), "1050 mm from head to foot; the model was trained on scans of about 330 mm"),
     ((60, 60, 10), (5.0, 5.0, 2.0), "20 mm from head to foot"), ((20, 100, 100), (2.0, 3.0, 3.0), "40 mm from left"),
     ((60, 60, 30), (5.0, 5.0, 10.0), "slices are 10.0 mm apart; the model was trained on slices of 3.0 mm")],
)  # fmt: skip
@pytest.mark.parametrize("order", ["LPS", "SRA", "PIL"])
def test_another_field_of_view_or_thick_slices_are_said(
    size: tuple[int, int, int], spacing: tuple[float, float, float], words: str, order: str
) -> None:
    assert words in said(sitk.DICOMOrient(empty(size, spacing), order))


def test_a_box_of_a_long_scan_is_judged_by_its_own_length() -> None:
    image = empty((60, 60, 350), (8.0, 8.0, 3.0))
    assert said(image) and said(image, size=(60, 60, 100)) == ""


def test_values_that_no_lymph_node_had_in_training_are_said() -> None:
    ct, _ = PlainBody().images()
    assert said(ct) == ""
    assert "of the patient has the HU that lymph nodes had" in said(ct * 10)
    assert "No patient was found" in said(ct - 2000)


def test_plans_are_read_in_the_order_of_the_patients_axes() -> None:
    plans: dict[str, Any] = {
        "transpose_forward": [1, 0, 2], "transpose_backward": [1, 0, 2],
        "original_median_shape_after_transp": [200, 100, 150], "original_median_spacing_after_transp": [1.0, 3.0, 2.0],
        "foreground_intensity_properties_per_channel": {"0": {"percentile_00_5": -50.0, "percentile_99_5": 200.0}},
    }
    # Array axes before the transposition: superior 100 x 3 mm, posterior 200 x 1 mm, left 150 x 2 mm.
    known = TrainingRange.of(plans, [1.0, 4.0, 2.0], "LPS")
    assert known == TrainingRange((300.0, 200.0, 300.0), 4.0, (-50.0, 200.0))
    turned = TrainingRange.of(plans, [1.0, 4.0, 2.0], "SPL")
    assert turned.size_mm == (300.0, 200.0, 300.0) and turned.thickness_mm == 2.0
    assert TrainingRange.of({}, ["?"], "LPS") == TrainingRange()


@pytest.mark.parametrize("domain", ["source", "hospital", "mediastinum"])
def test_the_phantom_is_like_the_scans_of_its_demonstration_model(domain: str) -> None:
    known = TrainingRange((192.0, 192.0, 120.0), 3.0, (-23.0, 120.0))
    assert said(make_case(domain, 3).ct, known) == ""


def test_a_model_that_says_nothing_warns_of_nothing() -> None:
    assert said(empty((20, 20, 400), (20.0, 20.0, 12.0)), TrainingRange()) == ""
