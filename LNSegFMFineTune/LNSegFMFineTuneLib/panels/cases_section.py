"""The section of the stored cases: look at them, sort them, import, remove, bring back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from lnsegfm.base.background import Pending
from lnsegfm.base.errors import UserError
from lnsegfm.cases.case_import import ImportReport
from lnsegfm.images.input_options import ONLY_CERTAIN, InputOptions
from lnsegfm.jobs.case_selection import Selection
from lnsegfm.jobs.stored import Stored
from LNSegFMFineTuneLib.panels.case_table import CaseTable
from LNSegFMFineTuneLib.panels.fine_tune_host import FineTuneHost, FineTuneSection
from LNSegFMFineTuneLib.scene.scene_pairs import ScenePair, find_pairs, import_pair
from LNSegFMFineTuneLib.scene.stored_case import CaseContent, read_case, show_case
from LNSegFMFineTuneLib.texts import case_texts as wording
from LNSegFMLib.panels.common.input_questions import ask, sort_of
from LNSegFMLib.texts.model_texts import damaged_question

_ALL = "all"
_PROGRESS_MS = 200
Again = Callable[[InputOptions, Collection[str]], None]
"""Imports the pairs of these names once more, with what the user said."""


class CasesSection(FineTuneSection):
    """The cases of the home.

    Args:
        host: The panel.
        ui_file: Path of the .ui file.
        frame: The panel's widgets around the sections.
    """

    def __init__(self, host: FineTuneHost, ui_file: str, *, frame: Any) -> None:
        super().__init__(host, ui_file, frame=frame)
        self._importing: Pending | None = None
        self._again: Again | None = None
        self._start_report()
        self._removed: list[str] = []  # in this session, the last one at the end
        self.table = CaseTable(host, self.ui, self.on_use_chosen)
        self._progress_timer = qt.QTimer()
        self._progress_timer.setInterval(_PROGRESS_MS)
        self._progress_timer.connect("timeout()", self._show_progress)
        self._import_menu = qt.QMenu(self.ui.importButton)
        self._import_menu.connect("aboutToShow()", self.on_import_menu)
        self._import_menu.connect("triggered(QAction*)", self.on_import_chosen)
        self._fill_import_menu()
        self.ui.importButton.setMenu(self._import_menu)
        for button, slot in (
            (self.ui.showCaseButton, self.on_show), (self.ui.removeCaseButton, self.on_remove),
            (self.ui.undoRemoveButton, self.on_undo),
        ):  # fmt: skip
            button.connect("clicked(bool)", slot)
        self.ui.casesTable.connect("itemSelectionChanged()", host.update_controls)

    def show_stored(self, before: Stored, stored: Stored) -> None:
        """Follow what lies on the disk."""
        shown, now = ((each.cases, each.models, each.damaged_cases) for each in (before, stored))
        if shown != now:
            self.table.show(*now)
        selection = Selection.of(stored.cases)
        self.ui.adviceLabel.text = wording.advice(selection, stored.findings, stored.problem)

    def update_controls(self) -> None:
        """Enable what can be done now."""
        idle, chosen = not self.host.is_acting, self.table.current is not None
        removable = chosen or self.table.current_damaged is not None
        self.table.update_controls()
        self.ui.importButton.enabled = idle
        self.ui.showCaseButton.enabled = idle and chosen
        self.ui.removeCaseButton.enabled = idle and removable
        self.ui.undoRemoveButton.enabled = idle and bool(self._removed)

    def on_action_failed(self) -> None:
        """Show the table as it is on the disk, and not as the user wanted it."""
        if self._importing is not None:
            self._end_import()
            self.ui.importLabel.visible = False
        self.table.clear()

    def close(self) -> None:
        """The panel goes away; at the end of the session, so does what was removed in it."""
        self._progress_timer.stop()
        for case_id in () if self.host.is_reloading else self._removed:
            try:
                self.host.workbench.cases.forget(case_id)
            except (UserError, OSError):
                # It stays in the trash, where it takes space and does no harm.
                continue

    def on_use_chosen(self, case_id: str, use: str) -> None:
        """Store what a case is used for."""
        self.host.act(self._ignore, self.host.workbench.cases.set_use, case_id, use)

    def _ignore(self, _result: Any) -> None:
        """Nothing is left to do: everything is read again after an action."""

    # Import

    def on_import_menu(self) -> None:
        """Offer what the scene has now."""
        self._fill_import_menu()

    def _fill_import_menu(self) -> None:
        menu = self._import_menu
        menu.clear()
        self._import_actions = [self._import_action(_("From a folder..."), "")]
        pairs = find_pairs()
        if pairs:
            menu.addSeparator()
        for pair in pairs:
            text = _("From the scene: {name}").format(name=pair.name)
            self._import_actions.append(self._import_action(text, pair.segmentation.GetID()))
        if len(pairs) > 1:
            self._import_actions.append(
                self._import_action(_("From the scene: all {count} segmentations").format(count=len(pairs)), _ALL)
            )

    def _import_action(self, text: str, data: str) -> Any:
        # Kept as a member: PythonQt would delete it with the last Python reference.
        action = qt.QAction(text, self._import_menu)
        action.setData(data)
        self._import_menu.addAction(action)
        return action

    def on_import_chosen(self, action: Any) -> None:
        """Import a folder or segmentations of the scene."""
        chosen = action.data()
        if not chosen:
            parent = slicer.util.mainWindow()
            folder = qt.QFileDialog.getExistingDirectory(parent, _("Folder with imagesTr and labelsTr"), "")
            if folder:
                self._start_report()
                self._import_folder(folder)
            return
        self._start_report()
        self._import_pairs([pair for pair in find_pairs() if chosen in (_ALL, pair.segmentation.GetID())])

    def _start_report(self) -> None:
        self._report = ImportReport()  # of the import that runs or ran last, with its questions answered
        self._said: dict[str, InputOptions] = {}  # by the names of the pairs
        self._declined: set[str] = set()

    def _import_folder(
        self, folder: str, options: InputOptions = ONLY_CERTAIN, names: Collection[str] | None = None
    ) -> None:
        def again(options: InputOptions, names: Collection[str]) -> None:
            self._import_folder(folder, options, names)

        run = self.host.workbench.cases.import_folder
        self._import(again, run, folder, input_options=options, names=names)

    def _import_pairs(self, pairs: Sequence[ScenePair], options: InputOptions = ONLY_CERTAIN) -> None:
        with slicer.util.WaitCursor():  # a segmentation without labelmap gets one here
            taken = [import_pair(pair, options.placement) for pair in pairs]

        def again(options: InputOptions, names: Collection[str]) -> None:
            self._import_pairs([pair for pair in pairs if pair.name in names], options)

        self._import(again, self.host.workbench.cases.import_pairs, taken, input_options=options)

    def _import(self, again: Again, function: Any, source: Any, **options: Any) -> None:
        self.ui.importLabel.visible = True
        self._again = again
        self._importing = self.host.act(self._on_imported, partial(function, **options), source)
        self._progress_timer.start()

    def _end_import(self) -> None:
        self._importing = None
        self._progress_timer.stop()

    def _show_progress(self) -> None:
        if self._importing is not None:
            self.ui.importLabel.text = wording.importing(self._importing.progress.message)

    def _on_imported(self, report: ImportReport) -> None:
        self._end_import()
        self._report.add(report)
        self.ui.importLabel.text = wording.import_text(self._report)
        self._ask_on()

    def _ask_on(self) -> None:
        if self._doubts():
            # Once this action has ended: the panel does one at a time.
            qt.QTimer.singleShot(0, self._ask)

    def _doubts(self) -> dict[str, UserError]:
        """Return the next pairs to be asked about: those for which the same can be said, and has been before."""
        left = {
            name: (sort, self._said.get(name, ONLY_CERTAIN)) for name, error in self._report.uncertain.items()
            if name not in self._declined and (sort := sort_of(error))
        }  # fmt: skip
        first = next(iter(left.values()), None)
        return {name: self._report.uncertain[name] for name, each in left.items() if each == first}

    def _ask(self) -> None:
        """Ask about pairs that were refused for what the user can tell, and import them once more with the answer."""
        doubts = self._doubts()
        if not doubts or self._again is None:
            return
        if self.host.is_acting:
            qt.QTimer.singleShot(_PROGRESS_MS, self._ask)
            return
        before = self._said.get(next(iter(doubts)), ONLY_CERTAIN)
        options = ask(doubts, before, _("Import nevertheless?"))
        if options is None:
            self._declined.update(doubts)
            self._ask_on()
            return
        self._said.update(dict.fromkeys(doubts, options))
        self._again(options, frozenset(doubts))

    # One case

    def on_show(self) -> None:
        """Load the chosen case into the scene, and choose it in the LN-Seg-FM module."""
        self.host.act(self._on_read, read_case, self.table.current)

    def _on_read(self, content: CaseContent) -> None:
        self.host.choose_pair(*show_case(content))

    def on_remove(self) -> None:
        """Move the chosen case into the trash, once the user has agreed; a damaged one is deleted."""
        case, damaged = self.table.current, self.table.current_damaged
        if damaged is not None and slicer.util.confirmOkCancelDisplay(damaged_question(damaged)):
            delete = partial(self.host.workbench.cases.remove, forever=True)
            self.host.act(self._ignore, delete, damaged.id)
        if case is not None and slicer.util.confirmOkCancelDisplay(wording.removal_question(case.id)):
            self.host.act(self._removed.extend, self.host.workbench.cases.remove, case.id)

    def on_undo(self) -> None:
        """Bring back the case that was removed last."""
        self.host.act(self._on_restored, self.host.workbench.cases.restore, self._removed[-1])

    def _on_restored(self, cases: Any) -> None:
        for case in cases:
            self._removed.remove(case.id)
