"""Imports into the fine-tuning module: where labels lie is asked, and what was left out is shown."""

# ruff: noqa: F811 - the fixtures are imported
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("PySide6")
pytest.importorskip("vtk")

from labelled_scan import ct, on_grid, put, truth

from finetune_panel import Panel, app, home, panel  # noqa: F401
from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore

OFF = (-47.0, -23.0, -36.0)


def voxels_stored(home: Home) -> list[int]:
    return [case.latest.foreground_voxels for case in CaseStore(home.cases).list()]


def folder_with_doubtful_labels(folder: Path) -> Path:
    put(folder / "imagesTr", "a_0000.nii.gz", ct())
    put(folder / "labelsTr", "a.nii.gz", on_grid(truth(), origin=OFF))
    put(folder / "imagesTr", "b_0000.nii.gz", ct() + 1)
    put(folder / "labelsTr", "b.nii.gz", on_grid(truth()))
    return folder


@pytest.mark.parametrize(("answer", "stored"), [("With the CT's header: the same voxels", 2), ("Leave out", 1)])
def test_a_folder_s_labels_of_doubtful_place_are_asked_for(
    panel: Panel, home: Home, tmp_path: Path, answer: str, stored: int
) -> None:
    panel.open()
    panel.app.answers.extend([str(folder_with_doubtful_labels(tmp_path / "raw")), answer])
    panel.pick("importButton", "From a folder")
    panel.until(lambda: any(kind == "input" for kind, _text in panel.app.dialogs), "the question")
    panel.until(lambda: panel.ui.casesTable.rowCount == stored, "the cases")
    panel.until(lambda: f"Cases imported: {stored}" in panel.ui.importLabel.text, "the report")
    assert voxels_stored(home) == [254] * stored
    assert ("Skipped a: " in panel.ui.importLabel.text) == (stored == 1)
    assert "b: stored as case-0001. 254 voxels in 2 lymph nodes" in panel.ui.importLabel.text


def add_pair(labels: np.ndarray, names: dict[int, str], *, drawn_on: Any = None) -> Any:
    """Add the scan, and a segmentation of it that was drawn on another volume."""
    from LNSegFMLib.scene.segments.segmentations import add_segmentation, labelmap_of
    from LNSegFMLib.scene.volumes import add_volume

    volume = add_volume(ct(), "CT")
    other = volume if drawn_on is None else add_volume(drawn_on, "Other")
    labelmap = labelmap_of(on_grid(labels), segment_per_node=True)
    node = add_segmentation(labelmap, other, lambda number: names[number], "Contours")
    for number in names:
        node.GetSegmentation().GetSegment(f"LymphNode_{number}").RemoveTag("TerminologyEntry")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    return node


def test_segments_of_another_name_are_left_out_by_name(panel: Panel, home: Home) -> None:
    labels = truth()
    labels[2:22, 18:22, 15:18] = 2
    add_pair(labels, {1: "Lymph node 1", 2: "Carotid artery"})
    panel.open()
    panel.pick("importButton", "Contours")
    panel.until(lambda: panel.ui.casesTable.rowCount == 1, "the import")
    assert "Left out: 'Carotid artery'." in panel.ui.importLabel.text
    assert voxels_stored(home) == [int((labels == 1).sum())]


def test_a_segmentation_of_the_scene_on_other_voxels_is_asked_for(panel: Panel, home: Home) -> None:
    add_pair(truth(), {1: "Lymph node 1"}, drawn_on=on_grid(truth(), (1.9, 2, 3)))
    panel.open()
    panel.app.answers.append("As its own header says (resampled)")
    panel.pick("importButton", "Contours")
    panel.until(lambda: panel.ui.casesTable.rowCount == 1, "the import")
    (question,) = [text for kind, text in panel.app.dialogs if kind == "input"]
    assert "not certain where the segmentation lies" in question and "another voxel grid" in question
    assert voxels_stored(home)[0] > 200


@pytest.mark.parametrize("answer", [True, False])
def test_a_folder_s_cts_whose_values_are_odd_are_asked_for_once(
    panel: Panel, home: Home, tmp_path: Path, answer: bool
) -> None:
    for name, shift in (("a", 1024), ("b", 1025)):
        put(tmp_path / "raw" / "imagesTr", f"{name}_0000.nii.gz", ct() + shift)
        put(tmp_path / "raw" / "labelsTr", f"{name}.nii.gz", on_grid(truth()))
    panel.open()
    # The values make the labels look like bone as well, which is the next question.
    panel.app.answers.extend([str(tmp_path / "raw"), answer, answer])
    panel.pick("importButton", "From a folder")
    label = panel.ui.importLabel
    panel.until(lambda: f"Cases imported: {2 * answer}" in label.text and panel.app.dialogs[1:], "the end")
    panel.until(lambda: panel.ui.casesTable.rowCount == 2 * answer, "the cases")
    questions = [text for kind, text, *_ in panel.app.dialogs if kind == "confirm"]
    assert len(questions) == 1 + answer and "(a, b)" in questions[0] and "look like HU + 1024" in questions[0]
