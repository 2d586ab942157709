"""What an installed model does, as its plans and its dataset description tell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lnsegfm.base.wording import by
from lnsegfm.models.descriptions.dataset_schema import read_dataset
from lnsegfm.models.descriptions.plans_schema import CheckedPlans, read_plans
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_content import ModelContent

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
        orientation: The model's voxel order, see `lnsegfm.models.model_card.ModelCard`.
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
            UserError: See `ModelContent.of`.
        """
        content = ModelContent.of(model)
        return cls._of(content.checked, content.dataset, model.card.folds, model.card.orientation)

    @classmethod
    def read(
        cls, plans: Mapping[str, Any], dataset: Mapping[str, Any], configuration: str, folds: tuple[str, ...],
        orientation: str,
    ) -> ModelFacts:
        """Read the facts from the content of ``plans.json`` and ``dataset.json``.

        Raises:
            SchemaError: See `lnsegfm.models.descriptions.plans_schema.read_plans`
                and `lnsegfm.models.descriptions.dataset_schema.read_dataset`.
        """
        read_dataset(dataset)
        return cls._of(read_plans(plans, configuration), dataset, folds, orientation)

    @classmethod
    def _of(
        cls, plans: CheckedPlans, dataset: Mapping[str, Any], folds: tuple[str, ...], orientation: str
    ) -> ModelFacts:
        # nnU-Net's lists are in the order of the array's axes after transpose_forward.
        order, settings = plans.plans.transpose_backward, plans.configuration
        z, y, x = (settings.spacing[axis] for axis in order)
        k, j, i = (settings.patch_size[axis] for axis in order)
        labels = {str(name): int(value) for name, value in dataset["labels"].items()}
        return cls(folds, labels, (x, y, z), (i, j, k), orientation)

    @property
    def words(self) -> str:
        """Folds, labels, voxel size and patch in a sentence."""
        folds = f"Fold {self.folds[0]}" if len(self.folds) == 1 else f"Ensemble of the folds {', '.join(self.folds)}"
        labels = ", ".join(f"{name} ({value})" for name, value in self.labels.items())
        return f"{folds}; labels {labels}; voxels of {by(self.spacing)} mm; patch of {by(self.patch)} voxels."
