"""What the user has set of a job, in the module's parameter node, and so saved with the scene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from lnsegfm.jobs.job_spec import PRESETS, JobSpec

OWN = "custom"
SETTINGS = (
    "method", "epochs", "iterations_per_epoch", "batch_size", "learning_rate", "gamma", "granularity", "step_rule",
    "seed", "device", "name",
)
"""Fields of a `JobSpec` that the user sets."""

_PAPER = {field.name: field.default for field in fields(JobSpec)}
DEFAULTS: dict[str, Any] = {"preset": "paper", "holdout_choice": "stored", **{name: _PAPER[name] for name in SETTINGS}}


def fill_defaults(node: Any) -> None:
    """Give a parameter node (MRML) the paper's value of everything it does not have."""
    modifying = node.StartModify()
    for name, value in DEFAULTS.items():
        if not node.GetParameter(name):
            node.SetParameter(name, str(value))
    node.EndModify(modifying)


def store(node: Any, values: Mapping[str, Any]) -> None:
    """Write settings, ``base_model``, ``preset`` and ``holdout_choice`` into a parameter node (MRML).

    Values that differ from their preset make it the user's own.
    """
    preset = PRESETS.get(values["preset"], {})
    changed = any(values.get(name, value) != value for name, value in preset.items())
    modifying = node.StartModify()
    for name, value in values.items():
        node.SetParameter(name, "" if value is None else str(value))
    if changed:
        node.SetParameter("preset", OWN)
    node.EndModify(modifying)
