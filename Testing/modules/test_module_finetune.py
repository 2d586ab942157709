"""The fine-tuning module in the stand-in, driven by clicks; a small script plays the runner."""

# ruff: noqa: F811 - the fixtures are imported
from __future__ import annotations

import json
import os
import signal
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("PySide6")
pytest.importorskip("vtk")

from finetune_panel import (  # noqa: F401
    Panel,
    adapted,
    app,
    case_template,
    cases,
    home,
    opened,
    panel,
    scores,
)
from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.jobs.job_store import JobStore
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_store import ModelStore
from lnsegfm.phantom import make_case

DELAY_S = 0.8


def test_without_cases_start_is_disabled_and_says_why(panel: Panel) -> None:
    panel.open()
    assert not panel.ui.startButton.enabled
    assert "no training case" in panel.ui.startButton.toolTip
    assert "There are no cases yet" in panel.ui.adviceLabel.text


def test_without_a_model_start_is_disabled_and_says_why(opened: Panel) -> None:
    ModelStore(opened.home.models).remove("phantom-demonstration")
    opened.widget.refresh()
    opened.until(lambda: not opened.ui.startButton.enabled, "the refresh")
    assert "Install a model" in opened.ui.startButton.toolTip


def test_the_table_tells_the_cases_and_sorts_them(opened: Panel, cases: CaseStore) -> None:
    table = opened.ui.casesTable
    names = [table.item(row, 0).text().splitlines()[0] for row in range(3)]
    assert names == ["case-0001", "case-0002", "case-0003"]
    assert table.item(0, 1).text() == f"v1\n{cases.get('case-0001').latest.nodes} LN"
    assert "2 training, 1 hold-out" in opened.ui.adviceLabel.text
    opened.app.choose(table.cellWidget(1, 2), "not used")
    opened.until(lambda: "1 training, 1 hold-out" in opened.ui.adviceLabel.text, "the new use")
    assert cases.get("case-0002").use == "excluded"
    opened.app.choose(opened.ui.casesTable.cellWidget(2, 2), "not used")
    opened.until(lambda: "there are no scores before and after" in opened.ui.adviceLabel.text, "the advice on hold-out")


def test_the_job_gets_the_chosen_parameters(opened: Panel) -> None:
    opened.choose("presetComboBox", "short")
    opened.app.click(opened.ui.advancedCollapsibleButton)
    opened.app.choose(opened.ui.methodComboBox, "Full")
    assert opened.ui.learningRateSpinBox.value == pytest.approx(0.1)
    opened.app.type_text(opened.ui.epochsSpinBox, "2")
    opened.app.type_text(opened.ui.gammaSpinBox, "3")
    opened.app.type_text(opened.ui.nameLineEdit, "Our hospital")
    opened.app.choose(opened.ui.deviceComboBox, "CPU")
    assert opened.ui.presetComboBox.currentText == "Custom"
    opened.click("startButton")
    opened.until_state("done")
    spec = json.loads((opened.job.path / "job.json").read_text())["spec"]
    model = ModelStore(opened.home.models).get(spec["base_model"])
    assert spec["base_sha256"] == model.sha256
    assert [case["id"] for case in spec["cases"]] == ["case-0001", "case-0002"]
    assert spec["holdout"] == [{"id": "case-0003", "version": 1}]
    chosen = {"method": "full", "epochs": 2, "iterations_per_epoch": 30, "gamma": 3, "step_rule": "plain",
              "device": "cpu", "name": "Our hospital", "learning_rate": 0.1}
    assert {name: spec[name] for name in chosen} == chosen


def test_the_paper_is_the_default(opened: Panel) -> None:
    ui = opened.ui
    assert (ui.epochsSpinBox.value, ui.iterationsSpinBox.value, ui.batchSizeSpinBox.value) == (50, 250, 2)
    assert ui.learningRateSpinBox.value == pytest.approx(0.001)
    assert (ui.gammaSpinBox.value, ui.methodComboBox.currentData, ui.presetComboBox.currentData) == (1, "dgst", "paper")


def test_progress_and_curve_are_live(opened: Panel) -> None:
    opened.start(hold=30)
    assert opened.ui.progressBar.maximum == 120
    assert opened.ui.progressBar.value == 30
    assert opened.ui.stateLabel.text == "Training (on cpu)"
    assert "pseudo-Dice 0.530" in opened.ui.figuresLabel.text
    assert "about 45 min left" in opened.ui.figuresLabel.text
    assert opened.points() == 30
    opened.hold(40)
    opened.until(lambda: opened.points() == 40, "ten more points")
    assert opened.points("pseudo_dice") == 1
    chart = opened.node("vtkMRMLPlotChartNode", "chart")
    assert chart.GetHideFromEditors() and not chart.GetSaveWithScene()
    opened.click("curveButton")
    view = opened.app.application.layoutManager().plotWidget(0).mrmlPlotViewNode()
    assert view.GetPlotChartNodeID() == chart.GetID()
    loss = opened.node("vtkMRMLTableNode", "loss").GetTable().GetColumn(1)
    assert loss.GetValue(39) == pytest.approx(1 / 40)


def test_a_cancelled_job_can_be_resumed(opened: Panel) -> None:
    opened.start(hold=10)
    assert not opened.ui.resumeButton.enabled
    opened.click("cancelButton")
    opened.until_state("cancelled")
    assert "Resume continues" in opened.ui.stateLabel.text
    opened.hold(None)
    opened.click("resumeButton")
    opened.until_state("done")
    assert opened.ui.progressBar.value == 120
    assert len(JobStore(opened.home.jobs).list()) == 1


def test_a_killed_job_is_called_interrupted_and_resumed(opened: Panel) -> None:
    opened.start(hold=10)
    os.kill(opened.job.status().pid, signal.SIGKILL)
    opened.until_state("interrupted")
    assert "ended unexpectedly" in opened.ui.stateLabel.text
    assert "last checkpoint" in opened.ui.stateLabel.text
    opened.hold(None)
    opened.click("resumeButton")
    opened.until_state("done")
    assert [row["iteration"] for row in opened.job.progress()] == list(range(1, 121))


def test_a_new_panel_attaches_to_the_running_job(opened: Panel) -> None:
    opened.start(hold=5)
    running = opened.job.id
    opened.fault = "memory"
    opened.click("startButton")
    opened.until_state("failed")
    assert opened.job.id != running == opened.ui.jobsTable.item(1, 0).text()
    opened.close()
    opened.open()
    opened.until(lambda: opened.listed_job == running, "the running job, not the newest one")
    opened.until(lambda: "Iteration 5 /" in opened.ui.figuresLabel.text, "the running job")
    opened.hold(8)
    opened.until(lambda: "Iteration 8 /" in opened.ui.figuresLabel.text, "its progress")
    assert opened.ui.cancelButton.enabled


def test_reload_leaves_the_job_running(opened: Panel) -> None:
    opened.start(hold=5)
    library = sys.modules["LNSegFMFineTuneLib.scene.curves"]
    opened.reload()
    assert sys.modules["LNSegFMFineTuneLib.scene.curves"] is not library
    opened.hold(9)
    opened.until(lambda: "Iteration 9 /" in opened.ui.figuresLabel.text, "its progress")
    assert opened.points() == 9


def test_closing_the_scene_leaves_the_job_running(opened: Panel) -> None:
    opened.start(hold=5)
    opened.app.close_scene()
    opened.hold(9)
    opened.until(lambda: opened.points() == 9, "the curve in the new scene")
    opened.hold(None)
    opened.until_state("done")


def test_parameters_are_saved_with_the_scene_and_the_curve_is_not(opened: Panel, tmp_path: Path) -> None:
    opened.start(hold=5)
    opened.app.click(opened.ui.advancedCollapsibleButton)
    opened.app.type_text(opened.ui.gammaSpinBox, "7")
    opened.app.type_text(opened.ui.nameLineEdit, "Saved")
    opened.until(lambda: opened.node("vtkMRMLPlotChartNode", "chart") is not None, "the curve")
    opened.app.save_scene(tmp_path / "scene.mrb")
    with zipfile.ZipFile(tmp_path / "scene.mrb") as archive:
        saved = archive.read(next(name for name in archive.namelist() if name.endswith(".mrml")))
    assert b"<ScriptedModule" in saved
    assert b"<PlotChart" not in saved and b"<PlotSeries" not in saved
    opened.app.close_scene()
    opened.until(lambda: opened.ui.gammaSpinBox.value == 1, "the defaults")
    (opened.job.path / "cancel").touch()
    opened.until_state("cancelled")
    opened.app.load_scene(tmp_path / "scene.mrb")
    assert opened.ui.gammaSpinBox.value == 7
    assert opened.ui.nameLineEdit.text == "Saved"
    assert opened.ui.learningRateSpinBox.value == pytest.approx(0.1)


def test_the_figures_of_a_finished_job_and_its_model(
    adapted: ModelInfo, opened: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    import slicer

    shown: list[str] = []
    monkeypatch.setattr(slicer.util, "selectModule", shown.append)
    opened.start()
    table = opened.ui.resultTable
    rows = [[table.item(row, column).text() for column in range(4)] for row in range(table.rowCount)]
    figures = ["0.200\n→ 0.600", "0.100\n→ 0.300", "1\n→ 3"]
    assert rows == [["case-0003", *figures], ["Mean", *figures]]
    assert opened.ui.verdictLabel.text.startswith("Too few hold-out cases for a conclusion: mean DSC 0.200 → 0.600")
    assert opened.ui.forgettingLabel.isHidden()
    opened.click("useModelButton")
    assert (opened.chosen_model, shown) == (adapted.id, ["LNSegFM"])
    assert ModelStore(opened.home.models).default_id == adapted.id


def many(*pairs: tuple[float, float], **also: Any) -> dict[str, Any]:
    return {"cases": {f"c{number}": scores(*pair) for number, pair in enumerate(pairs)}, **also}


@pytest.mark.parametrize(
    ("metrics", "text"),
    [
        (None, "no hold-out cases"),
        (many(*[(0.6, 0.4)] * 6), "Worse on the hold-out cases"),
        (many(*[(0.4, 0.6)] * 6), "Better on the hold-out cases"),
        (many(*[(0.6, 0.601)] * 6), "Not clearly better or worse"),
        (many(*[(0.4, 0.6)] * 5), "At least 6 are needed to show"),
    ],
)
def test_the_verdict_is_honest(opened: Panel, metrics: Any, text: str) -> None:
    opened.metrics = metrics
    opened.start()
    assert text in opened.ui.verdictLabel.text


def test_a_failed_job_shows_reason_and_log(opened: Panel) -> None:
    opened.fault = "memory"
    opened.click("startButton")
    opened.until_state("failed")
    assert "Memory does not suffice" in opened.ui.stateLabel.text
    assert "batch size 1" in opened.ui.stateLabel.text
    assert opened.ui.logText.isHidden()
    opened.click("logButton")
    opened.until(lambda: "runner is up" in opened.ui.logText.plainText, "the log")


def test_a_start_that_fails_is_explained(opened: Panel) -> None:
    ModelStore(opened.home.models).remove("phantom-demonstration")
    opened.click("startButton")
    opened.until(lambda: opened.app.dialogs, "the error")
    kind, text = opened.app.dialogs[-1]
    assert kind == "error" and "is not installed" in text and "Install it" in text
    opened.until(lambda: "Install a model" in opened.ui.startButton.toolTip, "the refresh")


def test_missing_packages_are_installed_only_when_the_user_agrees(
    opened: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed: list[bool] = []
    module = sys.modules["LNSegFMFineTune"]
    monkeypatch.setattr(module, "missing_packages", lambda also: ["torch"])
    monkeypatch.setattr(module, "install_packages", lambda also: installed.append(True))
    opened.choose("presetComboBox", "short")
    opened.app.answers.extend([False, True])
    opened.click("startButton")
    assert not installed and not JobStore(opened.home.jobs).list()
    opened.click("startButton")
    opened.until_state("done")
    assert installed


def test_the_package_of_the_nsd_is_offered_once_and_never_in_a_self_test(
    opened: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from LNSegFMLib.setup.packages import nothing_installed

    monkeypatch.delenv("LNSEGFM_PYTHON")
    module = sys.modules["LNSegFMFineTune"]
    monkeypatch.setattr(module, "missing_packages", lambda also: [])
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with nothing_installed():
        assert opened.widget.packages_ready()
    assert opened.app.dialogs == []
    opened.app.answers.append(False)
    assert opened.widget.packages_ready() and opened.widget.packages_ready()
    (question,) = opened.app.dialogs
    assert "surface-distance" in question[1]


def test_an_import_tells_what_was_left_out(panel: Panel, tmp_path: Path) -> None:
    phantom = make_case("hospital", 5, size=(32, 32, 16), spacing=(4, 4, 6))
    for folder, name in (("imagesTr", "a_0000"), ("imagesTr", "b_0000"), ("labelsTr", "a")):
        (tmp_path / "raw" / folder).mkdir(parents=True, exist_ok=True)
        image = phantom.ct if folder == "imagesTr" else phantom.labels
        sitk.WriteImage(image, str(tmp_path / "raw" / folder / f"{name}.nii.gz"))
    panel.open()
    panel.app.answers.append(str(tmp_path / "raw"))
    panel.pick("importButton", "From a folder")
    panel.until(lambda: panel.ui.casesTable.rowCount == 1, "the import")
    assert panel.ui.importLabel.text.splitlines()[0] == "Cases imported: 1"
    assert "Skipped b:" in panel.ui.importLabel.text


def test_a_stored_case_is_shown_where_it_lies(panel: Panel, home: Home) -> None:
    import slicer

    tilted = (0.0, 1.0, 0.0, 0.96, 0.0, 0.28, 0.28, 0.0, -0.96)
    phantom = make_case("hospital", 4, size=(32, 30, 16), spacing=(4, 5, 6), direction=tilted, origin=(5, -6, 7))
    CaseStore(home.cases).accept(phantom.ct, phantom.labels)
    panel.open()
    assert not panel.ui.showCaseButton.enabled
    panel.until(lambda: panel.ui.casesTable.rowCount == 1, "the case")
    for _ in range(2):
        panel.app.select_row(panel.ui.casesTable, 0)
        panel.click("showCaseButton")
        panel.until(lambda: panel.ui.showCaseButton.enabled, "the case in the scene")
    (volume,) = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    (segmentation,) = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert np.array_equal(slicer.util.arrayFromVolume(volume), sitk.GetArrayFromImage(phantom.ct))
    index = (3, 7, 11)
    ras = slicer.util.arrayFromVTKMatrix(_ijk_to_ras(volume)) @ (*index, 1)
    expected = np.array(phantom.ct.TransformIndexToPhysicalPoint(index)) * (-1, -1, 1)
    assert ras[:3] == pytest.approx(expected)
    segment = segmentation.GetSegmentation().GetNthSegmentID(0)
    labels = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment, volume)
    assert np.array_equal(labels, sitk.GetArrayFromImage(phantom.labels))


def _ijk_to_ras(volume: Any) -> Any:
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return matrix


def test_slow_disks_do_not_block_the_panel(opened: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    workbench = opened.widget.logic.workbench
    for owner, name in ((workbench, "adapt"), (workbench, "read_stored"), (workbench.jobs, "view")):
        monkeypatch.setattr(owner, name, delayed(getattr(owner, name)))
    began = time.monotonic()
    opened.click("startButton")
    assert time.monotonic() - began < DELAY_S / 2
    assert not opened.ui.startButton.enabled
    opened.until(lambda: opened.ui.startButton.enabled, "the start")


def delayed(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        time.sleep(DELAY_S)
        return function(*arguments, **options)

    return call


def test_every_control_has_a_tooltip_and_fits_a_narrow_panel(opened: Panel) -> None:
    import qt

    panel = opened.ui.casesCollapsibleButton.parentWidget()
    for kind in (qt.QPushButton, qt.QComboBox, qt.QAbstractSpinBox, qt.QLineEdit, qt.QTableWidget):
        for control in panel.findChildren(kind):
            named = control.objectName and not control.objectName.startswith("qt_")
            assert not named or control.toolTip, control.objectName
    assert panel.minimumSizeHint.width() <= 350


def test_what_comes_after_the_panel_is_closed_is_dropped(opened: Panel) -> None:
    opened.widget.refresh()
    advice = opened.ui.adviceLabel
    advice.text = "closed"
    opened.close()
    opened.app.process_events(0.3)
    assert advice.text == "closed"
