"""The Slicer stand-in behaves as Slicer does, and is strict where Slicer only prints."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("slicer")
pytest.importorskip("PySide6")

import standin
from standin.actions import NotPossible
from standin.app import App
from standin.signals import UnknownSignal
from standin.ui_loader import UiFileError

FIXTURE = Path(__file__).parent / "standin_fixture" / "Sample.py"


@pytest.fixture(scope="module")
def running() -> App:
    return standin.start()


@pytest.fixture
def app(running: App) -> Iterator[App]:
    yield running
    running.close_scene()
    running.dialogs.clear()
    running.answers.clear()
    running.check()


@pytest.fixture(scope="module")
def sample(running: App) -> Any:
    return running.load_module(FIXTURE)


@pytest.fixture
def widget(app: App, sample: Any) -> Any:
    app.select_module("Sample")
    return slicer().util.getModuleWidget("Sample")


def slicer() -> Any:
    return sys.modules["slicer"]


def qt() -> Any:
    return sys.modules["qt"]


def add_ct(name: str = "CT") -> Any:
    """A volume of 20 x 40 x 40 voxels with a bright ball of 12 mm radius, 10 mm in front of its centre."""
    z, y, x = np.mgrid[:20, :40, :40]
    ball = ((z - 10) * 4.0) ** 2 + ((y - 15) * 2.0) ** 2 + ((x - 20) * 2.0) ** 2 < 12**2
    array = np.where(ball, 200, -100).astype("int16")
    matrix = np.array([[-2.0, 0, 0, 40], [0, -2, 0, 40], [0, 0, 4, -40], [0, 0, 0, 1]])
    return slicer().util.addVolumeFromArray(array, ijkToRAS=matrix, name=name)


def pixels(path: Path) -> np.ndarray:
    """The picture as an array [row, column, RGB]."""
    image = qt().QImage(str(path)).convertToFormat(qt().QImage.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


# Properties


def test_a_property_is_an_attribute_that_can_be_read_and_assigned(app: App) -> None:
    button = qt().QPushButton("Apply")
    button.text = "Segment"
    button.enabled = False
    button.toolTip = "Start"
    assert (button.text, button.enabled, button.toolTip) == ("Segment", False, "Start")
    button.setText("Again")
    assert button.text == "Again"


@pytest.mark.parametrize(
    ("make", "name"),
    [
        ("QLabel", "text"),
        ("QComboBox", "currentIndex"),
        ("QTableWidget", "rowCount"),
        ("QSpinBox", "value"),
        ("QTimer", "interval"),
    ],
)
def test_calling_a_property_is_a_type_error(app: App, make: str, name: str) -> None:
    subject = getattr(qt(), make)()
    with pytest.raises(TypeError, match="not callable"):
        getattr(subject, name)()


def test_the_method_is_still_there_on_the_class(app: App) -> None:
    assert qt().QLabel.text(qt().QLabel("x")) == "x"
    assert callable(qt().QTimer.singleShot)


def test_an_unknown_attribute_cannot_be_assigned_to_a_widget(app: App) -> None:
    for subject in (qt().QPushButton(), slicer().qMRMLNodeComboBox(), qt().QTableWidgetItem()):
        with pytest.raises(AttributeError):
            subject.enabeld = True


def test_a_python_subclass_of_a_widget_may_have_attributes(app: App) -> None:
    class Mine(qt().QWidget):  # type: ignore[misc]
        pass

    mine = Mine()
    mine.extra = 3
    assert mine.extra == 3


def test_a_read_only_property_and_a_wrong_type_are_refused(app: App) -> None:
    with pytest.raises(AttributeError, match="read-only"):
        qt().QComboBox().count = 3
    with pytest.raises(AttributeError, match="does not accept"):
        qt().QSpinBox().value = "many"


def test_enumerations_are_read_as_in_qt(app: App) -> None:
    label = qt().QLabel()
    label.alignment = qt().Qt.AlignRight
    assert label.alignment & qt().Qt.AlignRight
    assert qt().QHeaderView.Stretch != qt().QHeaderView.Fixed
    assert qt().QMessageBox.Yes


# Signals


def test_a_slot_gets_as_many_arguments_as_it_takes(app: App) -> None:
    button, calls = qt().QPushButton(), []
    button.connect("clicked(bool)", lambda: calls.append("none"))
    button.connect("clicked( bool )", lambda checked: calls.append(checked))
    button.click()
    assert calls == ["none", False]


def test_an_unknown_signal_is_an_error_that_names_the_known_ones(app: App) -> None:
    with pytest.raises(UnknownSignal, match=r"clicked\(bool\)"):
        qt().QPushButton().connect("clicked(int)", print)
    with pytest.raises(UnknownSignal):
        slicer().qMRMLNodeComboBox().connect("currentNodeChanged(vtkMRMLNod*)", print)
    with pytest.raises(UnknownSignal):
        qt().QPushButton().disconnect("pushed()", print)


def test_a_disconnected_slot_is_not_called_any_more(app: App) -> None:
    class Owner:
        count = 0

        def on_click(self) -> None:
            self.count += 1

    owner, button = Owner(), qt().QPushButton()
    button.connect("clicked()", owner.on_click)
    button.click()
    assert button.disconnect("clicked()", owner.on_click)
    button.click()
    assert owner.count == 1
    assert not button.disconnect("clicked()", owner.on_click)


def broken(*_: Any) -> None:
    raise ZeroDivisionError("in a callback")


def test_an_exception_in_a_slot_surfaces(app: App) -> None:
    button = qt().QPushButton()
    button.connect("clicked(bool)", broken)
    with pytest.raises(standin.CallbackFailed, match="in a callback"):
        app.click(button)
    app.check()  # told once


def test_an_exception_in_a_timer_surfaces(app: App, capfd: pytest.CaptureFixture[str]) -> None:
    qt().QTimer.singleShot(1, broken)
    with pytest.raises(standin.CallbackFailed):
        app.process_events(0.05)


def test_an_exception_in_an_observer_surfaces(app: App, capfd: pytest.CaptureFixture[str]) -> None:
    node = slicer().mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
    node.AddObserver("ModifiedEvent", broken)
    node.Modified()
    with pytest.raises(standin.CallbackFailed):
        app.process_events()
    node.RemoveAllObservers()


# MRML widgets


def node_box(**options: Any) -> tuple[Any, list[Any]]:
    box, seen = slicer().qMRMLNodeComboBox(), []
    box.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    for name, value in options.items():
        setattr(box, name, value)
    box.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: seen.append(node and node.GetName()))
    box.setMRMLScene(slicer().mrmlScene)
    return box, seen


def test_a_node_box_is_usable_once_it_has_a_scene(app: App) -> None:
    assert not slicer().qMRMLNodeComboBox().enabled
    assert node_box()[0].enabled


def test_a_node_box_follows_the_scene(app: App) -> None:
    box, seen = node_box(noneEnabled=True)
    first, second = add_ct("first"), add_ct("second")
    slicer().mrmlScene.AddNewNodeByClass("vtkMRMLTextNode")
    assert box.nodeCount() == 2 and box.currentNode() is None
    box.setCurrentNode(second)
    assert box.currentNodeID == second.GetID()
    slicer().mrmlScene.RemoveNode(second)
    assert box.nodeCount() == 1
    # Qt takes the row beside the one that went, also where there is a "None".
    assert box.currentNode() is first and seen == ["second", "first"]
    app.close_scene()
    assert box.nodeCount() == 0 and seen[-1] is None


def test_a_node_box_without_none_takes_the_first_node(app: App) -> None:
    box, seen = node_box(noneEnabled=False)
    add_ct("only")
    assert box.currentNode().GetName() == "only" and seen == ["only"]


def test_a_node_box_can_leave_out_subclasses_and_hidden_nodes(app: App) -> None:
    box, _ = node_box(showChildNodeTypes=False)
    slicer().mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    add_ct("hidden").SetHideFromEditors(True)
    assert box.nodeCount() == 0


def test_a_node_box_shows_the_new_name_of_a_node(app: App) -> None:
    box, _ = node_box(noneEnabled=True, addEnabled=False, removeEnabled=False)
    add_ct("before").SetName("after")
    app.choose(box, "after")
    with pytest.raises(NotPossible):
        app.choose(box, "before")


# .ui files


def test_the_children_of_a_ui_file_are_found_by_name(widget: Any) -> None:
    assert tuple(widget.ui.inputSelector.nodeTypes) == ("vtkMRMLScalarVolumeNode",)
    assert widget.ui.inputSelector.mrmlScene() is slicer().mrmlScene
    assert widget.ui.threshold.value == 100.0
    assert widget.ui.folder.filters == 1 | 16


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('class="QPushButton"', 'class="QPushButon"'),
        ('<property name="collapsed">', '<property name="colapsed">'),
        ("<sender>Sample</sender>", "<sender>Sampel</sender>"),
        ("<signal>mrmlSceneChanged(", "<signal>mrmlSceneChange("),
        ("<slot>setMRMLScene(", "<slot>setMRMLScen("),
    ],
)
def test_a_ui_file_with_an_unknown_name_is_refused(app: App, tmp_path: Path, old: str, new: str) -> None:
    text = (FIXTURE.parent / "Resources" / "UI" / "Sample.ui").read_text()
    assert old in text
    (tmp_path / "bad.ui").write_text(text.replace(old, new, 1))
    with pytest.raises(UiFileError):
        slicer().util.loadUI(str(tmp_path / "bad.ui"))


def test_a_missing_ui_file_is_an_error(app: App, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="not found"):
        slicer().util.loadUI(str(tmp_path / "none.ui"))


# Modules


def test_a_loaded_module_is_known_to_slicer(widget: Any) -> None:
    assert slicer().modules.sample.path == str(FIXTURE)
    assert slicer().modules.sample.title == "Sample"
    assert slicer().modules.sample.widgetRepresentation().self() is widget
    assert slicer().modules.SampleWidget is widget
    with pytest.raises(AttributeError):
        slicer().modules.sample.titel = "x"


def test_the_users_way_through_a_module(app: App, widget: Any) -> None:
    with pytest.raises(NotPossible, match="disabled"):
        app.click(widget.ui.applyButton)
    with pytest.raises(NotPossible, match=r"hidden|collapsed"):
        app.click(widget.ui.advancedCheckBox)
    add_ct()
    app.choose(widget.ui.inputSelector, "CT")
    app.click(widget.ui.applyButton)
    assert app.dialogs == [("info", "Done")]
    assert widget.ui.resultLabel.text == "Made CT segmentation"
    app.click(widget.ui.advancedCollapsibleButton)
    app.click(widget.ui.advancedCheckBox)
    assert widget.ui.advancedCheckBox.checked
    app.click(widget.ui.advancedCollapsibleButton)


def test_changing_the_module_calls_exit_and_enter(app: App, widget: Any) -> None:
    widget.events.clear()
    app.select_module("Data")
    app.select_module("Sample")
    assert widget.events == ["exit", "enter"]


def test_closing_the_scene_tells_the_module_and_keeps_the_singletons(app: App, widget: Any) -> None:
    add_ct()
    parameters = widget.logic.getParameterNode()
    widget.events.clear()
    app.close_scene()
    assert widget.events == ["start close", "end close"]
    assert widget.ui.inputSelector.currentNode() is None
    assert slicer().mrmlScene.GetNumberOfNodesByClass("vtkMRMLSliceNode") == 3
    assert widget.logic.getParameterNode() is parameters


def test_reloading_a_module_cleans_up_and_builds_it_again(app: App, widget: Any) -> None:
    new = app.reload_module("Sample")
    assert "cleanup" in widget.events and new is not widget
    assert new is slicer().util.getModuleWidget("Sample")
    add_ct()
    app.choose(new.ui.inputSelector, "CT")
    app.click(new.ui.applyButton)
    assert slicer().mrmlScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 1


def test_a_self_test_runs_in_testing_mode(app: App, widget: Any) -> None:
    app.run_self_test("Sample")
    assert not slicer().app.testingEnabled()


@pytest.mark.parametrize("name", ["scene.mrb", "folder"])
def test_a_saved_scene_can_be_loaded_again(app: App, tmp_path: Path, name: str) -> None:
    expected = slicer().util.arrayFromVolume(add_ct("kept")).copy()
    app.save_scene(tmp_path / name)
    app.close_scene()
    app.load_scene(tmp_path / name)
    assert np.array_equal(slicer().util.arrayFromVolume(slicer().util.getNode("kept")), expected)


# Dialogs


def test_questions_are_answered_from_the_queue(app: App) -> None:
    app.answers.extend([False, "/data/a.nii", lambda text: "long" in text])
    assert slicer().util.confirmOkCancelDisplay("Really?") is False
    assert qt().QFileDialog.getOpenFileName(None, "Open a volume") == "/data/a.nii"
    assert slicer().util.confirmYesNoDisplay("It takes long") is True
    assert slicer().util.confirmYesNoDisplay("Nobody answers") is True
    assert [kind for kind, _ in app.dialogs] == ["confirm", "file", "confirm", "confirm"]


def test_packages_are_not_really_installed(app: App) -> None:
    slicer().util.pip_install("no-such-package-xyz")
    assert app.dialogs == [("pip", "no-such-package-xyz")]


def test_an_unexpected_error_is_shown_by_try_with_error_display(app: App) -> None:
    with pytest.raises(ValueError), slicer().util.tryWithErrorDisplay("It failed"):
        raise ValueError("the reason")
    assert app.dialogs[0][0] == "error" and "the reason" in app.dialogs[0][1]


def test_waiting_in_vain_says_for_what(app: App) -> None:
    with pytest.raises(TimeoutError, match="the moon"):
        app.wait_until(lambda: False, 0.02, "the moon")


def test_settings_do_not_touch_the_users_own(app: App) -> None:
    qt().QSettings().setValue("Sample/key", "value")
    assert slicer().app.settings().value("Sample/key") == "value"
    assert Path(qt().QSettings().fileName()).is_relative_to(slicer().app.temporaryPath)


# Pictures


def green(picture: np.ndarray) -> int:
    red, strong, blue = (picture[..., channel].astype(int) for channel in range(3))
    return int(((strong > red + 60) & (strong > blue + 60)).sum())


def test_a_picture_shows_the_volume_with_the_segmentation(app: App, widget: Any, tmp_path: Path) -> None:
    volume = add_ct()
    slicer().util.setSliceViewerLayers(background=volume, fit=True)
    slices = slicer().app.layoutManager().sliceWidget("Red").sliceView()
    surface = slicer().app.layoutManager().threeDWidget(0).threeDView()
    app.screenshot(tmp_path / "before.png", slices)
    before = pixels(tmp_path / "before.png")
    assert before.max() > 100 and green(before) == 0
    widget.logic.threshold(volume, 100)
    surface.resetFocalPoint()
    slicer().util.forceRenderAllViews()
    app.screenshot(tmp_path / "after.png", slices)
    assert green(pixels(tmp_path / "after.png")) > 500
    app.screenshot(tmp_path / "surface.png", surface)
    assert green(pixels(tmp_path / "surface.png")) > 500
    app.screenshot(tmp_path / "window.png")
    assert green(pixels(tmp_path / "window.png")) > 2000


def test_a_picture_shows_the_plot(app: App, tmp_path: Path) -> None:
    nodes: dict[str, Any] = {}
    values = np.column_stack([np.arange(10), np.linspace(1, 0, 10)])
    slicer().util.plot(values, 0, columnNames=["iteration", "loss"], title="Loss", nodes=nodes)
    nodes["series"][0].SetColor(1, 0, 0)
    plot = slicer().app.layoutManager().plotWidget(0).plotView()
    app.process_events()
    app.screenshot(tmp_path / "plot.png", plot)
    picture = pixels(tmp_path / "plot.png").astype(int)
    assert ((picture[..., 0] > 200) & (picture[..., 1] < 80)).sum() > 50
