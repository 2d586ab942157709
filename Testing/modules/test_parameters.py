"""The typed parameter nodes of both modules, and scenes that were saved by earlier versions."""

# ruff: noqa: F811 - the fixtures are imported
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("PySide6")
pytest.importorskip("vtk")

from finetune_panel import Panel, adapted, case_template, cases, home, opened, panel  # noqa: F401
from lnsegfm_panel import add_ct


def new_node() -> Any:
    import slicer

    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")


def test_a_new_node_has_the_defaults_and_follows_both_ways(app: Any) -> None:
    from LNSegFMLib.scene.segment_parameters import SegmentParameters
    from LNSegFMLib.scene.typed_parameters import typed_parameters

    node = new_node()
    parameters: Any = typed_parameters(SegmentParameters, node)
    assert (node.GetParameter("Quality"), node.GetParameter("MinimumShortAxis")) == ("standard", "0.0")
    parameters.MinimumShortAxis = 2.5
    assert node.GetParameter("MinimumShortAxis") == "2.5"
    node.SetParameter("Device", "cpu")
    assert parameters.Device == "cpu" and parameters.MinimumShortAxis == 2.5
    for wrong in ("2.5", None):
        with pytest.raises((TypeError, ValueError)):
            parameters.MinimumShortAxis = wrong


def test_what_a_foreign_scene_holds_gets_its_default_and_node_references_stay(app: Any) -> None:
    from LNSegFMLib.scene.segment_parameters import SegmentParameters
    from LNSegFMLib.scene.typed_parameters import typed_parameters

    node, volume = new_node(), add_ct()
    node.SetNodeReferenceID("Volume", volume.GetID())
    for name, text in (("MinimumShortAxis", "wide"), ("Quality", ""), ("Device", "mps"), ("Something", "else")):
        node.SetParameter(name, text)
    parameters: Any = typed_parameters(SegmentParameters, node)
    assert (parameters.MinimumShortAxis, parameters.Quality, parameters.Device) == (0.0, "standard", "mps")
    assert node.GetNodeReference("Volume") is volume and node.GetParameter("Something") == "else"


def test_the_settings_of_a_job_are_typed_and_custom_ones_of_before_stay_custom(app: Any, panel: Panel) -> None:
    panel.open()
    from LNSegFMFineTuneLib.scene.adapt_parameters import adapt_parameters

    node = new_node()
    for name, text in (("preset", "own"), ("epochs", "7"), ("gamma", "many"), ("learning_rate", "0.05")):
        node.SetParameter(name, text)
    parameters = adapt_parameters(node)
    found = (parameters.preset, parameters.epochs, parameters.gamma, parameters.learning_rate, parameters.name)
    assert found == ("custom", 7, 1, 0.05, "")


def test_a_scene_of_an_earlier_version_is_shown_as_it_was_saved(
    app: Any, widget: Any, tmp_path: Path
) -> None:
    import slicer

    volume = add_ct("Old")
    app.close_scene()
    volume = add_ct("Old")
    # As the version before wrote it.
    node = widget.parameter_node
    for name, text in (("Quality", "best"), ("Region", "body"), ("Segments", "all"), ("MinimumShortAxis", "3.5")):
        node.SetParameter(name, text)
    node.SetNodeReferenceID("Volume", volume.GetID())
    app.save_scene(tmp_path / "old.mrb")
    app.close_scene()
    assert widget.ui.qualitySelector.currentData == "standard"
    add_ct("Another")
    app.load_scene(tmp_path / "old.mrb")
    ui = widget.ui
    shown = (ui.qualitySelector.currentData, ui.regionSelector.currentData, ui.segmentsSelector.currentData)
    assert shown == ("best", "body", "all") and ui.minimumSpinBox.value == 3.5
    assert ui.volumeSelector.currentNode() is slicer.util.getNode("Old")


def test_a_method_keeps_the_preset_and_other_settings_make_it_custom(opened: Panel) -> None:
    opened.choose("presetComboBox", "paper")
    method = opened.ui.methodComboBox  # in a section that is closed
    method.setCurrentIndex(method.findData("scratch"))
    assert opened.ui.presetComboBox.currentData == "paper"
    opened.ui.epochsSpinBox.value = 3
    assert (opened.ui.presetComboBox.currentData, opened.ui.presetComboBox.currentText) == ("custom", "Custom")
    opened.choose("presetComboBox", "standard")
    assert opened.ui.epochsSpinBox.value == 10
