"""Questions about a CT or labels that were refused because they are not certain, one for all of the same sort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import qt
import slicer
from slicer.i18n import tr as _

from lnsegfm.base.errors import UserError
from lnsegfm.images.hounsfield import NotHounsfield
from lnsegfm.images.input_options import InputOptions
from lnsegfm.images.label_placement import PlacementError
from lnsegfm.inputs.label_checks import UnusualLabels
from LNSegFMLib.texts.input_texts import doubt_question, placement_question, placements

_PLACEMENT = "placement"


def sort_of(problem: Exception) -> str:
    """Return what the user can say about a refusal, in a word; empty where there is nothing to be asked."""
    if isinstance(problem, PlacementError):
        return _PLACEMENT
    kind = problem.kind if isinstance(problem, UserError) else ""
    return kind if kind in (NotHounsfield.kind, UnusualLabels.kind) else ""


def confirms(doubts: Mapping[str, UserError], question: str) -> bool:
    """Ask whether what looks wrong is right, see `doubt_question`."""
    return bool(slicer.util.confirmYesNoDisplay(doubt_question(doubts, question)))


def ask(doubts: Mapping[str, UserError], options: InputOptions, question: str) -> InputOptions | None:
    """Ask the user what the files do not make certain.

    Args:
        doubts: The refusals, all of one `sort_of`, by the name of what was refused.
        options: What the user has said before.
        question: What is to be decided where that is a yes or no.

    Returns:
        With what it is to be tried again; None where the user has declined, or nothing can be asked.
    """
    sort = sort_of(next(iter(doubts.values())))
    if sort == _PLACEMENT:
        return _asked_for_place(
            {name: error for name, error in doubts.items() if isinstance(error, PlacementError)}, options
        )
    said = {
        NotHounsfield.kind: replace(options, assume_hu=True), UnusualLabels.kind: replace(options, unusual=True),
    }.get(sort, options)
    if said == options:
        return None
    return said if confirms(doubts, question) else None


def _asked_for_place(doubts: Mapping[str, PlacementError], options: InputOptions) -> InputOptions | None:
    answers = dict(placements(next(iter(doubts.values()))))
    answer = qt.QInputDialog.getItem(
        slicer.util.mainWindow(), _("Where do the labels lie?"), placement_question(doubts), list(answers), 0, False
    )
    placement = answers.get(str(answer))
    return None if placement is None else replace(options, placement=placement)
