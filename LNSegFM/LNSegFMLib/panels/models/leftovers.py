"""Finding and deleting what killed processes have left in the home, from a button."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import qt
import slicer

from lnsegfm.base.background import Task
from lnsegfm.session import Session
from LNSegFMLib.panels.common.panel_host import PanelHost
from LNSegFMLib.panels.common.work_bar import WorkBar

if TYPE_CHECKING:
    from lnsegfm.session.doctor import Cleared, Leftover

_WORK = "leftovers"


class LeftoverCheck:
    """Looks, asks, deletes; looking and deleting are done in a thread.

    Args:
        host: The module's widget.
        bar: Says how far it is.
        on_ended: Called when a step has ended.
    """

    def __init__(self, host: PanelHost, bar: WorkBar, on_ended: Callable[[], None]) -> None:
        self._host, self._bar, self._on_ended = host, bar, on_ended
        self._found: Sequence[Leftover] = ()

    def start(self) -> None:
        """Look what there is, then ask."""
        self._do(Task(partial(Session().doctor.look, trash=True)), self._on_found)

    def _do(self, task: Task, on_value: Callable[..., None]) -> None:
        self._host.start_work(_WORK, task, on_value)
        self._bar.watch(task, self._on_ended)
        self._on_ended()

    def _on_found(self, found: Sequence[Leftover]) -> None:
        self._found = found
        # While a slot of the panel's timer shows a dialog, all other work stands still.
        qt.QTimer.singleShot(0, self._ask)

    def _ask(self) -> None:
        # Here, because it imports SimpleITK.
        from lnsegfm.session.doctor import REMOVED_CASE
        from LNSegFMLib.texts import leftover_texts as wording

        free = [each for each in self._found if not each.held]
        rests = [each for each in free if each.kind != REMOVED_CASE]
        trash = [each for each in free if each.kind == REMOVED_CASE]
        wanted = []
        if rests and slicer.util.confirmOkCancelDisplay(wording.clear_question(rests)):
            wanted += rests
        if trash and slicer.util.confirmYesNoDisplay(wording.trash_question(trash)):
            wanted += trash
        if wanted:
            clear = partial(Session().doctor.clear, trash=True, only={each.path for each in wanted})
            self._do(Task(clear), self._on_cleared)
        elif not free:
            self._bar.say(wording.nothing_words(self._found))

    def _on_cleared(self, cleared: Cleared) -> None:
        from LNSegFMLib.texts import leftover_texts as wording

        self._bar.say(wording.cleared_words(cleared))
