"""What scripts ask of the modules' logics in Slicer's Python console: segment, measure, accept and adapt."""

# ruff: noqa: F811 - the fixtures are imported
from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

pytest.importorskip("PySide6")
pytest.importorskip("vtk")

from finetune_panel import Panel, adapted, case_template, cases, home, opened, panel  # noqa: F401
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.jobs.job_store import JobStore
from lnsegfm.models.model_card import ModelInfo
from lnsegfm_panel import add_ct, bright, exported


class TestSegmenting:
    @pytest.fixture
    def logic(self, widget: Any) -> Any:
        import slicer

        return slicer.util.getModuleLogic("LNSegFM")

    def test_a_ct_becomes_a_segmentation_node(self, app: Any, logic: Any) -> None:
        volume = add_ct()
        segmentation = logic.segment(volume, model="fine")
        assert segmentation.GetName() == "CT lymph nodes"
        assert segmentation.GetSegmentation().GetNumberOfSegments() == 2
        np.testing.assert_array_equal(exported(segmentation, volume) > 0, bright(volume))

    def test_the_default_model_is_used_and_options_are_passed_on(self, app: Any, logic: Any) -> None:
        logic.bench.models.accept("fine")
        segmentation = logic.segment(add_ct(), segmentPerLymphNode=False, quality="fast")
        assert segmentation.GetSegmentation().GetNumberOfSegments() == 1
        with pytest.raises(UserError, match="no quality 'superb'"):
            logic.segment(add_ct("Second"), quality="superb")

    def test_the_rules_of_the_command_line_hold(self, app: Any, logic: Any) -> None:
        volume = add_ct()
        logic.bench.models.reject("fine")
        with pytest.raises(UserError, match="'fine' was rejected"):
            logic.segment(volume, model="fine")
        assert logic.segment(volume, model="fine", rejected_too=True) is not None
        for wrong in (None, "CT", logic.getParameterNode()):
            with pytest.raises(UserError, match="no CT volume"):
                logic.segment(wrong)

    def test_a_region_of_interest_is_segmented_alone(
        self, app: Any, logic: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import slicer

        from LNSegFMLib.scene.regions import place_in

        monkeypatch.setenv("LNSEGFM_TEST_LOG", str(tmp_path / "log"))
        volume, roi = add_ct(), slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
        place_in(roi, volume)
        logic.bench.close()
        logic.segment(volume, model="fine", roiNode=roi)
        assert '"region": [' in (tmp_path / "log").read_text()

    def test_a_handle_tells_how_far_it_is_and_can_be_cancelled(self, app: Any, logic: Any) -> None:
        import slicer

        work = logic.segment(add_ct(), model="slow", wait=False)
        assert not work.done
        app.wait_until(lambda: work.progress.fraction, 60, "the progress")
        work.cancel()
        with pytest.raises(Cancelled):
            work.wait(60)
        assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")

    def test_without_waiting_the_segmentation_comes_into_the_scene_by_itself(self, app: Any, logic: Any) -> None:
        work = logic.segment(add_ct(), model="fine", wait=False)
        app.wait_until(lambda: work.done, 60, "the segmentation")
        assert work.result().GetScene() is not None

    def test_the_event_loop_runs_meanwhile(
        self, app: Any, logic: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import qt

        monkeypatch.setenv("SLOW_S", "1")
        logic.bench.close()
        ticks: list[float] = []
        timer = qt.QTimer()
        timer.setInterval(5)
        timer.connect("timeout()", lambda: ticks.append(time.monotonic()))
        timer.start()
        messages: list[str] = []
        import slicer

        monkeypatch.setattr(slicer.util, "showStatusMessage", lambda text, *_: messages.append(text))
        logic.segment(add_ct(), model="slow")
        timer.stop()
        assert len(ticks) > 10
        assert any(text.startswith("Segmenting, 30%") for text in messages) and messages[-1] == ""

    def test_errors_of_the_worker_are_raised_and_not_shown(self, app: Any, logic: Any) -> None:
        with pytest.raises(UserError, match=r"It failed\. For a reason"):
            logic.segment(add_ct(), model="refuse")
        app.process_events()
        assert app.dialogs == []

    def test_a_volume_that_goes_meanwhile_is_an_error(self, app: Any, logic: Any) -> None:
        import slicer

        volume = add_ct()
        work = logic.segment(volume, model="fine", wait=False)
        slicer.mrmlScene.RemoveNode(volume)
        with pytest.raises(UserError, match="result was dropped"):
            work.wait(60)

    def test_measure_and_accept(self, app: Any, logic: Any) -> None:
        import slicer

        from LNSegFMLib.scene.drafts import accepted_case_of
        from LNSegFMLib.scene.segments.lymph_node_records import records_of

        volume = add_ct()
        segmentation = logic.segment(volume, model="fine")
        first = segmentation.GetSegmentation().GetNthSegmentID(0)
        segmentation.GetSegmentation().RemoveSegment(first)
        measured = logic.measure(segmentation, volume)
        assert [len(found) for found in measured.values()] == [1]
        assert [record.node.short_axis_mm for record in records_of(segmentation)] == [
            found[0].short_axis_mm for found in measured.values()
        ]
        case = logic.accept(segmentation, volume)
        assert accepted_case_of(segmentation) == case.id and case.draft_model == "fine"
        with pytest.raises(UserError, match="no segmentation"):
            logic.accept(None, volume)
        empty = logic.accept(None, add_ct("Without"), noLymphNodes=True)
        assert empty.latest.no_nodes
        work = logic.measure(segmentation, volume, wait=False)
        assert list(work.wait(60)) == list(measured)
        assert slicer.util.getModuleLogic("LNSegFM") is logic


class TestAdapting:
    def test_a_model_is_adapted(self, adapted: ModelInfo, opened: Panel) -> None:
        import slicer

        from lnsegfm.session import AdaptOptions

        logic = slicer.util.getModuleLogic("LNSegFMFineTune")
        model = logic.adapt(AdaptOptions(preset="short", name="Ours"))
        assert model.id == adapted.id
        (job,) = JobStore(opened.home.jobs).list()
        assert (job.spec.name, job.spec.epochs, job.status().state) == ("Ours", 4, "done")

    def test_a_handle_follows_the_job_and_cancels_it(self, opened: Panel) -> None:
        import slicer

        from lnsegfm.session import AdaptOptions

        opened.hold(5)
        logic = slicer.util.getModuleLogic("LNSegFMFineTune")
        work = logic.adapt(AdaptOptions(preset="short"), wait=False)
        opened.until(lambda: work.progress.fraction and "raining" in work.progress.message, "the training")
        work.cancel()
        with pytest.raises(Cancelled):
            work.wait(60)
        assert opened.job.status().state == "cancelled"

    def test_what_cannot_be_made_is_refused(self, opened: Panel, cases: CaseStore) -> None:
        import slicer

        from lnsegfm.session import AdaptOptions

        logic = slicer.util.getModuleLogic("LNSegFMFineTune")
        with pytest.raises(UserError, match="no case 'case-9'"):
            logic.adapt(AdaptOptions(cases=["case-9"]))
        assert not JobStore(opened.home.jobs).list()

    def test_a_job_outlives_the_panel_that_follows_it(self, opened: Panel) -> None:
        import slicer

        from lnsegfm.session import AdaptOptions

        opened.hold(5)
        work = slicer.util.getModuleLogic("LNSegFMFineTune").adapt(AdaptOptions(preset="short"), wait=False)
        opened.until(lambda: work.progress.fraction, "the training")
        opened.close()
        opened.hold(None)
        job = JobStore(opened.home.jobs).list()[0]
        opened.until(lambda: job.status().state == "done", "the end of the job")
