"""The panel of the module LN-Seg-FM, driven as a user does, with a worker that needs no torch."""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from lnsegfm.formats.image_files import write_image
from lnsegfm_panel import (
    BOXES,
    OBLIQUE,
    add_ct,
    add_model,
    bright,
    exported,
    run_slowly,
    segment,
    segmentations,
    use_fake_worker,
)


@pytest.mark.parametrize("direction", [(1, 0, 0, 0, 1, 0, 0, 0, 1), (0, 0, -1, 1, 0, 0, 0, -1, 0), OBLIQUE])
@pytest.mark.parametrize("transform", [False, True])
def test_result_lies_exactly_on_the_volume(app: Any, widget: Any, direction: Any, transform: bool) -> None:
    volume = add_ct(direction=direction, transform=transform)
    node = segment(app, widget)
    np.testing.assert_array_equal(exported(node, volume) > 0, bright(volume))
    assert node.GetTransformNodeID() == volume.GetTransformNodeID()
    assert node.GetNodeReference("referenceImageGeometryRef") is volume


def test_result_is_named_coded_and_one_segment_per_lymph_node(app: Any, widget: Any) -> None:
    import vtk

    volume = add_ct("Neck")
    node = segment(app, widget)
    segmentation = node.GetSegmentation()
    segments = [segmentation.GetNthSegment(index) for index in range(segmentation.GetNumberOfSegments())]
    assert node.GetName() == "Neck lymph nodes"
    assert [each.GetName() for each in segments] == ["Lymph node 1", "Lymph node 2"]
    for each in segments:
        code = vtk.reference("")
        each.GetTag(each.GetTerminologyEntryTagName(), code)
        assert "~SCT^59441001^Lymph node~" in str(code)
    assert np.unique(exported(node, volume)).tolist() == [0, 1, 2]
    assert widget.ui.nodeTable.rowCount == 2
    assert "CPU: as the test wants it" in widget.ui.statusLabel.text
    assert "fine" in widget.ui.statusLabel.text


def test_all_lymph_nodes_become_one_segment_on_request(app: Any, widget: Any) -> None:
    volume = add_ct()
    app.click(widget.ui.optionsCollapsibleButton)
    app.choose(widget.ui.segmentsSelector, "One for all lymph nodes")
    node = segment(app, widget)
    assert [node.GetSegmentation().GetNthSegment(0).GetName()] == ["Lymph nodes"]
    assert node.GetSegmentation().GetNumberOfSegments() == 1
    np.testing.assert_array_equal(exported(node, volume) > 0, bright(volume))
    assert widget.ui.nodeTable.rowCount == 2
    app.choose(widget.ui.segmentsSelector, "One per lymph node")
    app.click(widget.ui.optionsCollapsibleButton)


def test_segment_needs_a_volume_and_says_so(app: Any, widget: Any) -> None:
    assert not widget.ui.segmentButton.enabled
    assert "CT" in widget.ui.segmentButton.toolTip
    add_ct()
    app.process_events()
    assert widget.ui.segmentButton.enabled


def test_progress_tells_the_time_left_and_cancel_leaves_nothing(app: Any, widget: Any) -> None:
    volume = add_ct()
    run_slowly(app, widget)
    assert widget.ui.statusLabel.text == "Segmenting, about 1 min 20 s left"
    assert widget.ui.progressBar.value == 30
    assert not widget.ui.segmentButton.enabled
    started = time.monotonic()
    app.click(widget.ui.cancelButton)
    app.wait_until(lambda: widget.ui.cancelButton.isHidden(), 60, "the end")
    assert time.monotonic() - started < 2.5
    assert widget.ui.statusLabel.text == "Cancelled."
    assert (segmentations(), app.dialogs) == ([], [])
    assert segment(app, widget) is not None and volume is widget.ui.volumeSelector.currentNode()


def test_error_is_shown_with_reason_and_remedy(app: Any, widget: Any) -> None:
    add_ct()
    assert segment(app, widget, "refuse") is None
    app.wait_until(lambda: app.dialogs, 60, "the error")
    assert app.dialogs == [("error", "It failed.\n\nFor a reason.\n\nDo this.")]
    assert segmentations() == []
    assert widget.ui.segmentButton.isVisible()


def test_crash_shows_the_last_words_and_the_next_run_works(app: Any, widget: Any) -> None:
    add_ct()
    assert segment(app, widget, "crash") is None
    app.wait_until(lambda: app.dialogs, 60, "the error")
    assert "the very last words" in app.dialogs[0][1]
    assert segment(app, widget) is not None


def test_volume_that_cannot_be_segmented_is_refused(app: Any, widget: Any) -> None:
    import slicer

    volume = add_ct()
    slicer.util.arrayFromVolume(volume)[:] = 7
    assert segment(app, widget) is None
    app.wait_until(lambda: app.dialogs, 60, "the error")
    assert "empty" in app.dialogs[0][1]


def test_scene_closed_during_a_run_drops_the_result(app: Any, widget: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLOW_S", "0.5")
    add_ct()
    run_slowly(app, widget)
    app.close_scene()
    add_ct("Next patient")
    app.process_events(1.0)
    assert (segmentations(), app.dialogs) == ([], [])
    assert segment(app, widget).GetName() == "Next patient lymph nodes"


def test_second_segmentation_keeps_the_first(app: Any, widget: Any) -> None:
    add_ct()
    first, second = segment(app, widget), segment(app, widget)
    assert first.GetName() != second.GetName()
    assert widget.ui.segmentationSelector.currentNode() is second


def test_chosen_segmentation_brings_its_volume(app: Any, widget: Any) -> None:
    first = add_ct("First")
    node = segment(app, widget)
    add_ct("Second")
    app.process_events()
    app.choose(widget.ui.volumeSelector, "Second")
    assert segment(app, widget) is not node
    assert widget.ui.nodeTable.rowCount == 2
    app.choose(widget.ui.segmentationSelector, node.GetName())
    assert widget.ui.volumeSelector.currentNode() is first
    app.choose(widget.ui.volumeSelector, "Second")
    assert widget.ui.segmentationSelector.currentNode().GetName() == "Second lymph nodes"
    app.choose(widget.ui.volumeSelector, "First")
    assert widget.ui.segmentationSelector.currentNode() is node
    assert widget.ui.nodeTable.rowCount == 2


@pytest.mark.parametrize("transform", [False, True])
def test_click_on_a_row_centres_the_slice_views(app: Any, widget: Any, transform: bool) -> None:
    import slicer

    volume = add_ct(transform=transform)
    segment(app, widget)
    app.select_row(widget.ui.nodeTable, 1)
    (z, y, x) = (np.argwhere(bright(volume)[BOXES[1]]).mean(axis=0) + [part.start for part in BOXES[1]]).tolist()
    world = [0.0] * 4
    matrix = slicer.vtkMRMLSliceNode().GetXYToRAS()
    volume.GetIJKToRASMatrix(matrix)
    local = matrix.MultiplyPoint((x, y, z, 1.0))[:3]
    world = [0.0] * 3
    volume.TransformPointToWorld(local, world)
    for name in ("Red", "Yellow", "Green"):
        to_ras = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode().GetSliceToRAS()
        assert [to_ras.GetElement(axis, 3) for axis in range(3)] == pytest.approx(world, abs=0.01)


def test_measure_again_sees_the_edits(app: Any, widget: Any) -> None:

    volume = add_ct()
    node = segment(app, widget)
    node.GetSegmentation().RemoveSegment("LymphNode_1")
    app.click(widget.ui.measureButton)
    app.wait_until(lambda: widget.ui.nodeTable.rowCount == 1, 5, "the new table")
    voxel = float(np.prod(volume.GetSpacing()))
    assert float(widget.ui.nodeTable.item(0, 3).text()) == pytest.approx(12 * voxel / 1000, abs=0.005)


def test_a_slicer_without_the_editors_widget_opens_the_segment_editor_with_the_pair(app: Any, widget: Any) -> None:
    import slicer

    volume = add_ct()
    node = segment(app, widget)
    widget.ui.editButton.click()  # it is hidden where the widget is there
    editor = slicer.mrmlScene.GetSingletonNode("SegmentEditor", "vtkMRMLSegmentEditorNode")
    assert (editor.GetSegmentationNode(), editor.GetSourceVolumeNode()) == (node, volume)
    assert slicer.util.selectedModule() == "SegmentEditor"


def test_accept_stores_versions_with_their_draft_model(app: Any, widget: Any) -> None:
    volume = add_ct(transform=True)
    segment(app, widget)
    for version in (1, 2):
        app.click(widget.ui.acceptButton)
        app.wait_until(lambda version=version: f"version {version}" in widget.ui.caseLabel.text, 10, "the case")
    (case,) = widget.logic.bench.cases.list()
    assert "case-0001" in widget.ui.caseLabel.text
    assert (case.draft_model, len(case.versions), case.latest.nodes) == ("fine", 2, 2)
    stored = sitk.GetArrayFromImage(sitk.ReadImage(str(case.label_path())))
    np.testing.assert_array_equal(stored > 0, bright(volume))


def test_accept_without_lymph_nodes_needs_the_statement(app: Any, widget: Any) -> None:
    add_ct()
    app.process_events()
    assert not widget.ui.acceptButton.enabled
    app.click(widget.ui.noNodesCheckBox)
    app.click(widget.ui.acceptButton)
    app.wait_until(lambda: "version 1" in widget.ui.caseLabel.text, 60, "the case")
    assert widget.logic.bench.cases.list()[0].latest.no_nodes
    segment(app, widget)
    app.click(widget.ui.noNodesCheckBox)
    app.click(widget.ui.acceptButton)
    app.wait_until(lambda: app.dialogs, 60, "the refusal")
    assert "no lymph nodes" in app.dialogs[0][1]
    app.click(widget.ui.noNodesCheckBox)


def test_choices_come_back_with_the_scene(app: Any, widget: Any, tmp_path: Path) -> None:
    add_ct("A")
    app.process_events()
    volume = add_ct("B")
    app.choose(widget.ui.volumeSelector, "B")
    segment(app, widget)
    app.click(widget.ui.optionsCollapsibleButton)
    app.choose(widget.ui.deviceSelector, "CPU")
    app.type_text(widget.ui.minimumSpinBox, "2.5")
    app.click(widget.ui.optionsCollapsibleButton)
    app.choose(widget.ui.qualitySelector, "Fast")
    app.save_scene(tmp_path / "scene.mrb")
    app.close_scene()
    assert volume.GetScene() is None
    app.load_scene(tmp_path / "scene.mrb")
    ui = widget.ui
    assert ui.volumeSelector.currentNode().GetName() == "B"
    assert ui.segmentationSelector.currentNode().GetName() == "B lymph nodes"
    assert (ui.modelSelector.currentText, ui.deviceSelector.currentText) == ("fine", "CPU")
    assert (ui.qualitySelector.currentText, ui.minimumSpinBox.value) == ("Fast", 2.5)
    app.click(ui.acceptButton)
    app.wait_until(lambda: "version 1" in ui.caseLabel.text, 60, "the case")
    assert widget.logic.bench.cases.list()[0].draft_model == "fine"


def test_reload_ends_the_worker_and_the_new_panel_works(app: Any, widget: Any, tmp_path: Path) -> None:
    add_ct()
    segment(app, widget)
    worker = widget.logic.bench.session.worker
    fresh = app.reload_module("LNSegFM")
    assert fresh is not widget
    assert not worker.running
    use_fake_worker(fresh, tmp_path)
    app.wait_until(lambda: fresh.ui.modelSelector.count >= 4, 5, "the models")
    assert segment(app, fresh) is not None
    assert [node.GetName() for node in segmentations()] == ["CT lymph nodes", "CT lymph nodes_1"]


def test_a_reload_right_after_accepting_loses_no_correction(app: Any, widget: Any) -> None:
    add_ct()
    segment(app, widget)
    cases = widget.logic.bench.cases
    app.click(widget.ui.acceptButton)
    widget.onReload()
    assert len(cases.list()) == 1


def test_adapted_model_can_be_used_at_once(app: Any, widget: Any) -> None:
    app.close_scene()
    widget.useModel(add_model("Adapted"))
    assert widget.ui.modelSelector.currentText == "Adapted"
    widget.refreshModels()
    assert widget.ui.modelSelector.currentText == "Adapted"


def test_the_panel_warns_of_a_demonstration_model_and_of_a_rejected_one(app: Any, widget: Any) -> None:
    add_ct()
    label = widget.ui.modelWarningLabel
    assert widget.ui.modelSelector.currentText == "fine" and label.isHidden()
    widget.useModel("phantom-demonstration")
    assert label.isVisible() and "knows synthetic scans only" in label.text
    segment(app, widget, widget.ui.modelSelector.currentText)
    assert "knows synthetic scans only" in widget.ui.statusLabel.text
    widget.logic.bench.models.reject("moody")
    widget.useModel("moody")
    assert "was rejected" in label.text and "synthetic" not in label.text
    widget.useModel("fine")
    assert label.isHidden()
    segment(app, widget)
    assert "synthetic" not in widget.ui.statusLabel.text


def test_a_model_and_a_pair_can_be_chosen_without_the_panel(app: Any, widget: Any) -> None:
    from LNSegFMLib.scene.segmentation_choice import choose_model, choose_pair, chosen_model

    first, _second = add_ct("First"), add_ct("Second")
    choose_pair(first, None)
    assert widget.ui.volumeSelector.currentNode() is first
    # The panel has not listed it yet.
    choose_model(add_model("Adapted"))
    assert (widget.ui.modelSelector.currentText, chosen_model()) == ("Adapted", "adapted")
    # Empty is the default model, and one that is gone is not chosen.
    choose_model("")
    assert widget.ui.modelSelector.currentText == "fine" == chosen_model()
    choose_model("gone")
    assert widget.ui.modelSelector.currentText == "fine" == chosen_model()


def test_model_is_installed_from_a_file(app: Any, widget: Any) -> None:
    app.choose(widget.ui.modelSelector, "slow")
    app.answers.append("/somewhere/model.zip")
    widget.ui.importModelButton.menu().actions()[0].trigger()
    app.wait_until(lambda: widget.ui.modelSelector.currentText == "fine", 60, "the model")


def test_nothing_else_in_the_scene_changes(app: Any, widget: Any) -> None:
    import slicer

    volume = add_ct()
    other = add_ct("Other")
    state = [(node.GetID(), node.GetMTime()) for node in (volume, other, volume.GetDisplayNode())]
    segment(app, widget)
    assert state == [(node.GetID(), node.GetMTime()) for node in (volume, other, volume.GetDisplayNode())]
    assert slicer.util.arrayFromVolume(other).max() == 320


def test_panel_fits_a_narrow_column(app: Any, widget: Any) -> None:
    add_ct()
    segment(app, widget)
    assert widget.parent.minimumSizeHint.width() <= 350


def test_a_long_name_does_not_widen_the_panel(app: Any, widget: Any) -> None:
    import qt

    volume = add_ct()
    segment(app, widget)
    dock = app.window.findChild(qt.QDockWidget, "PanelDockWidget")
    before = dock.minimumSizeHint.width()
    assert before <= 330  # 320 in a real Slicer, whose fonts are narrower
    for node in (volume, *segmentations()):
        node.SetName("2: Thorax 1.5 B30f, reconstructed once more for the tumour board of Thursday")
    app.process_events(0.2)
    assert dock.minimumSizeHint.width() == before


def test_read_back_image_is_the_volume(app: Any, widget: Any, tmp_path: Path) -> None:
    from LNSegFMLib.scene.volumes import image_reader

    volume = add_ct()
    image = image_reader(volume)()
    write_image(image, tmp_path / "ct.nrrd")
    assert image.GetDirection() == pytest.approx(OBLIQUE)
    assert image.GetOrigin() == pytest.approx((-40.0, 25.0, 310.5))


@pytest.mark.skipif(find_spec("torch") is None or find_spec("nnunetv2") is None, reason="torch or nnunetv2 is missing")
def test_self_test_passes_with_the_real_worker(app: Any, widget: Any) -> None:
    widget.logic.bench.close()
    widget.logic.bench.worker_command = None
    app.run_self_test("LNSegFM")
    assert app.dialogs == []
