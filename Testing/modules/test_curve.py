"""The curve of a job in Slicer's plot view: points, layout, closed scenes; and cases that go over to LN-Seg-FM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import vtk

from finetune_panel import (  # noqa: F401 - fixtures
    Panel,
    adapted,
    app,
    case_template,
    cases,
    home,
    opened,
    panel,
)
from lnsegfm_panel import MODULE as LNSEGFM


@pytest.fixture
def vtk_errors() -> Iterator[list[str]]:
    """What VTK complains of."""
    found: list[str] = []
    window = vtk.vtkOutputWindow.GetInstance()

    @vtk.calldata_type(vtk.VTK_STRING)
    def note(_caller: Any, _event: str, text: str) -> None:
        found.append(text)

    tags = [window.AddObserver(event, note) for event in ("ErrorEvent", "WarningEvent")]
    yield found
    for tag in tags:
        window.RemoveObserver(tag)


def layouts() -> tuple[Any, Any]:
    """The layout manager, and the class with the numbers of the layouts."""
    import slicer

    return slicer.app.layoutManager(), slicer.vtkMRMLLayoutNode


def plotted(opened: Panel) -> bool:  # noqa: F811
    view = opened.app.application.layoutManager().plotWidget(0).mrmlPlotViewNode()
    chart = opened.node("vtkMRMLPlotChartNode", "chart")
    return chart is not None and view.GetPlotChartNodeID() == chart.GetID()


def render(opened: Panel, tmp_path: Any) -> None:  # noqa: F811
    plot = opened.app.application.layoutManager().plotWidget(0).plotView()
    opened.app.screenshot(tmp_path / "plot.png", plot)


def lines(opened: Panel) -> list[str]:  # noqa: F811
    chart = opened.node("vtkMRMLPlotChartNode", "chart")
    count = chart.GetNumberOfPlotSeriesNodes()
    return [chart.GetNthPlotSeriesNode(index).GetAttribute("LNSegFMFineTune.Role") for index in range(count)]


@pytest.mark.parametrize(("iterations", "drawn"), [(1, []), (30, ["loss"]), (60, ["loss", "pseudo_dice"])])
def test_a_line_needs_two_points(
    opened: Panel, tmp_path: Any, vtk_errors: list[str], iterations: int, drawn: list[str]  # noqa: F811
) -> None:
    opened.start(hold=iterations)
    opened.until(lambda: opened.points() == iterations, "the points")
    opened.click("curveButton")
    render(opened, tmp_path)
    assert lines(opened) == drawn
    assert vtk_errors == []


def test_a_resumed_job_that_repeats_its_first_epoch_takes_its_line_back(
    opened: Panel, tmp_path: Any, vtk_errors: list[str]  # noqa: F811
) -> None:
    from LNSegFMFineTuneLib.scene.curves import LossCurve

    opened.start(hold=1)
    curve = LossCurve(opened.job.id)
    rows = [{"iteration": number, "loss": 0.5, "pseudo_dice": 0.5} for number in (1, 2)]
    curve.update(rows)
    assert lines(opened) == ["loss", "pseudo_dice"]
    curve.update(rows[:1])
    assert lines(opened) == []


def shown_iterations(opened: Panel) -> tuple[float, float]:  # noqa: F811
    axis = opened.app.application.layoutManager().plotWidget(0).plotView().chart().GetAxis(1)
    return axis.GetMinimum(), axis.GetMaximum()


def test_the_axes_grow_with_the_curve(opened: Panel) -> None:  # noqa: F811
    opened.start(hold=5)
    opened.click("curveButton")
    opened.hold(30)
    opened.until(lambda: opened.points() == 30, "the points")
    assert shown_iterations(opened)[1] >= 30
    # A part that the user has zoomed into stays.
    opened.node("vtkMRMLPlotChartNode", "chart").SetXAxisRange(10, 20)
    axis = opened.app.application.layoutManager().plotWidget(0).plotView().chart().GetAxis(1)
    axis.SetRange(10, 20)
    opened.hold(40)
    opened.until(lambda: opened.points() == 40, "the points")
    assert shown_iterations(opened) == (10, 20)


def test_after_the_scene_is_closed_the_curve_comes_back_to_its_view(opened: Panel) -> None:  # noqa: F811
    opened.start(hold=5)
    opened.click("curveButton")
    assert plotted(opened)
    opened.app.close_scene()
    opened.hold(9)
    opened.until(lambda: opened.points() == 9 and plotted(opened), "the curve in the new scene")


def test_a_curve_that_was_not_shown_stays_out_of_the_view(opened: Panel) -> None:  # noqa: F811
    opened.start(hold=5)
    opened.app.close_scene()
    opened.hold(9)
    opened.until(lambda: opened.points() == 9, "the curve in the new scene")
    assert not plotted(opened)


def test_leaving_the_module_gives_the_layout_back(opened: Panel) -> None:  # noqa: F811
    manager, numbers = layouts()
    opened.app.load_module(LNSEGFM)
    opened.app.select_module("LNSegFMFineTune")
    manager.setLayout(numbers.SlicerLayoutFourUpView)
    opened.start(hold=5)
    opened.click("curveButton")
    opened.click("curveButton")
    assert manager.layout != numbers.SlicerLayoutFourUpView
    opened.app.select_module("LNSegFM")
    assert manager.layout == numbers.SlicerLayoutFourUpView
    opened.app.unload_module("LNSegFM")


def test_a_layout_that_the_user_chose_stays(opened: Panel) -> None:  # noqa: F811
    manager, numbers = layouts()
    manager.setLayout(numbers.SlicerLayoutFourUpView)
    opened.start(hold=5)
    opened.click("curveButton")
    with_plot = manager.layout
    manager.setLayout(numbers.SlicerLayoutOneUpRedSliceView)
    manager.setLayout(with_plot)
    opened.widget.exit()
    assert manager.layout == with_plot
    opened.widget.enter()
    opened.click("curveButton")
    opened.widget.exit()
    assert manager.layout == with_plot
    opened.widget.enter()


def test_a_case_shown_in_the_scene_is_chosen_with_its_segmentation(opened: Panel) -> None:  # noqa: F811
    segmenting = opened.app.load_module(LNSEGFM)
    opened.app.select_module("LNSegFMFineTune")
    for row in (0, 1):
        opened.app.select_row(opened.ui.casesTable, row)
        opened.click("showCaseButton")
        opened.until(lambda: opened.ui.showCaseButton.enabled, "the case in the scene")
        opened.app.select_module("LNSegFM")
        name = f"case-000{row + 1}"
        assert segmenting.ui.volumeSelector.currentNode().GetName() == name
        assert segmenting.ui.segmentationSelector.currentNode().GetName().startswith(name)
        opened.app.select_module("LNSegFMFineTune")
    opened.app.unload_module("LNSegFM")
