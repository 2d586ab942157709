"""The part of the self-test that saves a scene, closes it and loads it again, with the Segment Editor open."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import slicer

from LNSegFMLib.self_tests.clinic_self_test import check_row_and_segment, editor_of, has_editor


def check_saved_scene(test: Any, widget: Any) -> None:
    """Save the chosen pair with *Edit* open, close the scene, load it, and see the same panel again.

    Args:
        test: The running test, for its assertions, messages and waiting.
        widget: The module's widget, with a pair chosen; it shows the loaded one afterwards.
    """
    test.delayDisplay("Saving and loading the scene")
    ui = widget.ui
    with_editor = has_editor(test, widget)
    if with_editor:
        ui.editorCollapsibleButton.collapsed = False
    volume_node, segmentation_node = ui.volumeSelector.currentNode(), ui.segmentationSelector.currentNode()
    names = (volume_node.GetName(), segmentation_node.GetName())
    rows = ui.nodeTable.rowCount
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = str(Path(folder) / "scene.mrb")
        test.assertTrue(slicer.util.saveScene(path), "Expected the scene to be saved.")
        slicer.mrmlScene.Clear(0)
        slicer.app.processEvents()
        test.assertEqual(ui.nodeTable.rowCount, 0, "Expected no lymph nodes after closing the scene.")
        slicer.util.loadScene(path)
        test.wait(lambda: ui.segmentationSelector.currentNode() is not None, "the saved segmentation to be chosen")
    volume_node, segmentation_node = ui.volumeSelector.currentNode(), ui.segmentationSelector.currentNode()
    test.assertIsNotNone(volume_node, "Expected the saved CT to be chosen.")
    now = (volume_node.GetName(), segmentation_node.GetName())
    test.assertEqual(now, names, "Expected the pair that was chosen when the scene was saved.")
    test.wait(lambda: ui.nodeTable.rowCount == rows, f"the {rows} rows of the saved lymph nodes")
    if not with_editor:
        return
    editor = editor_of(widget)
    test.assertIsNotNone(editor.mrmlSegmentEditorNode(), "Expected the editor to have its parameter node again.")
    test.assertEqual(editor.segmentationNode(), segmentation_node, "Expected the editor to edit the loaded pair.")
    test.assertEqual(editor.sourceVolumeNode(), volume_node, "Expected the editor to use the loaded CT.")
    ui.nodeTable.selectRow(rows - 1)
    slicer.app.processEvents()
    check_row_and_segment(test, widget)
    ui.editorCollapsibleButton.collapsed = True
