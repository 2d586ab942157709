"""What the fine-tuning module says, in the user's language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slicer.i18n import tr as _

from LNSegFMFineTuneLib.core.evidence import Evidence, Row
from LNSegFMFineTuneLib.core.methods import METHODS
from LNSegFMFineTuneLib.core.selection import Selection
from LNSegFMFineTuneLib.core.status import JobStatus
from LNSegFMLib.core.case_info import CaseInfo
from LNSegFMLib.core.errors import UserError
from LNSegFMLib.core.wording import duration, explain

FEW_CASES = 3


def case_advice(selection: Selection, problem: UserError | None = None) -> str:
    """Say what the stored cases allow and what is missing; ``problem`` is what else went wrong."""
    advice = _advice(selection)
    return f"{advice}\n\n{explain(problem)}" if problem else advice


def _advice(selection: Selection) -> str:
    train, holdout = len(selection.train), len(selection.holdout)
    if not train + holdout + selection.excluded:
        return _(
            "There are no cases yet. Segment a CT in the LN-Seg-FM module, correct the result and accept it as a "
            "corrected case; or import a folder."
        )
    if not train:
        return _("No case is used for training. Choose 'training' for at least one.")
    parts = [_("{train} training, {holdout} hold-out.").format(train=train, holdout=holdout)]
    if train < FEW_CASES:
        parts.append(_("Few training cases: the model may learn little more than these scans."))
    if not holdout:
        parts.append(_("Without a hold-out case there will be no before and after figures."))
    return " ".join(parts)


def start_refusal(selection: Selection, model_id: str) -> str:
    """Say why a job cannot be started; empty when it can."""
    if not model_id:
        return _("Install a model in the LN-Seg-FM module first.")
    if not selection.train:
        return _("There is no training case. Accept a corrected case or import a folder, and use it for training.")
    return ""


def job_state(state: str) -> str:
    """One word for the state of a job."""
    words = {
        "created": _("not started"),
        "starting": _("starting"),
        "running": _("running"),
        "done": _("done"),
        "failed": _("failed"),
        "cancelled": _("cancelled"),
        "interrupted": _("interrupted"),
    }
    return words.get(state, state)


def job_text(status: JobStatus) -> str:
    """One or two sentences on how a job stands."""
    if status.state == "running":
        stage = ": ".join(part for part in (status.stage or _("Running"), status.message) if part)
        device = status.device.partition(":")[0]
        return _("{stage} (on {device})").format(stage=stage, device=device) if device else stage
    if status.error and status.state in ("failed", "interrupted"):
        return explain(UserError.from_json(status.error))
    sentences = {
        "created": _("Not started yet."),
        "starting": _("Starting."),
        "done": _("Done. The adapted model is '{model}'.").format(model=status.model_id),
        "cancelled": _("Cancelled. Resume continues from the last checkpoint."),
        "interrupted": _("The job ended unexpectedly. Resume continues from the last checkpoint."),
    }
    return sentences.get(status.state, status.message)


def job_figures(status: JobStatus) -> str:
    """The numbers of a job in one line."""
    parts = [_("Iteration {done} / {all}").format(done=status.iteration, all=status.iterations)]
    if status.loss is not None:
        parts.append(_("loss {loss:.3f}").format(loss=status.loss))
    if status.pseudo_dice is not None:
        parts.append(_("pseudo-Dice {dice:.3f}").format(dice=status.pseudo_dice))
    if status.active and status.eta_s is not None:
        parts.append(_("about {time} left").format(time=duration(status.eta_s)))
    return " · ".join(parts)


def case_titles() -> list[str]:
    """The titles of the case table's columns."""
    return [_("Case"), _("Date"), _("Nodes"), _("Versions"), _("Use")]


def case_cells(case: CaseInfo) -> tuple[str, ...]:
    """The cells of a row of the case table, all but the last."""
    return case.id, case.created[:10], str(case.latest.nodes), str(len(case.versions))


def score_titles() -> list[str]:
    """The titles of the before/after table's columns."""
    return [_("Case"), _("DSC"), _("NSD at 1 mm")]


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def score_cells(row: Row) -> tuple[str, str, str]:
    """The cells of a row of the before/after table."""
    return (
        row.case or _("Mean"),
        f"{_score(row.dsc_before)} → {_score(row.dsc_after)}",
        f"{_score(row.nsd_before)} → {_score(row.nsd_after)}",
    )


def verdict(evidence: Evidence) -> str:
    """Say honestly what the figures mean."""
    if evidence.mean is None:
        return _(
            "There were no hold-out cases, so nobody knows whether the model got better. "
            "Look closely at its first results."
        )
    count = len(evidence.rows)
    words = {
        "better": _("Better on the hold-out cases"),
        "worse": _("Not better: worse on the hold-out cases"),
        "same": _("Not better: no noticeable change on the hold-out cases"),
        "mixed": _("Not clearly better: one score rose, the other fell"),
    }
    counted = _("DSC rose in {improved} of {count}").format(improved=evidence.improved, count=count)
    text = f"{words[evidence.verdict]} ({counted})."
    return text if count >= FEW_CASES else f"{text} " + _("So few cases prove little.")


def no_result() -> str:
    """What stands in place of the figures while there are none."""
    return _("The figures come when the job is done.")


def install_question(missing: Sequence[str]) -> str:
    """Ask before anything is installed."""
    return _(
        "Fine-tuning needs Python packages that this Slicer does not have yet: {names}. Install them now? "
        "This can take several minutes."
    ).format(names=", ".join(missing))


def scores_question() -> str:
    """Ask for the package without which one of the figures is missing."""
    return _(
        "The package surface-distance is not installed; without it the result has no NSD at 1 mm. Install it now?"
    )


def second_job_question(running: Sequence[str]) -> str:
    """Ask before a second job makes both slow, or runs out of memory."""
    return _("{jobs} is still running, and both would share this computer. Start another one?").format(
        jobs=", ".join(running)
    )


def importing(message: str) -> str:
    """Say how far an import is."""
    return _("Importing {message} ...").format(message=message) if message else _("Importing ...")


def import_text(imported: int, skipped: Sequence[tuple[str, str]]) -> str:
    """Say what came of an import."""
    lines = [_("Cases imported: {count}").format(count=imported)]
    lines += [_("Left out {name}: {reason}").format(name=name, reason=reason) for name, reason in skipped]
    return "\n".join(lines)


def choices() -> Mapping[str, Mapping[Any, str]]:
    """The choices of the combo boxes: text by value, by field of `LNSegFMFineTuneLib.core.spec.JobSpec`."""
    return {
        "preset": {"short": _("Quick"), "paper": _("Paper"), "own": _("Own settings")},
        "method": {name: method.name for name, method in METHODS.items()},
        "granularity": {"kernel": _("Kernel (paper)"), "filter": _("Filter")},
        "step_rule": {"momentum": _("Momentum (paper)"), "plain": _("Plain gradient step")},
        "device": {"auto": _("Automatic"), "cuda": _("CUDA GPU"), "mps": _("Apple GPU"), "cpu": _("CPU")},
        "use": {"train": _("training"), "holdout": _("hold-out"), "excluded": _("left out")},
    }
