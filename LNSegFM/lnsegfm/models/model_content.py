"""The ``plans.json`` and ``dataset.json`` of a model, as they were read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import open_regular, parse_json
from lnsegfm.base.schema import read
from lnsegfm.models.descriptions.dataset_schema import read_dataset
from lnsegfm.models.descriptions.plans_schema import CheckedPlans, read_plans
from lnsegfm.models.descriptions.schema_fields import within
from lnsegfm.models.model_card import ModelInfo

PLANS = "plans.json"
DATASET = "dataset.json"
LARGEST_DESCRIPTION = 4 << 20
"""Bytes of the largest ``plans.json``, ``dataset.json`` or ``model.json`` that is read; nnU-Net's have some 20 KiB."""


@dataclass(frozen=True)
class _Anything:
    """An object that is neither nested too deeply nor too large to look at."""


@dataclass(frozen=True)
class ModelContent:
    """What a model's descriptions say.

    Args:
        plans: Content of ``plans.json``.
        dataset: Content of ``dataset.json``.
        checked: The plans' fields that are used.
    """

    plans: dict[str, Any]
    dataset: dict[str, Any]
    checked: CheckedPlans

    @classmethod
    def of(cls, model: ModelInfo) -> ModelContent:
        """Read the descriptions of an installed model; somebody may have edited them since.

        Raises:
            UserError: One cannot be read, or is not accepted; the message names file and field.
        """
        try:
            with within(PLANS):
                plans = read_description(model.path / PLANS)
            with within(DATASET):
                dataset = read_description(model.path / DATASET)
            with within(DATASET):
                read_dataset(dataset)
            with within(PLANS):
                return cls(plans, dataset, read_plans(plans, model.card.configuration))
        except (OSError, ValueError) as error:
            raise UserError(
                f"The model '{model.name}' is damaged.", f"Its {PLANS} or {DATASET} cannot be used: {error}.",
                "Remove the model and install it again.",
            ) from error


def read_description(path: Path) -> dict[str, Any]:
    """Read a JSON file that describes a model.

    Raises:
        OSError, ValueError: See `lnsegfm.base.files.read_json`; or it is larger than `LARGEST_DESCRIPTION`, nested too
            deeply, or no object.
    """
    with open_regular(path) as stream:
        content = stream.read(LARGEST_DESCRIPTION + 1)
    return parse_description(content)


def parse_description(content: bytes) -> dict[str, Any]:
    """Return what the content of a JSON file that describes a model says; raises `ValueError` as `read_description`."""
    if len(content) > LARGEST_DESCRIPTION:
        raise ValueError(f"it is larger than {LARGEST_DESCRIPTION >> 20} MiB")
    value: dict[str, Any] = parse_json(content)
    read(_Anything, value, newer=True)
    return value
