"""What the fine-tuning module says of a job before it starts, in the user's language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from slicer.i18n import tr as _

from lnsegfm.base.wording import data_size, duration
from lnsegfm.jobs.case_selection import Selection
from lnsegfm.jobs.method_names import METHODS
from lnsegfm.jobs.timing import Calibration


def start_refusal(selection: Selection, model_id: str) -> str:
    """Say why a job cannot be started; empty when it can."""
    if not model_id:
        return _("Install a model in the LN-Seg-FM module first.")
    if not selection.train:
        return _("There is no training case. Accept a corrected case or import a folder, and use it for training.")
    return ""


def start_tooltip() -> str:
    """What the start button does."""
    return _(
        "Start a fine-tuning job in the background. It continues when Slicer is closed. While another training runs on "
        "this computer, the job is queued and starts by itself afterwards."
    )


def estimate(calibration: Calibration | None, iterations: int) -> str:
    """Say what a training will take on this computer."""
    if calibration is None:
        return _("Time and memory are not known yet for this model, method and device.")
    text = _("About {time} for {count} iterations of {seconds:.2f} s on {device}").format(
        time=duration(calibration.seconds * iterations), count=iterations, seconds=calibration.seconds,
        device=calibration.device.partition(":")[0].upper(),
    )
    if calibration.gpu_bytes:
        return _("{text}, with {needed} of {all} GPU memory.").format(
            text=text, needed=data_size(calibration.gpu_bytes, memory=True),
            all=data_size(calibration.gpu_total_bytes, memory=True),
        )
    if calibration.memory_bytes:
        return _("{text}, with {needed} of memory.").format(
            text=text, needed=data_size(calibration.memory_bytes, memory=True)
        )
    return f"{text}."


def preset(name: str, calibration: Calibration | None, iterations: int) -> str:
    """Return the text of a preset, with its time where that is known."""
    text = presets()[name]
    if calibration is None:
        return text
    return _("{preset} (about {time})").format(preset=text, time=duration(calibration.seconds * iterations))


def measuring() -> str:
    """What stands in place of the estimate while it is being made."""
    return _("Measuring time and memory of an iteration on this computer ...")


def measure() -> str:
    """The button that measures."""
    return _("Measure this computer")


def stop_measuring() -> str:
    """The same button while it measures."""
    return _("Stop measuring")


def checking() -> str:
    """What is said between the click on the start button and the job."""
    return _("Checking that this computer can run the job ...")


def presets() -> Mapping[str, str]:
    """The names of the presets."""
    return {"short": _("Short"), "standard": _("Standard"), "paper": _("Paper"), "custom": _("Custom")}


def choices() -> Mapping[str, Mapping[Any, str]]:
    """The choices of the combo boxes: text by value, by field of `lnsegfm.jobs.job_spec.JobSpec`."""
    return {
        "preset": presets(),
        "method": {name: method.name for name, method in METHODS.items()},
        "granularity": {"kernel": _("Kernel (paper)"), "filter": _("Filter")},
        "step_rule": {"momentum": _("Momentum (paper)"), "plain": _("Plain gradient step")},
        "device": {"auto": _("Automatic"), "cuda": _("CUDA GPU"), "mps": _("Apple GPU"), "cpu": _("CPU")},
        "holdout_choice": {
            "stored": _("As marked in the table"), "random": _("Random 25 %"), "none": _("None"),
        },
    }


def install_question(missing: Sequence[str]) -> str:
    """Ask before anything is installed."""
    return _(
        "Fine-tuning requires Python packages that are not installed: {names}. Install them now? "
        "This can take several minutes."
    ).format(names=", ".join(missing))


def scores_question() -> str:
    """Ask for the package without which one of the figures is missing."""
    return _(
        "The package surface-distance is not installed; without it, NSD at 1 mm is not computed. Install it now?"
    )
