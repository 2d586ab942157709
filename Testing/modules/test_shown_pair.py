"""What is chosen is what the views show, however it was chosen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lnsegfm_panel import add_ct, finish_queue, open_queue, segmentations

BY: dict[str, Callable[[Any, Any], None]] = {
    "volume": lambda app, ui: app.choose(ui.volumeSelector, "B"),
    "segmentation": lambda app, ui: app.choose(ui.segmentationSelector, "B lymph nodes"),
    "queue": lambda app, ui: app.select_row(ui.queueTable, 1),
    "worklist": lambda app, ui: app.select_row(ui.worklistTable, 1),
    "next": lambda app, ui: app.click(ui.openNextButton),
}


@pytest.fixture
def pairs(app: Any, widget: Any) -> list[tuple[Any, Any]]:
    """Scans A and B, segmented by the queue while A is chosen; the model doubts B more once A is out of the way."""
    volumes = [add_ct("A", background=-50), add_ct("B", background=-300)]
    app.process_events()
    app.choose(widget.ui.volumeSelector, "A")
    app.choose(widget.ui.modelSelector, "fine")
    open_queue(app, widget)
    app.click(widget.ui.addAllButton)
    finish_queue(app, widget)
    if widget.ui.worklistCollapsibleButton.collapsed:
        app.click(widget.ui.worklistCollapsibleButton)
    assert shown() == (["A"], ["A lymph nodes"])
    return list(zip(volumes, segmentations()))


def shown() -> tuple[list[str], list[str]]:
    """Names of the volumes in the slice views' background, and of the visible segmentations."""
    import slicer

    layers = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    assert len(layers) == 3
    ids = dict.fromkeys(each.GetBackgroundVolumeID() for each in layers)
    names = [slicer.mrmlScene.GetNodeByID(node_id).GetName() for node_id in ids if node_id]
    return names, [node.GetName() for node in segmentations() if node.GetDisplayVisibility()]


@pytest.mark.parametrize("way", ["volume", "segmentation", "queue", "next"])
def test_panel_shows_what_is_chosen_and_only_that(app: Any, widget: Any, pairs: Any, way: str) -> None:
    BY[way](app, widget.ui)
    assert widget.ui.volumeSelector.currentNode() is pairs[1][0]
    assert widget.ui.segmentationSelector.currentNode() is pairs[1][1]
    assert shown() == (["B"], ["B lymph nodes"])


def test_worklist_row_and_queue_row_show_it_again_when_it_is_chosen_already(
    app: Any, widget: Any, pairs: Any
) -> None:
    import slicer

    table = widget.ui.worklistTable
    rows = [table.item(row, 1).text() for row in range(table.rowCount)]
    for click in (
        lambda: app.select_row(table, rows.index("A"), 1), lambda: app.select_row(widget.ui.queueTable, 0)
    ):
        slicer.util.setSliceViewerLayers(background=pairs[1][0])
        pairs[0][1].SetDisplayVisibility(False)
        click()
        assert shown() == (["A"], ["A lymph nodes"])


def test_scripts_choices_are_shown(app: Any, widget: Any, pairs: Any) -> None:
    (first, first_node), (second, second_node) = pairs
    widget.choose_pair(second, second_node)
    assert shown() == (["B"], ["B lymph nodes"])
    # As a script does that knows the parameter node alone.
    widget.parameter_node.SetNodeReferenceID("Volume", first.GetID())
    widget.parameter_node.SetNodeReferenceID("Segmentation", first_node.GetID())
    assert shown() == (["A"], ["A lymph nodes"])


def test_loaded_scene_shows_the_saved_choice(app: Any, widget: Any, pairs: Any, tmp_path: Any) -> None:
    import slicer

    slicer.util.setSliceViewerLayers(background=pairs[1][0])
    pairs[0][1].SetDisplayVisibility(False)
    pairs[1][1].SetDisplayVisibility(True)
    app.save_scene(tmp_path / "scene.mrb")
    app.close_scene()
    app.load_scene(tmp_path / "scene.mrb")
    assert widget.ui.volumeSelector.currentNode().GetName() == "A"
    assert shown() == (["A"], ["A lymph nodes"])


def test_row_of_the_table_brings_the_pair_back(app: Any, widget: Any, pairs: Any) -> None:
    import slicer

    slicer.util.setSliceViewerLayers(background=pairs[1][0])
    pairs[0][1].SetDisplayVisibility(False)
    app.select_row(widget.ui.nodeTable, 1)
    assert shown() == (["A"], ["A lymph nodes"])
    # In the views that show the CT a segmentation that the user has hidden stays hidden.
    pairs[0][1].SetDisplayVisibility(False)
    app.select_row(widget.ui.nodeTable, 0)
    assert shown() == (["A"], [])


def test_what_the_user_hides_or_shows_stays_until_another_choice(app: Any, widget: Any, pairs: Any) -> None:
    (_first, first_node), (_second, second_node) = pairs
    first_node.SetDisplayVisibility(False)
    second_node.SetDisplayVisibility(True)
    widget.update()
    app.click(widget.ui.measureButton)
    app.wait_until(lambda: not widget.is_working("measure"), 60, "the measurements")
    app.choose(widget.ui.qualitySelector, "Fast")
    widget.enter()
    assert shown() == (["A"], ["B lymph nodes"])
    app.choose(widget.ui.volumeSelector, "B")
    app.choose(widget.ui.volumeSelector, "A")
    assert shown() == (["A"], ["A lymph nodes"])
    app.choose(widget.ui.qualitySelector, "Standard")


def test_views_that_show_the_volume_keep_their_position_and_mixture(app: Any, widget: Any, pairs: Any) -> None:
    import slicer

    (first, _first_node), (_second, second_node) = pairs
    pet = add_ct("PET")
    slicer.util.setSliceViewerLayers(foreground=pet, foregroundOpacity=0.5)
    slice_node = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    slice_node.SetFieldOfView(33.0, 33.0, 1.0)
    second_node.SetNodeReferenceID("referenceImageGeometryRef", first.GetID())
    widget.choose_pair(first, second_node)
    assert shown() == (["A"], ["B lymph nodes"])
    assert slice_node.GetFieldOfView()[0] == pytest.approx(33.0)
    layers = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
    assert layers.GetForegroundVolumeID() == pet.GetID()


def test_another_ct_does_not_stay_in_the_foreground(app: Any, widget: Any, pairs: Any) -> None:
    import slicer

    slicer.util.setSliceViewerLayers(foreground=pairs[0][0], foregroundOpacity=0.5)
    app.choose(widget.ui.volumeSelector, "B")
    layers = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    # The foreground showed A: B is put below, and what belongs to A goes.
    assert shown() == (["B"], ["B lymph nodes"])
    assert [each.GetForegroundVolumeID() for each in layers] == [None] * 3


def test_foreign_segmentation_stays_as_the_user_has_it(app: Any, widget: Any, pairs: Any) -> None:
    import slicer

    (first, _first_node), _ = pairs
    foreign = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Atlas")
    foreign.CreateDefaultDisplayNodes()
    foreign.SetReferenceImageGeometryParameterFromVolumeNode(first)
    app.process_events()
    app.choose(widget.ui.volumeSelector, "B")
    assert shown() == (["B"], ["B lymph nodes", "Atlas"])
    foreign.SetDisplayVisibility(False)
    app.choose(widget.ui.segmentationSelector, "A lymph nodes")
    assert shown() == (["A"], ["A lymph nodes"])
    # Chosen, it is shown; afterwards it is as it was before.
    app.choose(widget.ui.segmentationSelector, "Atlas")
    assert shown() == (["A"], ["Atlas"])
    app.choose(widget.ui.segmentationSelector, "A lymph nodes")
    assert shown() == (["A"], ["A lymph nodes"])
    # A chosen one must not lie over another volume, also when it was visible before.
    foreign.SetDisplayVisibility(True)
    app.choose(widget.ui.segmentationSelector, "Atlas")
    app.choose(widget.ui.volumeSelector, "B")
    assert shown() == (["B"], ["B lymph nodes"])


def test_panel_starts_with_the_volume_in_the_views(app: Any, widget: Any, pairs: Any, tmp_path: Any) -> None:
    import slicer

    widget.cleanup()
    slicer.mrmlScene.RemoveNode(slicer.mrmlScene.GetSingletonNode("LNSegFM", "vtkMRMLScriptedModuleNode"))
    slicer.util.setSliceViewerLayers(background=pairs[1][0])
    fresh = app.reload_module("LNSegFM")
    assert fresh.ui.volumeSelector.currentNode() is pairs[1][0]
    assert fresh.ui.segmentationSelector.currentNode() is pairs[1][1]
    assert shown() == (["B"], ["B lymph nodes"])
