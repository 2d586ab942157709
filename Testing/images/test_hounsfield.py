"""Values that are not HU are named, and taken only when the user says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from made_scan import image, scan

from lnsegfm.base.errors import UserError
from lnsegfm.images.hounsfield import NotHounsfield, check_hu, what_values_are
from lnsegfm.inputs.reading import read_ct

REAL_SERIES = Path(__file__).resolve().parents[3] / "shared" / "data" / "ct_dicom"
Change = Callable[[np.ndarray], np.ndarray]


def window(values: np.ndarray) -> np.ndarray:
    return (values.clip(-160, 240) + 160) / 400


CHANGES: dict[str, tuple[Change, str]] = {
    "plus 1024": (lambda values: values + 1024, r"look like HU \+ 1024"),
    "plus 32768": (lambda values: values + 32768, r"look like HU \+ 32768"),
    "minus 1024": (lambda values: values - 1024, "look like HU - 1024"),
    "inverted": (lambda values: -values, "look like HU with the sign inverted"),
    "times 10": (lambda values: values * 10, "look like HU x 10"),
    "a tenth": (lambda values: values / 10, "look like HU / 10"),
    "a thousandth": (lambda values: values / 1000, "normalisation"),
    "0 to 1": (window, "normalisation"),
    "0 to 255": (lambda values: np.rint(window(values) * 255), "8 bits"),
    "z score": (lambda values: (values - values.mean()) / values.std(), "normalisation"),
    "window": (lambda values: values.clip(-160, 240), "no air"),
    "twice": (lambda values: values * 2, "HU x 2"),
}
FINE: dict[str, Change] = {
    "as it is": lambda values: values,
    "filled up outside of the field of view": lambda values: np.where(values < -1010, -3024, values),
    "clipped": lambda values: values.clip(-1000, 1000),
    "noisy": lambda values: values + np.random.default_rng(1).normal(0, 60, values.shape),
    "with metal": lambda values: np.where(np.indices(values.shape).sum(axis=0) % 50 == 0, 20000, values),
}


@pytest.fixture(scope="module", params=["made", "real"])
def values(request: pytest.FixtureRequest) -> np.ndarray:
    if request.param == "made":
        return scan()[0].astype(float)
    if not REAL_SERIES.is_dir():
        pytest.skip(f"no CT series at {REAL_SERIES}")
    return sitk.GetArrayFromImage(read_ct(REAL_SERIES)).astype(float)[:, ::2, ::2]


@pytest.mark.parametrize("name", CHANGES)
def test_other_values_are_named(values: np.ndarray, name: str) -> None:
    change, text = CHANGES[name]
    with pytest.raises(NotHounsfield, match=text):
        check_hu(image(change(values)), assume_hu=False, notes=[])


@pytest.mark.parametrize("name", FINE)
def test_hu_are_not_doubted(values: np.ndarray, name: str) -> None:
    assert what_values_are(image(FINE[name](values))) == ""


def test_a_ct_cropped_to_the_neck_is_not_doubted(values: np.ndarray) -> None:
    ct = scan()[0][:, 8:28, 8:32]
    assert (ct < -500).mean() < 0.2 and what_values_are(image(ct)) == ""


def test_the_user_may_say_that_they_are_hu(tmp_path: Path) -> None:
    path = tmp_path / "ct.nii.gz"
    sitk.WriteImage(image(scan()[0] + np.int16(1024)), str(path))
    with pytest.raises(NotHounsfield, match="--assume-hu"):
        read_ct(path)
    warnings: list[str] = []
    assert sitk.GetArrayViewFromImage(read_ct(path, assume_hu=True, warnings=warnings)).max() > 1024
    assert len(warnings) == 1 and "although they do not look like it" in warnings[0]


def test_the_kind_of_error_survives_the_way_between_processes() -> None:
    with pytest.raises(NotHounsfield) as caught:
        check_hu(image(-scan()[0]), assume_hu=False, notes=[])
    assert UserError.from_json(caught.value.to_json()).kind == NotHounsfield.kind != ""
