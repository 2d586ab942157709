"""What there is to say of a set of cases, in words for the terminal."""

from __future__ import annotations

from lnsegfm.cases.case_advice import FEW_CASES, Finding

_SENTENCES = {
    "no cases": "There are no cases.",
    "no training": "No case is used for training.",
    "few": f"There are fewer than {FEW_CASES} training cases: the model may learn little more than these scans.",
    "no holdout": "Without a hold-out case there are no figures before and after.",
    "same grid": "{cases} have the same voxel grid: possibly scans of one patient.",
    "same grid apart": "{cases} have the same voxel grid: possibly scans of one patient, yet some are learned from and "
    "others measured on. The figures would look better than they are.",
    "empty": "No lymph nodes are labelled in {cases}. Leave such cases out unless that is true of the patient.",
    "partial": "Only part of {cases} was reviewed; the rest is ignored in training.",
}


def sentence(finding: Finding) -> str:
    """Return a finding as a sentence."""
    return _SENTENCES.get(finding.kind, f"{finding.kind}: {{cases}}").format(cases=", ".join(finding.cases))
