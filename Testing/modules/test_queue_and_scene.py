"""The queue when the scene or the module changes under it: volumes removed, the scene closed, the module reloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lnsegfm_panel import (
    add_ct,
    finish_queue,
    open_queue,
    queue_states,
    run_slowly,
    segment,
    segmentations,
    use_fake_worker,
)


@pytest.fixture
def slow_three(app: Any, widget: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Three scans in the queue, the first of which is being segmented."""
    monkeypatch.setenv("SLOW_S", "0.3")
    volumes = [add_ct(name) for name in "ABC"]
    app.process_events()
    app.choose(widget.ui.modelSelector, "slow")
    open_queue(app, widget)
    app.click(widget.ui.addAllButton)
    return volumes


def test_waiting_volume_that_is_removed_leaves_the_queue_and_that_is_said(
    app: Any, widget: Any, slow_three: list[Any]
) -> None:
    import slicer

    slicer.mrmlScene.RemoveNode(slow_three[1])
    app.process_events()
    assert list(queue_states(widget)) == ["A", "C"]
    assert "Removed from the scene and from the queue: B." in widget.ui.queueLabel.text
    finish_queue(app, widget)
    assert [node.GetName() for node in segmentations()] == ["A lymph nodes", "C lymph nodes"]


def test_segmentation_of_a_removed_volume_is_cancelled_and_that_is_said(
    app: Any, widget: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import slicer

    monkeypatch.setenv("SLOW_S", "60")
    first = add_ct("A")
    app.process_events()
    run_slowly(app, widget)
    slicer.mrmlScene.RemoveNode(first)
    finish_queue(app, widget)  # and so long before the 60 s are over
    ui = widget.ui
    assert (queue_states(widget), segmentations(), app.dialogs) == ({}, [], [])
    assert '"A" was removed from the scene; its segmentation is stopped.' in ui.queueLabel.text
    assert ui.statusLabel.text == ""
    assert ui.progressBar.isHidden() and ui.cancelButton.isHidden()


def test_queue_goes_on_after_the_running_volume_was_removed(app: Any, widget: Any, slow_three: list[Any]) -> None:
    import slicer

    app.wait_until(lambda: "left" in widget.ui.statusLabel.text, 60, "the progress of A")
    slicer.mrmlScene.RemoveNode(slow_three[0])
    finish_queue(app, widget)
    assert queue_states(widget) == dict.fromkeys("BC", "2 lymph nodes")
    assert [node.GetName() for node in segmentations()] == ["B lymph nodes", "C lymph nodes"]


def test_row_of_a_finished_volume_goes_with_it(app: Any, widget: Any) -> None:
    import slicer

    volume = add_ct("A")
    app.process_events()
    segment(app, widget)
    assert widget.ui.statusLabel.text.startswith("A: fine took")
    slicer.mrmlScene.RemoveNode(volume)
    app.process_events()
    assert (queue_states(widget), widget.ui.statusLabel.text) == ({}, "")


def test_closing_the_scene_ends_the_queue_and_leaves_no_progress(
    app: Any, widget: Any, slow_three: list[Any]
) -> None:
    ui = widget.ui
    app.wait_until(lambda: "left" in ui.statusLabel.text, 60, "the progress of A")
    app.close_scene()
    assert queue_states(widget) == {}
    assert ui.statusLabel.text == "The scene was closed, and the segmentation was stopped."
    assert ui.cancelButton.isHidden() and ui.progressBar.isHidden()
    app.close_scene()
    assert ui.statusLabel.text == ""


def test_status_goes_with_the_scene_and_with_another_choice(app: Any, widget: Any) -> None:
    add_ct("A")
    add_ct("B")
    app.process_events()
    app.choose(widget.ui.volumeSelector, "A")
    segment(app, widget)
    assert widget.ui.statusLabel.text.startswith("A: fine took")
    app.choose(widget.ui.volumeSelector, "B")
    assert widget.ui.statusLabel.text == ""
    segment(app, widget)
    app.close_scene()
    assert widget.ui.statusLabel.text == ""


def test_empty_queue_shows_no_table(app: Any, widget: Any) -> None:
    ui = widget.ui
    open_queue(app, widget)
    only_with_rows = (ui.queueTable, ui.removeButton, ui.retryButton, ui.stopButton)
    assert all(each.isHidden() for each in only_with_rows)
    assert ui.addAllButton.isVisible()
    add_ct("A")
    app.process_events()
    segment(app, widget)
    assert all(each.isVisible() for each in only_with_rows)
    app.select_row(ui.queueTable, 0)
    app.click(ui.removeButton)
    assert all(each.isHidden() for each in only_with_rows)


def test_queue_goes_on_after_a_reload_and_that_is_said(
    app: Any, widget: Any, slow_three: list[Any], tmp_path: Path
) -> None:
    app.wait_until(lambda: "left" in widget.ui.statusLabel.text, 60, "the progress of A")
    widget.onReload()
    fresh = _panel()
    use_fake_worker(fresh, tmp_path)
    assert fresh is not widget
    assert "The module was reloaded. Restarted from the beginning: A, B, C." in fresh.ui.queueLabel.text
    assert not fresh.ui.queueCollapsibleButton.collapsed
    app.process_events()
    finish_queue(app, fresh)
    assert queue_states(fresh) == dict.fromkeys("ABC", "2 lymph nodes")
    assert [node.GetName() for node in segmentations()] == ["A lymph nodes", "B lymph nodes", "C lymph nodes"]
    assert [node.GetAttribute("LNSegFM.DraftModel") for node in segmentations()] == ["slow"] * 3


def test_finished_rows_outlive_a_reload_and_nothing_starts(app: Any, widget: Any, tmp_path: Path) -> None:
    add_ct("A")
    app.process_events()
    segment(app, widget)
    widget.onReload()
    fresh = _panel()
    use_fake_worker(fresh, tmp_path)
    app.process_events()
    assert queue_states(fresh) == {"A": "2 lymph nodes"}
    assert (fresh.is_working("segment"), fresh.ui.queueLabel.text) == (False, "")
    # What the old panel left for the new one is not saved with the scene.
    assert fresh.parameter_node.GetParameter("KeptQueue") == ""


def _panel() -> Any:
    import slicer

    return slicer.util.getModuleWidget("LNSegFM")
