"""Corrections: the embedded Segment Editor, and the acceptance of a part or of the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from lnsegfm_panel import BOXES, OBLIQUE, add_ct, bright, segment


def accepted(app: Any, widget: Any, version: int = 1) -> np.ndarray:
    """Accept, and return what was stored."""
    app.click(widget.ui.acceptButton)
    app.wait_until(lambda: f"version {version}" in widget.ui.caseLabel.text or app.dialogs, 60, "the case")
    case = widget.logic.bench.cases.list()[-1]
    return sitk.GetArrayFromImage(sitk.ReadImage(str(case.label_path())))


def add_roi(app: Any, widget: Any, volume: Any, corners: tuple[tuple[float, ...], tuple[float, ...]]) -> Any:
    """Draw a ROI along the voxels, between two corners in continuous IJK."""
    import vtk

    app.choose(widget.ui.checkedRoiSelector, "Create new ROI")
    roi = widget.ui.checkedRoiSelector.currentNode()
    to_ras = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(to_ras)
    low, high = np.array(corners)
    object_to_node = vtk.vtkMatrix4x4()
    centre = to_ras.MultiplyPoint((*((low + high) / 2), 1.0))
    for row in range(3):
        object_to_node.SetElement(row, 3, centre[row])
        for column in range(3):
            object_to_node.SetElement(row, column, to_ras.GetElement(row, column) / volume.GetSpacing()[column])
    roi.SetSize(((high - low) * volume.GetSpacing()).tolist())
    roi.SetAndObserveObjectToNodeMatrix(object_to_node)
    roi.SetAndObserveTransformNodeID(volume.GetTransformNodeID())
    return roi


@pytest.mark.parametrize("direction", [(1, 0, 0, 0, 1, 0, 0, 0, 1), OBLIQUE])
@pytest.mark.parametrize("transform", [False, True])
def test_what_was_not_checked_is_ignored(app: Any, widget: Any, direction: Any, transform: bool) -> None:
    volume = add_ct(direction=direction, transform=transform)
    app.process_events()
    segment(app, widget)
    add_roi(app, widget, volume, ((1.0, 1.0, 0.0), (13.0, 9.0, 5.0)))
    labels = accepted(app, widget)
    expected = np.full(labels.shape, 2, np.uint8)
    expected[0:6, 1:10, 1:14] = bright(volume)[0:6, 1:10, 1:14]
    np.testing.assert_array_equal(labels, expected)
    case = widget.logic.bench.cases.list()[0]
    assert case.latest.partial
    assert "are ignored in training" in widget.ui.caseLabel.text
    assert widget.ui.checkedRoiSelector.currentNode() is None  # the next one may be checked elsewhere


def test_roi_beside_the_ct_is_refused_and_nothing_is_stored(app: Any, widget: Any) -> None:
    volume = add_ct()
    app.process_events()
    segment(app, widget)
    add_roi(app, widget, volume, ((100.0, 100.0, 100.0), (110.0, 110.0, 110.0)))
    app.click(widget.ui.acceptButton)
    app.wait_until(lambda: app.dialogs, 60, "the refusal")
    assert "The region holds no voxels" in app.dialogs[0][1]
    assert widget.logic.bench.cases.list() == []


def test_case_remembers_how_far_the_draft_was_off(app: Any, widget: Any) -> None:
    volume = add_ct()
    app.process_events()
    node = segment(app, widget)
    accepted(app, widget)
    assert widget.logic.bench.cases.list()[0].latest.draft_dice == pytest.approx(1.0)
    node.GetSegmentation().RemoveSegment("LymphNode_2")
    accepted(app, widget, version=2)
    small, large = (np.count_nonzero(bright(volume)[box]) for box in reversed(BOXES))
    assert widget.logic.bench.cases.list()[0].latest.draft_dice == pytest.approx(2 * large / (2 * large + small))


def test_acceptance_changes_nothing_in_the_scene_but_the_segmentations_note(app: Any, widget: Any) -> None:
    volume = add_ct()
    other = add_ct("Other")
    app.process_events()
    app.choose(widget.ui.volumeSelector, "CT")
    node = segment(app, widget)
    watched = (volume, other, node.GetSegmentation(), node.GetDisplayNode())
    before = [each.GetMTime() for each in watched]
    accepted(app, widget)
    assert [each.GetMTime() for each in watched] == before


def test_a_deleted_roi_is_not_replaced_by_another(app: Any, widget: Any) -> None:
    """Slicer's box takes the row beside it; everything outside of that would be taken for unchecked."""
    import slicer

    volume = add_ct()
    app.process_events()
    segment(app, widget)
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Other")
    roi = add_roi(app, widget, volume, ((1.0, 1.0, 0.0), (13.0, 9.0, 5.0)))
    slicer.mrmlScene.RemoveNode(roi)
    app.process_events()
    assert other.GetScene() is not None and widget.ui.checkedRoiSelector.currentNode() is None
    accepted(app, widget)
    assert not widget.logic.bench.cases.list()[0].latest.partial


def test_removing_another_volume_does_not_change_the_pair(app: Any, widget: Any) -> None:
    import slicer

    first = add_ct("A")
    second = add_ct("B")
    app.process_events()
    app.choose(widget.ui.volumeSelector, "B")
    older = segment(app, widget)
    segment(app, widget)
    app.choose(widget.ui.segmentationSelector, older.GetName())
    slicer.mrmlScene.RemoveNode(first)
    app.process_events()
    assert widget.ui.volumeSelector.currentNode() is second
    assert widget.ui.segmentationSelector.currentNode() is older


def test_a_deleted_segmentation_takes_no_other_scan_in_its_place(app: Any, widget: Any) -> None:
    import slicer

    add_ct("A")
    app.process_events()
    segment(app, widget)
    volume = add_ct("B")
    app.process_events()
    app.choose(widget.ui.volumeSelector, "B")
    slicer.mrmlScene.RemoveNode(segment(app, widget))
    app.process_events()
    assert widget.ui.volumeSelector.currentNode() is volume
    assert widget.ui.segmentationSelector.currentNode() is None
