"""Corrected cases, preprocessed with the base model's own plans for nnU-Net's data loader."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.training.dataloading import nnunet_dataset
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from LNSegFMLib.core.images import check_ct
from LNSegFMLib.core.orientation import reorient

# Before nnU-Net 2.8 a method of the class.
_block_sizes = getattr(nnunet_dataset, "comp_blosc2_params", None) or nnUNetDatasetBlosc2.comp_blosc2_params


@dataclass(frozen=True)
class TrainingCase:
    """One CT with the accepted label version that is to be learnt.

    Args:
        identifier: Our case id.
        image: CT file.
        label: Label file on the CT's grid, 0 background, 1 lymph node.
    """

    identifier: str
    image: Path
    label: Path


def preprocess(
    cases: Iterable[TrainingCase],
    plans: PlansManager,
    configuration: str,
    dataset: dict[str, Any],
    orientation: str,
    folder: Path,
    report: Callable[[str], None],
) -> None:
    """Write the cases into ``folder`` as nnU-Net's preprocessing would, without its process pool.

    Args:
        cases: What is to be prepared.
        plans: Plans of the base model: spacing, normalisation and intensity statistics are its own, not the cases'.
        configuration: nnU-Net configuration name.
        dataset: Content of ``dataset.json``.
        orientation: Voxel order of the model, see `LNSegFMLib.core.models.ModelCard`.
        folder: Existing empty folder.
        report: Called with the id of the case that is being prepared.

    Raises:
        UserError: An image that is not a CT.
    """
    settings = plans.get_configuration(configuration)
    preprocessor = DefaultPreprocessor(verbose=False)
    for case in cases:
        report(case.identifier)
        image, label = sitk.ReadImage(str(case.image)), sitk.ReadImage(str(case.label))
        check_ct(image)
        image, _ = reorient(image, orientation)
        label, _ = reorient(label, orientation)
        data, segmentation, properties = preprocessor.run_case_npy(
            sitk.GetArrayFromImage(image)[None].astype(np.float32),
            sitk.GetArrayFromImage(label)[None].astype(np.int16),
            {"spacing": [float(size) for size in image.GetSpacing()[::-1]]},
            plans, settings, dataset,
        )
        _save(data, segmentation.astype(np.int16), properties, settings.patch_size, folder / case.identifier)


def _save(
    data: np.ndarray, segmentation: np.ndarray, properties: dict[str, Any], patch_size: Iterable[int], path: Path
) -> None:
    blocks, chunks = _block_sizes(data.shape, tuple(patch_size), data.itemsize)
    label_blocks, label_chunks = _block_sizes(segmentation.shape, tuple(patch_size), segmentation.itemsize)
    nnUNetDatasetBlosc2.save_case(
        data, segmentation, properties, str(path), chunks=chunks, blocks=blocks,
        chunks_seg=label_chunks, blocks_seg=label_blocks,
    )
