"""The worklist: which volume to correct first, and how it is opened."""

from __future__ import annotations

from typing import Any

import pytest

from lnsegfm_panel import add_ct, segment, segmentations


@pytest.fixture
def three(app: Any, widget: Any) -> list[Any]:
    """Three segmented scans: the model doubts B most and A least."""
    volumes = [add_ct(name, background=background) for name, background in (("A", -50), ("B", -300), ("C", -200))]
    app.process_events()
    app.choose(widget.ui.modelSelector, "fine")
    for name in "ABC":
        app.choose(widget.ui.volumeSelector, name)
        segment(app, widget)
    if widget.ui.worklistCollapsibleButton.collapsed:
        app.click(widget.ui.worklistCollapsibleButton)
    return volumes


def rows(widget: Any) -> list[tuple[str, ...]]:
    table = widget.ui.worklistTable
    return [tuple(table.item(row, column).text() for column in (1, 3, 4)) for row in range(table.rowCount)]


def test_most_doubted_volume_comes_first_and_the_reason_is_said(app: Any, widget: Any, three: Any) -> None:
    assert rows(widget) == [("B", "30.0 %", "to correct"), ("C", "20.0 %", "to correct"), ("A", "5.0 %", "to correct")]
    assert "Uncertainty" in widget.ui.worklistTable.item(0, 1).toolTip()
    assert "estimated Dice error" in widget.ui.worklistLabel.text


def test_click_opens_the_volume_with_its_segmentation_alone(app: Any, widget: Any, three: Any) -> None:
    import slicer

    app.select_row(widget.ui.worklistTable, 0, 1)
    assert widget.ui.volumeSelector.currentNode() is three[1]
    assert widget.ui.segmentationSelector.currentNode().GetName() == "B lymph nodes"
    assert widget.ui.nodeTable.rowCount == 2
    layers = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert layers.GetBackgroundVolumeID() == three[1].GetID()
    shown = [node.GetName() for node in segmentations() if node.GetDisplayNode().GetVisibility()]
    assert shown == ["B lymph nodes"]


def test_accepted_volume_goes_last_and_the_next_one_opens(app: Any, widget: Any, three: Any) -> None:
    app.click(widget.ui.openNextButton)
    assert widget.ui.volumeSelector.currentNode() is three[1]
    app.click(widget.ui.acceptButton)
    app.wait_until(lambda: widget.ui.volumeSelector.currentNode() is three[2], 60, "the next volume")
    assert rows(widget) == [
        ("C", "20.0 %", "to correct"), ("A", "5.0 %", "to correct"), ("B", "30.0 %", "\N{CHECK MARK} case-0001"),
    ]
    assert "case-0001" in widget.ui.caseLabel.text


def test_last_volume_stays_open_when_all_are_accepted(app: Any, widget: Any) -> None:
    volume = add_ct("Only")
    app.process_events()
    segment(app, widget)
    app.click(widget.ui.acceptButton)
    app.wait_until(lambda: "case-0001" in widget.ui.caseLabel.text, 60, "the case")
    assert widget.ui.volumeSelector.currentNode() is volume
    assert not widget.ui.openNextButton.enabled


def test_worklist_is_saved_with_the_scene(app: Any, widget: Any, three: Any, tmp_path: Any) -> None:
    app.click(widget.ui.openNextButton)
    app.click(widget.ui.acceptButton)
    app.wait_until(lambda: not widget.is_working("accept"), 60, "the case")
    before = rows(widget)
    app.save_scene(tmp_path / "scene.mrb")
    app.close_scene()
    assert rows(widget) == []
    app.load_scene(tmp_path / "scene.mrb")
    assert rows(widget) == before


def test_volume_stands_once_with_its_latest_segmentation(app: Any, widget: Any) -> None:
    import slicer

    add_ct("A")
    app.process_events()
    segment(app, widget)
    second = segment(app, widget)
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Drawn by hand")
    app.process_events()
    assert len(rows(widget)) == 1
    slicer.mrmlScene.RemoveNode(second)
    app.process_events()
    assert len(rows(widget)) == 1
