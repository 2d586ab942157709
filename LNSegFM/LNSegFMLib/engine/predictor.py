"""A loaded model that turns CT images into labels on the CT's own grid."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
import torch
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.helpers import empty_cache
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from LNSegFMLib.core.errors import UserError
from LNSegFMLib.core.files import read_json
from LNSegFMLib.core.images import check_ct, labels_on
from LNSegFMLib.core.models import ModelInfo
from LNSegFMLib.core.orientation import reorient
from LNSegFMLib.engine.adapters import fit_adapters
from LNSegFMLib.engine.checkpoints import load_checkpoint, network_weights
from LNSegFMLib.engine.export import labels_from_logits
from LNSegFMLib.engine.networks import build_network, check_weights
from LNSegFMLib.engine.sliding_window import SlidingWindow, TileProgress


@dataclass(frozen=True)
class Quality:
    """What may be traded for speed.

    Args:
        mirroring: Average over all flips the model was trained with (eight passes in 3D), as nnU-Net does.
        step: Distance of neighbouring tiles as a share of the tile, 0 < step <= 1; nnU-Net takes 0.5.
    """

    mirroring: bool = True
    step: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.step <= 1:
            raise UserError(f"The tile step {self.step} is not possible.", "It must be above 0 and at most 1.")


def _nothing(share: float) -> None:
    del share


def _never() -> bool:
    return False


class Predictor:
    """A model on a device, ready for any number of CTs.

    Args:
        model: An installed model whose files were verified.
        device: Where the network runs.

    Raises:
        UserError: Plans or checkpoint are not accepted, or do not fit each other.
    """

    def __init__(self, model: ModelInfo, device: torch.device) -> None:
        self.model = model
        self.device = device
        plans, self._dataset = read_json(model.path / "plans.json"), read_json(model.path / "dataset.json")
        configuration = model.card.configuration
        self._network = build_network(plans, configuration, self._dataset, deep_supervision=False)
        self._folds: list[dict[str, torch.Tensor]] = []
        self._mirror_axes: tuple[int, ...] = ()
        for fold in model.card.folds:
            path = model.checkpoint(fold)
            checkpoint = load_checkpoint(path)
            own = network_weights(checkpoint, path.name)
            check_weights(own, plans, configuration, self._dataset, path.name)
            self._folds.append(own)
            self._mirror_axes = tuple(checkpoint.get("inference_allowed_mirroring_axes") or ())
        self._use(self._folds[0])
        if device.type == "cuda":
            torch.backends.cudnn.benchmark = True
        self._plans = PlansManager(copy.deepcopy(plans))
        self._configuration = self._plans.get_configuration(configuration)
        self._labels = self._plans.get_label_manager(self._dataset)

    def replace_weights(self, weights: dict[str, torch.Tensor]) -> None:
        """Go on with other weights of the same network, to which adapters may have been added."""
        self._folds = [weights]
        self._use(weights)

    def _use(self, weights: dict[str, torch.Tensor]) -> None:
        fit_adapters(self._network, weights)
        self._network.load_state_dict(weights)
        self._network.to(self.device).eval()

    def segment(
        self,
        image: sitk.Image,
        quality: Quality = Quality(),
        *,
        report: Callable[[float], None] = _nothing,
        is_cancelled: Callable[[], bool] = _never,
    ) -> sitk.Image:
        """Segment one CT.

        The volume is brought to the voxel order the model was trained in by flips and a permutation of its axes, and
        the labels are brought back, so that the result does not depend on how the scan was stored.

        Args:
            image: 3D scalar CT in HU.
            quality: See `Quality`.
            report: Called with the share done, 0 to 1.
            is_cancelled: Asked before every pass of the network.

        Returns:
            uint8 labels (1 = lymph node) with exactly the image's geometry.

        Raises:
            UserError: The image is not a CT that can be segmented, or memory does not suffice.
            Cancelled: The user cancelled.
        """
        check_ct(image)
        canonical, axes = reorient(image, self.model.card.orientation)
        array = sitk.GetArrayFromImage(canonical)[None].astype(np.float32)
        spacing = [float(size) for size in canonical.GetSpacing()[::-1]]
        data, _, properties = DefaultPreprocessor(verbose=False).run_case_npy(
            array, None, {"spacing": spacing}, self._plans, self._configuration, self._dataset
        )
        window = SlidingWindow(
            tuple(int(size) for size in self._configuration.patch_size),
            quality.step,
            self._mirror_axes if quality.mirroring else (),
            self._labels.num_segmentation_heads,
        )
        progress = TileProgress(report, is_cancelled, window.passes(data.shape[1:]) * len(self._folds))
        try:
            logits = self._ensemble(window, torch.from_numpy(data), progress)
        finally:
            # The worker lives as long as Slicer: a fine-tuning job on the same GPU needs what it does not use.
            empty_cache(self.device)
        labels = labels_from_logits(logits, self._plans, self._configuration, self._labels, properties)
        return labels_on(image, axes.invert(labels))

    def _ensemble(self, window: SlidingWindow, data: torch.Tensor, progress: TileProgress) -> torch.Tensor:
        total: torch.Tensor | None = None
        for weights in self._folds:
            if len(self._folds) > 1:
                self._use(weights)
            logits = window.predict(self._network, data, self.device, progress)
            total = logits if total is None else total + logits
        assert total is not None
        return total / len(self._folds) if len(self._folds) > 1 else total
