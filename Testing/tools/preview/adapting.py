"""The part of the day in the module LN-Seg-FM Fine-Tuning: from the cases to a decision on the adapted model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from preview.reading import cells

if TYPE_CHECKING:
    from preview.book import Book
    from preview.user import User


class Adapting:
    """Drives the panel of LN-Seg-FM Fine-Tuning.

    Args:
        widget: The module's widget.
        user: Drives it.
        book: Gets what is seen.
    """

    def __init__(self, widget: Any, user: User, book: Book) -> None:
        self._ui, self._user, self._book = widget.ui, user, book

    def sort_cases(self, count: int) -> None:
        """Wait for the thumbnails and hold the last case out."""
        user, ui = self._user, self._ui
        table = ui.casesTable
        user.until(lambda: table.rowCount == count, "the cases")
        user.until(lambda: all(not table.item(row, 0).icon().isNull() for row in range(count)), "the thumbnails")
        advice = ui.adviceLabel.text
        user.choose_data(table.cellWidget(count - 1, table.columnCount - 1), "holdout")
        user.until(lambda: ui.startButton.enabled and ui.adviceLabel.text != advice, "the use of the last case")
        uses = [table.cellWidget(row, table.columnCount - 1).currentText for row in range(count)]
        self._book.step(
            "cases", ui.casesCollapsibleButton, table=cells(table), uses=uses, advice_before=advice,
            advice=ui.adviceLabel.text,
        )

    def plan(self, epochs: int, iterations: int) -> None:
        """Set how long to train and measure what that takes."""
        user, ui = self._user, self._ui
        user.close(ui.casesCollapsibleButton)
        user.open(ui.planCollapsibleButton, ui.advancedCollapsibleButton)
        user.choose_data(ui.presetComboBox, "short")
        user.app.type_text(ui.epochsSpinBox, str(epochs))
        user.app.type_text(ui.iterationsSpinBox, str(iterations))
        before = ui.estimateLabel.text
        user.click(ui.calibrateButton)
        user.until(lambda: ui.startButton.enabled and "About" in ui.estimateLabel.text, "the estimate")
        presets = [ui.presetComboBox.itemText(index) for index in range(ui.presetComboBox.count)]
        self._book.step(
            "plan", ui.planCollapsibleButton, before=before, estimate=ui.estimateLabel.text, presets=presets
        )
        user.close(ui.advancedCollapsibleButton, ui.planCollapsibleButton)

    def train(self, pause_at: int) -> None:
        """Start, watch the curve, pause, and go on."""
        user, ui = self._user, self._ui
        user.open(ui.runCollapsibleButton)
        user.click(ui.startButton)
        user.until(lambda: ui.progressBar.value >= pause_at, "the first iterations")
        user.click(ui.curveButton)
        user.click(ui.pauseButton)
        user.until(lambda: ui.resumeButton.enabled and "paused" in cells(ui.jobsTable)[0], "the pause")
        self._book.step(
            "paused", ui.startButton, state=ui.stateLabel.text, figures=ui.figuresLabel.text,
            jobs=cells(ui.jobsTable), done=ui.progressBar.value,
        )
        user.click(ui.resumeButton)
        paused_at = ui.progressBar.value
        user.until(lambda: ui.progressBar.value > paused_at, "an iteration after the pause")
        self._book.step(
            "training", ui.startButton, state=ui.stateLabel.text, figures=ui.figuresLabel.text,
        )
        user.until(lambda: ui.useModelButton.enabled or ui.resumeButton.enabled, "the end of the job")
        if not ui.useModelButton.enabled:
            raise AssertionError(f"There is no adapted model: {ui.stateLabel.text}")

    def look_at_evidence(self, report: Path) -> None:
        """Look at figures and pictures, and save the report."""
        user, ui = self._user, self._ui
        user.close(ui.runCollapsibleButton)
        user.open(ui.evidenceCollapsibleButton)
        user.until(lambda: not ui.pictureLabel.isHidden(), "the picture")
        self._book.step(
            "evidence", ui.evidenceCollapsibleButton, verdict=ui.verdictLabel.text, table=cells(ui.resultTable),
            legend=ui.legendLabel.text, decision=ui.decisionLabel.text,
        )
        user.app.answers.append(str(report))
        user.click(ui.reportButton)
        user.until(report.is_file, "the report")
        user.until(lambda: report.name in ui.decisionLabel.text, "the words on the report")
        self._book.note("report", said=ui.decisionLabel.text)

    def picture_sections(self) -> None:
        """Take pictures of the whole panel."""
        self._book.sections("LNSegFMFineTune")

    def accept(self) -> None:
        """Make the adapted model the default; the module LN-Seg-FM is shown."""
        self._user.click(self._ui.useModelButton)

    def roll_back(self) -> None:
        """Go back to the model that it was adapted from; the module LN-Seg-FM is shown."""
        user, ui = self._user, self._ui
        user.until(lambda: ui.rollBackButton.enabled and "default" in ui.decisionLabel.text, "the decision")
        self._book.note("accepted", decision=ui.decisionLabel.text)
        user.choose_in_menu(ui.rollBackButton, "the model it was adapted from")
