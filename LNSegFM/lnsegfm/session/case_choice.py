"""Which of the stored cases an adaptation learns from and is measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lnsegfm.base.errors import UserError
from lnsegfm.base.prefixes import resolve
from lnsegfm.cases.case_info import CaseInfo
from lnsegfm.cases.case_labels import check_measurable
from lnsegfm.session.adapt_options import AdaptOptions


def as_used(cases: Sequence[CaseInfo], options: AdaptOptions) -> list[CaseInfo]:
    """Return the cases with the use that an adaptation makes of them, which is not stored.

    A list in the options takes the place of the marks of that use: training cases that it does not name are left out.
    A case that is named for one use is not used as it is marked.

    Args:
        cases: The stored cases.
        options: What was asked.

    Raises:
        UserError: An id that is unknown, not unique, or named for two uses; or a case that cannot be measured on.
    """
    named = _named(cases, options)
    # Of a list of training cases, a random share may be held out; cases that are not on it stay out of both.
    fixed = {"train": options.cases, "holdout": options.holdout, "reference": options.reference}
    without_marks = {use for use, ids in fixed.items() if ids is not None}
    if options.cases is not None and options.holdout_choice != "stored":
        without_marks.add("holdout")
    used = []
    for case in cases:
        use = named.get(case.id, "excluded" if case.use in without_marks else case.use)
        used.append(replace(case, use=use))
        check_measurable(used[-1], case.latest.partial)
    return used


def _named(cases: Sequence[CaseInfo], options: AdaptOptions) -> dict[str, str]:
    known = [case.id for case in cases]
    named: dict[str, str] = {}
    lists = {"train": options.cases, "holdout": options.holdout, "reference": options.reference}
    for use, ids in lists.items():
        for case_id in dict.fromkeys(resolve(each, known, "case") for each in ids or ()):
            if case_id not in known:
                raise UserError(
                    f"There is no case '{case_id}'.", f"There are: {', '.join(known) or 'none'}.",
                    "Choose one of these.",
                )
            if case_id in named:
                raise UserError(
                    f"The case '{case_id}' is named for two uses.", f"They are '{named[case_id]}' and '{use}'.",
                    "A case is either learned from or measured on; leave it out of one list.",
                )
            named[case_id] = use
    return named
