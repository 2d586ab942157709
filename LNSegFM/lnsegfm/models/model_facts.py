"""What an installed model does, as its plans and its dataset description tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lnsegfm.base.errors import UserError
from lnsegfm.base.files import read_json
from lnsegfm.base.wording import by
from lnsegfm.models.model_store import ModelInfo

Lengths = tuple[float, float, float]
Counts = tuple[int, int, int]


@dataclass(frozen=True)
class ModelFacts:
    """What a user compares before using a model.

    Args:
        folds: Names of the folds of its ensemble.
        labels: Value by name of the label, background included.
        spacing: Voxel size in mm to which a CT is resampled, by the axes (x, y, z) of the model's voxel order.
        patch: Voxels of a tile, by the same axes.
        orientation: The model's voxel order, see `lnsegfm.models.model_store.ModelCard`.
    """

    folds: tuple[str, ...]
    labels: dict[str, int]
    spacing: Lengths
    patch: Counts
    orientation: str

    @classmethod
    def of(cls, model: ModelInfo) -> ModelFacts:
        """Read the facts of an installed model.

        Raises:
            UserError: Its plans or its dataset description cannot be read.
        """
        try:
            plans, dataset = read_json(model.path / "plans.json"), read_json(model.path / "dataset.json")
            return cls.read(plans, dataset, model.card.configuration, model.card.folds, model.card.orientation)
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise UserError(
                f"The model '{model.name}' is damaged.",
                f"Its plans.json or dataset.json cannot be read: {type(error).__name__}: {error}.",
                "Remove the model and install it again.",
            ) from error

    @classmethod
    def read(
        cls, plans: Mapping[str, Any], dataset: Mapping[str, Any], configuration: str, folds: tuple[str, ...],
        orientation: str,
    ) -> ModelFacts:
        """Read the facts from the content of ``plans.json`` and ``dataset.json``.

        Raises:
            ValueError, LookupError, TypeError, AttributeError: The content is not that of nnU-Net's files.
        """
        settings = resolved_configuration(plans, configuration)
        # nnU-Net's lists are in the order of the array's axes after transpose_forward.
        order = [int(axis) for axis in plans["transpose_backward"]]
        z, y, x = (float(settings["spacing"][axis]) for axis in order)
        k, j, i = (int(settings["patch_size"][axis]) for axis in order)
        labels = {str(name): int(value) for name, value in dataset["labels"].items()}
        return cls(folds, labels, (x, y, z), (i, j, k), orientation)

    @property
    def words(self) -> str:
        """Folds, labels, voxel size and patch in a sentence."""
        folds = f"Fold {self.folds[0]}" if len(self.folds) == 1 else f"Ensemble of the folds {', '.join(self.folds)}"
        labels = ", ".join(f"{name} ({value})" for name, value in self.labels.items())
        return f"{folds}; labels {labels}; voxels of {by(self.spacing)} mm; patch of {by(self.patch)} voxels."


def resolved_configuration(plans: Mapping[str, Any], name: Any) -> dict[str, Any]:
    """Return a configuration of nnU-Net's plans with what it inherits from others.

    Raises:
        ValueError: There is no such configuration, or it inherits from itself.
    """
    configurations = plans["configurations"]
    merged: dict[str, Any] = {}
    seen: set[str] = set()
    while True:
        values = configurations.get(name) if isinstance(name, str) else None
        if not isinstance(values, dict):
            raise ValueError(f"plans.json has no configuration '{name}'.")
        if name in seen:
            raise ValueError(f"The configuration '{name}' inherits from itself.")
        seen.add(name)
        merged = {**values, **merged}
        if "inherits_from" not in values:
            return merged
        name = values["inherits_from"]
