"""What is said of what killed processes have left, in the user's language."""

from __future__ import annotations

from collections.abc import Sequence

from slicer.i18n import tr as _

from lnsegfm.base.wording import data_size
from lnsegfm.session.doctor import Cleared, Leftover

_SHOWN = 12


def clear_question(leftovers: Sequence[Leftover]) -> str:
    """Ask before leftovers are deleted."""
    text = _("Killed processes left this behind. Nobody works with it. Delete it?")
    if any(each.of_patients for each in leftovers):
        text += " " + _("Some of it can hold patients' images.")
    return f"{text}\n\n{_listed(leftovers)}"


def trash_question(cases: Sequence[Leftover]) -> str:
    """Ask before removed cases are deleted for good."""
    text = _(
        "These removed cases are still in the trash, with their CTs and labels. Delete them for good? If not, they can "
        "still be restored."
    )
    return f"{text}\n\n{_listed(cases)}"


def nothing_words(held: Sequence[Leftover]) -> str:
    """Say that there is nothing to delete."""
    if not held:
        return _("Nothing is left over.")
    return _("Nothing to delete: what was found may still be in use ({count}).").format(count=len(held))


def cleared_words(cleared: Cleared) -> str:
    """Say what was deleted."""
    size = data_size(sum(each.size for each in cleared.gone))
    text = _("Deleted: {count} ({size}).").format(count=len(cleared.gone), size=size)
    for each in cleared.left:
        text += "\n" + _("Kept {name}: {reason}.").format(name=each.path.name, reason=each.held)
    return text


def _listed(leftovers: Sequence[Leftover]) -> str:
    lines = [f"{each.path.parent.name}/{each.path.name}: {data_size(each.size)}" for each in leftovers[:_SHOWN]]
    if len(leftovers) > _SHOWN:
        lines.append(_("and {count} more").format(count=len(leftovers) - _SHOWN))
    return "\n".join(lines)
