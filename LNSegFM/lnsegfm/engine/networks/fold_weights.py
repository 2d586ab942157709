"""The network of an installed model and the weights of its folds, read when they are first needed."""

from __future__ import annotations

from functools import cached_property

import torch

from lnsegfm.engine.networks.adapters import fit_adapters
from lnsegfm.engine.networks.checkpoints import load_checkpoint, network_weights
from lnsegfm.engine.networks.network import build_network, check_weights
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_content import ModelContent

Weights = dict[str, torch.Tensor]


class FoldWeights:
    """Weights by fold, and the one network that takes them in turns.

    Args:
        model: An installed model whose files were verified.
        content: Its descriptions.
    """

    def __init__(self, model: ModelInfo, content: ModelContent) -> None:
        self._model, self._content = model, content
        self._weights: list[Weights | None] = [None] * len(model.card.folds)
        self._mirror_axes: tuple[int, ...] | None = None

    def __len__(self) -> int:
        return len(self._weights)

    @cached_property
    def network(self) -> torch.nn.Module:
        """The network; its weights are random until `load`."""
        configuration = self._model.card.configuration
        return build_network(self._content.plans, configuration, self._content.dataset, deep_supervision=False)

    @property
    def mirror_axes(self) -> tuple[int, ...]:
        """Spatial axes (0 = z) that the model was trained to be mirrored along; empty for none.

        Raises:
            UserError: The checkpoint is not accepted.
        """
        if self._mirror_axes is None:
            self._read(len(self._weights) - 1)
        return self._mirror_axes or ()

    def weights(self, number: int) -> Weights:
        """Return the weights of a fold, by its place among them.

        Raises:
            UserError: The checkpoint is not accepted, or does not fit the plans.
        """
        known = self._weights[number]
        return self._read(number) if known is None else known

    def load(self, number: int) -> torch.nn.Module:
        """Give the network the weights of a fold, and the adapters that they come with, and return it."""
        weights = self.weights(number)
        fit_adapters(self.network, weights)
        self.network.load_state_dict(weights)
        return self.network

    def replace(self, *folds: Weights) -> None:
        """Take other weights of the same network, of one fold or several."""
        self._mirror_axes = self.mirror_axes
        self._weights = list(folds)

    def forget(self) -> None:
        """Give the memory of weights and network free; they are read again when they are needed."""
        self._mirror_axes = self.mirror_axes
        self._weights = [None] * len(self._weights)
        self.__dict__.pop("network", None)

    def _read(self, number: int) -> Weights:
        path = self._model.checkpoint(self._model.card.folds[number])
        checkpoint = load_checkpoint(path)
        own = network_weights(checkpoint, path.name)
        check_weights(own, self._content.plans, self._model.card.configuration, self._content.dataset, path.name)
        self._mirror_axes = tuple(checkpoint.get("inference_allowed_mirroring_axes") or ())
        self._weights[number] = own
        return own
