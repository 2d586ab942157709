"""What the panel says of a node or a result goes when that goes, or when something else is chosen."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from lnsegfm_panel import add_ct, segment


@pytest.fixture
def two(app: Any, widget: Any) -> tuple[Any, Any]:
    """Scans A and B, of which A is chosen and segmented."""
    volumes = add_ct("A"), add_ct("B")
    app.process_events()
    app.choose(widget.ui.volumeSelector, "A")
    segment(app, widget)
    return volumes


def accept(app: Any, widget: Any) -> None:
    app.click(widget.ui.acceptButton)
    app.wait_until(lambda: not widget.is_working("accept"), 60, "the case")
    app.process_events()


# --- The case


def test_case_label_goes_with_the_scene(app: Any, widget: Any, two: Any) -> None:
    accept(app, widget)
    assert widget.ui.caseLabel.text == "A: stored as case-0001, version 1."
    app.close_scene()
    add_ct("Another patient")
    app.process_events()
    assert widget.ui.caseLabel.text == ""


def test_case_label_goes_with_another_choice(app: Any, widget: Any, two: Any) -> None:
    accept(app, widget)
    app.choose(widget.ui.volumeSelector, "B")
    assert widget.ui.caseLabel.text == ""


def test_case_label_names_its_volume_when_the_next_one_opens(app: Any, widget: Any, two: Any) -> None:
    app.choose(widget.ui.volumeSelector, "B")
    segment(app, widget)
    accept(app, widget)
    assert widget.ui.volumeSelector.currentNode() is two[0]
    assert widget.ui.caseLabel.text == "B: stored as case-0001, version 1."
    app.choose(widget.ui.volumeSelector, "B")
    assert widget.ui.caseLabel.text == ""


def test_case_stored_while_the_scene_was_closed_is_said_by_its_name(
    app: Any, widget: Any, two: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases, is_closed = widget.logic.bench.cases, threading.Event()
    store = cases.accept
    monkeypatch.setattr(cases, "accept", lambda *values, **more: is_closed.wait(60) and store(*values, **more))
    app.click(widget.ui.acceptButton)
    app.close_scene()
    is_closed.set()
    app.wait_until(lambda: not widget.is_working("accept"), 60, "the case")
    assert widget.ui.caseLabel.text == "A: stored as case-0001, version 1."
    add_ct("Another patient")
    app.process_events()
    widget.update()
    assert widget.ui.caseLabel.text == ""


# --- Export and review


def test_export_result_goes_with_the_scene_and_with_another_choice(
    app: Any, widget: Any, two: Any, tmp_path: Path
) -> None:
    ui = widget.ui
    if ui.exportCollapsibleButton.collapsed:
        app.click(ui.exportCollapsibleButton)

    def export() -> None:
        app.answers.append(str(tmp_path / "nodes.csv"))
        app.click(ui.exportCsvButton)
        app.wait_until(lambda: "nodes.csv" in ui.exportResultLabel.text, 60, "the table")
        app.wait_until(lambda: ui.exportCsvButton.enabled, 60, "the end of the export")

    export()
    app.choose(ui.volumeSelector, "B")
    assert (ui.exportResultLabel.text, ui.exportResultLabel.isHidden()) == ("", True)
    assert ui.exportSourceLabel.text == "Select a segmentation and its CT first."
    app.choose(ui.volumeSelector, "A")
    export()
    app.close_scene()
    assert ui.exportResultLabel.isHidden() and ui.exportWorkLabel.isHidden()
    app.click(ui.exportCollapsibleButton)


def test_note_of_an_edit_goes_with_another_choice(app: Any, widget: Any, two: Any) -> None:
    app.select_row(widget.ui.nodeTable, 0)
    app.click(widget.ui.splitButton)
    app.wait_until(lambda: "one connected part" in widget.ui.summaryLabel.text, 60, "the split")
    app.choose(widget.ui.volumeSelector, "B")
    assert widget.ui.summaryLabel.text == ""
    app.choose(widget.ui.volumeSelector, "A")
    assert "one connected part" not in widget.ui.summaryLabel.text


@pytest.mark.parametrize("gone", ["volume", "segmentation"])
def test_everything_said_of_a_removed_node_goes(app: Any, widget: Any, two: Any, gone: str) -> None:
    import slicer

    accept(app, widget)
    ui = widget.ui
    slicer.mrmlScene.RemoveNode(two[0] if gone == "volume" else ui.segmentationSelector.currentNode())
    app.process_events()
    assert ui.worklistTable.rowCount == 0
    assert ui.caseLabel.text == ""
    if gone == "volume":
        assert ui.volumeSelector.currentNode() is two[1]
    assert ui.nodeTable.rowCount == 0 and ui.summaryLabel.text == ""
    assert ui.exportSourceLabel.text == "Select a segmentation and its CT first."


# --- The probability


@pytest.fixture
def overlay(app: Any, widget: Any, two: Any) -> Any:
    """The probability of A, laid over the CT."""
    from LNSegFMLib.scene.overlay import overlay_of

    app.click(widget.ui.overlayCheckBox)
    app.wait_until(foreground, 60, "the probability")
    return overlay_of(widget.ui.segmentationSelector.currentNode())


def foreground() -> str | None:
    import slicer

    (node_id,) = {each.GetForegroundVolumeID() for each in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")}
    return None if slicer.mrmlScene.GetNodeByID(node_id or "") is None else node_id


@pytest.mark.parametrize("gone", ["volume", "segmentation"])
def test_probability_goes_with_its_volume_and_its_segmentation(
    app: Any, widget: Any, two: Any, overlay: Any, gone: str
) -> None:
    import slicer

    slicer.mrmlScene.RemoveNode(two[0] if gone == "volume" else widget.ui.segmentationSelector.currentNode())
    app.process_events()
    assert (overlay.GetScene(), foreground()) == (None, None)
    assert widget.ui.volumeSelector.currentNode() is two[1 if gone == "volume" else 0]
    assert not widget.ui.overlayCheckBox.enabled


def test_probability_that_the_user_removes_is_ticked_no_longer(
    app: Any, widget: Any, two: Any, overlay: Any
) -> None:
    import slicer

    slicer.mrmlScene.RemoveNode(overlay)
    app.process_events()
    assert not widget.ui.overlayCheckBox.checked
    app.click(widget.ui.overlayCheckBox)
    app.wait_until(foreground, 60, "the probability")


def test_loaded_scene_ticks_the_probability_that_it_shows(
    app: Any, widget: Any, two: Any, overlay: Any, tmp_path: Path
) -> None:
    app.save_scene(tmp_path / "scene.mrb")
    app.close_scene()
    assert not widget.ui.overlayCheckBox.checked
    app.load_scene(tmp_path / "scene.mrb")
    assert foreground() is not None and widget.ui.overlayCheckBox.checked
    app.click(widget.ui.overlayCheckBox)
    assert foreground() is None
