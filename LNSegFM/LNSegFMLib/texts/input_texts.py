"""What is asked where a CT or labels are not certain, in the user's language."""

from __future__ import annotations

from collections.abc import Mapping

from slicer.i18n import tr as _

from lnsegfm.base.errors import UserError
from lnsegfm.images.input_options import Placement
from lnsegfm.images.label_placement import PlacementError

_REASONS = 3
_NAMES = 20


def doubt_question(doubts: Mapping[str, UserError], question: str) -> str:
    """Return the question whether what looks wrong is right.

    Args:
        doubts: What was seen, one sort of error, by the name of the scan or pair.
        question: What is to be decided.
    """
    names = list(doubts)
    what = next(iter(doubts.values())).what
    if len(names) == 1:
        return f"{names[0]}: {what}\n\n{doubts[names[0]].why}\n\n{question}"
    listed = ", ".join(names[:_NAMES])
    if len(names) > _NAMES:
        listed = _("{names} and {count} more").format(names=listed, count=len(names) - _NAMES)
    reasons = "\n".join(f"{name}: {doubts[name].why}" for name in names[:_REASONS])
    answer = _("The answer holds for all {count}.").format(count=len(names))
    return f"{what} ({listed})\n\n{reasons}\n\n{question} {answer}"


def placement_question(doubts: Mapping[str, PlacementError]) -> str:
    """Ask where labels lie whose grid is not certainly that of the CT.

    Args:
        doubts: What was seen, by what the user calls the pair; the first one is explained.
    """
    name, error = next(iter(doubts.items()))
    text = _("{name}: it is not certain where the segmentation lies in the CT.\n{why}").format(name=name, why=error.why)
    if len(doubts) > 1:
        text += "\n" + _("{count} further segmentations do not fit; the answer holds for all.").format(
            count=len(doubts) - 1
        )
    return text + "\n" + _("Where does it lie? Choose only if you know.")


def placements(error: PlacementError) -> list[tuple[str, Placement | None]]:
    """Return the answers to `placement_question`, the safe one first, each with what it means; None leaves it out."""
    texts = {"ct": _("With the CT's header: the same voxels"), "own": _("As its own header says (resampled)")}
    offered = [(texts[each.placement], each.placement) for each in error.candidates]
    return [(_("Leave out"), None), *offered]
