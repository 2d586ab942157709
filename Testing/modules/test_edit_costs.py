"""What an edit costs: the events it fires, the voxels it reads, the surfaces that are remade."""

from __future__ import annotations

import threading
import traceback
from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
import SimpleITK as sitk
from PySide6 import QtCore

from bench.event_counter import EventCounter
from lnsegfm_panel import exported, segment

BINARY, SURFACE = "Binary labelmap", "Closed surface"
COUNT, EDGE = 8, 6


@pytest.fixture
def pair(app: Any, widget: Any) -> tuple[Any, Any]:
    """A scan with eight lymph nodes far apart, and its segmentation with closed surfaces."""
    from LNSegFMLib.scene.volumes import add_volume

    array = np.full((40, 120, 120), -100, np.int16)
    for number in range(COUNT):
        z, y, x = 4 + 16 * (number % 2), 10 + 50 * (number // 2 % 2), 10 + 50 * (number // 4)
        array[z:z + EDGE, y:y + EDGE, x:x + EDGE + number] = 320
    volume = add_volume(sitk.GetImageFromArray(array), "CT")
    app.process_events()
    node = segment(app, widget)
    node.CreateClosedSurfaceRepresentation()
    app.process_events()
    return volume, node


@pytest.fixture
def events(pair: tuple[Any, Any]) -> Any:
    counter = EventCounter(pair[1])
    yield counter
    counter.close()


def finished(app: Any, widget: Any) -> None:
    app.wait_until(lambda: not widget.is_working("split") and not widget.is_working("measure"), 60, "the measurements")


def surfaces(node: Any) -> dict[str, Any]:
    segmentation = node.GetSegmentation()
    return {each: segmentation.GetSegment(each).GetRepresentation(SURFACE) for each in segmentation.GetSegmentIDs()}


def choose_rows(widget: Any, *rows: int) -> list[str]:
    """Choose rows of the table; return the ids of their segments."""
    table = widget.ui.nodeTable
    flags = QtCore.QItemSelectionModel.SelectionFlag
    table.clearSelection()
    for row in rows:
        table.selectionModel().select(table.model().index(row, 0), flags.Select | flags.Rows)
    return [record.segment_id for record in widget.review._view.chosen]


def test_a_row_is_shown_with_one_event_of_the_display(app: Any, widget: Any, events: EventCounter) -> None:
    widget.review.on_next()
    counts = events.during(widget.review.on_next)
    assert counts.pop("display Modified") == 1
    assert counts.pop("slice Modified") <= 3
    assert not counts


def test_edits_are_told_once(app: Any, widget: Any, events: EventCounter) -> None:
    choose_rows(widget, 2)
    counts = events.during(widget.review.on_delete)
    assert counts["node SegmentRemoved"] == 1
    assert counts["display Modified"] <= 1
    assert counts["slice Modified"] <= 3  # to the next row
    undone = events.during(widget.review.on_undo)
    assert undone["node SegmentAdded"] == 1
    assert undone["display Modified"] <= 1
    for each in (counts, undone):
        assert not each["segmentation SourceRepresentationModified"]
        assert not each["segmentation ContainedRepresentationNamesModified"]  # closed surfaces were dropped

    choose_rows(widget, 2, 4)
    merged = events.during(widget.review.on_merge)
    assert (merged["node SegmentRemoved"], merged["node SourceRepresentationModified"]) == (1, 1)
    assert not merged["segmentation ContainedRepresentationNamesModified"]
    finished(app, widget)


def test_measurements_that_stay_the_same_are_not_told(app: Any, widget: Any, events: EventCounter) -> None:
    app.click(widget.ui.measureButton)
    finished(app, widget)

    def measure_again() -> None:
        app.click(widget.ui.measureButton)
        finished(app, widget)

    assert not events.during(measure_again)


def test_only_changed_segments_get_new_surfaces(app: Any, widget: Any, pair: tuple[Any, Any]) -> None:
    volume, node = pair

    def changed_by(action: Callable[[], Any]) -> tuple[set[str], set[str]]:
        before = surfaces(node)
        action()
        finished(app, widget)
        after = surfaces(node)
        assert all(surface is not None for surface in after.values())
        stayed = {each for each in after if after[each] is before.get(each)}
        return set(after) - stayed, set(after) - set(before)

    (deleted,) = choose_rows(widget, 1)
    surface = surfaces(node)[deleted]
    assert changed_by(widget.review.on_delete) == (set(), set())
    assert changed_by(widget.review.on_undo) == ({deleted}, {deleted})
    assert surfaces(node)[deleted] is surface

    rows = choose_rows(widget, 1, 5)
    target = min(rows, key=lambda each: int(each.rpartition("_")[2]))
    assert changed_by(widget.review.on_merge) == ({target}, set())
    drawn = surfaces(node)[target]
    node.GetSegmentation().RemoveRepresentation(SURFACE)
    node.CreateClosedSurfaceRepresentation()
    whole = surfaces(node)[target]  # as Slicer makes it from all voxels
    assert drawn.GetNumberOfPoints() == whole.GetNumberOfPoints()
    assert drawn.GetBounds() == pytest.approx(whole.GetBounds())

    choose_rows(widget, [record.segment_id for record in widget.review._view.rows].index(target))
    changed, new = changed_by(widget.review.on_split)
    assert len(new) == 1
    assert changed == {target} | new
    assert changed_by(widget.review.on_undo) == ({target}, set())
    assert exported(node, volume).any()


class _Counted(np.ndarray):
    """An array that counts the voxels that are taken out of it or computed with."""

    touched = 0
    thread: int | None = None  # count what this one does; None for all
    readers: ClassVar[Counter[str]] = Counter()  # voxels by who read them

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        _Counted.count(np.size(part))
        return part

    @staticmethod
    def count(voxels: int) -> None:
        if _Counted.thread in (None, threading.get_ident()):
            _Counted.touched += voxels
            frames = traceback.extract_stack(limit=8)[:-2]
            _Counted.readers[" > ".join(each.name for each in frames)] += voxels

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        _Counted.count(max(np.size(each) for each in inputs))
        plain = [each.view(np.ndarray) if isinstance(each, _Counted) else each for each in inputs]
        return getattr(ufunc, method)(*plain, **kwargs)


@pytest.mark.parametrize("editor_open", [False, True])
def test_edits_read_the_boxes_of_their_segments(
    app: Any, widget: Any, pair: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch, editor_open: bool
) -> None:
    from vtk.util import numpy_support

    from LNSegFMLib.scene.segments.label_boxes import box_of

    node = pair[1]
    as_array = numpy_support.vtk_to_numpy
    image = node.GetSegmentation().GetNthSegment(0).GetRepresentation(BINARY)
    voxels = image.GetPointData().GetScalars()
    labelmap_size = image.GetNumberOfPoints()
    monkeypatch.setattr(numpy_support, "vtk_to_numpy", lambda each: as_array(each).view(_Counted))

    def touched_by(action: Callable[[], Any], thread: int | None = None) -> int:
        # Whoever asks first, here or in the background, finds the boxes in all of the labelmap.
        for value in range(1, COUNT + 1):
            box_of(image, value)
        _Counted.touched, _Counted.thread = 0, thread
        _Counted.readers.clear()
        action()
        return _Counted.touched

    widget.ui.editorCollapsibleButton.collapsed = not editor_open
    choose_rows(widget, 3)
    app.process_events()
    # What is measured in the background meanwhile is not the edit's.
    deleted = touched_by(widget.review.on_delete, threading.get_ident())
    assert 0 < deleted < labelmap_size / 10, _Counted.readers.most_common(3)
    undone = touched_by(widget.review.on_undo, threading.get_ident())
    assert 0 < undone < labelmap_size / 10, _Counted.readers.most_common(3)
    widget.logic.bench.measure(node, pair[0]).wait(60)  # where the patient is, is found in all of the CT
    assert touched_by(lambda: widget.logic.bench.measure(node, pair[0]).wait(60)) < labelmap_size / 2
    # And no function of Slicer has rewritten all of it.
    assert node.GetSegmentation().GetNthSegment(0).GetRepresentation(BINARY) is image
    assert image.GetPointData().GetScalars() is voxels
    assert node.GetSegmentation().GetNumberOfLayers() == 1
    widget.ui.editorCollapsibleButton.collapsed = True


def test_strokes_far_from_a_lymph_node_go_with_it(app: Any, widget: Any, pair: tuple[Any, Any]) -> None:
    import slicer

    volume, node = pair
    (deleted,) = choose_rows(widget, 0)
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, deleted, volume)
    array[39, 119, 119] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, deleted, volume)
    before = exported(node, volume)
    widget.review.on_delete()
    after = exported(node, volume)
    assert np.count_nonzero(before) - np.count_nonzero(after) == np.count_nonzero(array)
    assert not after[array != 0].any()
    widget.review.on_undo()
    np.testing.assert_array_equal(exported(node, volume), before)


def test_deleted_lymph_node_comes_back_under_what_was_painted_there(
    app: Any, widget: Any, pair: tuple[Any, Any]
) -> None:
    import slicer

    volume, node = pair
    (deleted,) = choose_rows(widget, 0)
    own = slicer.util.arrayFromSegmentBinaryLabelmap(node, deleted, volume) != 0
    widget.review.on_delete()
    other = node.GetSegmentation().GetNthSegmentID(0)
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, other, volume)
    array[own] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, other, volume)
    widget.review.on_undo()
    for each, wanted in ((deleted, own), (other, array != 0)):
        np.testing.assert_array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(node, each, volume) != 0, wanted)


def test_segments_that_were_emptied_are_merged_and_come_back(app: Any, widget: Any, pair: tuple[Any, Any]) -> None:
    import slicer

    volume, node = pair
    rows = choose_rows(widget, 0, 1, 2)
    for emptied in rows[:2]:
        array = slicer.util.arrayFromSegmentBinaryLabelmap(node, emptied, volume)
        slicer.util.updateSegmentBinaryLabelmapFromArray(np.zeros_like(array), node, emptied, volume)
    before = exported(node, volume)
    widget.review.on_merge()
    finished(app, widget)
    assert node.GetSegmentation().GetNumberOfSegments() == COUNT - 2
    np.testing.assert_array_equal(exported(node, volume) != 0, before != 0)
    widget.review.on_undo()
    finished(app, widget)
    assert node.GetSegmentation().GetNumberOfSegments() == COUNT
    np.testing.assert_array_equal(exported(node, volume) != 0, before != 0)


def test_cells_of_the_table_stay_when_their_text_stays(app: Any, widget: Any, pair: tuple[Any, Any]) -> None:
    table = widget.ui.nodeTable
    mark = QtCore.Qt.ItemDataRole.UserRole + 7
    for row in range(COUNT):
        table.item(row, 0).setData(mark, "kept")
    app.click(widget.ui.measureButton)
    finished(app, widget)
    choose_rows(widget, COUNT - 1)
    widget.review.on_delete()
    assert [table.item(row, 0).data(mark) for row in range(COUNT - 1)] == ["kept"] * (COUNT - 1)


def test_sections_are_built_one_by_one_or_when_asked_for(app: Any, widget: Any) -> None:
    import slicer

    widget.onReload()
    panel = slicer.util.getModuleWidget("LNSegFM")
    assert "segmentButton" in vars(panel.ui)  # what comes first
    assert "modelTree" not in vars(panel.ui)
    assert panel.ui.nodeTable.rowCount == 0
    assert "modelTree" not in vars(panel.ui)
    app.wait_until(lambda: "modelTree" in vars(panel.ui), 10, "the sections")
    assert panel.review.widget.isVisible()
    with pytest.raises(AttributeError, match="noSuchWidget"):
        panel.ui.noSuchWidget  # noqa: B018
