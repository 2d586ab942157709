"""Under which names an exported model lies in stock nnU-Net's ``nnUNet_results``.

nnU-Net finds a model by four names: ``nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION``. Only the plans name is
free. The dataset's name stays, because nnU-Net refuses an id (``-d 501``) that two datasets have. The trainer is looked
up as a class and the configuration in the plans. So each exported model gets a plans name of its own, made from its id
and its SHA-256: neither the model that it was adapted from nor another hospital's model of the same id is overwritten.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TRAINER = "nnUNetTrainer"
NAMES_KEY = "plans_names"
"""Of the card in an exported model: the names in plans.json that were replaced, as they were (null: not there)."""
REPLACED = ("dataset_name", "plans_name")
_DATASET = re.compile(r"Dataset\d{3}_[\w.-]+", re.ASCII)
_OTHER_DATASET = "Dataset999_LymphNodes"
_DIGITS = 8

Names = dict[str, "str | None"]


@dataclass(frozen=True)
class StockName:
    """Where a model lies in stock nnU-Net.

    Args:
        dataset: Name of the dataset, ``Dataset<NNN>_<Name>``.
        plans: Plans name.
        configuration: Configuration.
        folds: Names of the folds.
    """

    dataset: str
    plans: str
    configuration: str
    folds: tuple[str, ...]

    @property
    def folder(self) -> str:
        """The model's folder, relative to ``nnUNet_results``."""
        return f"{self.dataset}/{TRAINER}__{self.plans}__{self.configuration}"

    @property
    def arguments(self) -> Sequence[str]:
        """The arguments by which ``nnUNetv2_predict`` finds the model."""
        return ("-d", self.dataset, "-p", self.plans, "-c", self.configuration, "-f", *self.folds)

    def predict_line(self, source: str = "INPUT", target: str = "OUTPUT") -> str:
        """Return the command line that segments with it in stock nnU-Net."""
        return " ".join(("nnUNetv2_predict", "-i", source, "-o", target, *self.arguments))


def stock_name(
    plans: Mapping[str, Any], *, model_id: str, sha256: str, configuration: str, folds: Sequence[str]
) -> StockName:
    """Return the name of a model that is to be exported.

    Args:
        plans: Its plans.
        model_id: Its id.
        sha256: Its SHA-256.
        configuration: Its configuration.
        folds: Its folds.
    """
    dataset = str(plans.get("dataset_name", ""))
    # nnU-Net splits the folder's name at "__".
    parts = (str(plans.get("plans_name") or "nnUNetPlans"), model_id, sha256[:_DIGITS])
    own = "_".join(re.sub(r"[^A-Za-z0-9.-]+", "-", part).strip("-") for part in parts)
    return StockName(
        dataset if _DATASET.fullmatch(dataset) else _OTHER_DATASET, own, configuration, tuple(folds)
    )


def renamed(plans: bytes, name: StockName) -> tuple[bytes, Names]:
    """Write the names into the content of a ``plans.json``.

    Returns:
        The new content, and the names as they were. Content that could not be restored byte by byte stays as it is, so
        that the model's SHA-256 survives an export; then no names are returned.
    """
    values = json.loads(plans)
    before: Names = {key: values.get(key) for key in REPLACED}
    after = with_names(plans, {"dataset_name": name.dataset, "plans_name": name.plans})
    return (after, before) if with_names(after, before) == plans else (plans, {})


def with_names(plans: bytes, names: Mapping[str, str | None]) -> bytes:
    """Return the content of a ``plans.json`` with other names; None takes one out."""
    values = json.loads(plans)
    for key, name in names.items():
        if name is None:
            values.pop(key, None)
        else:
            values[key] = name
    return (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode()
