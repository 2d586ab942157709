"""Environment variables that send the figures of a training to TensorBoard or Weights & Biases."""

from __future__ import annotations

from collections.abc import Mapping

TENSORBOARD = "LNSEGFM_TENSORBOARD"
# nnU-Net's own switches, under which its trainer would begin a run of its own; a job gets them under other names.
WANDB = {
    "nnUNet_wandb_enabled": "LNSEGFM_WANDB_ENABLED",
    "nnUNet_wandb_project": "LNSEGFM_WANDB_PROJECT",
    "nnUNet_wandb_mode": "LNSEGFM_WANDB_MODE",
}
_YES = ("1", "t", "true", "y", "yes")


def for_job(environment: Mapping[str, str]) -> dict[str, str]:
    """Return nnU-Net's switches of an environment as a job's process gets them."""
    return {own: environment[theirs] for theirs, own in WANDB.items() if theirs in environment}


def is_on(environment: Mapping[str, str], name: str) -> bool:
    """Tell whether a switch of an environment is on."""
    return environment.get(name, "").lower() in _YES
