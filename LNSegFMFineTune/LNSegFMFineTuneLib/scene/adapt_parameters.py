"""What the user has set of a job, in the module's parameter node, and so saved with the scene."""

from __future__ import annotations

from typing import Any

from slicer.parameterNodeWrapper import parameterNodeWrapper

from lnsegfm.jobs.job_spec import JobSpec
from LNSegFMLib.scene.typed_parameters import typed_parameters

CUSTOM = "custom"
"""The preset's name where the settings are those of none."""
_CUSTOM_BEFORE = "own"  # in scenes of earlier versions


@parameterNodeWrapper
class AdaptParameters:
    """Fields of `lnsegfm.session.AdaptOptions` with the paper's values; the names are those in saved scenes."""

    base_model: str = ""
    preset: str = "paper"
    method: str = JobSpec.method
    gamma: int = JobSpec.gamma
    granularity: str = JobSpec.granularity
    epochs: int = JobSpec.epochs
    iterations_per_epoch: int = JobSpec.iterations_per_epoch
    batch_size: int = JobSpec.batch_size
    learning_rate: float = JobSpec.learning_rate
    step_rule: str = JobSpec.step_rule
    holdout_choice: str = "stored"
    seed: int = JobSpec.seed
    device: str = JobSpec.device
    name: str = ""


def adapt_parameters(node: Any) -> AdaptParameters:
    """Return the typed view of a parameter node (MRML)."""
    if node.GetParameter("preset") == _CUSTOM_BEFORE:
        node.SetParameter("preset", CUSTOM)
    return typed_parameters(AdaptParameters, node)
