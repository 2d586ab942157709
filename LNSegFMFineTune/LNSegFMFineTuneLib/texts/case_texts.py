"""What the fine-tuning module says of cases, in the user's language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slicer.i18n import tr as _

from lnsegfm.base.errors import UserError
from lnsegfm.base.wording import explain
from lnsegfm.cases.case_advice import FEW_CASES, Finding
from lnsegfm.cases.case_import import ImportReport
from lnsegfm.cases.case_info import CaseInfo
from lnsegfm.jobs.case_selection import Selection


def titles() -> list[tuple[str, str]]:
    """The titles of the case table's columns, with their tooltips."""
    return [
        (_("Case"), _("A slice with the labels, the id of the case, and the date it was first accepted.")),
        (_("Labels"), _("Latest label version, and its number of lymph nodes.")),
        (_("Use"), _("Training: used for fine-tuning. Hold-out: scored before and after. Reference: from the original "
                     "domain of the base model.")),
    ]


def cells(case: CaseInfo) -> tuple[str, ...]:
    """The cells of a row of the case table, all but the last."""
    version = case.latest
    found = {0: _("no LN"), 1: _("1 LN")}.get(version.nodes, _("{count} LN").format(count=version.nodes))
    labels = _("v{number}, partial") if version.partial else "v{number}"
    return f"{case.id}\n{case.created[:10]}", f"{labels.format(number=version.number)}\n{found}"


def damaged() -> str:
    """The cell of a case that cannot be read."""
    return _("damaged")


def details(case: CaseInfo, names: Mapping[str, str]) -> str:
    """Say all that is known of a case, for the line below the table.

    Args:
        case: The case.
        names: Display names of the installed models by id.
    """
    version = case.latest
    parts = [
        _("{case}, accepted on {date}.").format(case=case.id, date=case.created[:10]),
        _("Labels: version {number} of {date}, {count} lymph nodes.").format(
            number=version.number, date=version.created[:10], count=version.nodes
        ),
    ]
    if version.partial:
        parts.append(_("Only part of the CT was reviewed."))
    if case.draft_model:
        parts.append(_("Draft by {model}.").format(model=names.get(case.draft_model, case.draft_model)))
    if version.draft_dice is not None:
        parts.append(_("Dice of the correction against the draft: {dice:.2f}.").format(dice=version.draft_dice))
    parts.append(_("Use: {use}.").format(use=uses()[case.use]))
    if version.note:
        parts.append(_("Note: {note}").format(note=version.note))
    return " ".join(parts)


def uses() -> Mapping[str, str]:
    """What a case can be used for."""
    return {
        "train": _("training"), "holdout": _("hold-out"), "reference": _("reference"), "excluded": _("not used")
    }


def advice(selection: Selection, findings: Sequence[Finding], problem: UserError | None = None) -> str:
    """Say what the stored cases allow and what is missing; ``problem`` is what else went wrong."""
    lines = []
    if not any(finding.kind == "no cases" for finding in findings):
        lines.append(
            _("{train} training, {holdout} hold-out.").format(
                train=len(selection.train), holdout=len(selection.holdout)
            )
        )
    lines += [_sentence(finding) for finding in findings]
    return "\n".join([*lines, *([f"\n{explain(problem)}"] if problem else [])])


def _sentence(finding: Finding) -> str:
    cases = ", ".join(finding.cases)
    sentences = {
        "no cases": _(
            "There are no cases yet. Segment a CT in the LN-Seg-FM module, correct the result and accept it as a "
            "corrected case; or import a folder."
        ),
        "no training": _("No case is used for training. Choose 'training' for at least one."),
        "few": _("Fewer than {count} training cases: the model may learn little beyond these scans."),
        "no holdout": _("Without a hold-out case there are no scores before and after."),
        "same grid": _("{cases} have the same voxel grid: possibly scans of one patient."),
        "same grid apart": _(
            "{cases} have the same voxel grid: possibly scans of one patient, but some are used for training and "
            "others for scoring. The scores would be too optimistic."
        ),
        "empty": _("No lymph nodes are labelled in {cases}. Do not use such cases unless the patient has none."),
        "partial": _("Only part of {cases} was reviewed; the rest is ignored in training."),
    }
    return sentences[finding.kind].format(cases=cases, count=FEW_CASES)


def importing(message: str) -> str:
    """Say how far an import is."""
    return _("Importing {message} ...").format(message=message) if message else _("Importing ...")


def import_text(report: ImportReport) -> str:
    """Say what came of an import."""
    lines = [_("Cases imported: {count}").format(count=len(report.stored))]
    lines += [
        _("{name}: stored as {case}. {notes}").format(name=name, case=case, notes=" ".join(report.notes.get(name, ())))
        for name, case in report.stored
    ]
    skipped = report.skipped
    lines += [_("Skipped {name}: {reason}").format(name=name, reason=reason) for name, reason in skipped]
    return "\n".join(lines)


def removal_question(case_id: str) -> str:
    """Ask before a case goes."""
    return _(
        "Remove {case}? Its CT and corrections are kept until Slicer is closed; until then, Undo restores them."
    ).format(case=case_id)
