"""A loaded model that turns CT images into probabilities and labels on the CT's own grid."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import SimpleITK as sitk
import torch
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.helpers import empty_cache
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from lnsegfm.base.background import Progress
from lnsegfm.engine.inference.probability_export import probability_from_logits
from lnsegfm.engine.inference.quality import QUALITIES, Quality
from lnsegfm.engine.inference.sliding_window import SlidingWindow
from lnsegfm.engine.inference.tile_progress import TileProgress
from lnsegfm.engine.networks.adapters import fit_adapters
from lnsegfm.engine.networks.checkpoints import load_checkpoint, network_weights
from lnsegfm.engine.networks.exact_resampling import with_exact_resampling
from lnsegfm.engine.networks.network import build_network, check_weights
from lnsegfm.images.boxes import WHOLE, Region
from lnsegfm.images.crop import crop, put_back, region_box
from lnsegfm.images.geometry import Geometry
from lnsegfm.images.grids import spacing_zyx
from lnsegfm.images.orientation import reorient, restore
from lnsegfm.images.probabilities import FOREGROUND_FROM
from lnsegfm.images.volume_checks import check_ct
from lnsegfm.models.grid_limits import OTHER_REGION, check_voxels
from lnsegfm.models.model_card import ModelInfo
from lnsegfm.models.model_content import ModelContent
from lnsegfm.models.model_facts import ModelFacts
from lnsegfm.segmentation.training_range import TrainingRange


def _nothing(progress: Progress) -> None:
    del progress


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
        content = ModelContent.of(model)
        plans, self._dataset = content.plans, content.dataset
        self._facts = ModelFacts.of(model)
        configuration = model.card.configuration
        self._network = build_network(plans, configuration, self._dataset, deep_supervision=False)
        self._folds: list[dict[str, torch.Tensor]] = []
        self._mirror_axes: tuple[int, ...] = ()
        self._pass_s: dict[bool, float | None] = {}  # seconds of a pass, by whether it was in half precision
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
        self._configuration = with_exact_resampling(
            self._plans.get_configuration(configuration), device if device.type == "cuda" else None, labels=False
        )
        self._labels = self._plans.get_label_manager(self._dataset)
        self.training = TrainingRange.of(plans, self._configuration.spacing, model.card.orientation)

    def replace_weights(self, *folds: dict[str, torch.Tensor]) -> None:
        """Use other weights of the same network, of one fold or several; adapters may have been added to it."""
        self._folds = list(folds)
        self._use(self._folds[0])

    def _use(self, weights: dict[str, torch.Tensor]) -> None:
        fit_adapters(self._network, weights)
        self._network.load_state_dict(weights)
        self._network.to(self.device).eval()

    def segment(
        self,
        image: sitk.Image,
        quality: Quality = QUALITIES["standard"],
        *,
        report: Callable[[Progress], None] = _nothing,
        is_cancelled: Callable[[], bool] = _never,
    ) -> sitk.Image:
        """Segment one CT: `predict`, as labels.

        Returns:
            uint8 labels (1 = lymph node) with exactly the image's geometry.
        """
        return self.predict(image, quality, report=report, is_cancelled=is_cancelled) >= FOREGROUND_FROM

    def predict(
        self,
        image: sitk.Image,
        quality: Quality = QUALITIES["standard"],
        *,
        region: Region = WHOLE,
        report: Callable[[Progress], None] = _nothing,
        is_cancelled: Callable[[], bool] = _never,
    ) -> sitk.Image:
        """Return the probability that a voxel belongs to a lymph node.

        The volume is brought to the voxel order the model was trained in by flips and a permutation of its axes, and
        the result is brought back, so that it does not depend on how the scan was stored.

        Args:
            image: 3D scalar CT in HU.
            quality: See `Quality`.
            region: What of it to look at, see `SegmentOptions`; the probability is 0 elsewhere.
            report: Called with what is being done, the share of the network's work, and its time left.
            is_cancelled: Asked before every pass of the network.

        Returns:
            uint8 with exactly the image's geometry, 255 is certain; at least `FOREGROUND_FROM` where the label is
            lymph node.

        Raises:
            UserError: The image is not a CT that can be segmented, the region lies outside of it, it is too thin or too
                large at the model's voxel size, or memory does not suffice.
            Cancelled: The user cancelled.
        """
        check_ct(image)
        report(Progress(0.0, "Preparing the CT"))
        box = region_box(image, region)
        part = crop(image, box)
        what, todo = ("CT", "") if region == WHOLE else ("region", OTHER_REGION)
        check_voxels(Geometry.of(part), sitk.GetArrayViewFromImage(part), self._facts, what, todo)
        canonical, axes = reorient(part, self.model.card.orientation)
        array = sitk.GetArrayFromImage(canonical)[None].astype(np.float32)
        spacing = list(spacing_zyx(canonical))
        data, _, properties = DefaultPreprocessor(verbose=False).run_case_npy(
            array, None, {"spacing": spacing}, self._plans, self._configuration, self._dataset
        )
        window = SlidingWindow(
            tuple(int(size) for size in self._configuration.patch_size),
            quality,
            self._mirror_axes,
            self._labels.num_segmentation_heads,
            # Only the whole of a scan in standard quality is to have nnU-Net's own labels.
            single=region != WHOLE or quality != QUALITIES["standard"],
        )
        workload = window.workload(data.shape[1:], len(self._folds))
        progress = TileProgress(report, is_cancelled, workload, pass_s=self._pass_s.get(quality.half_on_cpu))
        try:
            logits = self._ensemble(window, torch.from_numpy(data), progress)
        finally:
            # The worker lives as long as Slicer: a fine-tuning job on the same GPU needs what it does not use.
            empty_cache(self.device)
        self._pass_s[quality.half_on_cpu] = progress.pass_s
        report(Progress(1.0, "Bringing the result to the CT's grid"))
        probability = probability_from_logits(logits, self._plans, self._configuration, properties)
        return put_back(restore(probability, axes, part), image, box)

    def _ensemble(self, window: SlidingWindow, data: torch.Tensor, progress: TileProgress) -> torch.Tensor:
        total: torch.Tensor | None = None
        for weights in self._folds:
            if len(self._folds) > 1:
                self._use(weights)
            logits = window.predict(self._network, data, self.device, progress)
            total = logits if total is None else total + logits
        assert total is not None
        return total / len(self._folds) if len(self._folds) > 1 else total
