"""The queue of volumes and the options of the segmentation, by clicks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lnsegfm.segmentation.segment_queue import SegmentQueue
from lnsegfm_panel import (
    OBLIQUE,
    add_ct,
    bright,
    exported,
    finish_queue,
    open_queue,
    queue_states,
    run_slowly,
    segment,
    segmentations,
)


def options(widget: Any, app: Any) -> None:
    if widget.ui.optionsCollapsibleButton.collapsed:
        app.click(widget.ui.optionsCollapsibleButton)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the worker was asked, in order."""
    log = tmp_path / "asked.jsonl"
    monkeypatch.setenv("LNSEGFM_TEST_LOG", str(log))
    return lambda: [json.loads(line) for line in log.read_text().splitlines()]


def test_all_volumes_are_segmented_one_after_the_other(app: Any, widget: Any) -> None:
    first, second, third = (add_ct(name) for name in ("A", "B", "C"))
    app.process_events()
    app.choose(widget.ui.volumeSelector, "B")
    open_queue(app, widget)
    app.click(widget.ui.addAllButton)
    assert list(queue_states(widget)) == ["A", "B", "C"]
    assert queue_states(widget)["A"] != queue_states(widget)["B"] == queue_states(widget)["C"] == "waiting"
    finish_queue(app, widget)
    assert queue_states(widget) == dict.fromkeys("ABC", "2 lymph nodes")
    assert widget.ui.queueLabel.text == "3 of 3 volumes done"
    nodes = segmentations()
    assert [node.GetName() for node in nodes] == ["A lymph nodes", "B lymph nodes", "C lymph nodes"]
    for node, volume in zip(nodes, (first, second, third)):
        np.testing.assert_array_equal(exported(node, volume) > 0, bright(volume))
    # The volume that the user looks at stays in front, and nothing lies over it.
    assert widget.ui.volumeSelector.currentNode() is second
    assert widget.ui.segmentationSelector.currentNode() is nodes[1]
    assert [bool(node.GetDisplayNode().GetVisibility()) for node in nodes] == [False, True, False]


def test_segmented_volumes_are_not_added_again(app: Any, widget: Any) -> None:
    add_ct("A")
    segment(app, widget)
    add_ct("B")
    app.process_events()
    open_queue(app, widget)
    app.click(widget.ui.addAllButton)
    finish_queue(app, widget)
    assert [node.GetName() for node in segmentations()] == ["A lymph nodes", "B lymph nodes"]


def test_more_volumes_can_be_added_while_one_is_segmented(
    app: Any, widget: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLOW_S", "0.3")
    add_ct("A")
    add_ct("B")
    app.process_events()
    run_slowly(app, widget)
    assert widget.ui.segmentButton.text == "Add to the queue"
    assert not widget.ui.segmentButton.enabled  # A is being segmented already
    app.choose(widget.ui.volumeSelector, "B")
    app.choose(widget.ui.modelSelector, "fine")
    app.click(widget.ui.segmentButton)
    assert queue_states(widget)["B"] == "waiting"
    assert widget.segment.runner.use_of("slow") == "It is being used to segment A."  # and must not be removed meanwhile
    finish_queue(app, widget)
    models = [node.GetAttribute("LNSegFM.DraftModel") for node in segmentations()]
    assert models == ["slow", "fine"]  # each as it was chosen when it was added


def test_failure_stands_in_the_table_and_can_be_retried(
    app: Any, widget: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mood = tmp_path / "mood"
    mood.touch()
    monkeypatch.setenv("MOOD", str(mood))
    add_ct("A")
    add_ct("B")
    app.process_events()
    app.choose(widget.ui.modelSelector, "moody")
    open_queue(app, widget)
    app.click(widget.ui.addAllButton)
    finish_queue(app, widget)
    assert queue_states(widget) == dict.fromkeys("AB", "failed: It failed. For a reason. Do this.")
    assert app.dialogs == []
    assert "2 failed" in widget.ui.queueLabel.text
    mood.unlink()
    app.select_row(widget.ui.queueTable, 1)
    app.click(widget.ui.retryButton)
    finish_queue(app, widget)
    assert queue_states(widget)["B"] == "2 lymph nodes"
    assert queue_states(widget)["A"].startswith("failed")


def test_cancel_goes_on_with_the_next_and_stop_all_does_not(app: Any, widget: Any) -> None:
    for name in "ABC":
        add_ct(name)
    app.process_events()
    app.choose(widget.ui.modelSelector, "slow")
    open_queue(app, widget)
    app.click(widget.ui.addAllButton)
    app.wait_until(lambda: "left" in widget.ui.statusLabel.text, 60, "the progress of A")
    assert "left" in queue_states(widget)["A"]
    app.click(widget.ui.cancelButton)
    app.wait_until(lambda: queue_states(widget)["A"] == "cancelled" and "left" in queue_states(widget)["B"], 60, "B")
    app.click(widget.ui.stopButton)
    finish_queue(app, widget)
    assert queue_states(widget) == dict.fromkeys("ABC", "cancelled")
    assert (segmentations(), app.dialogs) == ([], [])


def test_waiting_volume_can_be_taken_off(app: Any, widget: Any) -> None:
    for name in "ABC":
        add_ct(name)
    app.process_events()
    app.choose(widget.ui.modelSelector, "slow")
    open_queue(app, widget)
    app.click(widget.ui.addAllButton)
    app.select_row(widget.ui.queueTable, 1)
    app.click(widget.ui.removeButton)
    assert list(queue_states(widget)) == ["A", "C"]
    app.click(widget.ui.stopButton)
    finish_queue(app, widget)


def test_options_go_to_the_worker(app: Any, widget: Any, asked: Any) -> None:
    add_ct()
    app.process_events()
    options(widget, app)
    app.choose(widget.ui.qualitySelector, "Best")
    app.choose(widget.ui.regionSelector, "The body")
    app.type_text(widget.ui.minimumSpinBox, "4.5")
    segment(app, widget)
    (request,) = asked()
    assert (request["quality"], request["region"], request["minimum_short_axis_mm"]) == ("best", "body", 4.5)
    app.choose(widget.ui.qualitySelector, "Standard")
    app.choose(widget.ui.regionSelector, "The whole CT")
    app.type_text(widget.ui.minimumSpinBox, "0")


@pytest.mark.parametrize("direction", [(1, 0, 0, 0, 1, 0, 0, 0, 1), OBLIQUE])
@pytest.mark.parametrize("transform", [False, True])
def test_roi_is_the_box_of_voxels_around_it(
    app: Any, widget: Any, asked: Any, direction: Any, transform: bool
) -> None:
    import slicer
    import vtk

    volume = add_ct(direction=direction, transform=transform)
    app.process_events()
    options(widget, app)
    app.choose(widget.ui.regionSelector, "A ROI")
    app.choose(widget.ui.regionRoiSelector, "Create new ROI")
    roi = widget.ui.regionRoiSelector.currentNode()
    bounds = [0.0] * 6
    roi.GetRASBounds(bounds)
    assert all(bounds[2 * axis] < bounds[2 * axis + 1] for axis in range(3))  # it can be seen and moved
    # Now a box along the voxels: I from 4 to 9, J from 3 to 12, K from 2 to 6.
    to_ras = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(to_ras)
    spacing = volume.GetSpacing()
    axes = np.array([[to_ras.GetElement(row, column) for column in range(3)] for row in range(3)]) / spacing
    centre = to_ras.MultiplyPoint((6.5, 7.5, 4.0, 1.0))[:3]
    object_to_node = vtk.vtkMatrix4x4()
    for row in range(3):
        object_to_node.SetElement(row, 3, centre[row])
        for column in range(3):
            object_to_node.SetElement(row, column, axes[row, column])
    roi.SetSize([(high - low) * step for (low, high), step in zip(((4, 9), (3, 12), (2, 6)), spacing)])
    roi.SetAndObserveObjectToNodeMatrix(object_to_node)
    roi.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    segment(app, widget)
    assert asked()[-1]["region"] == [4, 10, 3, 13, 2, 7]
    slicer.mrmlScene.RemoveNode(roi)
    app.choose(widget.ui.regionSelector, "The whole CT")


def test_missing_roi_is_explained(app: Any, widget: Any) -> None:
    add_ct()
    app.process_events()
    options(widget, app)
    app.choose(widget.ui.regionSelector, "A ROI")
    app.click(widget.ui.segmentButton)
    app.wait_until(lambda: app.dialogs, 10, "the explanation")
    assert "No region is chosen." in app.dialogs[0][1]
    assert segmentations() == []
    app.choose(widget.ui.regionSelector, "The whole CT")
    assert widget.ui.regionRoiSelector.isHidden()


def test_time_left_of_the_queue_counts_what_waits() -> None:
    queue = SegmentQueue()
    for key in "abc":
        queue.add(key, key, None)
    assert queue.remaining_s(None) is None
    queue.start_next()
    assert queue.remaining_s(30.0) is None  # it is not known how long b and c will take
    queue.end("done", seconds=60.0)
    queue.start_next()
    assert queue.remaining_s(20.0) == 20.0 + 60.0
    assert not queue.add("b", "b", None)
    queue.end("failed", "a reason")
    queue.remove("c")
    assert queue.remaining_s(None) == 0.0
    assert queue.retry() == 1
