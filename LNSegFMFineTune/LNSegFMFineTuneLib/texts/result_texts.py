"""What the fine-tuning module says of the figures before and after a job, in the user's language."""

from __future__ import annotations

from slicer.i18n import tr as _

from lnsegfm.jobs.outcome import FEWEST_CASES, LEVEL, Evidence, Measured, Row, mean_of

UNKNOWN = "–"


def titles() -> list[tuple[str, str]]:
    """The titles of the before/after table's columns, with their tooltips."""
    return [
        (_("Case"), _("The hold-out case.")),
        (_("DSC"), _("Dice, before and after; 1 is perfect.")),
        (_("NSD"), _("Normalised surface Dice at 1 mm, before and after; 1 is perfect.")),
        (_("Found"), _("Lymph nodes found, before and after; the line below also gives those missed, and false "
                       "positives.")),
    ]


def cells(row: Row) -> tuple[str, str, str, str]:
    """The cells of a row of the before/after table."""
    before, after = row.before, row.after
    return (
        row.case or _("Mean"),
        _change(before.dsc, after.dsc),
        _change(before.nsd, after.nsd),
        UNKNOWN if None in (before.found, after.found) else f"{before.found}\n→ {after.found}",
    )


def report_titles() -> list[str]:
    """The titles of the table in the report, which has room for all counts."""
    return [_("Case"), _("DSC"), _("NSD 1 mm"), _("Lymph nodes")]


def report_cells(row: Row) -> tuple[str, ...]:
    """The cells of a row of the table in the report."""
    return (*cells(row)[:3], _nodes(row.before, row.after))


def details(row: Row) -> str:
    """The scores of a row in full, for the line below the table."""
    before, after = row.before, row.after
    parts = [
        _("DSC {before} → {after}").format(before=_score(before.dsc), after=_score(after.dsc)),
        _("NSD at 1 mm {before} → {after}").format(before=_score(before.nsd), after=_score(after.nsd)),
        _("lymph nodes: {counts}").format(counts=_nodes(before, after)),
    ]
    return f"{row.case or _('Mean')}: {'; '.join(parts)}."


def _score(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}"


def _change(before: float | None, after: float | None) -> str:
    # In two lines, so that the table fits a narrow panel.
    return f"{_score(before)}\n→ {_score(after)}"


def _nodes(before: Measured, after: Measured) -> str:
    if None in (before.found, before.missed, before.false, after.found, after.missed, after.false):
        return UNKNOWN
    lines = (
        (_("found"), before.found, after.found),
        (_("missed"), before.missed, after.missed),
        (_("false positives"), before.false, after.false),
    )
    return ", ".join(f"{word} {old} → {new}" for word, old, new in lines)


def verdict(evidence: Evidence) -> str:
    """Say honestly what the figures mean."""
    mean = evidence.mean
    if mean is None:
        return _(
            "There were no hold-out cases, so it is not known whether the model has improved. "
            "Review its first results carefully."
        )
    figures = _("mean DSC {before:.3f} → {after:.3f}; higher in {risen} and lower in {fallen} of {count} cases").format(
        before=mean.before.dsc, after=mean.after.dsc, risen=evidence.risen, fallen=evidence.fallen,
        count=len(evidence.rows),
    )
    tested = _("exact sign test, p = {p:.3f}").format(p=evidence.p)
    if evidence.verdict == "too few":
        return _(
            "Too few hold-out cases for a conclusion: {figures}. At least {fewest} are needed to show an "
            "improvement at the {level:.0%} level."
        ).format(figures=figures, fewest=FEWEST_CASES, level=LEVEL)
    words = {
        "better": _("Better on the hold-out cases"),
        "worse": _("Worse on the hold-out cases"),
        "unclear": _("Not clearly better or worse on the hold-out cases"),
    }
    return f"{words[evidence.verdict]}: {figures} ({tested})."


def forgetting(evidence: Evidence) -> str:
    """Say what the model lost on the base model's own domain; empty where it was not measured."""
    mean = mean_of(evidence.forgetting)
    if mean is None:
        return ""
    return _(
        "Reference cases from the original domain ({count}): mean DSC {before:.3f} → {after:.3f}. "
        "A decrease means that the original domain was forgotten."
    ).format(count=len(evidence.forgetting), before=mean.before.dsc, after=mean.after.dsc)


def no_result() -> str:
    """What stands in place of the figures while there are none."""
    return _("The scores appear when the job is done.")


def legend() -> str:
    """Explain the colours of the pictures, as rich text."""
    parts = (
        ("#3cdc5a", _("truth")), ("#ff9628", _("before (left)")), ("#50b4ff", _("after (right)")),
    )
    return " &nbsp; ".join(f'<span style="color:{colour}">■</span> {text}' for colour, text in parts)


def decision(is_installed: bool, is_default: bool, is_rejected: bool) -> str:
    """Say what was decided on a model."""
    if not is_installed:
        return _("The adapted model is no longer installed.")
    if is_rejected:
        return _("Rejected: it stays installed, but is not the default. Accept reverses this.")
    if is_default:
        return _("Accepted: it is the default of the LN-Seg-FM module.")
    return _("No decision yet.")


def ancestor(name: str, generation: int) -> str:
    """Name an ancestor in the menu of what one can go back to; 1 is the parent."""
    return _("{name} (the model it was adapted from)").format(name=name) if generation == 1 else name


def no_ancestor() -> str:
    """Why there is nothing to go back to."""
    return _("The models it was adapted from are no longer installed.")
