"""The part of the day in the module LN-Seg-FM: from the first start to corrected cases."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from preview.reading import cells, rows_of_tree
from preview.scans import (
    Scan,
    close_plot,
    drag_over_right_half,
    labels_of,
    only_visible,
    paint,
    show_in_3d,
)

if TYPE_CHECKING:
    from preview.book import Book
    from preview.user import User

# Column of the table of lymph nodes.
_SIDE = 1
# Rows with a smaller short axis are hidden for a moment, mm.
_FILTER_MM = 5


class Segmenting:
    """Drives the panel of LN-Seg-FM.

    Args:
        widget: The module's widget.
        user: Drives it.
        book: Gets what is seen.
        quality: Value of the quality to segment with.
    """

    def __init__(self, widget: Any, user: User, book: Book, quality: str) -> None:
        self._widget, self._ui, self._user, self._book, self._quality = widget, widget.ui, user, book, quality
        self.drafts: dict[str, float] = {}
        self.geometry_kept = True

    # --- First start

    def start(self) -> None:
        """Look what is there, and let it be checked."""
        user, ui = self._user, self._ui
        user.until(lambda: ui.modelSelector.count > 0, "the bundled model")
        # Room in the picture for what is needed first.
        user.close(ui.reviewCollapsibleButton, ui.correctCollapsibleButton)
        user.open(ui.setupCollapsibleButton)
        user.click(ui.selfCheckButton)
        user.until(lambda: not ui.selfCheckLabel.isHidden(), "the self-check")
        self._book.step(
            "first-start", ui.setupCollapsibleButton,
            status=ui.setupStatusLabel.text, check=ui.selfCheckLabel.text, button=ui.setupInstallButton.text,
        )
        user.close(ui.setupCollapsibleButton)

    def look_at_models(self, name: str, wanted: str) -> None:
        """Open the manager of models and click one of them."""
        user, ui = self._user, self._ui
        user.open(ui.modelsCollapsibleButton)
        user.choose_in_tree(ui.modelTree, wanted)
        self._book.step(
            name, ui.modelsCollapsibleButton, tree=rows_of_tree(ui.modelTree), detail=ui.modelDetailLabel.text,
            chosen=ui.modelSelector.currentText,
        )
        user.close(ui.modelsCollapsibleButton)

    # --- Segmentation

    def segment_all(self, scans: list[Scan]) -> None:
        """Put all scans into the queue and look at the first result while the others are still to come."""
        user, ui = self._user, self._ui
        user.app.choose(ui.volumeSelector, scans[0].name)
        user.choose_data(ui.qualitySelector, self._quality)
        user.open(ui.queueCollapsibleButton, ui.reviewCollapsibleButton, ui.correctCollapsibleButton)
        user.click(ui.addAllButton)
        states = cells(ui.queueTable, 1)
        user.until(lambda: ui.nodeTable.rowCount > 0, "the first result")
        self._show_in_3d()
        self._book.step("queue", ui.modelLabel, started=states, rows=ui.nodeTable.rowCount)
        user.until(lambda: not self._widget.is_working("segment"), "the other results")
        self._book.note("segmented", states=cells(ui.queueTable), summary=ui.queueLabel.text)
        user.close(ui.queueCollapsibleButton)

    def look_at_adapted(self, scan: Scan) -> None:
        """Segment a scan again with the chosen model, and click the largest lymph node."""
        user, ui = self._user, self._ui
        close_plot()
        user.app.choose(ui.volumeSelector, scan.name)
        user.click(ui.segmentButton)
        user.until(lambda: not self._widget.is_working("segment"), "the segmentation")
        only_visible(self.segmentation)
        self._show_in_3d()
        self.geometry_kept &= scan.geometry_kept_by(self.segmentation)
        user.app.select_row(ui.nodeTable, 0)
        self._book.step(
            "adapted", ui.modelLabel, status=ui.statusLabel.text, summary=ui.summaryLabel.text,
            chosen=ui.modelSelector.currentText,
        )

    def _show_in_3d(self) -> None:
        show_in_3d(self.segmentation, self._ui.volumeSelector.currentNode())

    @property
    def segmentation(self) -> Any:
        """The segmentation node that is open."""
        return self._ui.segmentationSelector.currentNode()

    @property
    def open_volume(self) -> str:
        """Name of the volume that is open."""
        return self._ui.volumeSelector.currentNode().GetName()

    @property
    def model(self) -> str:
        """Id of the chosen model."""
        return self._ui.modelSelector.itemData(self._ui.modelSelector.currentIndex)

    # --- Worklist and review

    def open_next(self) -> None:
        """Open the scan whose correction teaches most."""
        user, ui = self._user, self._ui
        user.open(ui.worklistCollapsibleButton)
        user.click(ui.openNextButton)
        self._show_in_3d()
        self._book.step(
            "worklist", ui.worklistCollapsibleButton, rows=cells(ui.worklistTable), why=ui.worklistLabel.text,
            open=self.open_volume,
        )

    def review(self) -> None:
        """Go through the lymph nodes by keys, tick them, delete one and take that back, and filter them."""
        user, ui, book = self._user, self._ui, self._book
        table, rows = ui.nodeTable, ui.nodeTable.rowCount
        user.app.select_row(table, 0)
        user.press(table, "Space")
        user.press(table, "N")
        after_n = table.currentRow()
        book.step(
            "review", ui.reviewCollapsibleButton, table=cells(table), summary=ui.summaryLabel.text, after_n=after_n,
        )
        user.press(table, "P")
        after_p = table.currentRow()
        user.press(table, "D")
        book.step(
            "deleted", ui.reviewCollapsibleButton, before=rows, after=table.rowCount, can_undo=ui.undoButton.enabled
        )
        user.click(ui.undoButton)
        book.note("undone", rows=table.rowCount, after_p=after_p, summary=ui.summaryLabel.text)
        user.app.type_text(ui.filterSpinBox, f"{_FILTER_MM}")
        book.note("filtered", least=_FILTER_MM, axes=cells(table, 2), summary=ui.summaryLabel.text)
        user.app.type_text(ui.filterSpinBox, "0")

    def look_at_probability(self) -> None:
        """Lay the probability over the CT, and take it away again."""
        import slicer

        user, ui = self._user, self._ui
        layers = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceCompositeNode()
        user.click(ui.overlayCheckBox)
        user.until(layers.GetForegroundVolumeID, "the probability")
        overlay = slicer.mrmlScene.GetNodeByID(layers.GetForegroundVolumeID())
        self._book.step("probability", ui.reviewCollapsibleButton, overlay=overlay.GetName())
        user.click(ui.overlayCheckBox)

    # --- Correction

    def correct_a_part(self, scan: Scan) -> None:
        """Correct the right half alone and say so; the next scan opens."""
        user, ui = self._user, self._ui
        self._remember_draft(scan)
        user.app.choose(ui.checkedRoiSelector, "Create new ROI")
        checked = drag_over_right_half(ui.checkedRoiSelector.currentNode(), scan.volume)
        draft = labels_of(self.segmentation, scan.volume)
        self._paint_and_measure(np.where(checked, scan.truth, draft), scan)
        sides = [row[0] for row in cells(ui.nodeTable, _SIDE)]
        user.app.select_row(ui.nodeTable, sides.index("R") if "R" in sides else 0)
        self._book.step(
            "correction", ui.correctCollapsibleButton, roi=ui.checkedRoiSelector.currentNode().GetName(), sides=sides
        )
        ui.checkedRoiSelector.currentNode().SetDisplayVisibility(False)
        self._accept()
        self._show_in_3d()
        self._book.step(
            "next-opened", ui.correctCollapsibleButton, case=ui.caseLabel.text,
            open=self.open_volume, worklist=cells(ui.worklistTable, 1, 4),
        )

    def correct(self, scan: Scan) -> None:
        """Correct the whole scan."""
        self._remember_draft(scan)
        self._paint_and_measure(scan.truth, scan)
        self._accept()

    def _remember_draft(self, scan: Scan) -> None:
        self.drafts[scan.name] = scan.score(self.segmentation)
        self.geometry_kept &= scan.geometry_kept_by(self.segmentation)

    def _paint_and_measure(self, labels: np.ndarray, scan: Scan) -> None:
        user, ui = self._user, self._ui
        paint(self.segmentation, labels, scan.volume)
        self._show_in_3d()
        user.click(ui.measureButton)
        user.until(lambda: not self._widget.is_working("measure"), "the measurements")

    def _accept(self) -> None:
        user, ui = self._user, self._ui
        user.click(ui.acceptButton)
        user.until(lambda: not self._widget.is_working("accept"), "the stored case")

    def picture_sections(self) -> None:
        """Take pictures of the whole panel."""
        self._book.sections("LNSegFM")

    # --- Export

    def export(self, folder: Path) -> None:
        """Write the open segmentation as a labelmap, and its measurements."""
        user, ui = self._user, self._ui
        user.close(ui.correctCollapsibleButton, ui.worklistCollapsibleButton)
        user.open(ui.exportCollapsibleButton)
        for button, name in ((ui.exportLabelmapButton, "lymph-nodes.nii.gz"), (ui.exportCsvButton, "lymph-nodes.csv")):
            user.app.answers.append(str(folder / name))
            user.click(button)
            user.until((folder / name).is_file, name)
            user.until(lambda: ui.exportCsvButton.enabled, "the end of the export")
        self._book.step(
            "export", ui.exportCollapsibleButton, said=ui.exportResultLabel.text,
            files=sorted(path.name for path in folder.iterdir()),
        )
        user.close(ui.exportCollapsibleButton)
