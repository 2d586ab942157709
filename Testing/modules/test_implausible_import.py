"""Segmentations of the scene that become cases: what cannot be a lymph node stays behind, and the panel says so."""

# ruff: noqa: F811 - the fixtures are imported
from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("PySide6")
pytest.importorskip("vtk")

from judging_worker import add_body_ct

from finetune_panel import Panel, case_template, home, panel  # noqa: F401
from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.lymph_nodes.instances import label_instances


def test_an_import_from_the_scene_leaves_it_out_and_says_so(panel: Panel, home: Home) -> None:
    import slicer

    from LNSegFMLib.scene.segmentation_bench import Workbench
    from LNSegFMLib.scene.segments.lymph_node_records import store_records
    from LNSegFMLib.scene.segments.segmentations import add_segmentation, labelmap_of
    from LNSegFMLib.scene.volumes import image_reader

    volume = add_body_ct()
    bright = image_reader(volume)() > 200
    node = add_segmentation(labelmap_of(label_instances(bright), segment_per_node=True), volume, str, "Contours")
    bench = Workbench()
    store_records(node, bench.measure(node, volume).wait(60))
    panel.open()
    panel.pick("importButton", "Contours")
    panel.until(lambda: panel.ui.casesTable.rowCount == 1, "the import")
    assert "1 implausible left out: 1 outside the body (" in panel.ui.importLabel.text
    (case,) = CaseStore(home.cases).list()
    stored = sitk.GetArrayFromImage(sitk.ReadImage(str(case.label_path())))
    assert case.latest.nodes == 2 and 0 < stored.sum() < np.count_nonzero(slicer.util.arrayFromVolume(volume) > 200)
