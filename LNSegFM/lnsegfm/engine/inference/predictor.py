"""A loaded model that turns CT images into probabilities and labels on the CT's own grid."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress

import numpy as np
import SimpleITK as sitk
import torch
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.helpers import empty_cache
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from lnsegfm.base.background import Progress
from lnsegfm.base.computer.device_names import PrecisionName
from lnsegfm.engine.inference.backends.backend import Backend, BackendFailed
from lnsegfm.engine.inference.backends.choice import make_backend
from lnsegfm.engine.inference.backends.torch_backend import TorchBackend
from lnsegfm.engine.inference.probability_export import probability_from_logits
from lnsegfm.engine.inference.quality import QUALITIES, Quality
from lnsegfm.engine.inference.sliding_window import SlidingWindow
from lnsegfm.engine.inference.tile_progress import TileProgress
from lnsegfm.engine.networks.exact_resampling import with_exact_resampling
from lnsegfm.engine.networks.fold_weights import FoldWeights
from lnsegfm.engine.precision import IN_WORDS, Precision
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
        device: Where PyTorch computes.
        openvino_device: What OpenVINO is to compute on instead, see `lnsegfm.engine.inference.backends.choice`; where
            it cannot, PyTorch does.

    Raises:
        UserError: Plans or checkpoint are not accepted, or do not fit each other.
    """

    def __init__(self, model: ModelInfo, device: torch.device, openvino_device: str = "") -> None:
        self.model = model
        self.device = device
        self.openvino_device = openvino_device
        content = ModelContent.of(model)
        self._dataset = content.dataset
        self._facts = ModelFacts.of(model)
        self._plans = PlansManager(copy.deepcopy(content.plans))
        self._configuration = with_exact_resampling(
            self._plans.get_configuration(model.card.configuration), device if device.type == "cuda" else None,
            labels=False,
        )
        self._patch = tuple(int(size) for size in self._configuration.patch_size)
        self._labels = self._plans.get_label_manager(self._dataset)
        self.training = TrainingRange.of(content.plans, self._configuration.spacing, model.card.orientation)
        self._pass_s: dict[Precision, float | None] = {}  # seconds of a pass
        self._folds = FoldWeights(model, content)
        self._backend, self._why_not = make_backend(
            openvino_device, model, self._folds, self._patch, self._configuration.pool_op_kernel_sizes, device
        )

    def replace_weights(self, *folds: dict[str, torch.Tensor]) -> None:
        """Use other weights of the same network, of one fold or several; adapters may have been added to it."""
        self._folds.replace(*folds)
        self._backend, self._why_not = TorchBackend(self._folds, self.device), ""

    @property
    def backend(self) -> Backend:
        """What runs the network."""
        return self._backend

    @property
    def why_not(self) -> str:
        """Why PyTorch runs the network although OpenVINO was to; empty where that is not so."""
        return self._why_not

    def words(self, quality: Quality, precision: PrecisionName = "auto") -> str:
        """Return what runs the network, in which precision, and why where that is not what was wished."""
        name = {"torch": "PyTorch", "openvino": "OpenVINO"}[self._backend.name]
        said = f"{name} {self._backend.version} in {IN_WORDS[self._backend.precision(quality, precision)]}"
        return f"{said}, because {self._why_not}" if self._why_not else said

    def warm_up(self, quality: Quality, precision: PrecisionName = "auto") -> None:
        """Get the network ready for its first tile, which takes a backend up to a second."""
        with suppress(BackendFailed):  # said by the segmentation, in which PyTorch takes over
            self._backend.run(0, self._backend.precision(quality, precision))

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
        precision: PrecisionName = "auto",
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
            precision: In which the network computes; by default as fast as the quality allows.
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
        # Only the whole of a scan in standard quality is to have nnU-Net's own labels.
        single = region != WHOLE or quality != QUALITIES["standard"]
        logits = self._logits(torch.from_numpy(data), quality, precision, report, is_cancelled, single=single)
        report(Progress(1.0, "Bringing the result to the CT's grid"))
        probability = probability_from_logits(logits, self._plans, self._configuration, properties)
        return put_back(restore(probability, axes, part), image, box)

    def _logits(
        self, data: torch.Tensor, quality: Quality, wish: PrecisionName, report: Callable[[Progress], None],
        is_cancelled: Callable[[], bool], *, single: bool,
    ) -> torch.Tensor:
        """Return the logits ``[heads, z, y, x]``, averaged over the folds, of ``[1, z, y, x]``."""
        try:
            backend, precision = self._backend, self._backend.precision(quality, wish)
            heads = self._labels.num_segmentation_heads
            window = SlidingWindow(self._patch, quality, backend.mirror_axes, heads, backend.in_flight, single)
            workload = window.workload(data.shape[1:], len(self._folds))
            progress = TileProgress(report, is_cancelled, workload, pass_s=self._pass_s.get(precision))
            logits = self._ensemble(window, precision, data, progress)
            self._pass_s[precision] = progress.pass_s
            return logits
        except BackendFailed as error:
            self._why_not, self._pass_s = error.why, {}
        finally:
            # The worker lives as long as Slicer: a fine-tuning job on the same GPU needs what it does not use.
            empty_cache(self.device)
        self._backend = TorchBackend(self._folds, self.device)
        return self._logits(data, quality, wish, report, is_cancelled, single=single)

    def _ensemble(
        self, window: SlidingWindow, precision: Precision, data: torch.Tensor, progress: TileProgress
    ) -> torch.Tensor:
        total: torch.Tensor | None = None
        for fold in range(len(self._folds)):
            logits = window.predict(self._backend.run(fold, precision), data, self.device, progress)
            total = logits if total is None else total + logits
        assert total is not None
        return total / len(self._folds) if len(self._folds) > 1 else total
