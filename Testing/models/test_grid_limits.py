"""What is too thin or too large at a model's voxel size is refused with the sizes, before any work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from lnsegfm.base.errors import UserError
from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.cli import main
from lnsegfm.engine.inference import predictor as predictor_module
from lnsegfm.engine.inference.predictor import Predictor
from lnsegfm.formats.image_files import write_image
from lnsegfm.images.body import body_box
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.volume_checks import check_ct
from lnsegfm.jobs.case_selection import make_spec
from lnsegfm.jobs.preflight import check
from lnsegfm.models.grid_limits import check_at_model, check_region, size_at_model
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_facts import ModelFacts
from small_scans import STRAIGHT, boxes_on, small_scan

FACTS = ModelFacts(("0",), {"background": 0, "lymph node": 1}, (2.0, 2.0, 3.0), (32, 32, 32), "LPS")
GIB = 1 << 30


def grid(size: tuple[int, int, int], spacing: tuple[float, float, float], direction: tuple[float, ...] = STRAIGHT
         ) -> Geometry:  # fmt: skip
    return Geometry(size, spacing, (0.0, 0.0, 0.0), direction)


class TestGrid:
    def test_three_thin_slices_are_too_thin(self) -> None:
        with pytest.raises(UserError, match=r"1\.2 mm is too thin for a model with slices of 3 mm") as caught:
            check_at_model(grid((48, 48, 3), (2.0, 2.0, 0.4)), FACTS)
        assert caught.value.what == "The CT is too thin for the model." and caught.value.todo
        assert "48 x 48 x 3 voxels of 2 x 2 x 0.4 mm" in caught.value.why

    @pytest.mark.parametrize(
        ("size", "spacing", "fits"),
        [
            ((48, 48, 1000), (2.0, 2.0, 0.001), False),
            ((48, 48, 3), (2.0, 2.0, 1.0), True),
            ((48, 48, 3), (2.0, 2.0, 0.99999), True),  # rounding of a header
            ((48, 48, 2), (2.0, 2.0, 1.2), False),  # would be rounded to one slice
            ((1900, 48, 24), (0.001, 2.0, 3.0), False),
        ],
    )
    def test_one_voxel_of_the_model_is_the_least(
        self, size: tuple[int, int, int], spacing: tuple[float, float, float], fits: bool
    ) -> None:
        if fits:
            check_at_model(grid(size, spacing), FACTS)
            assert min(size_at_model(grid(size, spacing), FACTS)[0]) == 1
        else:
            with pytest.raises(UserError, match="too thin for a model with"):
                check_at_model(grid(size, spacing), FACTS)

    def test_the_models_axes_count_and_not_those_of_the_file(self) -> None:
        sagittal = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)  # stored along P, S, L
        stored = grid((48, 24, 40), (2.0, 3.0, 0.5), sagittal)
        assert size_at_model(stored, FACTS) == ((10, 48, 24), (20.0, 96.0, 72.0))
        with pytest.raises(UserError, match=r"0\.9 mm is too thin for a model with voxels of 2 mm"):
            check_at_model(grid((48, 24, 3), (2.0, 3.0, 0.3), sagittal), FACTS)

    def test_what_does_not_fit_into_memory_is_told_with_sizes_and_limit(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        huge = grid((512, 512, 24), (4.0, 4.0, 100.0))
        monkeypatch.setattr("lnsegfm.models.grid_limits.memory_bytes", lambda: GIB)
        with pytest.raises(UserError) as caught:
            check_at_model(huge, FACTS)
        assert "512 x 512 x 24 voxels of 4 x 4 x 100 mm become 1024 x 1024 x 800 voxels of 2 x 2 x 3 mm" in str(
            caught.value
        )
        assert "12.5 GB" in caught.value.why and "1.0 GB is free" in caught.value.why
        monkeypatch.setattr("lnsegfm.models.grid_limits.memory_bytes", lambda: 20 * GIB)
        check_at_model(huge, FACTS)

    def test_a_region_counts_by_itself(self) -> None:
        whole = grid((48, 48, 100), (2.0, 2.0, 1.0))
        check_region(whole, "whole", FACTS)
        check_region(whole, (0, 20, 0, 20, 10, 14), FACTS)
        with pytest.raises(UserError, match="2 mm is too thin") as caught:
            check_region(whole, (0, 20, 0, 20, 10, 12), FACTS)
        assert "region" in caught.value.what and "Enlarge the region" in caught.value.todo
        with pytest.raises(UserError, match="outside of the CT"):
            check_region(whole, (60, 70, 0, 20, 10, 14), FACTS)


@pytest.mark.parametrize("spacing", [(100.0, 100.0, 3.0), (2.0, 2.0, 1000.0), (0.0008, 0.0008, 0.003)])
def test_a_voxel_size_that_no_patient_fits_into_is_refused_wherever_a_ct_is_read(
    own_home: Home, tmp_path: Path, spacing: tuple[float, float, float]
) -> None:
    image = small_scan((48, 48, 24), spacing)
    with pytest.raises(UserError, match="voxel size cannot be right"):
        check_ct(image)
    with pytest.raises(UserError, match="voxel size cannot be right"):
        CaseStore(own_home.cases).accept(image, boxes_on(image, [(slice(9, 12),) * 3]))
    assert not CaseStore(own_home.cases).list()
    write_image(image, tmp_path / "ct.nrrd")
    assert main(["segment", str(tmp_path / "ct.nrrd"), "-m", "phantom", "-o", str(tmp_path / "out.nrrd")]) == 1
    assert not (tmp_path / "out.nrrd").exists()


class Worked(Exception):
    """Raised in place of the first work."""


class TestPredictor:
    @pytest.fixture(scope="class")
    def predictor(self, demonstration_model: ModelInfo) -> Predictor:
        return Predictor(demonstration_model, torch.device("cpu"))

    @pytest.fixture(autouse=True)
    def no_work(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def work(*_args: object, **_options: object) -> None:
            raise Worked

        monkeypatch.setattr(predictor_module, "DefaultPreprocessor", work)

    def test_three_thin_slices_are_refused_before_any_work(self, predictor: Predictor) -> None:
        with pytest.raises(UserError, match=r"1\.2 mm is too thin for a model with slices of"):
            predictor.predict(small_scan((48, 48, 3), (2.0, 2.0, 0.4)))

    def test_a_thin_region_is_refused(self, predictor: Predictor) -> None:
        with pytest.raises(UserError, match=r"0\.8 mm is too thin") as caught:
            predictor.predict(small_scan((48, 48, 60), (2.0, 2.0, 0.4)), region=(0, 48, 0, 48, 10, 12))
        assert "region" in caught.value.what

    def test_a_body_that_is_too_thin_is_refused(self, predictor: Predictor) -> None:
        array = np.full((24, 48, 48), -1000, np.int16)
        array[:2] = 40
        image = Geometry((48, 48, 24), (2.0, 2.0, 0.4), (0.0, 0.0, 0.0), STRAIGHT).put_on(sitk.GetImageFromArray(array))
        assert body_box(image)[5] <= 24
        with pytest.raises(UserError, match="too thin"):
            predictor.predict(sitk.RegionOfInterest(image, (48, 48, 6), (0, 0, 0)), region="body")

    def test_what_is_left_without_zeros_counts(self, predictor: Predictor) -> None:
        image = small_scan((48, 48, 60), (2.0, 2.0, 0.4))
        array = sitk.GetArrayFromImage(image)
        array[2:] = 0
        padded = Geometry.of(image).put_on(sitk.GetImageFromArray(array))
        with pytest.raises(UserError, match=r"0\.8 mm is too thin") as caught:
            predictor.predict(padded)
        assert "holds other values than 0" in caught.value.what
        with pytest.raises(UserError, match="value 0"):
            predictor.predict(padded, region=(0, 48, 0, 48, 10, 40))

    def test_what_fits_goes_on(self, predictor: Predictor) -> None:
        with pytest.raises(Worked):
            predictor.predict(small_scan((24, 24, 16)))


def test_a_case_that_is_too_thin_for_the_model_is_named_before_the_job_exists(own_home: Home) -> None:
    cases = CaseStore(own_home.cases)
    good, thin = small_scan(), small_scan((48, 48, 3), (2.0, 2.0, 0.4))
    for image in (good, thin):
        cases.accept(image, boxes_on(image, [(slice(9, 12), slice(9, 12), slice(1, 3))]))
    with pytest.raises(UserError, match=r"1\.2 mm is too thin for a model with slices of 3 mm") as caught:
        check(own_home, make_spec(own_home, "phantom-demonstration"), None)
    assert "case-0002" in caught.value.what and "lnsegfm cases use case-0002 excluded" in caught.value.todo
    cases.set_use("case-0002", "excluded")
    check(own_home, make_spec(own_home, "phantom-demonstration"), None)
