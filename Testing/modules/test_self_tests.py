"""What the self-tests of both modules rest on: their empty scene and home, and the checks of the panels."""

from __future__ import annotations

import os
import unittest
from types import SimpleNamespace
from typing import Any

import pytest

from finetune_panel import MODULE as FINE_TUNE


def slate(**calls: Any) -> Any:
    from LNSegFMLib.self_tests.self_test_slate import clean_slate

    return clean_slate(calls.get("close", list), calls.get("refresh", list))


def add_volume(name: str) -> Any:
    import slicer

    return slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)


def test_both_module_files_have_the_class_that_slicer_looks_for(app: Any, widget: Any) -> None:
    import sys

    app.load_module(FINE_TUNE)
    for name in ("LNSegFM", "LNSegFMFineTune"):
        assert hasattr(sys.modules[name], f"{name}Test"), name
    app.unload_module("LNSegFMFineTune")


def test_a_self_test_does_not_remove_what_the_user_has_in_the_scene(app: Any) -> None:
    import slicer

    node = add_volume("CT of Monday")
    with pytest.raises(AssertionError, match=r"holds CT of Monday\. Save the scene"), slate():
        pass
    assert slicer.mrmlScene.IsNodePresent(node)


def test_home_scene_module_and_layout_are_as_before_after_a_self_test(app: Any, widget: Any) -> None:
    import slicer

    home, manager = os.environ["LNSEGFM_HOME"], slicer.app.layoutManager()
    layout = manager.layout
    seen: list[str] = []
    with slate(
        close=lambda: seen.append(os.environ["LNSEGFM_HOME"]), refresh=lambda: seen.append(os.environ["LNSEGFM_HOME"])
    ) as found:
        assert os.environ["LNSEGFM_HOME"] == str(found.home) != home
        add_volume("Phantom")
        slicer.util.selectModule("Welcome")
        manager.setLayout(layout + 1)
    assert seen == [str(found.home), home]
    assert not found.home.exists()
    assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode") == []
    assert slicer.util.selectedModule() == "LNSegFM"
    assert manager.layout == layout


def test_a_self_test_asks_nothing_and_fails_over_an_error_dialog(app: Any) -> None:
    import slicer

    with pytest.raises(AssertionError, match="the panel said: The disk is full"), slate():
        assert slicer.util.confirmOkCancelDisplay("Delete the case?")
        slicer.util.errorDisplay("The disk is full.")
    assert app.dialogs == []
    slicer.util.errorDisplay("Afterwards dialogs are shown again.")
    assert len(app.dialogs) == 1


def test_sections_that_were_not_built_are_named(app: Any, widget: Any) -> None:
    from LNSegFMLib.self_tests.panel_self_test import check_sections

    test: Any = unittest.TestCase()
    with pytest.raises(AssertionError, match=r"setup\(\) did not reach its end"):
        check_sections(test, SimpleNamespace(), {"reviewCollapsibleButton": "nodeTable"})
    with pytest.raises(AssertionError, match="Expected the widget noSuchTable in the panel"):
        check_sections(test, widget, {"reviewCollapsibleButton": "noSuchTable"})


def test_a_section_whose_widgets_stay_hidden_fails_and_is_closed_again(app: Any, widget: Any) -> None:
    from LNSegFMLib.self_tests.panel_self_test import check_sections

    ui = widget.ui
    ui.exportCollapsibleButton.collapsed = ui.modelsCollapsibleButton.collapsed = True
    with pytest.raises(AssertionError, match="see modelTree after opening exportCollapsibleButton"):
        check_sections(unittest.TestCase(), widget, {"exportCollapsibleButton": "modelTree"})
    assert ui.exportCollapsibleButton.collapsed
    check_sections(unittest.TestCase(), widget, {"exportCollapsibleButton": "exportCsvButton"})
    assert ui.exportCollapsibleButton.collapsed


def test_a_window_that_grows_is_seen_though_it_shrinks_again(app: Any, widget: Any) -> None:
    from LNSegFMLib.self_tests.panel_self_test import WidthWatch

    watch = WidthWatch(widget)
    watch.check(unittest.TestCase())
    width, height = app.window.width, app.window.height
    app.window.resize(width + 200, height)
    app.process_events()
    watch.look()
    app.window.resize(width, height)
    app.process_events()
    with pytest.raises(AssertionError, match=f"main window to stay {width} px wide"):
        watch.check(unittest.TestCase())


def test_a_self_test_installs_and_offers_nothing(app: Any, tmp_path: Any) -> None:
    from lnsegfm.base.errors import UserError
    from LNSegFMLib.setup.packages import install_packages, may_offer, nothing_installed, start_installation

    assert may_offer()
    with nothing_installed():
        assert not may_offer()
        for install in (install_packages, lambda: start_installation(tmp_path / "log", only=["gdown"])):
            with pytest.raises(UserError, match="installs nothing"):
                install()
    assert may_offer()
