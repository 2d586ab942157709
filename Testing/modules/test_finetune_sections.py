"""The sections of the fine-tuning panel: cases, plan, jobs and evidence, by clicks."""

# ruff: noqa: F811 - the fixtures are imported
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

pytest.importorskip("PySide6")
pytest.importorskip("vtk")

from finetune_panel import (  # noqa: F401
    BETTER,
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
from lnsegfm.base.files import sha256
from lnsegfm.base.home import Home
from lnsegfm.cases.case_store import CaseStore
from lnsegfm.formats.image_files import write_image
from lnsegfm.jobs.job_results import RESULT, label_file
from lnsegfm.jobs.job_store import JobStore
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_store import ModelStore
from lnsegfm.phantom import PhantomCase, make_case


def small(seed: int) -> PhantomCase:
    return make_case("hospital", seed, size=(32, 32, 16), spacing=(4, 4, 6))


def files_below(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): sha256(path) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def without_other_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """The module LN-Seg-FM cannot be shown, as in a Slicer that does not have it."""
    import slicer

    monkeypatch.setattr(slicer.util, "selectModule", lambda name: None)


# Cases


def test_every_case_gets_its_picture(opened: Panel, cases: CaseStore) -> None:
    table = opened.ui.casesTable
    opened.until(lambda: all(not table.item(row, 0).icon().isNull() for row in range(3)), "the pictures")
    assert (cases.get("case-0001").path / "thumbnail-0001.png").is_file()


def test_the_table_tells_how_much_of_a_draft_was_corrected_and_what_nobody_looked_at(
    panel: Panel, home: Home
) -> None:
    phantom, store = small(7), CaseStore(home.cases)
    store.accept(phantom.ct, phantom.labels, draft_model="phantom-demonstration", draft_label=phantom.labels * 0)
    partial = sitk.GetArrayFromImage(phantom.labels)
    partial[:4] = 9
    labels = sitk.GetImageFromArray(partial)
    labels.CopyInformation(phantom.labels)
    store.accept(small(8).ct, labels, ignore=9)
    panel.open()
    panel.until(lambda: panel.ui.casesTable.rowCount == 2, "the cases")
    table = panel.ui.casesTable
    assert table.item(1, 1).text().startswith("v1, partial")
    panel.app.select_row(table, 0)
    assert f"Draft by {ModelStore(home.models).list()[0].name}." in panel.ui.caseDetailsLabel.text
    assert "against the draft: 0.00." in panel.ui.caseDetailsLabel.text
    panel.app.select_row(table, 1)
    assert "Only part" in panel.ui.caseDetailsLabel.text and "Draft" not in panel.ui.caseDetailsLabel.text
    assert "Only part of case-0002" in panel.ui.adviceLabel.text
    assert "possibly scans of one patient" in panel.ui.adviceLabel.text


def test_segmentations_of_the_scene_become_cases_once(panel: Panel, home: Home) -> None:
    from LNSegFMLib.scene.segments.segmentations import add_segmentation, labelmap_of
    from LNSegFMLib.scene.volumes import add_volume

    for seed in (5, 6):
        phantom = small(seed)
        labelmap = labelmap_of(phantom.labels, segment_per_node=False)
        add_segmentation(labelmap, add_volume(phantom.ct, f"CT {seed}"), lambda _: "Nodes", f"Contours {seed}")
    panel.open()
    panel.pick("importButton", "Contours 6")
    panel.until(lambda: panel.ui.casesTable.rowCount == 1, "the first import")
    panel.pick("importButton", "all 2 segmentations")
    panel.until(lambda: panel.ui.casesTable.rowCount == 2, "the second import")
    assert "Skipped Contours 6: It is stored already, as case-0001." in panel.ui.importLabel.text
    stored = sitk.ReadImage(str(CaseStore(home.cases).get("case-0001").label_path()))
    assert np.array_equal(sitk.GetArrayFromImage(stored), sitk.GetArrayFromImage(small(6).labels))


def test_a_removed_case_comes_back_whole(opened: Panel, cases: CaseStore) -> None:
    table = opened.ui.casesTable
    opened.until(lambda: not table.item(1, 0).icon().isNull(), "the picture")
    before = files_below(cases.get("case-0002").path)
    assert not opened.ui.removeCaseButton.enabled and not opened.ui.undoRemoveButton.enabled
    opened.app.answers.append(False)
    opened.app.select_row(table, 1)
    opened.click("removeCaseButton")
    assert opened.app.dialogs[-1][0] == "confirm" and "Remove case-0002?" in opened.app.dialogs[-1][1]
    assert table.rowCount == 3
    opened.click("removeCaseButton")
    opened.until(lambda: table.rowCount == 2, "the removal")
    assert [case.id for case in cases.list()] == ["case-0001", "case-0003"]
    opened.click("undoRemoveButton")
    opened.until(lambda: table.rowCount == 3, "the return")
    assert files_below(cases.get("case-0002").path) == before
    opened.until(lambda: not opened.ui.undoRemoveButton.enabled, "nothing more to undo")


def test_what_was_removed_is_kept_until_the_end_of_the_session(opened: Panel, cases: CaseStore) -> None:
    opened.app.select_row(opened.ui.casesTable, 0)
    opened.click("removeCaseButton")
    opened.until(lambda: opened.ui.casesTable.rowCount == 2, "the removal")
    opened.reload()
    removed = cases.root / ".trash" / "case-0001"
    assert removed.is_dir()
    opened.app.select_row(opened.ui.casesTable, 0)
    opened.click("removeCaseButton")
    opened.until(lambda: opened.ui.casesTable.rowCount == 1, "the second removal")
    opened.close()
    assert not (cases.root / ".trash" / "case-0002").exists()


def test_a_case_that_a_job_works_with_is_not_removed(opened: Panel, cases: CaseStore) -> None:
    opened.start(hold=5)
    opened.app.select_row(opened.ui.casesTable, 0)
    opened.click("removeCaseButton")
    opened.until(lambda: opened.app.dialogs and opened.app.dialogs[-1][0] == "error", "the refusal")
    assert "works with it" in opened.app.dialogs[-1][1]
    opened.until(lambda: opened.ui.casesTable.rowCount == 3, "the table as it was")
    assert len(cases.list()) == 3


def test_the_wheel_over_a_use_does_not_change_it(opened: Panel, cases: CaseStore) -> None:
    from PySide6 import QtCore, QtGui, QtWidgets

    table = opened.ui.casesTable
    box = table.cellWidget(0, table.columnCount - 1)
    point = QtCore.QPointF(4, 4)
    wheel = QtGui.QWheelEvent(
        point, point, QtCore.QPoint(), QtCore.QPoint(0, -120), QtCore.Qt.NoButton, QtCore.Qt.NoModifier,
        QtCore.Qt.NoScrollPhase, False,
    )
    before = box.currentData
    QtWidgets.QApplication.sendEvent(box, wheel)
    assert box.currentData == before == cases.get("case-0001").use


# Plan


def test_a_learning_rate_is_typed_digit_by_digit_and_a_name_in_its_middle(opened: Panel) -> None:
    from PySide6 import QtTest, QtWidgets

    if opened.ui.advancedCollapsibleButton.collapsed:
        opened.app.click(opened.ui.advancedCollapsibleButton)
    edit = opened.ui.learningRateSpinBox.findChild(QtWidgets.QLineEdit)
    edit.selectAll()
    QtTest.QTest.keyClicks(edit, "0.015")
    assert opened.ui.learningRateSpinBox.value == 0.015
    name = opened.ui.nameLineEdit
    QtTest.QTest.keyClicks(name, "Our clinic")
    name.setCursorPosition(3)
    QtTest.QTest.keyClicks(name, " new")
    assert name.text == "Our new clinic"


def test_a_measurement_tells_what_each_preset_will_take(opened: Panel) -> None:
    assert "not known yet" in opened.ui.estimateLabel.text
    opened.click("calibrateButton")
    estimate = "12500 iterations of 0.50 s on CPU, with 2.0 GB"
    opened.until(lambda: estimate in opened.ui.estimateLabel.text, "the estimate")
    box = opened.ui.presetComboBox
    texts = [box.itemText(index) for index in range(3)]
    assert texts == ["Short (about 1 min)", "Standard (about 8 min 20 s)", "Paper (about 1 h 44 min)"]
    opened.app.click(opened.ui.advancedCollapsibleButton)
    opened.app.choose(opened.ui.methodComboBox, "Full")
    assert "not known yet" in opened.ui.estimateLabel.text


def test_a_measurement_can_be_stopped(opened: Panel) -> None:
    opened.calibrator.write_text("import time; time.sleep(60)")
    opened.click("calibrateButton")
    opened.until(lambda: opened.ui.calibrateButton.text == "Stop measuring", "the measurement")
    assert not opened.ui.startButton.enabled
    opened.click("calibrateButton")
    opened.until(lambda: opened.ui.startButton.enabled, "the end of the measurement")
    assert opened.ui.calibrateButton.text == "Measure this computer" and not opened.app.dialogs


def test_a_job_that_cannot_work_is_refused_before_it_exists(opened: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    opened.cost = {"seconds": 1.0, "device": "cuda: a GPU", "gpu_bytes": 8 << 30, "gpu_total_bytes": 4 << 30}
    monkeypatch.setattr("lnsegfm.jobs.preflight.free_gpu_bytes", lambda device: None)
    opened.click("startButton")
    opened.until(lambda: opened.app.dialogs, "the refusal")
    kind, text = opened.app.dialogs[-1]
    assert kind == "error" and "not enough GPU memory" in text and "needs 8.0 GB, and 4.0 GB is free" in text
    assert JobStore(opened.home.jobs).list() == []


def test_every_method_says_what_it_trains(opened: Panel) -> None:
    import qt

    box = opened.ui.methodComboBox
    assert box.count == 14
    assert all(box.itemData(index, qt.Qt.ToolTipRole) for index in range(box.count))


def test_the_hold_out_can_be_left_to_chance_or_left_out(opened: Panel) -> None:
    opened.app.click(opened.ui.advancedCollapsibleButton)
    jobs = JobStore(opened.home.jobs)
    for number, (choice, train, holdout) in enumerate((("none", 3, 0), ("random", 2, 1)), 1):
        opened.choose("holdoutComboBox", choice)
        opened.choose("presetComboBox", "short")
        opened.click("startButton")
        opened.until(lambda count=number: opened.ui.jobsTable.rowCount == count, "the job")
        opened.until_state("done")
        spec = jobs.list()[-1].spec
        assert (len(spec.cases), len(spec.holdout)) == (train, holdout)


# Jobs


def test_a_paused_job_frees_the_computer_and_goes_on_where_it_was(opened: Panel) -> None:
    opened.start(hold=10)
    opened.click("pauseButton")
    opened.until_state("paused")
    assert "Paused" in opened.ui.stateLabel.text and opened.ui.progressBar.value == 10
    assert not opened.ui.pauseButton.enabled and not opened.ui.cancelButton.enabled
    opened.hold(None)
    opened.click("resumeButton")
    opened.until_state("done")
    assert [row["iteration"] for row in opened.job.progress()] == list(range(1, 121))


def test_all_jobs_are_listed_and_an_ended_one_can_be_removed(adapted: ModelInfo, opened: Panel) -> None:
    opened.start()
    first = opened.job.id
    opened.fault = "memory"
    opened.click("startButton")
    opened.until_state("failed")
    table = opened.ui.jobsTable
    rows = [[table.item(row, column).text() for column in (0, 1, 2)] for row in range(table.rowCount)]
    assert rows == [[opened.job.id, "DGST", "failed"], [first, "DGST", "done"]]
    opened.click("removeJobButton")
    opened.until(lambda: opened.listed_job == first and table.rowCount == 1, "the other job")
    assert [job.id for job in JobStore(opened.home.jobs).list()] == [first]
    opened.until(lambda: opened.ui.useModelButton.enabled, "its result")
    opened.click("removeJobButton")
    opened.until(lambda: table.rowCount == 0, "the empty list")
    assert not opened.ui.useModelButton.enabled and not opened.ui.removeJobButton.enabled
    assert opened.ui.progressBar.isHidden()


def test_a_running_job_tells_its_share_of_the_gpu(opened: Panel) -> None:
    memory = "gpu_bytes=3 << 30, gpu_total_bytes=8 << 30"
    opened.runner.write_text(opened.runner.read_text().replace("status(stage=", f"status({memory}, stage="))
    opened.start(hold=3)
    assert "GPU memory 3.0 GB of 8.0 GB" in opened.ui.figuresLabel.text


# Evidence


def with_pictures(opened: Panel) -> None:
    """Put the labels there that the real runner leaves."""
    case = CaseStore(opened.home.cases).get("case-0003")
    truth = sitk.ReadImage(str(case.label_path()))
    for when, labels in (("before", truth * 0), ("after", truth)):
        write_image(labels, opened.job.path / RESULT / label_file(case.id, when))


def test_the_chosen_case_is_shown_before_and_after(opened: Panel) -> None:
    opened.start(hold=100)
    with_pictures(opened)
    assert opened.ui.pictureLabel.isHidden()
    opened.hold(None)
    opened.until_state("done")
    opened.until(lambda: not opened.ui.pictureLabel.isHidden(), "the picture")
    assert opened.ui.legendLabel.text.startswith("case-0003")
    assert (opened.job.path / RESULT / "case-0003-comparison.png").is_file()


def test_pictures_that_cannot_be_made_are_missed_without_a_dialog(opened: Panel) -> None:
    opened.start()
    opened.until(lambda: "cannot be read" in opened.ui.legendLabel.text, "the reason")
    assert not opened.app.dialogs


def test_forgetting_is_shown_where_it_was_measured(opened: Panel) -> None:
    opened.metrics = {**BETTER, "reference": {"cases": {"case-0009": scores(0.9, 0.8)}}}
    opened.start()
    assert "original domain (1): mean DSC" in opened.ui.forgettingLabel.text
    assert "0.900 → 0.800" in opened.ui.forgettingLabel.text


def test_a_rejected_model_is_kept_aside_and_can_be_accepted_after_all(
    adapted: ModelInfo, opened: Panel, without_other_module: None
) -> None:
    models = ModelStore(opened.home.models)
    opened.start()
    opened.click("useModelButton")
    assert opened.chosen_model == adapted.id
    opened.until(lambda: "is the default" in opened.ui.decisionLabel.text, "the decision")
    opened.click("rejectButton")
    opened.until(lambda: "Rejected" in opened.ui.decisionLabel.text, "the rejection")
    assert models.is_rejected(adapted.id) and models.default_id == adapted.card.parent
    assert opened.chosen_model == adapted.card.parent
    assert not opened.ui.rejectButton.enabled
    opened.click("useModelButton")
    assert models.default_id == adapted.id and not models.is_rejected(adapted.id)


def test_one_click_goes_back_to_an_ancestor(adapted: ModelInfo, opened: Panel, without_other_module: None) -> None:
    opened.start()
    opened.click("useModelButton")
    opened.until(lambda: opened.ui.rollBackButton.enabled, "the ancestors")
    opened.pick("rollBackButton", "the model it was adapted from")
    assert opened.chosen_model == adapted.card.parent
    assert ModelStore(opened.home.models).default_id == adapted.card.parent


def test_a_model_that_was_removed_cannot_be_accepted(adapted: ModelInfo, opened: Panel) -> None:
    opened.start()
    ModelStore(opened.home.models).remove(adapted.id)
    opened.widget.refresh()
    opened.until(lambda: "no longer installed" in opened.ui.decisionLabel.text, "the refresh")
    assert not opened.ui.useModelButton.enabled and not opened.ui.rejectButton.enabled


@pytest.mark.parametrize("suffix", ["html", "pdf"])
def test_a_report_holds_everything_and_nobodys_name(
    adapted: ModelInfo, opened: Panel, tmp_path: Path, suffix: str
) -> None:
    opened.start(hold=100)
    with_pictures(opened)
    opened.hold(None)
    opened.until_state("done")
    target = tmp_path / f"report.{suffix}"
    opened.app.answers.append(str(target))
    opened.click("reportButton")
    opened.until(lambda: "was saved as" in opened.ui.decisionLabel.text, "the report")
    content = target.read_bytes()
    if suffix == "pdf":
        assert content.startswith(b"%PDF") and b"%%EOF" in content[-20:]
        return
    text = content.decode()
    verdict, picture = "Too few hold-out cases", "data:image/png;base64,"
    for expected in (verdict, "case-0003", picture, "DGST", adapted.sha256, "found 1"):
        assert expected in text
    assert str(opened.home.root) not in text and str(Path.home()) not in text


def test_a_report_where_qt_writes_no_pdf_is_html_and_says_why(
    opened: Panel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("LNSegFMFineTuneLib.panels.report_file._pdf_device", lambda: None)
    opened.start()
    opened.app.answers.append(str(tmp_path / "report.pdf"))
    opened.click("reportButton")
    opened.until(lambda: "cannot write PDF" in opened.ui.decisionLabel.text, "the report")
    assert (tmp_path / "report.html").is_file() and not (tmp_path / "report.pdf").exists()


def test_a_report_that_cannot_be_written_says_why(opened: Panel, tmp_path: Path) -> None:
    opened.start()
    (tmp_path / "taken").write_text("a file, not a folder")
    opened.app.answers.append(str(tmp_path / "taken" / "report.html"))
    opened.click("reportButton")
    opened.until(lambda: opened.app.dialogs[-1][0] == "error", "the error")
    assert "could not be written" in opened.app.dialogs[-1][1]
