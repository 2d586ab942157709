"""What cannot be a lymph node, in the panel: grey, hidden, and neither counted, exported nor accepted by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from judging_worker import WARNING, add_body_ct, use_judging_worker

from lnsegfm_panel import bright, open_queue, queue_states, segment

GREY = (0.5, 0.5, 0.5)


@pytest.fixture
def scan(app: Any, widget: Any, tmp_path: Path) -> tuple[Any, Any]:
    """A segmented scan with two lymph nodes and one thing in air: its volume node and segmentation node."""
    use_judging_worker(widget.logic.bench, tmp_path)
    volume = add_body_ct()
    app.process_events()
    return volume, segment(app, widget)


def names(node: Any) -> list[str]:
    segmentation = node.GetSegmentation()
    return [segmentation.GetNthSegment(index).GetName() for index in range(segmentation.GetNumberOfSegments())]


def last_segment(node: Any) -> tuple[str, bool, tuple[float, ...]]:
    """Name, visibility and colour of the last segment."""
    segmentation = node.GetSegmentation()
    segment_id = segmentation.GetNthSegmentID(segmentation.GetNumberOfSegments() - 1)
    one = segmentation.GetSegment(segment_id)
    return one.GetName(), bool(node.GetDisplayNode().GetSegmentVisibility(segment_id)), tuple(one.GetColor())


def listed(widget: Any) -> list[str]:
    table = widget.ui.nodeTable
    return [table.item(row, 0).text() for row in range(table.rowCount)]


def tick_off(app: Any, widget: Any, row: int) -> None:
    table = widget.ui.nodeTable
    table.selectRow(row)
    app.process_events()
    widget.review.on_toggle_reviewed()
    app.process_events()


# Review


def test_it_is_grey_hidden_and_not_counted(app: Any, widget: Any, scan: Any) -> None:
    _, node = scan
    assert names(node) == ["Lymph node 1", "Lymph node 2", "Implausible 3"]
    assert last_segment(node) == ("Implausible 3", False, GREY)
    assert listed(widget) == ["1", "2"]
    text = widget.ui.summaryLabel.text
    assert text.startswith("2 lymph nodes, ") and "Not counted: 1 implausible: 1 outside the body (" in text
    open_queue(app, widget)
    assert queue_states(widget) == {"CT": f"2 lymph nodes, 1 implausible; {WARNING}"}
    assert widget.ui.worklistTable.item(0, 2).text() == "2"


def test_a_tick_box_lists_it_with_the_reason(app: Any, widget: Any, scan: Any) -> None:
    from PySide6 import QtCore

    _, node = scan
    app.click(widget.ui.implausibleCheckBox)
    table, role = widget.ui.nodeTable, QtCore.Qt.ItemDataRole.ForegroundRole
    assert listed(widget) == ["1", "2", "3"] and last_segment(node)[1]
    assert "No lymph node: outside the body." in table.item(2, 0).toolTip()
    assert table.item(2, 1).data(role) is not None and table.item(0, 1).data(role) is None
    table.selectRow(2)
    app.process_events()
    assert "No lymph node: outside the body." in widget.ui.summaryLabel.text
    app.click(widget.ui.implausibleCheckBox)
    assert listed(widget) == ["1", "2"] and not last_segment(node)[1]
    assert all(table.item(row, 1).data(role) is None for row in range(2))


def test_ticked_off_it_counts_as_a_lymph_node_until_the_tick_is_taken_away(app: Any, widget: Any, scan: Any) -> None:
    _, node = scan
    app.click(widget.ui.implausibleCheckBox)
    tick_off(app, widget, 2)
    name, visible, colour = last_segment(node)
    assert (name, visible) == ("Lymph node 3", True) and colour != GREY
    assert widget.ui.summaryLabel.text.startswith("3 lymph nodes") and "Not counted" not in widget.ui.summaryLabel.text
    tick_off(app, widget, 2)
    assert last_segment(node)[1:] == (True, GREY)
    assert widget.ui.summaryLabel.text.startswith("2 lymph nodes")


def test_it_stays_apart_when_it_is_measured_again(app: Any, widget: Any, scan: Any) -> None:
    _, node = scan
    app.click(widget.ui.measureButton)
    app.wait_until(lambda: not widget.is_working("measure"), 30, "the measurements")
    assert listed(widget) == ["1", "2"] and last_segment(node) == ("Implausible 3", False, GREY)
    assert "1 outside the body" in widget.ui.summaryLabel.text


def test_one_segment_for_all_lymph_nodes_leaves_it_a_segment_of_its_own(
    app: Any, widget: Any, tmp_path: Path
) -> None:
    use_judging_worker(widget.logic.bench, tmp_path)
    add_body_ct()
    app.process_events()
    widget.parameters.Segments = "all"
    node = segment(app, widget)
    assert names(node) == ["Lymph nodes", "Implausible 3"] and last_segment(node)[1:] == (False, GREY)
    assert listed(widget) == ["1", "2"]


def test_a_scan_with_nothing_else_says_so(app: Any, widget: Any, tmp_path: Path) -> None:
    use_judging_worker(widget.logic.bench, tmp_path)
    add_body_ct(in_tissue=False)
    app.process_events()
    node = segment(app, widget)
    assert names(node) == ["Implausible 1"] and listed(widget) == []
    assert widget.ui.summaryLabel.text.startswith("No lymph nodes. Not counted: 1 implausible")


def test_choosing_a_segmentation_shows_none_of_its_hidden_segments(app: Any, widget: Any, scan: Any) -> None:
    """What the user drew stays visible when it is measured, and the box tells so; what the model found stays hidden."""
    from LNSegFMLib.scene.segments.lymph_node_records import records_of, segments_apart, store_records

    _, node = scan
    selector, display = widget.ui.segmentationSelector, node.GetDisplayNode()
    first = records_of(node)[0]
    store_records(node, {first.segment_id: [replace(first.node, implausible="mean -105 HU: fat")]})
    drawn, found = segments_apart(node)
    assert (display.GetSegmentVisibility(drawn), display.GetSegmentVisibility(found)) == (True, False)
    selector.setCurrentNode(None)
    app.process_events()
    selector.setCurrentNode(node)
    app.process_events()
    assert widget.ui.implausibleCheckBox.checked and listed(widget) == ["1", "2", "3"]
    assert (display.GetSegmentVisibility(drawn), display.GetSegmentVisibility(found)) == (True, False)
    tick_off(app, widget, 0)
    assert not display.GetSegmentVisibility(found)


# Export


def export(app: Any, widget: Any, button: Any, path: Path) -> np.ndarray:
    app.answers.append(str(path))
    app.click(button)
    app.wait_until(lambda: "was saved" in widget.ui.exportResultLabel.text and button.enabled, 60, "the export")
    text = widget.ui.exportResultLabel.text
    widget.ui.exportResultLabel.text = ""
    assert ("Not exported: 1 implausible" in text) == (not widget.ui.exportImplausibleCheckBox.checked)
    if path.suffix == ".csv":
        return np.array([len(path.read_text("utf-8-sig").splitlines()) - 1])
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_it_is_exported_on_demand_alone(app: Any, widget: Any, scan: Any, tmp_path: Path) -> None:
    ui = widget.ui
    ui.exportCollapsibleButton.collapsed = False
    app.process_events()
    numbers = export(app, widget, ui.exportLabelmapButton, tmp_path / "numbers.nrrd")
    assert set(np.unique(numbers)) == {0, 1, 2}
    assert export(app, widget, ui.exportCsvButton, tmp_path / "table.csv") == [2]
    app.choose(ui.exportLabelsSelector, "1 for all lymph nodes")
    assert np.array_equal(export(app, widget, ui.exportLabelmapButton, tmp_path / "one.nrrd"), numbers > 0)
    app.click(ui.exportImplausibleCheckBox)
    everything = export(app, widget, ui.exportLabelmapButton, tmp_path / "all.nrrd")
    assert np.array_equal(everything > 0, bright(scan[0]))
    assert export(app, widget, ui.exportCsvButton, tmp_path / "all.csv") == [3]
    header, *_, last = (tmp_path / "all.csv").read_text("utf-8-sig").splitlines()
    assert header.endswith(",implausible") and last.endswith(",outside the body")


def test_dicom_gets_a_copy_without_it_that_is_gone_afterwards(app: Any, scan: Any) -> None:
    import slicer

    from LNSegFMLib.scene.segments.lymph_node_records import segments_apart
    from LNSegFMLib.scene.segments.segmentations import segments_without

    volume, node = scan
    before = slicer.mrmlScene.GetNumberOfNodes()
    with segments_without(node, volume, segments_apart(node)) as copy:
        assert copy is not node and names(copy) == ["Lymph node 1", "Lymph node 2"]
    assert slicer.mrmlScene.GetNumberOfNodes() == before and len(names(node)) == 3
    with segments_without(node, volume, []) as same:
        assert same is node


# Acceptance


def test_a_case_is_accepted_without_it_and_only_after_a_question(app: Any, widget: Any, scan: Any) -> None:
    volume, _ = scan
    app.answers.append(False)
    app.click(widget.ui.acceptButton)
    app.process_events()
    kind, question = app.dialogs[-1][:2]
    assert kind == "confirm" and "not stored as lymph nodes: 1 implausible: 1 outside the body" in question
    assert widget.logic.bench.cases.list() == []
    app.answers.append(True)
    app.click(widget.ui.acceptButton)
    app.wait_until(lambda: "version 1" in widget.ui.caseLabel.text, 60, "the case")
    (case,) = widget.logic.bench.cases.list()
    stored = sitk.GetArrayFromImage(sitk.ReadImage(str(case.label_path()))) > 0
    missing = bright(volume) & ~stored
    assert stored.any() and missing.any() and not (stored & ~bright(volume)).any()
    assert case.latest.nodes == 2


def test_ticked_off_it_is_accepted_without_a_question(app: Any, widget: Any, scan: Any) -> None:
    app.click(widget.ui.implausibleCheckBox)
    tick_off(app, widget, 2)
    app.click(widget.ui.acceptButton)
    app.wait_until(lambda: "version 1" in widget.ui.caseLabel.text, 60, "the case")
    assert widget.logic.bench.cases.list()[0].latest.nodes == 3 and app.dialogs == []


# Warnings


def test_the_warnings_of_a_scan_stay_with_it(app: Any, widget: Any, scan: Any) -> None:
    import slicer

    volume, node = scan
    label = widget.ui.scanWarningLabel
    assert label.text == WARNING and label.visible
    other = add_body_ct("Other")
    app.choose(widget.ui.volumeSelector, other.GetName())
    app.process_events()
    assert label.text == "" and not label.visible
    app.choose(widget.ui.volumeSelector, volume.GetName())
    app.process_events()
    assert label.text == WARNING
    slicer.mrmlScene.RemoveNode(node)
    app.process_events()
    assert label.text == ""
    app.close_scene()
    assert label.text == "" and not label.visible


# Scripts


def test_scripts_get_it_in_hidden_segments_or_among_the_others(
    app: Any, widget: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import slicer

    from LNSegFMLib.scene.drafts import warnings_of
    from LNSegFMLib.scene.segments.lymph_node_records import counted

    logic = slicer.util.getModuleLogic("LNSegFM")
    use_judging_worker(logic.bench, tmp_path)
    node = logic.segment(add_body_ct(), model="fine")
    assert warnings_of(node) == (WARNING,) and len(counted(node)) == 2
    assert WARNING in caplog.text and "1 implausible left out: 1 outside the body" in caplog.text
    volume = add_body_ct("All")
    kept = logic.segment(volume, model="fine", keep_implausible=True)
    assert len(counted(kept)) == 3 and last_segment(kept)[1] and names(kept)[-1] == "Lymph node 3"
    assert logic.accept(kept, volume).latest.nodes == 3
    assert logic.accept(node, slicer.util.getNode("CT")).latest.nodes == 2
    assert logic.accept(node, slicer.util.getNode("CT"), keepImplausible=True).latest.nodes == 3
    logic.close()
