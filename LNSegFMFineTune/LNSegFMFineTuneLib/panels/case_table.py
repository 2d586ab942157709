"""The table of the stored cases, with a thumbnail and a choice of use in each row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ctk
import qt

from lnsegfm.base.background import Task
from lnsegfm.base.errors import Cancelled, UserError
from lnsegfm.cases.case_info import CaseInfo
from lnsegfm.models.damaged import Damaged
from lnsegfm.models.model_card import ModelInfo
from LNSegFMFineTuneLib.panels.fine_tune_host import FineTuneHost
from LNSegFMFineTuneLib.texts import case_texts as wording
from LNSegFMLib.panels.common.widgets import fill_combo_box, fill_row, fit_height, set_up_table
from LNSegFMLib.texts.model_texts import damaged_words

_ICON_PX = 32
_LABELS_COLUMN = 1
_WORK = "thumbnail"


class UseChoice:
    """The combo box of a case: what the case is used for."""

    def __init__(self, case: CaseInfo, on_choice: Callable[[str, str], None]) -> None:
        self._case_id, self._on_choice = case.id, on_choice
        self.combo_box = ctk.ctkComboBox()
        # The wheel scrolls the panel; it must not put a case to another use on its way.
        self.combo_box.scrollWheelEffect = ctk.ctkComboBox.NeverScroll
        self.combo_box.setToolTip(wording.titles()[-1][1])
        fill_combo_box(self.combo_box, wording.uses().items(), case.use)
        self.combo_box.connect("currentIndexChanged(int)", self._on_index_changed)

    def _on_index_changed(self, index: int) -> None:
        self._on_choice(self._case_id, self.combo_box.itemData(index))


class CaseTable:
    """Fills ``ui.casesTable``; thumbnails are made one after another, in a thread.

    Args:
        host: The panel.
        ui: Widgets of the section.
        on_use_chosen: Called with a case's id and its new use.
    """

    def __init__(self, host: FineTuneHost, ui: Any, on_use_chosen: Callable[[str, str], None]) -> None:
        self._host, self._ui, self._on_use_chosen = host, ui, on_use_chosen
        self._table = ui.casesTable
        self._cases: Sequence[CaseInfo] = ()
        self._damaged: Sequence[Damaged] = ()
        self._names: dict[str, str] = {}
        self._choices: list[UseChoice] = []
        self._waiting: list[CaseInfo] = []
        self._icons: dict[tuple[str, int], Any] = {}
        set_up_table(self._table, wording.titles(), stretched=_LABELS_COLUMN)
        self._table.iconSize = qt.QSize(_ICON_PX, _ICON_PX)
        self._table.connect("itemSelectionChanged()", self._show_details)
        fit_height(self._table)

    @property
    def current(self) -> CaseInfo | None:
        """The case whose row is chosen."""
        row = self._table.currentRow()
        return self._cases[row] if 0 <= row < len(self._cases) else None

    @property
    def current_damaged(self) -> Damaged | None:
        """What is damaged and has the chosen row, if it is that."""
        row = self._table.currentRow() - len(self._cases)
        return self._damaged[row] if 0 <= row < len(self._damaged) else None

    def update_controls(self) -> None:
        """Let uses be chosen when nothing else is being changed."""
        is_enabled = not self._host.is_acting
        for choice in self._choices:
            choice.combo_box.enabled = is_enabled

    def clear(self) -> None:
        """Forget what is shown, so that the next `show` refills the table."""
        # The combo boxes go with the rows.
        self._cases, self._damaged, self._waiting, self._choices = (), (), [], []
        self._table.setRowCount(0)
        self._show_details()

    def _show_details(self) -> None:
        case, damaged, label = self.current, self.current_damaged, self._ui.caseDetailsLabel
        text = "" if damaged is None else damaged_words(damaged)
        label.text = text if case is None else wording.details(case, self._names)
        label.visible = case is not None or damaged is not None

    def show(
        self, cases: Sequence[CaseInfo], models: Sequence[ModelInfo], damaged: Sequence[Damaged] = ()
    ) -> None:
        """Show these cases, and behind them what is damaged; the chosen case stays chosen."""
        chosen, self._names = self.current, {model.id: model.name for model in models}
        self._cases, self._damaged = cases, damaged
        self._table.setRowCount(0)
        self._table.setRowCount(len(cases) + len(damaged))
        self._choices = [UseChoice(case, self._on_use_chosen) for case in cases]
        for row, case in enumerate(cases):
            fill_row(self._table, row, wording.cells(case))
            self._table.setCellWidget(row, self._table.columnCount - 1, self._choices[row].combo_box)
            if (case.id, case.latest.number) in self._icons:
                self._table.item(row, 0).setIcon(self._icons[case.id, case.latest.number])
            if chosen is not None and case.id == chosen.id:
                self._table.selectRow(row)
        for row, each in enumerate(damaged, len(cases)):
            fill_row(self._table, row, (each.id, wording.damaged(), ""))
            self._table.item(row, _LABELS_COLUMN).setToolTip(each.why)
        fit_height(self._table)
        self._show_details()
        self._waiting = [case for case in cases if (case.id, case.latest.number) not in self._icons]
        self._make_next_thumbnail()

    def _make_next_thumbnail(self) -> None:
        if self._waiting and not self._host.is_working(_WORK):
            task = Task(self._host.workbench.cases.thumbnail, self._waiting[0])
            self._host.start_work(_WORK, task, self._on_thumbnail, self._on_no_thumbnail)

    def _on_thumbnail(self, path: str) -> None:
        # The table may have been refilled while the picture was made.
        case = next((case for case in self._cases if case.path == Path(path).parent), None)
        if case is not None:
            icon = self._icons[case.id, case.latest.number] = qt.QIcon(path)
            self._table.item(self._cases.index(case), 0).setIcon(icon)
            fit_height(self._table)
            self._waiting = [each for each in self._waiting if each.id != case.id]
        self._make_next_thumbnail()

    def _on_no_thumbnail(self, _problem: UserError | Cancelled) -> None:
        # The case can be used without a picture.
        self._waiting = self._waiting[1:]
        self._make_next_thumbnail()
